#include "manager/src/cdi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"

static int parse(const char *text, bool yaml, struct arena *arena, struct cdi_spec *ret_spec, struct err *err)
{
	return cdi_spec_parse("f", text, strlen(text), yaml, arena, ret_spec, err);
}

START_TEST(both_forms_are_read)
{
	struct arena arena = {.max = 1 << 20};
	struct err err = {0};
	struct cdi_spec json = {0};
	struct cdi_spec yaml = {0};
	ck_assert_int_eq(parse("{\"cdiVersion\":\"0.5.0\",\"kind\":\"v.x/c\",\"devices\":[{\"name\":\"1\",\"containerEdits\":{"
			       "\"deviceNodes\":[{\"path\":\"/dev/x\",\"hostPath\":\"/dev/y\",\"fileMode\":420}]}}]}",
			       false, &arena, &json, &err),
			 0);
	int r = parse("cdiVersion: 0.5.0\nkind: v.x/c\ndevices:\n- name: \"1\"\n  containerEdits:\n    deviceNodes:\n"
		      "    - {path: /dev/x, hostPath: /dev/y, fileMode: 0644}\n",
		      true, &arena, &yaml, &err);
	ck_assert_msg(r == 0, "%s", err.message);
	ck_assert_str_eq(json.devices[0].name, yaml.devices[0].name);
	ck_assert_uint_eq(*json.devices[0].edits.device_nodes[0].file_mode, 0644);
	ck_assert_uint_eq(*yaml.devices[0].edits.device_nodes[0].file_mode, 0644);
	arena_done(&arena);
}
END_TEST

/* One device "d" with these edits, in a file of this version. */
#define WITH(version, edits) "{cdiVersion: " version ", kind: v.x/c, devices: [{name: d, containerEdits: {" edits "}}]}"

static const struct {
	const char *yaml;
	const char *words;
} REFUSED[] = {
	{"{kind: v/c, devices: []}", "cdiVersion"},
	{"{cdiVersion: 0.2.0, kind: v/c, devices: [{name: d, containerEdits: {env: [A=1]}}]}", "0.3.0 to 0.8.0 or 1.0.0"},
	{"{cdiVersion: 2.0.0, kind: v/c, devices: [{name: d, containerEdits: {env: [A=1]}}]}", "0.3.0 to 0.8.0 or 1.0.0"},
	{"{cdiVersion: 0.3.0, kind: vc, devices: [{name: d, containerEdits: {env: [A=1]}}]}", "VENDOR/CLASS"},
	{"{cdiVersion: 0.3.0, kind: 1v/c, devices: [{name: d, containerEdits: {env: [A=1]}}]}", "VENDOR/CLASS"},
	{"{cdiVersion: 0.3.0, kind: v/c-, devices: [{name: d, containerEdits: {env: [A=1]}}]}", "VENDOR/CLASS"},
	{"{cdiVersion: 0.3.0, kind: v/c, devices: []}", "a device at least"},
	{"{cdiVersion: 0.3.0, kind: v/c, devices: [{name: a b, containerEdits: {env: [A=1]}}]}", "devices.name"},
	{"{cdiVersion: 0.3.0, kind: v/c, devices: [{name: a, containerEdits: {env: [A=1]}}, {name: a, containerEdits: {env: [A=1]}}]}",
	 "each name once"},
	{"{cdiVersion: 0.3.0, kind: v/c, surprise: 1, devices: [{name: d, containerEdits: {env: [A=1]}}]}", "surprise"},
	{WITH("0.3.0", ""), "an edit at least"},
	{WITH("0.3.0", "env: [NOVALUE]"), "NAME=VALUE"},
	{WITH("0.3.0", "deviceNodes: [{path: dev/x}]"), "absolute"},
	{WITH("0.3.0", "deviceNodes: [{path: /dev/x, type: d}]"), "b, c, u or p"},
	{WITH("0.3.0", "deviceNodes: [{path: /dev/x, permissions: rwx}]"), "some of r, w and m"},
	{WITH("0.3.0", "mounts: [{hostPath: /a, containerPath: b}]"), "absolute"},
	{WITH("0.3.0", "hooks: [{hookName: later, path: /x}]"), "hooks.hookName"},
	{WITH("0.3.0", "hooks: [{hookName: prestart, path: x}]"), "hooks.path"},
	{WITH("1.0.0", "intelRdt: {closID: ../x}"), "intelRdt.closID"},
	{WITH("0.3.0", "mounts: [{hostPath: /a, containerPath: /b, type: bind}]"), "mounts.type needs 0.4.0"},
	{WITH("0.4.0", "deviceNodes: [{path: /dev/x, hostPath: /dev/y}]"), "hostPath needs 0.5.0"},
	{WITH("0.6.0", "intelRdt: {closID: x}"), "intelRdt needs 0.7.0"},
	{WITH("0.6.0", "additionalGids: [5]"), "additionalGids needs 0.7.0"},
	{"{cdiVersion: 0.4.0, kind: v/c, devices: [{name: \"0\", containerEdits: {env: [A=1]}}]}", "needs 0.5.0"},
	{"{cdiVersion: 0.5.0, kind: v/c.d, devices: [{name: d, containerEdits: {env: [A=1]}}]}", "a class with a dot needs 0.6.0"},
	{"{cdiVersion: 0.5.0, kind: v/c, annotations: {a: b}, devices: [{name: d, containerEdits: {env: [A=1]}}]}",
	 "annotations needs 0.6.0"},
};

START_TEST(what_is_wrong_with_a_file_is_named)
{
	struct arena arena = {.max = 1 << 20};
	struct err err = {0};
	struct cdi_spec spec = {0};
	int r = parse(REFUSED[_i].yaml, true, &arena, &spec, &err);
	ck_assert_msg(r == -EINVAL, "%s: %d", REFUSED[_i].yaml, r);
	ck_assert_msg(strstr(err.message, REFUSED[_i].words), "%s: %s", REFUSED[_i].yaml, err.message);
	arena_done(&arena);
}
END_TEST

static const char *const GOOD_VERSIONS[] = {"0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "v0.6.0"};

START_TEST(versions_that_are_read)
{
	struct arena arena = {.max = 1 << 20};
	struct err err = {0};
	struct cdi_spec spec = {0};
	char text[256];
	(void)snprintf(text, sizeof text, "{cdiVersion: %s, kind: v.x/c, devices: [{name: d, containerEdits: {env: [A=1]}}]}",
		       GOOD_VERSIONS[_i]);
	ck_assert_msg(parse(text, true, &arena, &spec, &err) == 0, "%s", err.message);
	arena_done(&arena);
}
END_TEST

static const struct {
	const char *name;
	bool valid;
} NAMES[] = {
	{"vendor.com/class=device", true}, {"v/c=0", true},	    {"v-1_x.y/c.d=a:b.c_d-e", true}, {"v/c", false},
	{"v/c=", false},		   {"/c=d", false},	    {"v/=d", false},		     {"1v/c=d", false},
	{"v/1c=d", false},		   {"v/c=-d", false},	    {"v/c=d.", false},		     {"v/c=d/e", false},
	{"v//c=d", false},		   {"vendor.com=d", false}, {"", false},		     {"v /c=d", false},
};

START_TEST(names_of_devices)
{
	ck_assert_msg(cdi_name_is_valid(NAMES[_i].name) == NAMES[_i].valid, "%s", NAMES[_i].name);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, both_forms_are_read);
	tcase_add_loop_test(cases, what_is_wrong_with_a_file_is_named, 0, ARRAY_COUNT(REFUSED));
	tcase_add_loop_test(cases, versions_that_are_read, 0, ARRAY_COUNT(GOOD_VERSIONS));
	tcase_add_loop_test(cases, names_of_devices, 0, ARRAY_COUNT(NAMES));
}
TEST_MAIN("cdi", add_tests)
