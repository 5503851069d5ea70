/* Documents of a registry: what they are, manifests, indexes, configurations. */
#include "core/base/arena.h"
#include "core/base/scoped.h"
#include "core/fuzz/target.h"
#include "image/src/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	scoped_done(arena_done) struct arena arena = {.max = 1 << 24};
	enum model_kind kind;
	struct model_manifest manifest;
	struct model_config config;
	struct model_index index;
	(void)model_kind_of("fuzz", text, size, NULL, &kind, NULL);
	(void)model_read_manifest("fuzz", text, size, &arena, &manifest, NULL);
	(void)model_read_config("fuzz", text, size, 1, &arena, &config, NULL);
	struct model_platform wanted = model_platform_of_machine();
	const struct model_descriptor *chosen;
	if (model_read_index("fuzz", text, size, &arena, &index, NULL) == 0)
		(void)model_choose_platform(&index, &wanted, &chosen, NULL);
	return 0;
}
