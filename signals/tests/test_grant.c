#include "signals/src/grant.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "signals/src/store.h"
#include "signals/src/table.h"

static const char CATALOGUE[] =
	"{\"V\": {\"type\": \"branch\", \"children\": {"
	"\"Speed\": {\"type\": \"sensor\", \"datatype\": \"float\"},"
	"\"A\": {\"type\": \"branch\", \"children\": {"
	"  \"Fan\": {\"type\": \"actuator\", \"datatype\": \"uint8\"},"
	"  \"Lamp\": {\"type\": \"actuator\", \"datatype\": \"boolean\"}}},"
	"\"B\": {\"type\": \"branch\", \"children\": {"
	"  \"Door\": {\"type\": \"sensor\", \"datatype\": \"boolean\"}}}}}}";

struct world {
	struct table *table;
	struct store *store;
};

static struct world world_new(void)
{
	struct world world = {0};
	struct catalogue_source source = {"test.json", CATALOGUE, strlen(CATALOGUE)};
	struct catalogue *catalogue = NULL;
	ck_assert_int_eq(table_open(table_create_memory(), &world.table, NULL), 0);
	ck_assert_int_eq(store_new(world.table, &world.store), 0);
	ck_assert_int_eq(catalogue_load(&source, 1, &catalogue, NULL), 0);
	ck_assert_int_eq(store_set_catalogue(world.store, catalogue, NULL), 0);
	return world;
}

static void world_close(struct world *world)
{
	store_free(world->store);
	table_free(world->table);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ALL LIST("V.**")

static unsigned rights_of(const struct world *world, const struct view *view, const char *path)
{
	return view_rights(view, store_find(world->store, path));
}

/* Who asks, what a grant says of whom it is for, and whether they meet. */
static const struct {
	struct view_identity asks;
	struct view_identity granted;
	bool meets;
} IDENTITIES[] = {
	{{"axled", "fleet", "dash-1", "sa", "sha256:a"}, {0}, true},
	{{"axled", "fleet", "dash-1", "sa", "sha256:a"}, {NULL, "fleet", "dash-*", NULL, NULL}, true},
	{{"axled", "fleet", "radio", "sa", "sha256:a"}, {NULL, "fleet", "dash-*", NULL, NULL}, false},
	{{"axled", "other", "dash-1", "sa", "sha256:a"}, {NULL, "fleet", NULL, NULL, NULL}, false},
	{{"axled", "fleet", "dash-1", NULL, NULL}, {NULL, NULL, NULL, "sa", NULL}, false},
	{{"axled", "fleet", "dash-1", NULL, NULL}, {NULL, NULL, NULL, "*", NULL}, false},
	{{"axled", NULL, NULL, NULL, "sha256:a sha256:b"}, {NULL, NULL, NULL, NULL, "sha256:b"}, true},
	{{"axled", NULL, NULL, NULL, "sha256:a sha256:b"}, {NULL, NULL, NULL, NULL, "sha256:a sha256:b"}, false},
	{{"axled", NULL, NULL, NULL, "sha256:a sha256:b"}, {NULL, NULL, NULL, NULL, "sha256:c"}, false},
	{{"axled", NULL, NULL, NULL, NULL}, {NULL, NULL, NULL, NULL, "*"}, false},
	{{"kubelet", NULL, NULL, NULL, NULL}, {"axled", NULL, NULL, NULL, NULL}, false},
	/* whom nobody vouches for gets only what names him */
	{{"unmanaged", NULL, NULL, NULL, NULL}, {0}, false},
	{{NULL, NULL, NULL, NULL, NULL}, {0}, false},
	{{"unmanaged", NULL, NULL, NULL, NULL}, {"*", NULL, NULL, NULL, NULL}, false},
	{{"unmanaged", NULL, NULL, NULL, NULL}, {"unmanaged", NULL, NULL, NULL, NULL}, true},
	{{NULL, NULL, NULL, NULL, NULL}, {"unmanaged", NULL, NULL, NULL, NULL}, true},
	{{"unmanaged", "fleet", NULL, NULL, NULL}, {"unmanaged", "other", NULL, NULL, NULL}, false},
};

START_TEST(a_grant_is_for_whom_it_names)
{
	struct world world = world_new();
	struct view view = {0};
	struct view_request request = {.id = "c", .identity = IDENTITIES[_i].asks, .lists.read = ALL};
	struct grant grant = {.identity = IDENTITIES[_i].granted, .lists.read = ALL};
	ck_assert_int_eq(view_compute(world.store, &request, &grant, 1, &view), 0);
	ck_assert_int_eq(rights_of(&world, &view, "V.Speed") == RIGHT_READ, IDENTITIES[_i].meets);
	ck_assert_int_eq(rights_of(&world, &view, "V") == RIGHT_READ, IDENTITIES[_i].meets);
	view_done(&view);
	world_close(&world);
}
END_TEST

START_TEST(it_gets_what_it_asks_for_and_is_granted)
{
	struct world world = world_new();
	struct view view = {0};
	struct view_request request = {
		.id = "c", .identity.manager = "axled", .lists = {LIST("V.Speed", "V.A"), LIST("V.A.Fan"), LIST("V.**")}};
	const struct grant grants[] = {
		{.lists = {LIST("V.A.*"), ALL, NULL}},
		{.lists = {NULL, NULL, LIST("V.A.Lamp")}},
		{.identity.manager = "another", .lists = {ALL, ALL, ALL}},
	};
	ck_assert_int_eq(view_compute(world.store, &request, grants, ARRAY_COUNT(grants), &view), 0);
	ck_assert_uint_eq(rights_of(&world, &view, "V.Speed"), 0); /* asked for, not granted */
	ck_assert_uint_eq(rights_of(&world, &view, "V.A.Fan"), RIGHT_READ | RIGHT_ACTUATE);
	ck_assert_uint_eq(rights_of(&world, &view, "V.A.Lamp"), RIGHT_READ | RIGHT_PUBLISH); /* actuate: not asked for */
	ck_assert_uint_eq(rights_of(&world, &view, "V.A"), RIGHT_READ);
	ck_assert_uint_eq(rights_of(&world, &view, "V"), RIGHT_READ);
	ck_assert_uint_eq(rights_of(&world, &view, "V.B"), 0); /* a branch with nothing below is not there */
	view_done(&view);
	world_close(&world);
}
END_TEST

START_TEST(the_most_generous_rate_holds)
{
	struct world world = world_new();
	struct view view = {0};
	struct view_request request = {.id = "c", .identity.manager = "axled", .lists.read = ALL};
	const struct grant grants[] = {
		{.lists.read = LIST("V.Speed", "V.A.**"), .rate = 2},
		{.lists.read = LIST("V.A.**"), .rate = 10},
		{.lists.read = LIST("V.A.Lamp")},
		{.lists.publish = LIST("V.Speed"), .rate = 100}, /* a rate is of reading */
	};
	ck_assert_int_eq(view_compute(world.store, &request, grants, ARRAY_COUNT(grants), &view), 0);
	ck_assert_int_eq(view_interval_ns(&view, store_find(world.store, "V.Speed")), 500000000);
	ck_assert_int_eq(view_interval_ns(&view, store_find(world.store, "V.A.Fan")), 100000000);
	ck_assert_int_eq(view_interval_ns(&view, store_find(world.store, "V.A.Lamp")), 0);
	ck_assert_ptr_nonnull(view_sample(&view, store_find(world.store, "V.Speed")));
	view_done(&view);
	world_close(&world);
}
END_TEST

static void check_grants(const struct world *world, const struct view *view, const char *expected)
{
	struct subject subject = {.view = view, .name = "c"};
	scoped_done(buf_done) struct buf json = {.max = 4096};
	ck_assert_int_eq(store_add_grants(world->store, &subject, &json), 0);
	ck_assert_int_eq(buf_add_char(&json, '\0'), 0);
	ck_assert_str_eq(json.data, expected);
}

START_TEST(grants_are_told_in_patterns)
{
	struct world world = world_new();
	struct view view = {0};
	struct view_request request = {.id = "c", .identity.manager = "axled", .lists = {ALL, ALL, ALL}};
	const struct grant some[] = {{.lists = {LIST("V.Speed", "V.A.**"), LIST("V.A.Fan"), NULL}, .rate = 4}};
	ck_assert_int_eq(view_compute(world.store, &request, some, 1, &view), 0);
	check_grants(&world, &view, "{\"view\":true,\"uid\":0,\"name\":\"c\",\"read\":[\"V.Speed\",\"V.A.**\"],\"actuate\":[\"V.A.Fan\"],"
				    "\"publish\":[],\"rates\":{\"V.Speed\":4,\"V.A.**\":4}}");
	view_done(&view);
	const struct grant all[] = {{.lists = {ALL, ALL, ALL}}};
	ck_assert_int_eq(view_compute(world.store, &request, all, 1, &view), 0);
	check_grants(&world, &view, "{\"view\":true,\"uid\":0,\"name\":\"c\",\"read\":[\"V.**\"],\"actuate\":[\"V.**\"],"
				    "\"publish\":[\"V.**\"],\"rates\":{}}");
	view_done(&view);
	world_close(&world);
}
END_TEST

START_TEST(lists_are_checked)
{
	const char *many[GRANT_PATTERNS_MAX + 2] = {NULL};
	for (size_t i = 0; i <= GRANT_PATTERNS_MAX; i++)
		many[i] = "V";
	struct err err = {0};
	struct signal_lists lists = {.actuate = many};
	ck_assert_int_eq(signal_lists_check(&lists, &err), -E2BIG);
	ck_assert_ptr_nonnull(strstr(err.message, "actuate"));
	many[GRANT_PATTERNS_MAX] = NULL;
	ck_assert_int_eq(signal_lists_check(&lists, &err), 0);
	lists = (struct signal_lists){.publish = LIST("V.**", "V..X")};
	ck_assert_int_eq(signal_lists_check(&lists, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, "V..X"));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, a_grant_is_for_whom_it_names, 0, ARRAY_COUNT(IDENTITIES));
	tcase_add_test(cases, it_gets_what_it_asks_for_and_is_granted);
	tcase_add_test(cases, the_most_generous_rate_holds);
	tcase_add_test(cases, grants_are_told_in_patterns);
	tcase_add_test(cases, lists_are_checked);
}

TEST_MAIN("grant", add_tests)
