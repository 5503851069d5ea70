/* A packet of the monitor's protocol, from either side. What decodes must encode, and decode to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/scoped.h"
#include "core/fuzz/target.h"
#include "runtime/include/axle/monitor.h"

static void try_sender(enum monitor_sender sender, const char *bytes, size_t size)
{
	scoped_done(arena_done) struct arena arena = {.max = 4 * MONITOR_MESSAGE_MAX};
	struct monitor_message message = {0};
	if (monitor_message_decode(sender, bytes, size, &arena, &message, NULL) < 0)
		return;
	scoped_done(buf_done) struct buf first = {.max = 16 * MONITOR_MESSAGE_MAX};
	if (monitor_message_encode(&message, &first) < 0)
		return; /* escapes may make it longer than a message may be */
	scoped_done(arena_done) struct arena again = {.max = 16 * MONITOR_MESSAGE_MAX};
	struct monitor_message back = {0};
	if (monitor_message_decode(sender, first.data, first.size, &again, &back, NULL) < 0)
		abort();
	scoped_done(buf_done) struct buf second = {.max = 16 * MONITOR_MESSAGE_MAX};
	if (monitor_message_encode(&back, &second) < 0 || first.size != second.size ||
	    memcmp(first.data, second.data, first.size) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_sender(MONITOR_FROM_CLIENT, (const char *)data, size);
	try_sender(MONITOR_FROM_MONITOR, (const char *)data, size);
	return 0;
}
