#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/fuzz/target.h"
#include "image/src/hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_done(arena_done) struct arena arena = {.max = 4 << 20};
	struct hosts hosts = {0};
	struct err err = {0};
	if (hosts_parse("hosts.toml", (const char *)data, size, "registry:5000", &arena, &hosts, &err) < 0)
		return 0;
	if (hosts.count == 0 || hosts.count > HOSTS_MAX || !hosts.entries[hosts.count - 1].is_server)
		abort();
	for (size_t i = 0; i < hosts.count; i++)
		if (!hosts.entries[i].name || (!hosts.entries[i].base && i + 1 < hosts.count))
			abort();
	return 0;
}
