/* What containers and pods keep between two questions about what they use. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* CPU time per time: over the time since the last sample, for the first one since the beginning. In struct container and
 * struct pod; {0} to begin with. */
struct usage_rate {
	uint64_t at_ns; /* uv_hrtime(); 0: no sample yet */
	uint64_t cpu_ns;
	uint64_t nano_cores;
};

/* A writable layer, as it was counted last (manager/src/layer_usage.h). */
struct layer_usage {
	uint64_t bytes;
	uint64_t inodes;
	int64_t counted_ns; /* since the epoch; 0: not yet */
	uint64_t tried_ns;  /* uv_hrtime() of the last walk's end, also of one that failed */
	bool wanted;
};
