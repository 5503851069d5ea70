/* axle logs CONTAINER */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/src/cli.h"
#include "cli/src/format.h"
#include "cli/src/moment.h"
#include "cli/src/verb.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"

struct options {
	bool follow, timestamps;
	const char *tail, *since, *until;
};

static const struct opt OPTIONS[] = {
	{'f', "follow", NULL, OPT_FLAG, offsetof(struct options, follow), "go on until the container ends"},
	{0, "since", "TIME", OPT_STRING, offsetof(struct options, since), "from then on: 10m, 2026-01-31T12:00:00Z"},
	{'n', "tail", "N", OPT_STRING, offsetof(struct options, tail), "only the last N lines, or all"},
	{'t', "timestamps", NULL, OPT_FLAG, offsetof(struct options, timestamps), "the time in front of each line"},
	{0, "until", "TIME", OPT_STRING, offsetof(struct options, until), "up to then"},
	{0},
};

struct printer {
	bool timestamps;
	bool within[2]; /* a line of output, of errors goes on */
};

static void print_line(struct printer *printer, const Axle__LogLine *line)
{
	FILE *out = line->stderr ? stderr : stdout;
	bool *within = &printer->within[line->stderr ? 1 : 0];
	struct arena scratch = {.max = 1024};
	if (printer->timestamps && !*within)
		(void)fprintf(out, "%s ", format_time(&scratch, line->time));
	(void)fwrite(line->text.data, 1, line->text.len, out);
	if (!line->partial)
		(void)fputc('\n', out);
	*within = line->partial;
	arena_done(&scratch);
}

static void on_message(const ProtobufCMessage *message, void *data)
{
	const Axle__LogsResponse *response = (const void *)message;
	for (size_t i = 0; i < response->n_lines; i++)
		print_line(data, response->lines[i]);
	(void)fflush(stdout);
}

static int set_tail(const char *text, Axle__LogsRequest *request, struct err *err)
{
	if (!text || str_equal(text, "all") || str_equal(text, "-1"))
		return 0;
	request->tail__case = AXLE__LOGS_REQUEST__TAIL__TAIL;
	if (parse_u64(text, 0, UINT64_MAX, &request->tail) < 0)
		return err_set(err, -EINVAL, "cli.usage", "option --tail: \"%s\": expected a number of lines, or all", text);
	return 0;
}

static int run(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct options *options = values;
	Axle__LogsRequest request = AXLE__LOGS_REQUEST__INIT;
	struct printer printer = {.timestamps = options->timestamps};
	request.container = words[0];
	request.follow = options->follow;
	int r = set_tail(options->tail, &request, err);
	if (r == 0)
		r = moment_parse("since", options->since, &request.since, err);
	if (r == 0)
		r = moment_parse("until", options->until, &request.until, err);
	return r < 0 ? r :
		       cli_stream(cli, &axle__containers__descriptor, "Logs", &request.base, on_message, &printer, err);
}

const struct verb verb_logs = {
	.name = "logs",
	.arguments = "CONTAINER",
	.summary = "print what a container has written",
	.options = OPTIONS,
	.values_size = sizeof(struct options),
	.least = 1,
	.most = 1,
	.run = run,
};
