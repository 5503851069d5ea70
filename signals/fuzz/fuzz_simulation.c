/* Descriptions of simulations: whatever is read must have a value, at any time. */
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/fuzz/target.h"
#include "signals/adaptors/simulation/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const double TIMES[] = {0, 0.05, 1, 7.3, 86400, 1e9};
	scoped(simulation_free) struct simulation *simulation = NULL;
	struct err err = {0};
	if (simulation_parse("fuzz.toml", (const char *)data, size, &simulation, &err) < 0)
		return 0;
	for (size_t i = 0; i < simulation->signal_count; i++) {
		for (size_t t = 0; t < sizeof TIMES / sizeof *TIMES; t++) {
			char text[SIMULATION_TEXT_MAX];
			if (sim_signal_value(&simulation->signals[i], TIMES[t], text) == 0 && !memchr(text, 0, sizeof text))
				abort();
		}
	}
	return 0;
}
