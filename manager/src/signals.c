#include "manager/src/signals.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "core/base/array.h"
#include "core/base/parse.h"
#include "core/base/str.h"

static const struct {
	const char *name;
	int number;
} SIGNALS[] = {
	{"ABRT", SIGABRT}, {"ALRM", SIGALRM},	{"BUS", SIGBUS},       {"CHLD", SIGCHLD}, {"CLD", SIGCLD},
	{"CONT", SIGCONT}, {"FPE", SIGFPE},	{"HUP", SIGHUP},       {"ILL", SIGILL},	  {"INT", SIGINT},
	{"IO", SIGIO},	   {"IOT", SIGIOT},	{"KILL", SIGKILL},     {"PIPE", SIGPIPE}, {"POLL", SIGPOLL},
	{"PROF", SIGPROF}, {"PWR", SIGPWR},	{"QUIT", SIGQUIT},     {"SEGV", SIGSEGV}, {"STKFLT", SIGSTKFLT},
	{"STOP", SIGSTOP}, {"SYS", SIGSYS},	{"TERM", SIGTERM},     {"TRAP", SIGTRAP}, {"TSTP", SIGTSTP},
	{"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},	{"URG", SIGURG},       {"USR1", SIGUSR1}, {"USR2", SIGUSR2},
	{"VTALRM", SIGVTALRM}, {"WINCH", SIGWINCH}, {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
};

/* The real-time signals as the kernel counts them; libc keeps the first two for itself. */
#define RT_MIN 34
#define RT_MAX 64

static int parse_realtime(const char *name)
{
	int base = RT_MIN;
	int direction = 1;
	const char *rest = NULL;
	if (strncasecmp(name, "RTMIN", 5) == 0) {
		rest = name + 5;
	} else if (strncasecmp(name, "RTMAX", 5) == 0) {
		rest = name + 5;
		base = RT_MAX;
		direction = -1;
	} else {
		return 0;
	}
	uint64_t offset = 0;
	if (*rest == '\0')
		return base;
	if (*rest != (direction > 0 ? '+' : '-') || parse_u64(rest + 1, 0, RT_MAX - RT_MIN, &offset) < 0)
		return 0;
	return base + direction * (int)offset;
}

int signal_parse(const char *text)
{
	uint64_t number = 0;
	if (str_empty(text))
		return 0;
	if (parse_u64(text, 1, RT_MAX, &number) == 0)
		return (int)number;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < ARRAY_COUNT(SIGNALS); i++)
		if (strcasecmp(SIGNALS[i].name, text) == 0)
			return SIGNALS[i].number;
	return parse_realtime(text);
}

/* SIGNAL_SIGRTMINPLUS3 and SIGNAL_SIGRTMAXMINUS3 spell out what others write with signs. */
static int parse_cri_name(const char *name)
{
	char text[32];
	const char *plus = strstr(name, "PLUS");
	const char *minus = strstr(name, "MINUS");
	size_t length = strlen(name);
	if (length >= sizeof text)
		return 0;
	const char *sign = plus ? plus : minus;
	if (!sign)
		return signal_parse(name);
	size_t before = (size_t)(sign - name);
	memcpy(text, name, before);
	text[before] = plus ? '+' : '-';
	(void)strncpy(text + before + 1, sign + (plus ? 4 : 5), sizeof text - before - 1);
	text[sizeof text - 1] = '\0';
	return signal_parse(text);
}

int signal_of_cri(Cri__Signal signal)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(&cri__signal__descriptor, (int)signal);
	const char *name = value ? str_after_prefix(value->name, "SIGNAL_") : NULL;
	return name ? parse_cri_name(name) : 0;
}

Cri__Signal signal_to_cri(int signal)
{
	for (int i = 1; i <= CRI__SIGNAL__SIGNAL_SIGRTMAX; i++)
		if (signal_of_cri((Cri__Signal)i) == signal)
			return (Cri__Signal)i;
	return CRI__SIGNAL__SIGNAL_RUNTIME_DEFAULT;
}
