/* axle signal watch, wait */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/src/signal.h"
#include "cli/src/verb.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/expression.h"
#include "core/base/str.h"
#include "core/codec/json.h"

#define REDRAW_MS 100
#define ROWS_MAX 65536

static int64_t now_ms(void)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- watch ---- */

struct watch_options {
	struct signal_options common;
	const char *lasting;
	uint64_t count;
	bool plain;
};

static const struct opt WATCH_OPTIONS[] = {
	SIGNAL_OPTIONS,
	{0, "plain", NULL, OPT_FLAG, offsetof(struct watch_options, plain), "a line for each update, also on a terminal"},
	{'n', "count", "N", OPT_U64, offsetof(struct watch_options, count), "end after N updates"},
	{0, "for", "TIME", OPT_STRING, offsetof(struct watch_options, lasting), "end after so long"},
	{0},
};

/* A row of the live table. */
struct row {
	const char *path; /* the subscription's */
	char *value;
	int64_t changed_ms;
	uint64_t updates;
	uint64_t lost;
};

struct watch {
	const struct watch_options *options;
	bool live;
	struct row *rows;
	size_t count;
	size_t drawn; /* lines on the screen */
	uint64_t updates;
	int r;
};

static struct row *row_of(struct watch *watch, const char *path)
{
	for (size_t i = 0; i < watch->count; i++)
		if (str_equal(watch->rows[i].path, path))
			return &watch->rows[i];
	if (watch->count == ROWS_MAX)
		return NULL;
	if ((watch->count & (watch->count - 1)) == 0) {
		struct row *grown = realloc(watch->rows, (watch->count ? 2 * watch->count : 1) * sizeof *grown);
		if (!grown)
			return NULL;
		watch->rows = grown;
	}
	watch->rows[watch->count] = (struct row){.path = path};
	return &watch->rows[watch->count++];
}

/* A value is somebody else's text: nothing in it may move the cursor. */
static void print_text(const char *text)
{
	for (; *text; text++)
		(void)putchar((unsigned char)*text < ' ' || *text == 127 ? '?' : *text);
}

static void print_line(const struct axle_signal_update *update)
{
	(void)printf("%s ", update->path);
	print_text(update->value ? update->value : "-");
	if (update->lost > 0)
		(void)printf(" (%llu lost)", (unsigned long long)update->lost);
	(void)putchar('\n');
}

/* {"path":..., "value": the text or null, "time": seconds, "lost": n} */
static void print_json(const struct axle_signal_update *update)
{
	struct buf out = {.max = 1 << 20};
	int r = buf_add_text(&out, "{\"path\":");
	if (r == 0)
		r = json_add_string(&out, update->path);
	if (r == 0)
		r = buf_add_text(&out, ",\"value\":");
	if (r == 0)
		r = update->value ? json_add_string(&out, update->value) : buf_add_text(&out, "null");
	if (r == 0)
		r = buf_printf(&out, ",\"time\":%lld.%09lld,\"lost\":%llu}", (long long)(update->time_ns / 1000000000),
			       (long long)(update->time_ns % 1000000000), (unsigned long long)update->lost);
	if (r == 0)
		(void)puts(out.data);
	buf_done(&out);
}

static void take_update(void *user, const struct axle_signal_update *update)
{
	struct watch *watch = user;
	if (update->index == AXLE_SIGNAL_REFUSED)
		return; /* told by axle_signal_sub_error() */
	if (watch->options->count && watch->updates >= watch->options->count)
		return;
	watch->updates++;
	if (watch->options->common.json) {
		print_json(update);
		return;
	}
	if (!watch->live) {
		print_line(update);
		return;
	}
	struct row *row = row_of(watch, update->path);
	if (!row || str_set(&row->value, update->value) < 0) {
		watch->r = -ENOMEM;
		return;
	}
	row->updates++;
	row->lost += update->lost;
	row->changed_ms = now_ms();
}

static void draw(struct watch *watch)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	size_t rows = size.ws_row > 3 ? size.ws_row - 2u : 1;
	if (rows > watch->count)
		rows = watch->count;
	if (watch->drawn > 0)
		(void)printf("\033[%zuA", watch->drawn);
	(void)printf("\033[K%-48s %-20s %8s %8s\n", "PATH", "VALUE", "AGE", "UPDATES");
	for (size_t i = 0; i < rows; i++) {
		const struct row *row = &watch->rows[i];
		(void)printf("\033[K%-48.48s ", row->path);
		char value[21];
		(void)snprintf(value, sizeof value, "%s", row->value ? row->value : "-");
		print_text(value);
		(void)printf("%*s %7.1fs %8llu%s\n", (int)(20 - strlen(value)), "", (double)(now_ms() - row->changed_ms) / 1000,
			     (unsigned long long)row->updates, row->lost ? " lost" : "");
	}
	watch->drawn = rows + 1;
	(void)fflush(stdout);
}

static int check_subs(struct axle_signal *signals, struct axle_signal_sub **subs, char **patterns, struct err *err)
{
	for (size_t i = 0; patterns[i]; i++) {
		int r = axle_signal_sub_error(subs[i]);
		if (r < 0)
			return signal_failed(signals, r, patterns[i], err);
	}
	return 0;
}

static int watch_until(struct axle_signal *signals, struct watch *watch, struct axle_signal_sub **subs, char **patterns,
		       int64_t end_ms, struct err *err)
{
	int r = 0;
	while (r == 0 && !(watch->options->count && watch->updates >= watch->options->count)) {
		int64_t left = end_ms - now_ms();
		if (left <= 0)
			return 0;
		int64_t turn = watch->live && left > REDRAW_MS ? REDRAW_MS : left;
		(void)axle_signal_wait(signals, turn > 60000 ? 60000 : (int)turn);
		r = check_subs(signals, subs, patterns, err);
		if (watch->live)
			draw(watch);
		if (r == 0 && (fflush(stdout) != 0 || watch->r < 0))
			r = watch->r < 0 ? watch->r : err_sys(err, -errno, "cli.output", "write to standard output");
	}
	return r;
}

static int watch(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct watch_options *options = values;
	(void)cli;
	int64_t lasting_ms = INT64_MAX / 4;
	scoped(axle_signal_close) struct axle_signal *signals = NULL;
	scoped_free struct axle_signal_sub **subs = calloc(strv_count((const char *const *)words) + 1, sizeof(void *));
	struct watch state = {.options = options, .live = isatty(STDOUT_FILENO) && !options->plain && !options->common.json};
	int r = subs ? 0 : -ENOMEM;
	if (r == 0 && options->lasting)
		r = signal_parse_duration("--for", options->lasting, &lasting_ms, err);
	if (r == 0)
		r = signal_connect(&options->common, &signals, err);
	for (size_t i = 0; r == 0 && words[i]; i++) {
		r = axle_signal_subscribe(signals, words[i], AXLE_SIGNAL_TIME, take_update, &state, &subs[i]);
		if (r < 0)
			r = signal_failed(signals, r, words[i], err);
	}
	if (r == 0)
		r = watch_until(signals, &state, subs, words, now_ms() + lasting_ms, err);
	for (size_t i = 0; i < state.count; i++)
		free(state.rows[i].value);
	free(state.rows);
	return r;
}

const struct verb verb_signal_watch = {
	.name = "watch", .arguments = "PATTERN[@FILTER]...", .summary = "show values as they change", .options = WATCH_OPTIONS,
	.values_size = sizeof(struct watch_options), .least = 1, .most = -1, .run = watch,
};

/* ---- wait ---- */

struct wait_options {
	struct signal_options common;
	const char *timeout;
};

static const struct opt WAIT_OPTIONS[] = {
	SIGNAL_OPTIONS,
	{'t', "timeout", "TIME", OPT_STRING, offsetof(struct wait_options, timeout), "give up after so long, with exit code 1"},
	{0},
};

struct waiting {
	const struct expression *expression;
	bool holds;
	char *value;
};

/* Numbers and booleans are numbers, all else is text. */
static struct expression_value value_of(const char *text)
{
	char *end = NULL;
	double number = strtod(text, &end);
	if (str_equal(text, "true") || str_equal(text, "false"))
		return (struct expression_value){.number = *text == 't'};
	if (end != text && !*end && isfinite(number))
		return (struct expression_value){.number = number};
	return (struct expression_value){.text = text};
}

static void judge(void *user, const struct axle_signal_update *update)
{
	struct waiting *waiting = user;
	struct expression_value result = {0};
	if (waiting->holds || !update->value)
		return;
	struct expression_value x = value_of(update->value);
	waiting->holds = expression_evaluate(waiting->expression, &x, &result) == 0 && expression_is_true(&result);
	if (waiting->holds)
		(void)str_set(&waiting->value, update->value);
}

/* "> 100" means "x > 100". */
static int parse_condition(const char *text, struct expression **ret_expression, struct err *err)
{
	const char *start = text + strspn(text, " ");
	scoped_free char *whole = str_printf("%s%s", *start && strchr("<>=!", *start) ? "x " : "", start);
	int r = whole ? expression_parse(whole, ret_expression, err) : -ENOMEM;
	return r < 0 ? err_add(err, r, "\"%s\"", text) : 0;
}

static int wait_for(struct axle_signal *signals, char **words, const struct expression *expression, int64_t end_ms,
		    struct err *err)
{
	struct waiting waiting = {.expression = expression};
	struct axle_signal_sub *sub = NULL;
	int r = axle_signal_subscribe(signals, words[0], 0, judge, &waiting, &sub);
	if (r < 0)
		return signal_failed(signals, r, words[0], err);
	while (!waiting.holds && (r = axle_signal_sub_error(sub)) == 0 && now_ms() < end_ms) {
		int64_t left = end_ms - now_ms();
		(void)axle_signal_wait(signals, left > 60000 ? 60000 : (int)left);
	}
	if (r < 0)
		r = signal_failed(signals, r, words[0], err);
	else if (waiting.holds && waiting.value)
		(void)puts(waiting.value);
	else
		(void)fprintf(stderr, "axle: %s: not %s in time\n", words[0], words[1]);
	free(waiting.value);
	return r < 0 ? r : !waiting.holds;
}

static int wait_verb(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct wait_options *options = values;
	(void)cli;
	int64_t timeout_ms = INT64_MAX / 4;
	scoped(axle_signal_close) struct axle_signal *signals = NULL;
	scoped(expression_free) struct expression *expression = NULL;
	int r = options->timeout ? signal_parse_duration("--timeout", options->timeout, &timeout_ms, err) : 0;
	if (r == 0)
		r = parse_condition(words[1], &expression, err);
	if (r == 0)
		r = signal_connect(&options->common, &signals, err);
	return r < 0 ? r : wait_for(signals, words, expression, now_ms() + timeout_ms, err);
}

const struct verb verb_signal_wait = {
	.name = "wait", .arguments = "PATH EXPR", .summary = "wait until a value is as EXPR says: \"> 100\", \"x == 'OPEN'\"",
	.options = WAIT_OPTIONS, .values_size = sizeof(struct wait_options), .least = 2, .most = 2, .run = wait_verb,
};
