/* CDI files: the first byte chooses the form. */
#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/fuzz/target.h"
#include "manager/src/cdi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {.max = 1 << 20};
	struct cdi_spec spec = {0};
	struct err err = {0};
	if (size > 0)
		(void)cdi_spec_parse("fuzz", (const char *)data + 1, size - 1, data[0] == 'y', &arena, &spec, &err);
	arena_done(&arena);
	return 0;
}
