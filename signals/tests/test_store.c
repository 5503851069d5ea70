#include "signals/src/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/test_main.h"
#include "signals/src/pattern.h"
#include "signals/src/policy.h"
#include "signals/src/table.h"
#include "signals/src/view.h"

static const char CATALOGUE[] =
	"{\"V\": {\"type\": \"branch\", \"children\": {"
	"\"Speed\": {\"type\": \"sensor\", \"datatype\": \"float\", \"max\": 300},"
	"\"Name\": {\"type\": \"sensor\", \"datatype\": \"string\"},"
	"\"Count\": {\"type\": \"attribute\", \"datatype\": \"uint8\", \"default\": 4},"
	"\"B\": {\"type\": \"branch\", \"children\": {"
	"  \"Fan\": {\"type\": \"actuator\", \"datatype\": \"uint8\"},"
	"  \"Lamp\": {\"type\": \"actuator\", \"datatype\": \"boolean\"}}}}}}";

static const struct subject ROOT = {.name = "uid:0"};

static struct catalogue *catalogue_of(const char *text)
{
	struct catalogue_source source = {"test.json", text, strlen(text)};
	struct catalogue *catalogue = NULL;
	struct err err = {0};
	ck_assert_msg(catalogue_load(&source, 1, &catalogue, &err) == 0, "%s", err.message);
	return catalogue;
}

struct world {
	int fd;
	struct table *table;
	struct store *store;
};

static void world_open(struct world *world)
{
	ck_assert_int_eq(table_open(world->fd, &world->table, NULL), 0);
	ck_assert_int_eq(store_new(world->table, &world->store), 0);
	ck_assert_int_eq(store_set_catalogue(world->store, catalogue_of(CATALOGUE), NULL), 0);
}

static struct world world_new(void)
{
	struct world world = {.fd = table_create_memory()};
	ck_assert_int_ge(world.fd, 0);
	world_open(&world);
	return world;
}

static void world_close(struct world *world)
{
	store_free(world->store);
	table_free(world->table);
}

/* What a killed daemon and its successor do. */
static void world_restart(struct world *world)
{
	world_close(world);
	world_open(world);
}

static int set(struct world *world, const char *path, const char *text)
{
	return store_set(world->store, &ROOT, store_find(world->store, path), text, strlen(text), NULL);
}

static const char *get(struct world *world, const char *path, enum quality *ret_quality)
{
	static struct reading reading;
	store_get(world->store, store_find(world->store, path), &reading);
	if (ret_quality)
		*ret_quality = reading.quality;
	return reading.text;
}

START_TEST(values_are_kept_over_a_restart_of_any_size)
{
	struct world world = world_new();
	char text[9000];
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	enum quality quality;
	ck_assert_ptr_null(get(&world, "V.Speed", &quality));
	ck_assert_int_eq(quality, QUALITY_NEVER);
	ck_assert_int_eq(set(&world, "V.Speed", "88.50"), 0);
	ck_assert_int_eq(set(&world, "V/Name", text), 0);
	ck_assert_str_eq(get(&world, "V.Count", &quality), "4");
	ck_assert_int_eq(quality, QUALITY_DEFAULT);
	ck_assert_int_eq(set(&world, "V.Count", "5"), 0);
	for (int i = 0; i < 3; i++) {
		world_restart(&world);
		ck_assert_str_eq(get(&world, "V.Speed", NULL), "88.5");
		ck_assert_str_eq(get(&world, "V.Name", NULL), text);
		ck_assert_str_eq(get(&world, "V.Count", NULL), "5");
		ck_assert_int_eq(set(&world, "V.Name", text), 0);
	}
	world_close(&world);
}
END_TEST

START_TEST(blocks_of_long_values_are_not_lost)
{
	struct world world = world_new();
	char text[VALUE_TEXT_MAX + 1];
	memset(text, 'y', sizeof text);
	text[VALUE_TEXT_MAX] = '\0';
	for (int i = 0; i < TABLE_BLOCKS_MAX; i++) {
		text[0] = (char)('a' + i % 26);
		ck_assert_int_eq(set(&world, "V.Name", text), 0);
	}
	world_close(&world);
}
END_TEST

START_TEST(refusals)
{
	struct world world = world_new();
	ck_assert_int_eq(set(&world, "V.Speed", "301"), -ERANGE);
	ck_assert_int_eq(set(&world, "V.Speed", "x"), -EINVAL);
	ck_assert_int_eq(set(&world, "V.B", "1"), -ENOENT);
	ck_assert_int_eq(set(&world, "V.X", "1"), -ENOENT);
	ck_assert_int_eq(set(&world, "V.B.Fan", "1"), -ENXIO);
	ck_assert_int_eq(set(&world, "V.B.Fan", "x"), -EINVAL);
	ck_assert_uint_eq(store_stats(world.store)->updates, 1); /* the default */
	world_close(&world);
}
END_TEST

static void wait_for_timers(struct world *world)
{
	while (store_due(world->store) != INT64_MAX) {
		(void)usleep(1000);
		store_tick(world->store);
	}
}

struct log {
	struct subscription subscription;
	char text[256];
};

static void log_reading(struct subscription *subscription, const struct reading *reading)
{
	struct log *log = (struct log *)subscription;
	size_t at = strlen(log->text);
	(void)snprintf(log->text + at, sizeof log->text - at, "%s ", reading->text ? reading->text : "-");
}

static const struct {
	const char *filter;
	const char *published; /* blank-separated; "-": unavailable */
	const char *seen;
} FILTERS[] = {
	{"follow", "1 2 2 3 -", "1 2 3 - "},
	{"all", "1 2 2 3 -", "1 2 2 3 - "},
	{"change=1", "1 1.5 2 2.5 1 - 1", "1 2 1 - 1 "},
	{"above=2", "1 2 3 3 2 4 -", "3 4 - "},
	{"above=2,all", "1 3 3 -", "3 3 - "},
	{"below=2", "1 2 3 1.5", "1 1.5 "},
	{"inside=2:3", "1 2 3 3.1 2.5", "2 3 2.5 "},
	{"outside=2:3", "1 2 3 3.1", "1 3.1 "},
	{"rate=0.001", "1 2 3", "1 "},
	{"above=5", "1 -", ""},
};

START_TEST(filters_let_pass_what_they_say)
{
	struct world world = world_new();
	signal_id id = store_find(world.store, "V.Speed");
	struct provider provider = {.signal = SIGNAL_NONE};
	ck_assert_int_eq(store_claim(world.store, &ROOT, id, &provider, false, NULL), 0);
	struct log log = {.subscription = {.id = id, .deliver = log_reading}};
	const struct datatype *type = &store_node(world.store, id)->leaf->rule.type;
	ck_assert_int_eq(filter_parse(FILTERS[_i].filter, strlen(FILTERS[_i].filter), type, &log.subscription.filter), 0);
	store_subscribe(world.store, &log.subscription, false);
	for (const char *at = FILTERS[_i].published; *at;) {
		size_t n = strcspn(at, " ");
		int r = *at == '-' ? store_withdraw(world.store, &provider)
				   : store_publish(world.store, &ROOT, &provider, id, at, n, 0, NULL);
		ck_assert_int_eq(r, 0);
		at += n + (at[n] == ' ');
	}
	ck_assert_str_eq(log.text, FILTERS[_i].seen);
	store_unsubscribe(&log.subscription);
	store_release(world.store, &provider);
	world_close(&world);
}
END_TEST

START_TEST(the_newest_comes_when_the_rate_allows_it)
{
	struct world world = world_new();
	signal_id id = store_find(world.store, "V.Speed");
	struct log log = {.subscription = {.id = id, .deliver = log_reading}};
	ck_assert_int_eq(filter_parse("rate=100", 8, &store_node(world.store, id)->leaf->rule.type,
				      &log.subscription.filter), 0);
	store_subscribe(world.store, &log.subscription, false);
	ck_assert_int_eq(set(&world, "V.Speed", "1"), 0);
	ck_assert_int_eq(set(&world, "V.Speed", "2"), 0);
	ck_assert_int_eq(set(&world, "V.Speed", "3"), 0);
	ck_assert_str_eq(log.text, "1 ");
	wait_for_timers(&world);
	ck_assert_str_eq(log.text, "1 3 ");
	store_unsubscribe(&log.subscription);
	world_close(&world);
}
END_TEST

static const struct {
	const char *text;
	const char *type;
	const char *canonical; /* NULL: refused */
} NAMES[] = {
	{"follow", "float", "follow"},
	{"rate=3", "string", "rate=3"},
	{"change=0.50,rate=10", "float", "rate=10,change=0.5"},
	{"rate=1e1", "float", "rate=10"},
	{"inside=-1:2.5,all", "float", "all,inside=-1:2.5"},
	{"follow,rate=2", "float", "rate=2"},
	{"", "float", NULL},
	{"rate", "float", NULL},
	{"rate=", "float", NULL},
	{"rate=0", "float", NULL},
	{"rate=-1", "float", NULL},
	{"rate=1,rate=2", "float", NULL},
	{"change=0.5", "string", NULL},
	{"above=1,below=2", "float", NULL},
	{"inside=2:1", "float", NULL},
	{"inside=2", "float", NULL},
	{"follow=1", "float", NULL},
	{"follow,", "float", NULL},
	{"nosuch", "float", NULL},
	{"change=nan", "float", NULL},
};

START_TEST(names_of_filters_have_one_spelling)
{
	struct datatype type;
	struct filter filter, again;
	char text[FILTER_TEXT_MAX], text_again[FILTER_TEXT_MAX];
	ck_assert_int_eq(datatype_parse(NAMES[_i].type, strlen(NAMES[_i].type), &type), 0);
	int r = filter_parse(NAMES[_i].text, strlen(NAMES[_i].text), &type, &filter);
	ck_assert_int_eq(r, NAMES[_i].canonical ? 0 : -ENOENT);
	if (r < 0)
		return;
	filter_format(&filter, text);
	ck_assert_str_eq(text, NAMES[_i].canonical);
	ck_assert_int_eq(filter_parse(text, strlen(text), &type, &again), 0);
	filter_format(&again, text_again);
	ck_assert_str_eq(text_again, text);
}
END_TEST

struct actor {
	struct provider provider;
	struct requester requester;
	uint64_t asked;
	char value[32];
	int result;
	char error[64];
	int queue_full;
	int revoked;
};

static int take_request(struct provider *provider, const struct request *request)
{
	struct actor *actor = (struct actor *)provider;
	if (actor->queue_full)
		return -EAGAIN;
	actor->asked = request->id;
	(void)snprintf(actor->value, sizeof actor->value, "%s", request->text);
	return 0;
}

static void was_revoked(struct provider *provider)
{
	((struct actor *)provider)->revoked++;
}

static void hear_outcome(struct requester *requester, uint64_t id, int result, const char *text)
{
	struct actor *actor = (struct actor *)((char *)requester - offsetof(struct actor, requester));
	ck_assert_uint_eq(id, actor->asked);
	actor->result = result;
	(void)snprintf(actor->error, sizeof actor->error, "%s", text ? text : "");
}

START_TEST(actuators_are_asked_through_their_provider)
{
	struct world world = world_new();
	signal_id fan = store_find(world.store, "V.B.Fan");
	struct actor actor = {.provider = {.deliver = take_request, .revoked = was_revoked, .signal = SIGNAL_NONE},
			      .requester = {.outcome = hear_outcome}};
	struct provider second = {.signal = SIGNAL_NONE};
	uint64_t id = 0;
	ck_assert_int_eq(store_claim(world.store, &ROOT, fan, &actor.provider, false, NULL), 0);
	ck_assert_int_eq(store_claim(world.store, &ROOT, fan, &second, false, NULL), -EBUSY);
	ck_assert_int_eq(store_request(world.store, &ROOT, fan, "7", 1, &actor.requester, &id, NULL), 0);
	ck_assert_uint_eq(id, actor.asked);
	ck_assert_str_eq(actor.value, "7");
	ck_assert_ptr_null(get(&world, "V.B.Fan", NULL)); /* a target is no value */
	ck_assert_int_eq(store_answer(world.store, &second, id, NULL), -ENOENT);
	actor.result = 1;
	ck_assert_int_eq(store_answer(world.store, &actor.provider, id, "stuck"), 0);
	ck_assert_int_eq(actor.result, -EREMOTEIO);
	ck_assert_str_eq(actor.error, "stuck");
	ck_assert_int_eq(store_answer(world.store, &actor.provider, id, NULL), -ENOENT);

	actor.queue_full = 1;
	ck_assert_int_eq(set(&world, "V.B.Fan", "8"), -EAGAIN);
	actor.queue_full = 0;
	ck_assert_int_eq(store_request(world.store, &ROOT, fan, "9", 1, &actor.requester, &id, NULL), 0);
	ck_assert_int_eq(store_publish(world.store, &ROOT, &actor.provider, fan, "9", 1, 0, NULL), 0);
	ck_assert_str_eq(get(&world, "V.B.Fan", NULL), "9");
	store_release(world.store, &actor.provider);
	ck_assert_int_eq(actor.result, -EOWNERDEAD);
	enum quality quality;
	ck_assert_ptr_null(get(&world, "V.B.Fan", &quality));
	ck_assert_int_eq(quality, QUALITY_PROVIDER);
	world_close(&world);
}
END_TEST

/* What was queued at a provider lies in its file: the daemon that takes over knows of the last request alone. */
START_TEST(answers_to_what_an_earlier_daemon_queued_are_taken)
{
	struct world world = world_new();
	signal_id fan = store_find(world.store, "V.B.Fan");
	struct actor actor = {.provider = {.deliver = take_request, .revoked = was_revoked, .signal = SIGNAL_NONE},
			      .requester = {.outcome = hear_outcome}};
	struct provider provider = {.deliver = take_request, .revoked = was_revoked, .signal = SIGNAL_NONE};
	uint64_t first = 0;
	uint64_t last = 0;
	ck_assert_int_eq(store_claim(world.store, &ROOT, fan, &actor.provider, false, NULL), 0);
	ck_assert_int_eq(store_request(world.store, &ROOT, fan, "7", 1, NULL, &first, NULL), 0);
	ck_assert_int_eq(store_request(world.store, &ROOT, fan, "8", 1, NULL, &last, NULL), 0);
	world_restart(&world);
	ck_assert_int_eq(store_claim(world.store, &ROOT, fan, &provider, true, NULL), 0);
	ck_assert_int_eq(store_answer(world.store, &provider, first, NULL), 0);
	ck_assert_int_eq(store_answer(world.store, &provider, last, NULL), 0);
	ck_assert_int_eq(store_answer(world.store, &provider, last, NULL), 0); /* told twice, as a killed daemon makes it */
	ck_assert_int_eq(store_answer(world.store, &provider, last + 1, NULL), -ENOENT);
	store_release(world.store, &provider);
	world_close(&world);
}
END_TEST

START_TEST(groups_are_all_or_nothing)
{
	struct world world = world_new();
	signal_id top = store_find(world.store, "V");
	struct err err = {0};
	static const char GOOD[] = "{\"Speed\": 10, \"Name\": \"n\"}";
	static const char BAD[] = "{\"Speed\": 20, \"B.Fan\": 3}";
	ck_assert_int_eq(store_set_group(world.store, &ROOT, top, GOOD, strlen(GOOD), &err), 0);
	ck_assert_int_eq(store_set_group(world.store, &ROOT, top, BAD, strlen(BAD), &err), -ENXIO);
	ck_assert_str_eq(err.message, "B.Fan: nobody provides this actuator");
	ck_assert_str_eq(get(&world, "V.Speed", NULL), "10");
	ck_assert_int_eq(store_set_group(world.store, &ROOT, top, "{\"X\": 1}", 8, &err), -ENOENT);
	ck_assert_int_eq(store_set_group(world.store, &ROOT, top, "[]", 2, &err), -EINVAL);
	ck_assert_int_eq(store_set_group(world.store, &ROOT, top, "{\"Speed\":1,\"Speed\":1}", 21, &err), -EINVAL);
	scoped_done(buf_done) struct buf json = {.max = 10000};
	ck_assert_int_eq(store_add_branch(world.store, &ROOT, top, &json), 0);
	ck_assert_str_eq(json.data, "{\"Speed\":10,\"Name\":\"n\",\"Count\":4,\"B.Fan\":null,\"B.Lamp\":null}");
	world_close(&world);
}
END_TEST

START_TEST(reload_keeps_values_and_ids_and_drops_what_left)
{
	struct world world = world_new();
	signal_id speed = store_find(world.store, "V.Speed"), name = store_find(world.store, "V.Name");
	signal_id fan = store_find(world.store, "V.B.Fan");
	struct actor actor = {.provider = {.deliver = take_request, .revoked = was_revoked, .signal = SIGNAL_NONE}};
	struct log log = {.subscription = {.id = name, .deliver = log_reading}};
	ck_assert_int_eq(store_claim(world.store, &ROOT, fan, &actor.provider, false, NULL), 0);
	ck_assert_int_eq(set(&world, "V.Speed", "50"), 0);
	ck_assert_int_eq(set(&world, "V.Name", "n"), 0);
	store_subscribe(world.store, &log.subscription, false);
	ck_assert_int_eq(store_set_catalogue(world.store,
					     catalogue_of("{\"V\": {\"type\": \"branch\", \"children\": {"
							  "\"New\": {\"type\": \"sensor\", \"datatype\": \"uint8\"},"
							  "\"Speed\": {\"type\": \"sensor\", \"datatype\": \"uint16\"}}}}"),
					     NULL), 0);
	ck_assert_uint_eq(store_find(world.store, "V.Speed"), speed);
	ck_assert_str_eq(get(&world, "V.Speed", NULL), "50");
	ck_assert_uint_eq(store_find(world.store, "V.Name"), SIGNAL_NONE);
	ck_assert_str_eq(log.text, "n - ");
	ck_assert_int_eq(actor.revoked, 1);
	ck_assert_uint_eq(store_find(world.store, "V.New") > fan, 1);
	char path[CATALOGUE_PATH_MAX];
	store_path(world.store, fan, path);
	ck_assert_str_eq(path, "V.B.Fan");
	store_unsubscribe(&log.subscription);
	world_close(&world);
}
END_TEST

START_TEST(force_beats_the_publisher_until_it_ends)
{
	struct world world = world_new();
	signal_id speed = store_find(world.store, "V.Speed");
	struct log log = {.subscription = {.id = speed, .deliver = log_reading}};
	ck_assert_int_eq(set(&world, "V.Speed", "1"), 0);
	store_subscribe(world.store, &log.subscription, false);
	ck_assert_int_eq(store_force(world.store, &ROOT, speed, "99", 2, 0, NULL), 0);
	ck_assert_int_eq(set(&world, "V.Speed", "2"), 0);
	ck_assert_str_eq(get(&world, "V.Speed", NULL), "99");
	world_restart(&world);
	enum quality quality;
	ck_assert_str_eq(get(&world, "V.Speed", &quality), "99");
	ck_assert_int_eq(quality, QUALITY_FORCED);
	ck_assert_int_eq(store_unforce(world.store, &ROOT, speed, NULL), 0);
	ck_assert_int_eq(store_unforce(world.store, &ROOT, speed, NULL), -ENODATA);
	ck_assert_str_eq(get(&world, "V.Speed", NULL), "2");
	ck_assert_str_eq(log.text, "1 99 ");
	world_close(&world);
}
END_TEST

START_TEST(values_grow_old)
{
	struct world world = world_new();
	static const struct rule RULES[] = {{.pattern = "V.Speed", .given = RULE_AGE, .max_age_ns = 1000000}};
	static const struct policy POLICY = {RULES, 1};
	store_set_policy(world.store, &POLICY);
	ck_assert_int_eq(set(&world, "V.Speed", "1"), 0);
	ck_assert_str_eq(get(&world, "V.Speed", NULL), "1");
	wait_for_timers(&world);
	enum quality quality;
	ck_assert_ptr_null(get(&world, "V.Speed", &quality));
	ck_assert_int_eq(quality, QUALITY_TIMEOUT);
	world_close(&world);
}
END_TEST

START_TEST(a_claim_that_does_not_come_back_ends)
{
	struct world world = world_new();
	signal_id speed = store_find(world.store, "V.Speed");
	struct provider provider = {.signal = SIGNAL_NONE};
	ck_assert_int_eq(store_claim(world.store, &ROOT, speed, &provider, false, NULL), 0);
	ck_assert_int_eq(store_publish(world.store, &ROOT, &provider, speed, "5", 1, 0, NULL), 0);
	world_restart(&world);
	ck_assert_str_eq(get(&world, "V.Speed", NULL), "5");
	wait_for_timers(&world);
	enum quality quality;
	ck_assert_ptr_null(get(&world, "V.Speed", &quality));
	ck_assert_int_eq(quality, QUALITY_PROVIDER);
	world_close(&world);
}
END_TEST

START_TEST(rights_follow_mode_acl_and_view)
{
	struct world world = world_new();
	static const struct acl_entry ACL[] = {{ACL_TAG_USER, 6, 7}, {ACL_TAG_GROUP, 4, 8}};
	static const struct rule RULES[] = {
		{.pattern = "V.**", .given = RULE_MODE, .mode = 0600},
		{.pattern = "V.Speed", .given = RULE_MODE | RULE_ACL | RULE_OWNER, .mode = 0640, .uid = 5, .acl = ACL,
		 .acl_count = 2},
	};
	static const struct policy POLICY = {RULES, 2};
	store_set_policy(world.store, &POLICY);
	signal_id speed = store_find(world.store, "V.Speed"), name = store_find(world.store, "V.Name");
	gid_t groups[] = {8};
	struct subject owner = {.uid = 5}, user = {.uid = 7}, member = {.uid = 9, .gid = 9, .groups = groups, .group_count = 1};
	struct subject other = {.uid = 10, .gid = 10};
	ck_assert_int_eq(store_may(world.store, &owner, speed, RIGHT_READ | RIGHT_PUBLISH), 0);
	ck_assert_int_eq(store_may(world.store, &owner, name, RIGHT_READ), -EACCES);
	ck_assert_int_eq(store_may(world.store, &user, speed, RIGHT_READ), 0);
	ck_assert_int_eq(store_may(world.store, &user, speed, RIGHT_PUBLISH), -EACCES); /* the mask */
	ck_assert_int_eq(store_may(world.store, &member, speed, RIGHT_READ), 0);
	ck_assert_int_eq(store_may(world.store, &member, speed, RIGHT_PUBLISH), -EACCES);
	ck_assert_int_eq(store_may(world.store, &other, speed, RIGHT_READ), -EACCES);
	ck_assert_int_eq(store_publish(world.store, &other, NULL, speed, "1", 1, 0, NULL), -EACCES);
	uint8_t rights[64] = {0};
	rights[speed] = RIGHT_READ;
	struct view view = {.rights = rights, .count = sizeof rights};
	struct subject inside = {.view = &view, .uid = 1000};
	ck_assert_int_eq(store_may(world.store, &inside, speed, RIGHT_READ), 0);
	ck_assert_int_eq(store_may(world.store, &inside, speed, RIGHT_PUBLISH), -EACCES);
	ck_assert_int_eq(store_may(world.store, &inside, name, RIGHT_READ), -ENOENT);
	world_close(&world);
}
END_TEST

static const struct {
	const char *pattern;
	const char *path;
	bool good;
	bool matches;
} PATTERNS[] = {
	{"A.B", "A.B", true, true},	     {"A.B", "A.B.C", true, true},   {"A.B", "A.BC", true, false},
	{"A/B", "A.B", true, true},	     {"A.*", "A.B", true, true},     {"A.*", "A.B.C", true, false},
	{"A.*.C", "A.B.C", true, true},	     {"**.C", "A.B.C", true, true},  {"**.C", "C", true, true},
	{"A.**", "A", true, true},	     {"A.**.D", "A.B.C.D", true, true}, {"A.**.D", "A.B.C.E", true, false},
	{"A.**.B.*", "A.B.B.C", true, true}, {"A.F*o", "A.Foo", true, true}, {"A.F*o", "A.Fox", true, false},
	{"", "A", false, false},	     {"A.", "A", false, false},	     {"A..B", "A.B", false, false},
	{"A.**B", "A.B", false, false},	     {"A@b", "A", false, false},     {"**", "A.B", true, true},
};

START_TEST(patterns_name_paths)
{
	ck_assert_int_eq(pattern_is_good(PATTERNS[_i].pattern), PATTERNS[_i].good);
	if (PATTERNS[_i].good)
		ck_assert_int_eq(pattern_matches(PATTERNS[_i].pattern, PATTERNS[_i].path), PATTERNS[_i].matches);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, values_are_kept_over_a_restart_of_any_size);
	tcase_add_test(cases, blocks_of_long_values_are_not_lost);
	tcase_add_test(cases, refusals);
	tcase_add_loop_test(cases, filters_let_pass_what_they_say, 0, ARRAY_COUNT(FILTERS));
	tcase_add_test(cases, the_newest_comes_when_the_rate_allows_it);
	tcase_add_loop_test(cases, names_of_filters_have_one_spelling, 0, ARRAY_COUNT(NAMES));
	tcase_add_test(cases, actuators_are_asked_through_their_provider);
	tcase_add_test(cases, answers_to_what_an_earlier_daemon_queued_are_taken);
	tcase_add_test(cases, groups_are_all_or_nothing);
	tcase_add_test(cases, reload_keeps_values_and_ids_and_drops_what_left);
	tcase_add_test(cases, force_beats_the_publisher_until_it_ends);
	tcase_add_test(cases, values_grow_old);
	tcase_add_test(cases, a_claim_that_does_not_come_back_ends);
	tcase_add_test(cases, rights_follow_mode_acl_and_view);
	tcase_add_loop_test(cases, patterns_name_paths, 0, ARRAY_COUNT(PATTERNS));
}

TEST_MAIN("store", add_tests)
