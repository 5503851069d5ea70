#include "runtime/src/axrun/signal_name.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

#include "core/base/parse.h"

/* "RTMIN", "RTMIN+1", "RTMAX-2". */
static int parse_realtime(const char *name)
{
	int from_min = strncasecmp(name, "RTMIN", 5) == 0;
	if (!from_min && strncasecmp(name, "RTMAX", 5) != 0)
		return -EINVAL;
	int base = from_min ? SIGRTMIN : SIGRTMAX;
	if (!name[5])
		return base;
	int64_t offset = 0;
	if (name[5] != (from_min ? '+' : '-') || parse_i64(name + 6, 0, SIGRTMAX - SIGRTMIN, &offset) < 0)
		return -EINVAL;
	return from_min ? base + (int)offset : base - (int)offset;
}

int signal_parse(const char *text)
{
	int64_t number = 0;
	if (parse_i64(text, 0, SIGRTMAX, &number) == 0)
		return (int)number;
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	for (int signal = 1; signal < NSIG; signal++) {
		const char *abbreviation = sigabbrev_np(signal);
		if (abbreviation && strcasecmp(abbreviation, name) == 0)
			return signal;
	}
	return parse_realtime(name);
}
