/* DBC files: whatever is read must decode and encode any frame within its bounds, and what was put in comes out. */
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/fuzz/target.h"
#include "signals/adaptors/can/dbc.h"

static void check_signal(const struct dbc_message *message, const struct dbc_signal *signal)
{
	struct can_frame_data frame;
	int64_t raw = 0;
	dbc_start_frame(message, &frame);
	memset(frame.data, 0xff, message->length);
	if (dbc_extract(message, signal, &frame, &raw) == 0) {
		(void)dbc_physical(signal, raw);
		(void)dbc_is_unavailable(signal, raw, true);
	}
	(void)dbc_raw(signal, 12.5, &raw);
	dbc_insert(message, signal, 1, &frame);
	/* What was put in comes out, unless the signal lies over its own multiplexor. */
	if (signal->multiplexor < 0 && (dbc_extract(message, signal, &frame, &raw) != 0 || !(raw & 1)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped(dbc_free) struct dbc *dbc = NULL;
	struct err err = {0};
	if (dbc_parse("fuzz.dbc", (const char *)data, size, &dbc, &err) < 0)
		return 0;
	for (size_t m = 0; m < dbc->count; m++) {
		if (dbc_find_message(dbc, dbc->messages[m].id, dbc->messages[m].extended) != &dbc->messages[m])
			abort();
		for (size_t s = 0; s < dbc->messages[m].count; s++)
			check_signal(&dbc->messages[m], &dbc->messages[m].signals[s]);
	}
	return 0;
}
