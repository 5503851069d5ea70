#include "core/base/opt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"

static bool is_end(const struct opt *opt)
{
	return !opt->name && !opt->letter;
}

static const struct opt *find_letter(const struct opt *options, char letter)
{
	for (const struct opt *opt = options; !is_end(opt); opt++)
		if (opt->letter == letter)
			return opt;
	return NULL;
}

static const struct opt *find_name(const struct opt *options, const char *name, size_t length)
{
	for (const struct opt *opt = options; !is_end(opt); opt++)
		if (opt->name && strlen(opt->name) == length && memcmp(opt->name, name, length) == 0)
			return opt;
	return NULL;
}

/* How the option is spelled in messages: with its name where it has one. */
static void spell(const struct opt *opt, char ret_text[static 64])
{
	if (opt->name)
		(void)snprintf(ret_text, 64, "--%s", opt->name);
	else
		(void)snprintf(ret_text, 64, "-%c", opt->letter);
}

static const char *expected(enum opt_type type)
{
	switch (type) {
	case OPT_FLAG:
		return "true or false";
	case OPT_I64:
		return "a whole number";
	case OPT_U64:
		return "a whole number from 0 on";
	case OPT_BYTES:
		return "a size such as 512, 64k, 100m or 1.5g";
	default:
		return "a value";
	}
}

/* Converts @value into the member. @value is never NULL. */
static int store(const struct opt *opt, const char *value, void *values, struct err *err)
{
	void *member = (char *)values + opt->offset;
	int r = 0;
	switch (opt->type) {
	case OPT_FLAG:
		r = parse_bool(value, member);
		break;
	case OPT_STRING:
		*(const char **)member = value;
		break;
	case OPT_STRINGS:
		r = strv_add(member, value);
		break;
	case OPT_I64:
		r = parse_i64(value, INT64_MIN, INT64_MAX, member);
		break;
	case OPT_U64:
		r = parse_u64(value, 0, UINT64_MAX, member);
		break;
	case OPT_BYTES:
		r = parse_bytes(value, member);
		break;
	}
	if (r == 0)
		return 0;
	char name[64];
	spell(opt, name);
	return err_set(err, r == -ERANGE ? -EINVAL : r, "option.value", "option %s: \"%s\": expected %s%s", name, value,
		       expected(opt->type), r == -ERANGE ? " within range" : "");
}

static int missing_value(const struct opt *opt, struct err *err)
{
	char name[64];
	spell(opt, name);
	return err_set(err, -EINVAL, "option.value", "option %s: expected %s behind it", name,
		       opt->value ? opt->value : "a value");
}

/* One "--name[=value]". Returns how many further arguments it took, or < 0. */
static int take_long(const struct opt *options, char **argv, void *values, struct err *err)
{
	const char *name = argv[0] + 2;
	size_t length = strcspn(name, "=");
	const struct opt *opt = find_name(options, name, length);
	if (!opt)
		return err_set(err, -EINVAL, "option.unknown", "unknown option --%.*s: see --help", (int)length, name);
	if (name[length] == '=')
		return store(opt, name + length + 1, values, err);
	if (opt->type == OPT_FLAG)
		return store(opt, "true", values, err);
	if (!argv[1])
		return missing_value(opt, err);
	int r = store(opt, argv[1], values, err);
	return r < 0 ? r : 1;
}

/* One "-abc", where the last letter may take a value. Returns as take_long(). */
static int take_short(const struct opt *options, char **argv, void *values, struct err *err)
{
	for (const char *c = argv[0] + 1; *c; c++) {
		const struct opt *opt = find_letter(options, *c);
		if (!opt)
			return err_set(err, -EINVAL, "option.unknown", "unknown option -%c: see --help", *c);
		if (opt->type == OPT_FLAG) {
			int r = store(opt, "true", values, err);
			if (r < 0)
				return r;
			continue;
		}
		const char *value = c[1] ? c + 1 + (c[1] == '=') : argv[1];
		if (!value)
			return missing_value(opt, err);
		int r = store(opt, value, values, err);
		return r < 0 ? r : !c[1];
	}
	return 0;
}

static bool asks_for_help(const struct opt *options, const char *argument)
{
	if (strcmp(argument, "--help") == 0)
		return !find_name(options, "help", 4);
	return strcmp(argument, "-h") == 0 && !find_letter(options, 'h');
}

/* Moves argv[from] in front of argv[to] (to <= from), keeping the order of the rest. */
static void move_before(char **argv, int from, int to)
{
	char *moved = argv[from];
	memmove(&argv[to + 1], &argv[to], (size_t)(from - to) * sizeof *argv);
	argv[to] = moved;
}

int opt_parse(const struct opt *options, char **argv, bool permute, void *values, int *ret_first, struct err *err)
{
	int first = 1; /* where the next positional argument stands, behind all options so far */
	for (int i = 1; argv[i];) {
		const char *argument = argv[i];
		if (strcmp(argument, "--") == 0) {
			move_before(argv, i, first++);
			break;
		}
		if (argument[0] != '-' || argument[1] == '\0') {
			if (!permute)
				break;
			i++;
			continue;
		}
		if (asks_for_help(options, argument))
			return OPT_HELP;
		int taken = argument[1] == '-' ? take_long(options, argv + i, values, err)
					       : take_short(options, argv + i, values, err);
		if (taken < 0)
			return taken;
		for (int j = 0; j <= taken; j++)
			move_before(argv, i++, first++);
	}
	*ret_first = first;
	return OPT_DONE;
}

void opt_print_help(FILE *out, const struct opt *options)
{
	for (const struct opt *opt = options; !is_end(opt); opt++) {
		if (!opt->help)
			continue;
		char left[80];
		int length = opt->letter ? snprintf(left, sizeof left, "  -%c%s", opt->letter, opt->name ? ", " : "")
					 : snprintf(left, sizeof left, "      ");
		if (opt->name)
			length += snprintf(left + length, sizeof left - (size_t)length, "--%s", opt->name);
		if (opt->value)
			(void)snprintf(left + length, sizeof left - (size_t)length, " %s", opt->value);
		(void)fprintf(out, "%-32s %s\n", left, opt->help);
	}
}
