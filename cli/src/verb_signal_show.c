/* axle signal ls, get, meta, state, who, grants */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/src/cli.h"
#include "cli/src/signal.h"
#include "cli/src/table.h"
#include "cli/src/verb.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/codec/json.h"

#define OUTPUT_MAX (64u << 20)

static const struct opt OPTIONS[] = {SIGNAL_OPTIONS, {0}};

/* Cuts "PATH KIND DATATYPE [UNIT]" into its words, in place; missing ones are "". */
static void cut_item(char *item, char *ret_words[static 4])
{
	for (size_t i = 0; i < 4; i++) {
		ret_words[i] = item;
		char *blank = i < 3 ? strchr(item, ' ') : NULL;
		item = blank ? blank + 1 : item + strlen(item);
		if (blank)
			*blank = '\0';
	}
}

/* ---- ls ---- */

static int print_table(struct cli *cli, char **items, struct err *err)
{
	static const char *const TITLES[] = {"PATH", "KIND", "TYPE", "UNIT", NULL};
	struct table table = table_begin(&cli->arena, TITLES);
	for (char **item = items; item && *item; item++) {
		char *words[4];
		cut_item(*item, words);
		int r = table_add(&table, (const char *const *)words);
		if (r < 0)
			return err_memory(err, "axle");
	}
	table_print(&table, true);
	return 0;
}

static int print_list_json(char **items, struct buf *out)
{
	static const char *const NAMES[] = {"path", "kind", "datatype", "unit"};
	int r = buf_add_char(out, '[');
	for (char **item = items; r == 0 && item && *item; item++) {
		char *words[4];
		cut_item(*item, words);
		r = buf_add_text(out, item == items ? "{" : ",{");
		for (size_t i = 0; i < 4 && r == 0; i++) {
			if (!*words[i])
				continue;
			r = buf_printf(out, "%s\"%s\":", i > 0 ? "," : "", NAMES[i]);
			if (r == 0)
				r = json_add_string(out, words[i]);
		}
		if (r == 0)
			r = buf_add_char(out, '}');
	}
	return r < 0 ? r : buf_add_char(out, ']');
}

static int ls(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct signal_options *options = values;
	scoped(axle_signal_close) struct axle_signal *signals = NULL;
	scoped(strv_free) char **items = NULL;
	scoped_done(buf_done) struct buf out = {.max = OUTPUT_MAX};
	int r = signal_connect(options, &signals, err);
	if (r == 0)
		r = signal_ask(signals, &items, NULL, err, "list %s", words[0] ? words[0] : "**");
	if (r < 0)
		return r;
	if (!options->json)
		return print_table(cli, items, err);
	r = print_list_json(items, &out);
	if (r == 0)
		(void)puts(out.data);
	return r < 0 ? err_memory(err, "axle") : 0;
}

const struct verb verb_signal_ls = {
	.name = "ls", .arguments = "[PATTERN]", .summary = "list signals: their kind, type and unit", .options = OPTIONS,
	.values_size = sizeof(struct signal_options), .most = 1, .run = ls,
};

/* ---- get ---- */

/* "PATH VALUE" or "PATH" alone: NULL where there is no value. */
static char *cut_value(char *item)
{
	char *blank = strchr(item, ' ');
	if (!blank)
		return NULL;
	*blank = '\0';
	return blank + 1;
}

/* One object over all patterns: path and value. */
static int get_json(struct axle_signal *signals, char **words, struct err *err)
{
	scoped_done(buf_done) struct buf out = {.max = OUTPUT_MAX};
	int r = buf_add_char(&out, '{');
	bool first = true;
	for (; r == 0 && *words; words++) {
		scoped(strv_free) char **types = NULL;
		scoped(strv_free) char **items = NULL;
		r = signal_ask(signals, &types, NULL, err, "list %s", *words);
		if (r == 0)
			r = signal_ask(signals, &items, NULL, err, "values %s", *words);
		if (r < 0)
			return r;
		for (size_t i = 0; r == 0 && items[i] && types[i]; i++) { /* in the same order */
			char *parts[4];
			cut_item(types[i], parts);
			char *value = cut_value(items[i]);
			r = buf_add_text(&out, first ? "" : ",");
			first = false;
			if (r == 0)
				r = json_add_string(&out, items[i]);
			if (r == 0)
				r = buf_add_char(&out, ':');
			if (r == 0)
				r = signal_add_json(&out, parts[2], value);
		}
	}
	if (r < 0)
		return err_memory(err, "axle");
	(void)printf("%s}\n", out.data);
	return 0;
}

static int get_pattern(struct axle_signal *signals, const char *pattern, struct err *err)
{
	scoped(strv_free) char **items = NULL;
	int r = signal_ask(signals, &items, NULL, err, "values %s", pattern);
	for (char **item = items; r == 0 && item && *item; item++) {
		char *value = cut_value(*item);
		(void)printf("%s %s\n", *item, value ? value : "-");
	}
	return r;
}

static int get(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct signal_options *options = values;
	(void)cli;
	scoped(axle_signal_close) struct axle_signal *signals = NULL;
	int r = signal_connect(options, &signals, err);
	if (r == 0 && options->json)
		return get_json(signals, words, err);
	for (; r == 0 && *words; words++) {
		if (signal_is_pattern(*words)) {
			r = get_pattern(signals, *words, err);
			continue;
		}
		scoped_done(buf_done) struct buf value = {.max = OUTPUT_MAX};
		r = signal_ask(signals, NULL, &value, err, "get %s", *words);
		if (r == 0)
			(void)puts(value.data ? value.data : "");
	}
	return r;
}

const struct verb verb_signal_get = {
	.name = "get", .arguments = "PATTERN...", .summary = "print values", .options = OPTIONS,
	.values_size = sizeof(struct signal_options), .least = 1, .most = -1, .run = get,
};

/* ---- what the service tells as JSON ---- */

static int print_pretty(const struct signal_options *options, const char *text)
{
	json_t *value = json_loads(text, 0, NULL);
	scoped_free char *pretty = value && !options->json ? json_dumps(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
	json_decref(value);
	(void)puts(pretty ? pretty : text);
	return 0;
}

static int print_json(const struct signal_options *options, const char *request, const char *path, struct err *err)
{
	scoped(axle_signal_close) struct axle_signal *signals = NULL;
	scoped_done(buf_done) struct buf text = {.max = OUTPUT_MAX};
	int r = signal_connect(options, &signals, err);
	if (r == 0)
		r = signal_ask(signals, NULL, &text, err, "%s%s%s", request, path ? " " : "", path ? path : "");
	if (r < 0)
		return r;
	return print_pretty(options, text.data ? text.data : "");
}

static int meta(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)cli;
	return print_json(values, "meta", words[0], err);
}

static int state(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)cli;
	return print_json(values, "state", words[0], err);
}

static int who(struct cli *cli, char **words, const void *values, struct err *err)
{
	(void)cli;
	return print_json(values, "who", words[0], err);
}

struct grants_options {
	struct signal_options common;
	bool containers;
};
static const struct opt GRANTS_OPTIONS[] = {
	SIGNAL_OPTIONS,
	{0, "containers", NULL, OPT_FLAG, offsetof(struct grants_options, containers),
	 "what each container was granted (for root, on the host)"},
	{0},
};

/* One array of what the service said of each. */
static int print_containers(const struct signal_options *options, struct err *err)
{
	scoped(axle_signal_close) struct axle_signal *signals = NULL;
	scoped(strv_free) char **items = NULL;
	scoped_done(buf_done) struct buf out = {.max = OUTPUT_MAX};
	int r = signal_connect(options, &signals, err);
	if (r == 0)
		r = signal_ask(signals, &items, NULL, err, "views");
	if (r < 0)
		return r;
	r = buf_add_char(&out, '[');
	for (char **item = items; r == 0 && item && *item; item++)
		r = buf_printf(&out, "%s%s", item == items ? "" : ",", *item);
	if (r == 0)
		r = buf_add_char(&out, ']');
	return r < 0 ? err_memory(err, "axle") : print_pretty(options, out.data);
}

static int grants(struct cli *cli, char **words, const void *values, struct err *err)
{
	const struct grants_options *options = values;
	(void)cli;
	(void)words;
	return options->containers ? print_containers(&options->common, err) : print_json(values, "grants", NULL, err);
}

const struct verb verb_signal_meta = {
	.name = "meta", .arguments = "PATH", .summary = "describe a signal: type, unit, limits", .options = OPTIONS,
	.values_size = sizeof(struct signal_options), .least = 1, .most = 1, .run = meta,
};
const struct verb verb_signal_state = {
	.name = "state", .arguments = "PATH", .summary = "say how a signal stands: quality, publisher, target", .options = OPTIONS,
	.values_size = sizeof(struct signal_options), .least = 1, .most = 1, .run = state,
};
const struct verb verb_signal_who = {
	.name = "who", .arguments = "PATH", .summary = "say who provides and who reads a signal", .options = OPTIONS,
	.values_size = sizeof(struct signal_options), .least = 1, .most = 1, .run = who,
};
const struct verb verb_signal_grants = {
	.name = "grants", .arguments = "", .summary = "say what this socket may do", .options = GRANTS_OPTIONS,
	.values_size = sizeof(struct grants_options), .run = grants,
};
