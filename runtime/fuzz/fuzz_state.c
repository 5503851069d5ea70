/* state.json of a container: whatever is found there is decoded or refused. */
#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/fuzz/target.h"
#include "runtime/src/axrun/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {.max = STATE_BYTES_MAX};
	struct state state = {0};
	struct err err = {0};
	(void)state_decode((const char *)data, size, &arena, &state, &err); /* refused is fine */
	arena_done(&arena);
	return 0;
}
