/* axle signal can, record, replay, sim: adaptors that ship, by their short names; catalogue; adaptor new */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/src/verb.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"

#define CATALOGUE_BYTES_MAX (64u << 20)
#define CATALOGUE_FOLDER "/etc/axle/signals"

/* ---- adaptors ---- */

/* Becomes the program: its options and its --help are its own. */
static int become(const char *name, char **words, struct err *err)
{
	scoped_free char *program = path_of_sibling_program(name);
	size_t count = strv_count((const char *const *)words);
	scoped_free char **argv = calloc(count + 2, sizeof *argv);
	if (!program || !argv)
		return err_memory(err, "axle");
	argv[0] = program;
	memcpy(argv + 1, words, count * sizeof *argv);
	(void)fflush(stdout);
	(void)execvp(program, argv);
	return err_sys(err, -errno, "cli.program", "%s", program);
}

static int can(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)cli;
	(void)values;
	return become("axsignal-can", words, err);
}

static int record(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)cli;
	(void)values;
	return become("axsignal-record", words, err);
}

static int replay(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)cli;
	(void)values;
	return become("axsignal-replay", words, err);
}

static int sim(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)cli;
	(void)values;
	return become("axsignal-sim", words, err);
}

const struct verb verb_signal_can = {
	.name = "can", .arguments = "--dbc FILE --mapping FILE [OPTION...]",
	.summary = "provide signals from a CAN bus or log (axsignal-can)", .pass_on = true, .least = 1, .most = -1, .run = can,
};
const struct verb verb_signal_record = {
	.name = "record", .arguments = "PATTERN... [OPTION...]", .summary = "write updates to a file (axsignal-record)",
	.pass_on = true, .least = 1, .most = -1, .run = record,
};
const struct verb verb_signal_replay = {
	.name = "replay", .arguments = "FILE.csv [OPTION...]", .summary = "publish a record again (axsignal-replay)",
	.pass_on = true, .least = 1, .most = -1, .run = replay,
};
const struct verb verb_signal_sim = {
	.name = "sim", .arguments = "FILE.toml [OPTION...]", .summary = "provide simulated signals (axsignal-sim)",
	.pass_on = true, .least = 1, .most = -1, .run = sim,
};
/* ---- catalogue ---- */

/* axsignald itself reads the file: what it would refuse later is refused here, in its words. */
static int check_catalogue(const char *file, struct err *err)
{
	scoped_free char *program = path_of_sibling_program("axsignald");
	if (!program)
		return err_memory(err, "axle");
	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, -errno, "cli.fork", "fork");
	if (pid == 0) {
		(void)execlp(program, program, "--check", "--catalogue", file, NULL);
		(void)fprintf(stderr, "axle: %s: %s\n", program, strerror(errno));
		_exit(127);
	}
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, -EINVAL, "cli.catalogue", "%s: not a catalogue that axsignald serves", file);
	return 0;
}

static int catalogue_check(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)cli;
	(void)values;
	return check_catalogue(words[0], err);
}

struct install_options {
	const char *to;
};
static const struct install_options INSTALL_DEFAULTS = {CATALOGUE_FOLDER};
static const struct opt INSTALL_OPTIONS[] = {
	{0, "to", "FOLDER", OPT_STRING, offsetof(struct install_options, to), "in place of " CATALOGUE_FOLDER},
	{0},
};

static int catalogue_install(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct install_options *options = values;
	(void)cli;
	scoped_done(buf_done) struct buf text = {.max = CATALOGUE_BYTES_MAX};
	const char *name = strrchr(words[0], '/') ? strrchr(words[0], '/') + 1 : words[0];
	int r = check_catalogue(words[0], err);
	if (r == 0)
		r = file_read_at(AT_FDCWD, words[0], &text, err);
	if (r == 0)
		r = path_make_directories(options->to, 0755, err);
	if (r < 0)
		return r;
	scoped_fd int folder = open(options->to, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return err_sys(err, -errno, "cli.folder", "%s", options->to);
	r = file_replace_at(folder, name, text.data, text.size, 0644, FILE_SYNCED, err);
	if (r == 0)
		(void)printf("%s/%s is installed: axsignald --catalogue %s/%s (SIGHUP where it serves this file already)\n",
			     options->to, name, options->to, name);
	return r;
}

static const struct verb verb_catalogue_check = {
	.name = "check", .arguments = "FILE", .summary = "read a catalogue as axsignald does", .least = 1, .most = 1,
	.run = catalogue_check,
};
static const struct verb verb_catalogue_install = {
	.name = "install", .arguments = "FILE", .summary = "check a catalogue (VSS JSON) and put it where axsignald finds it",
	.options = INSTALL_OPTIONS, .values_size = sizeof(struct install_options), .defaults = &INSTALL_DEFAULTS,
	.least = 1, .most = 1, .run = catalogue_install,
};
static const struct verb *const CATALOGUE_VERBS[] = {&verb_catalogue_check, &verb_catalogue_install, NULL};
const struct verb verb_signal_catalogue = {
	.name = "catalogue", .arguments = "COMMAND", .summary = "check and install catalogues", .below = CATALOGUE_VERBS,
};

/* ---- adaptor new ---- */

static const char SKELETON[] =
	"/* %1$s: an adaptor for Axle's signals. Replace read_sensor() and obey(), and the paths, by your own. */\n"
	"#include <poll.h>\n"
	"#include <stdio.h>\n"
	"#include <stdlib.h>\n"
	"\n"
	"#include <axle/signal.h>\n"
	"\n"
	"#define SENSOR \"Vehicle.Speed\"\n"
	"#define ACTUATOR \"Vehicle.Cabin.HVAC.FanSpeed\"\n"
	"#define INTERVAL_MS 100\n"
	"\n"
	"static double read_sensor(void)\n"
	"{\n"
	"\tstatic double value;\n"
	"\tvalue = value < 100 ? value + 0.5 : 0;\n"
	"\treturn value;\n"
	"}\n"
	"\n"
	"/* Returns NULL, or why it cannot be done: the text reaches whoever asked. */\n"
	"static const char *obey(const char *target)\n"
	"{\n"
	"\treturn strtod(target, NULL) < 0 ? \"below 0\" : NULL;\n"
	"}\n"
	"\n"
	"static void on_request(void *user, struct axle_signal_claim *claim, const struct axle_signal_request_info *request)\n"
	"{\n"
	"\tconst char *error = obey(request->value);\n"
	"\t(void)user;\n"
	"\tif (!error)\n"
	"\t\taxle_signal_publish(claim, request->value, 0);\n"
	"\taxle_signal_answer(claim, request->id, error);\n"
	"}\n"
	"\n"
	"int main(void)\n"
	"{\n"
	"\tstruct axle_signal *signals = NULL;\n"
	"\tstruct axle_signal_claim *sensor = NULL;\n"
	"\tstruct axle_signal_claim *actuator = NULL;\n"
	"\tif (axle_signal_open(NULL, \"%1$s\", &signals) < 0 ||\n"
	"\t    axle_signal_claim(signals, SENSOR, 0, NULL, NULL, &sensor) < 0 ||\n"
	"\t    axle_signal_claim(signals, ACTUATOR, 0, on_request, NULL, &actuator) < 0) {\n"
	"\t\tperror(\"%1$s\");\n"
	"\t\treturn EXIT_FAILURE;\n"
	"\t}\n"
	"\taxle_signal_publish(actuator, \"0\", 0);\n"
	"\tfor (;;) {\n"
	"\t\tstruct pollfd poll_fd = {axle_signal_fd(signals), POLLIN, 0};\n"
	"\t\taxle_signal_publish_double(sensor, read_sensor(), 0);\n"
	"\t\taxle_signal_flush(signals);\n"
	"\t\tif (poll(&poll_fd, 1, INTERVAL_MS) > 0)\n"
	"\t\t\taxle_signal_dispatch(signals);\n"
	"\t}\n"
	"}\n";

static const char MAKEFILE[] = "CFLAGS += -Wall -Wextra -O2 $(shell pkg-config --cflags axle-signal)\n"
			       "LDLIBS += $(shell pkg-config --libs axle-signal)\n"
			       "\n"
			       "%1$s: %1$s.c\n"
			       "\n"
			       "clean:\n"
			       "\trm -f %1$s\n"
			       "\n"
			       ".PHONY: clean\n";

/* A name that can be a file, a program and a word of C's strings. */
static bool is_name(const char *name)
{
	size_t length = strlen(name);
	return length > 0 && length <= 64 && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == length;
}

static int write_file(int folder, const char *name, char *text, struct err *err)
{
	scoped_free char *owned = text;
	if (!owned)
		return err_memory(err, "axle");
	return file_replace_at(folder, name, owned, strlen(owned), 0644, FILE_VOLATILE, err);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* both formats are above */
static char *fill_in(const char *format, const char *name)
{
	return str_printf(format, name);
}
#pragma GCC diagnostic pop

static int adaptor_new(struct cli *cli, char **words, const void *values, struct err *err)
{
	const char *name = words[0];
	(void)cli;
	(void)values;
	if (!is_name(name))
		return err_set(err, -EINVAL, "cli.usage", "\"%s\": expected a name of letters, digits, - and _", name);
	if (mkdir(name, 0755) < 0)
		return err_sys(err, -errno, "cli.folder", "%s", name);
	scoped_fd int folder = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	scoped_free char *source = str_printf("%s.c", name);
	if (folder < 0 || !source)
		return err_sys(err, folder < 0 ? -errno : -ENOMEM, "cli.folder", "%s", name);
	int r = write_file(folder, source, fill_in(SKELETON, name), err);
	if (r == 0)
		r = write_file(folder, "Makefile", fill_in(MAKEFILE, name), err);
	if (r == 0)
		(void)printf("%s/%s.c and %s/Makefile are written: make -C %s && %s/%s\n", name, name, name, name, name, name);
	return r;
}

static const struct verb verb_adaptor_new = {
	.name = "new", .arguments = "NAME", .summary = "write the skeleton of an adaptor in C into a folder", .least = 1, .most = 1,
	.run = adaptor_new,
};
static const struct verb *const ADAPTOR_VERBS[] = {&verb_adaptor_new, NULL};
const struct verb verb_signal_adaptor = {
	.name = "adaptor", .arguments = "COMMAND", .summary = "begin an adaptor", .below = ADAPTOR_VERBS,
};
