/* config.json: any bytes are decoded and checked, or refused. */
#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/codec/oci_runtime.h"
#include "core/fuzz/target.h"
#include "runtime/src/axrun/config.h"
#include "runtime/src/axrun/mount_options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {.max = CONFIG_ARENA_MAX};
	struct oci_spec spec = {0};
	struct err err = {0};
	if (config_decode("config.json", (const char *)data, size, &arena, &spec, &err) == 0) {
		for (size_t i = 0; i < spec.mounts_count; i++) {
			struct mount_options options;
			(void)mount_options_parse(spec.mounts[i].options, &options, &err); /* refused is fine */
		}
	}
	arena_done(&arena);
	return 0;
}
