/* exit.json and monitor.json. */
#include "core/base/arena.h"
#include "core/base/scoped.h"
#include "core/fuzz/target.h"
#include "runtime/src/monitor/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_done(arena_done) struct arena arena = {.max = 1 << 18};
	struct monitor_exit exit = {0};
	if (record_exit_decode((const char *)data, size, &arena, &exit, NULL) == 0 &&
	    (exit.version != MONITOR_RECORD_VERSION || !exit.id || !exit.reason))
		__builtin_trap();
	struct record_state state = {0};
	if (record_state_decode((const char *)data, size, &arena, &state, NULL) == 0 &&
	    (state.version != MONITOR_RECORD_VERSION || !state.id || !state.phase))
		__builtin_trap();
	return 0;
}
