/* Lines of candump logs: what is read is written and read again as the same frame. */
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/fuzz/target.h"
#include "signals/adaptors/can/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scoped_free char *line = strndup((const char *)data, size);
	struct can_frame_data frame = {0};
	struct can_frame_data again = {0};
	int64_t time_ns = 0;
	char interface[16];
	struct err err = {0};
	if (!line || candump_parse(line, &frame, &time_ns, interface, &err) != 1)
		return 0;
	if (frame.length > CAN_FRAME_BYTES_MAX)
		abort();
	scoped_done(buf_done) struct buf out = {.max = CANDUMP_LINE_MAX};
	bool fits = !frame.fd || can_fd_length(frame.length) == frame.length;
	if (frame.error || !fits || candump_add(&out, &frame, time_ns < 0 ? 0 : time_ns, "can0") < 0)
		return 0;
	if (candump_parse(out.data, &again, &time_ns, interface, NULL) != 1 || again.id != frame.id ||
	    again.length != frame.length || again.remote != frame.remote ||
	    memcmp(again.data, frame.data, frame.length) != 0)
		abort();
	return 0;
}
