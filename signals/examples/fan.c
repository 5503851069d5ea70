/* An adaptor in C: a fan that obeys, and the temperature beside it.
 *
 *	cc -o fan fan.c $(pkg-config --cflags --libs axle-signal) && ./fan
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <axle/signal.h>

#define FAN "Vehicle.Cabin.HVAC.FanSpeed"
#define TEMPERATURE "Vehicle.Cabin.HVAC.AmbientAirTemperature"

/* Somebody wants another fan speed: set it, say what it is now, and that it is done. */
static void on_fan(void *user, struct axle_signal_claim *fan, const struct axle_signal_request_info *request)
{
	double *cooling = user;
	double percent = strtod(request->value, NULL);
	if (percent > 90) {
		axle_signal_answer(fan, request->id, "too loud: at most 90");
		return;
	}
	*cooling = percent;
	axle_signal_publish(fan, request->value, 0);
	axle_signal_answer(fan, request->id, NULL);
}

int main(void)
{
	struct axle_signal *signals = NULL;
	struct axle_signal_claim *fan = NULL;
	struct axle_signal_claim *temperature = NULL;
	double cooling = 0;
	double celsius = 30;
	if (axle_signal_open(NULL, "fan", &signals) < 0 || axle_signal_claim(signals, FAN, 0, on_fan, &cooling, &fan) < 0 ||
	    axle_signal_claim(signals, TEMPERATURE, 0, NULL, NULL, &temperature) < 0) {
		perror("fan");
		return EXIT_FAILURE;
	}
	axle_signal_publish(fan, "0", 0);
	for (;;) {
		/* Any event loop will do: one descriptor, which is readable when dispatch has work. */
		struct pollfd poll_fd = {axle_signal_fd(signals), POLLIN, 0};
		celsius -= cooling / 1000;
		axle_signal_publish_double(temperature, celsius, 0);
		axle_signal_flush(signals);
		if (poll(&poll_fd, 1, 100) > 0)
			axle_signal_dispatch(signals);
	}
}
