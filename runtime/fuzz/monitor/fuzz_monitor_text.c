/* Text of runtimes (--log, stderr) and of the kernel (/proc/PID/stat, /proc/PID/cgroup, memory.events). The first byte cuts the
 * input in two for the log and stderr. */
#include <string.h>

#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/fuzz/target.h"
#include "runtime/src/monitor/oom.h"
#include "runtime/src/monitor/proc_status.h"
#include "runtime/src/monitor/runtime_log.h"

static void try_message(const char *bytes, size_t size)
{
	size_t cut = size > 0 ? (unsigned char)bytes[0] * size / 256 : 0;
	char message[RUNTIME_MESSAGE_MAX];
	runtime_log_last_error(bytes, cut, bytes + cut, size - cut, message);
	size_t length = strnlen(message, sizeof message);
	if (length == sizeof message || !str_is_utf8(message, length))
		__builtin_trap();
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)message[i] < 0x20)
			__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_message((const char *)data, size);
	scoped_free char *text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	char state = 0;
	uint64_t start = 0;
	int code = 0;
	(void)proc_stat_parse(text, &state, &start, &code);
	(void)oom_parse_kills(text);
	char path[64];
	int r = oom_find_group(text, "memory", path, sizeof path);
	if (r >= 0 && strlen(path) > (size_t)r)
		__builtin_trap();
	return 0;
}
