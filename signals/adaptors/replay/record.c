/* axsignal-record: writes the updates of signals to a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "signals/adaptors/adaptor.h"
#include "signals/adaptors/pace.h"
#include "signals/adaptors/replay/csv.h"

#define FLUSH_BYTES 65536

struct options {
	const char *out, *for_seconds, *socket;
};

#define OPTION(member) offsetof(struct options, member)
static const struct opt OPTIONS[] = {
	{'o', "out", "FILE", OPT_STRING, OPTION(out), "where to (standard output)"},
	{0, "for", "SECONDS", OPT_STRING, OPTION(for_seconds), "end after so long"},
	{0, "socket", "PATH", OPT_STRING, OPTION(socket), "of the signal service"},
	{0},
};

static const struct adaptor_usage USAGE = {"axsignal-record", "PATTERN[@FILTER]... [OPTION]...",
					   "Writes each update of the signals as a line: time,path,value.", OPTIONS};

struct record {
	struct adaptor adaptor;
	struct buf out;
	int fd;
	int error; /* of writing */
	uint64_t updates;
	uint64_t lost;
};

static void flush(struct record *record)
{
	if (record->out.size == 0 || record->error < 0)
		return;
	record->error = fd_write_all(record->fd, record->out.data, record->out.size);
	buf_clear(&record->out);
}

static void take_update(void *user, const struct axle_signal_update *update)
{
	struct record *record = user;
	struct csv_record line = {.time_ns = update->time_ns ? update->time_ns : adaptor_wall(), .path = update->path,
				  .value = update->value};
	if (update->index == AXLE_SIGNAL_REFUSED)
		return; /* told by axle_signal_sub_error() */
	record->lost += update->lost;
	record->updates++;
	if (csv_add(&record->out, &line) < 0 && record->error == 0)
		record->error = -ENOMEM;
	if (record->out.size > FLUSH_BYTES)
		flush(record);
}

static int subscribe(struct record *record, char **patterns, struct axle_signal_sub **subs, struct err *err)
{
	for (size_t i = 0; patterns[i]; i++) {
		int r = axle_signal_subscribe(record->adaptor.signals, patterns[i], AXLE_SIGNAL_TIME, take_update,
			record, &subs[i]);
		if (r < 0)
			return err_set(err, r, "record.pattern", "%s: %s", patterns[i], axle_signal_error(record->adaptor.signals));
	}
	return 0;
}

static int check_subs(const struct record *record, char **patterns, struct axle_signal_sub **subs, struct err *err)
{
	for (size_t i = 0; patterns[i]; i++) {
		int r = axle_signal_sub_error(subs[i]);
		if (r < 0)
			return err_set(err, r, "record.pattern", "%s: %s", patterns[i], axle_signal_error(record->adaptor.signals));
	}
	return record->error < 0 ? err_sys(err, record->error, "record.write", "write the record") : 0;
}

static int run(struct record *record, const struct options *options, char **patterns, struct err *err)
{
	double seconds = 0;
	if (options->for_seconds && pace_parse_seconds(options->for_seconds, &seconds) < 0)
		return err_set(err, -EINVAL, "record.usage", "--for %s: expected seconds", options->for_seconds);
	size_t count = 0;
	while (patterns[count])
		count++;
	scoped_free struct axle_signal_sub **subs = calloc(count + 1, sizeof(struct axle_signal_sub *));
	if (!subs)
		return -ENOMEM;
	int r = adaptor_start(&record->adaptor, "axsignal-record", err);
	if (r == 0)
		r = buf_add_text(&record->out, CSV_HEADER "\n");
	if (r == 0)
		r = subscribe(record, patterns, subs, err);
	int64_t end = options->for_seconds ? adaptor_now() + (int64_t)(seconds * 1e9) : INT64_MAX;
	while (r == 0 && !record->adaptor.ended && adaptor_now() < end) {
		/* A quiet minute must not leave the last line in memory. */
		int64_t soon = record->out.size > 0 ? adaptor_now() + 100000000 : end;
		(void)adaptor_wait(&record->adaptor, -1, soon < end ? soon : end);
		if (adaptor_now() >= soon)
			flush(record);
		r = check_subs(record, patterns, subs, err);
	}
	flush(record);
	if (record->lost > 0)
		log_warning(&record->adaptor.log, "record.lost", "%llu of %llu updates were lost",
			    (unsigned long long)record->lost, (unsigned long long)(record->updates + record->lost));
	return r < 0 ? r : check_subs(record, patterns, subs, err);
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct err err = {0};
	int first = 0;
	int status = 0;
	if (adaptor_parse(&USAGE, argv, &options, &first, &status))
		return status;
	struct record record = {.adaptor = {.log = log_to_stderr("axsignal-record"), .socket = options.socket, .signal_fd = -1},
				.out = {.max = 4 * FLUSH_BYTES}, .fd = STDOUT_FILENO};
	int r = 0;
	if (first >= argc)
		r = err_set(&err, -EINVAL, "record.usage", "expected a pattern: see --help");
	if (r == 0 && options.out)
		record.fd = open(options.out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (r == 0 && record.fd < 0)
		r = err_sys(&err, -errno, "record.open", "%s", options.out);
	if (r == 0)
		r = run(&record, &options, argv + first, &err);
	if (r < 0)
		log_err(&record.adaptor.log, &err, r, "ended");
	if (record.adaptor.signals)
		adaptor_stop(&record.adaptor);
	buf_done(&record.out);
	if (record.fd > STDERR_FILENO && close(record.fd) < 0 && r == 0) {
		log_error(&record.adaptor.log, "record.write", "%s: %s", options.out, strerror(errno));
		r = -errno;
	}
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
