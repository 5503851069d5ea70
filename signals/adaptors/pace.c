#include "signals/adaptors/pace.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int pace_parse_seconds(const char *text, double *ret_seconds)
{
	char *end = NULL;
	double seconds = strtod(text, &end);
	if (end == text || *end || !(seconds >= 0) || seconds > 1e9)
		return -EINVAL;
	*ret_seconds = seconds;
	return 0;
}

int pace_parse_speed(const char *text, double *ret_speed)
{
	if (strcmp(text, "max") == 0) {
		*ret_speed = 0;
		return 0;
	}
	double speed = 0;
	if (pace_parse_seconds(text, &speed) < 0 || speed < 0.001)
		return -EINVAL;
	*ret_speed = speed;
	return 0;
}

int64_t pace_due(struct pace *pace, int64_t recorded_ns, int64_t now_ns)
{
	if (!pace->begun) {
		*pace = (struct pace){.speed = pace->speed, .seek = pace->seek, .begun = true, .first_ns = recorded_ns,
				      .started_ns = now_ns};
	}
	double offset = (double)(recorded_ns - pace->first_ns) - pace->seek * 1e9;
	if (offset < 0 && pace->seek > 0)
		return INT64_MIN;
	pace->last_ns = recorded_ns;
	if (pace->speed == 0 || offset < 0) /* a clock that went back does not hold the replay up */
		return pace->started_ns;
	double wait = offset / pace->speed;
	return wait > 9e17 ? INT64_MAX : pace->started_ns + (int64_t)wait;
}

void pace_restart(struct pace *pace)
{
	pace->begun = false;
}
