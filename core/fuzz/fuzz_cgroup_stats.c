#include <stdlib.h>
#include <string.h>

#include "core/base/scoped.h"
#include "core/fuzz/target.h"
#include "core/sys/cgroup_stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	uint64_t value = 0;
	struct cgroup_psi psi = {0};
	(void)cgroup_stats_parse_number(text, &value);
	(void)cgroup_stats_parse_key(text, "usage_usec", &value);
	(void)cgroup_stats_parse_key(text, "anon", &value);
	if (cgroup_stats_parse_psi(text, &psi) && (psi.some.avg10 > 100099 || psi.some.total_ns % 1000))
		abort();
	return 0;
}
