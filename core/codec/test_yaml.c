#include "core/codec/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"

/* What a document means, as the JSON that it equals. */
static const struct {
	const char *yaml;
	const char *json;
} READ[] = {
	{"", "null"},
	{"# nothing\n", "null"},
	{"a: 1", "{\"a\":1}"},
	{"---\na: 1\n...\n", "{\"a\":1}"},
	{"{\"json\": [1, true, null, \"x\"]}", "{\"json\":[1,true,null,\"x\"]}"},
	{"a: [1, -2, +3, 0x1F, 0o17, 0644, 0, 9223372036854775807, -9223372036854775808]",
	 "{\"a\":[1,-2,3,31,15,420,0,9223372036854775807,-9223372036854775808]}"},
	{"a: [1.5, -.5, 2., 1e3]", "{\"a\":[1.5,-0.5,2.0,1000.0]}"},
	{"a: [true, False, ~, null, '', yes, 08, 1.2.3, 0x, -, '1', \"true\", !!str 5]",
	 "{\"a\":[true,false,null,null,\"\",\"yes\",8.0,\"1.2.3\",\"0x\",\"-\",\"1\",\"true\",\"5\"]}"},
	{"a:\n- b: c\n  d: >\n    one\n    two\n- |\n  x\n  y\n", "{\"a\":[{\"b\":\"c\",\"d\":\"one two\\n\"},\"x\\ny\\n\"]}"},
	{"a: &x {b: 1}\nc: *x\nd: [*x, *x]", "{\"a\":{\"b\":1},\"c\":{\"b\":1},\"d\":[{\"b\":1},{\"b\":1}]}"},
	{"1: x\ntrue: y", "{\"1\":\"x\",\"true\":\"y\"}"},
	{"a: \"\\u00e4\"", "{\"a\":\"\u00e4\"}"},
};

START_TEST(a_document_means_this)
{
	struct err err = {0};
	json_t *value = NULL;
	int r = yaml_parse("t", READ[_i].yaml, strlen(READ[_i].yaml), &value, &err);
	ck_assert_msg(r == 0, "%s: %s", READ[_i].yaml, err.message);
	scoped_free char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	ck_assert_str_eq(text, READ[_i].json);
	json_decref(value);
}
END_TEST

static const struct {
	const char *yaml;
	int code;
	const char *words;
} REFUSED[] = {
	{"a: [1", -EINVAL, "line 2, column 1"},
	{"a: 1\na: 2", -EINVAL, "line 2, column 1: this key is there already"},
	{"? [a]\n: 1", -EINVAL, "a scalar as the key"},
	{"a: *nobody", -EINVAL, "without an anchor"},
	{"a: &x [*x]", -EINVAL, "without an anchor"},
	{"<<: {a: 1}", -EINVAL, "merge keys"},
	{"a: !!int 5", -EINVAL, "no tag"},
	{"a: !mine {}", -EINVAL, "no tag"},
	{"a: .inf", -EINVAL, "finite"},
	{"a: 1e999", -EINVAL, "finite"},
	{"--- 1\n--- 2\n", -EINVAL, "one document"},
	{"a: \"\\0\"", -EINVAL, "zero bytes"},
	{"\"\\0\": 1", -EINVAL, "zero bytes"},
	{"a: \xff", -EINVAL, "t: line"},
	{"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", -EMSGSIZE, "32 levels"},
};

START_TEST(what_is_wrong_is_named_with_its_place)
{
	struct err err = {0};
	json_t *value = NULL;
	int r = yaml_parse("t", REFUSED[_i].yaml, strlen(REFUSED[_i].yaml), &value, &err);
	ck_assert_msg(r == REFUSED[_i].code, "%s: %d", REFUSED[_i].yaml, r);
	ck_assert_msg(strstr(err.message, REFUSED[_i].words), "%s: %s", REFUSED[_i].yaml, err.message);
	ck_assert_ptr_null(value);
}
END_TEST

START_TEST(a_small_document_stays_small)
{
	/* each level has the one before it nine times: 9^9 values, were they copied */
	static const char LAUGHS[] = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
				     "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
				     "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
				     "g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
	struct err err = {0};
	json_t *value = NULL;
	ck_assert_int_eq(yaml_parse("t", LAUGHS, strlen(LAUGHS), &value, &err), 0);
	ck_assert_ptr_eq(json_array_get(json_object_get(value, "b"), 0), json_object_get(value, "a"));
	json_decref(value);
	size_t length = 2 * (YAML_VALUES_MAX + 1);
	scoped_free char *many = calloc(1, length + 1);
	for (size_t i = 0; i < length; i += 2)
		memcpy(many + i, "-\n", 2);
	ck_assert_int_eq(yaml_parse("t", many, length, &value, &err), -EMSGSIZE);
	ck_assert(strstr(err.message, "values"));
	scoped_free char *long_text = calloc(1, YAML_BYTES_MAX + 2);
	memset(long_text, ' ', YAML_BYTES_MAX + 1);
	ck_assert_int_eq(yaml_parse("t", long_text, YAML_BYTES_MAX + 1, &value, &err), -EMSGSIZE);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, a_document_means_this, 0, ARRAY_COUNT(READ));
	tcase_add_loop_test(cases, what_is_wrong_is_named_with_its_place, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, a_small_document_stays_small);
}
TEST_MAIN("yaml", add_tests)
