#include "core/base/opt.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"

struct values {
	bool detach;
	bool tty;
	const char *name;
	char **env;
	int64_t time;
	uint64_t memory;
};

static const struct opt OPTIONS[] = {
	{'d', "detach", NULL, OPT_FLAG, offsetof(struct values, detach), "run in the background"},
	{'t', "tty", NULL, OPT_FLAG, offsetof(struct values, tty), "with a terminal"},
	{0, "name", "NAME", OPT_STRING, offsetof(struct values, name), "its name"},
	{'e', "env", "NAME=VALUE", OPT_STRINGS, offsetof(struct values, env), "set a variable"},
	{'T', "time", "SECONDS", OPT_I64, offsetof(struct values, time), "wait so long"},
	{'m', "memory", "SIZE", OPT_BYTES, offsetof(struct values, memory), "limit of memory"},
	{0},
};

/* Parses a command line given as one text, split at blanks. */
static int parse(const char *line, bool permute, struct values *ret_values, char ***ret_argv, int *ret_first,
		 struct err *err)
{
	*ret_argv = str_split(line, ' ');
	return opt_parse(OPTIONS, *ret_argv, permute, ret_values, ret_first, err);
}

START_TEST(every_spelling_is_understood)
{
	struct values values = {0};
	scoped(strv_free) char **argv = NULL;
	int first = 0;
	ck_assert_int_eq(parse("run -dtT5 --name=x -e A=1 --env B=2 -m=1k --time -3 image -d", false, &values, &argv,
			       &first, NULL),
			 OPT_DONE);
	ck_assert(values.detach && values.tty);
	ck_assert_str_eq(values.name, "x");
	ck_assert_str_eq(values.env[0], "A=1");
	ck_assert_str_eq(values.env[1], "B=2");
	ck_assert_int_eq(values.time, -3);
	ck_assert_uint_eq(values.memory, 1024);
	ck_assert_str_eq(argv[first], "image");
	ck_assert_str_eq(argv[first + 1], "-d");
	strv_free(values.env);
}
END_TEST

START_TEST(options_may_follow_arguments_where_that_is_wanted)
{
	struct values values = {0};
	scoped(strv_free) char **argv = NULL;
	int first = 0;
	ck_assert_int_eq(parse("rm a -d b --name x -- -t", true, &values, &argv, &first, NULL), OPT_DONE);
	ck_assert(values.detach && !values.tty);
	ck_assert_str_eq(argv[first], "a");
	ck_assert_str_eq(argv[first + 1], "b");
	ck_assert_str_eq(argv[first + 2], "-t");
	ck_assert_ptr_null(argv[first + 3]);
}
END_TEST

START_TEST(a_flag_takes_an_explicit_truth)
{
	struct values values = {.detach = true};
	scoped(strv_free) char **argv = NULL;
	int first = 0;
	ck_assert_int_eq(parse("run --detach=false", false, &values, &argv, &first, NULL), OPT_DONE);
	ck_assert(!values.detach);
	ck_assert_ptr_null(argv[first]);
}
END_TEST

static const struct {
	const char *line;
	const char *message;
} REFUSED[] = {
	{"run --nam x", "unknown option --nam: see --help"},
	{"run -x", "unknown option -x: see --help"},
	{"run --name", "option --name: expected NAME behind it"},
	{"run -T", "option --time: expected SECONDS behind it"},
	{"run -T 1s", "option --time: \"1s\": expected a whole number"},
	{"run -m 1x", "option --memory: \"1x\": expected a size such as 512, 64k, 100m or 1.5g"},
	{"run --detach=maybe", "option --detach: \"maybe\": expected true or false"},
};

START_TEST(what_does_not_fit_is_named)
{
	struct values values = {0};
	struct err err = {0};
	scoped(strv_free) char **argv = NULL;
	int first = 0;
	ck_assert_int_eq(parse(REFUSED[_i].line, false, &values, &argv, &first, &err), -EINVAL);
	ck_assert_str_eq(err.message, REFUSED[_i].message);
}
END_TEST

START_TEST(help_is_an_outcome_and_lists_the_table)
{
	struct values values = {0};
	scoped(strv_free) char **argv = NULL;
	int first = 0;
	ck_assert_int_eq(parse("run -d --help", false, &values, &argv, &first, NULL), OPT_HELP);

	char text[2048] = "";
	FILE *out = fmemopen(text, sizeof text, "w");
	opt_print_help(out, OPTIONS);
	(void)fclose(out);
	ck_assert_ptr_nonnull(strstr(text, "  -e, --env NAME=VALUE           set a variable\n"));
	ck_assert_ptr_nonnull(strstr(text, "      --name NAME                its name\n"));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, every_spelling_is_understood);
	tcase_add_test(cases, options_may_follow_arguments_where_that_is_wanted);
	tcase_add_test(cases, a_flag_takes_an_explicit_truth);
	tcase_add_loop_test(cases, what_does_not_fit_is_named, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, help_is_an_outcome_and_lists_the_table);
}

TEST_MAIN("opt", add_tests)
