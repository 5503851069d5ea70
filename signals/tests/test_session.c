/* Conversations in the line protocol with a real store behind them. */
#include "signals/src/line/session.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"
#include "signals/src/line/line.h"
#include "signals/src/store.h"
#include "signals/src/table.h"
#include "signals/src/view.h"

static const char CATALOGUE[] =
	"{\"V\": {\"type\": \"branch\", \"children\": {"
	"\"Speed\": {\"type\": \"sensor\", \"datatype\": \"float\", \"max\": 300, \"unit\": \"km/h\"},"
	"\"Name\": {\"type\": \"sensor\", \"datatype\": \"string\"},"
	"\"Count\": {\"type\": \"attribute\", \"datatype\": \"uint8\", \"default\": 4},"
	"\"B\": {\"type\": \"branch\", \"children\": {"
	"  \"Fan\": {\"type\": \"actuator\", \"datatype\": \"uint8\"},"
	"  \"Lamp\": {\"type\": \"actuator\", \"datatype\": \"boolean\"}}}}}}";

static const char LARGER[] =
	"{\"V\": {\"type\": \"branch\", \"children\": {"
	"\"Speed\": {\"type\": \"sensor\", \"datatype\": \"float\"},"
	"\"Extra\": {\"type\": \"sensor\", \"datatype\": \"uint8\"}}}}";

struct world {
	int fd;
	struct table *table;
	struct store *store;
};

static void world_load(struct world *world, const char *text)
{
	struct catalogue_source source = {"test.json", text, strlen(text)};
	struct catalogue *catalogue = NULL;
	ck_assert_int_eq(catalogue_load(&source, 1, &catalogue, NULL), 0);
	ck_assert_int_eq(store_set_catalogue(world->store, catalogue, NULL), 0);
}

static struct world world_new(void)
{
	struct world world = {.fd = table_create_memory()};
	ck_assert_int_eq(table_open(world.fd, &world.table, NULL), 0);
	ck_assert_int_eq(store_new(world.table, &world.store), 0);
	world_load(&world, CATALOGUE);
	return world;
}

static void world_close(struct world *world)
{
	store_free(world->store);
	table_free(world->table);
	(void)close(world->fd);
}

struct talk {
	struct line_carrier carrier;
	struct line_session *session;
	int told;
};

static void has_output(struct line_carrier *carrier)
{
	((struct talk *)carrier)->told++;
}

static void talk_start(struct talk *talk, struct world *world)
{
	static const struct subject ROOT = {.name = "uid:0"};
	*talk = (struct talk){.carrier = {.has_output = has_output}};
	ck_assert_int_eq(line_session_new(world->store, &ROOT, &talk->carrier, &talk->session), 0);
}

static void say(struct talk *talk, const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		char *tail = NULL;
		size_t room = 0;
		ck_assert_int_eq(line_session_tail(talk->session, &tail, &room), 0);
		size_t size = left < room ? left : room;
		memcpy(tail, text, size);
		line_session_received(talk->session, size);
		text += size;
		left -= size;
	}
}

/* What the session has to say must be @text, and is taken. */
static void hear(struct talk *talk, const char *text)
{
	size_t size = 0;
	const char *output = line_session_output(talk->session, &size);
	ck_assert_str_eq(size ? output : "", text);
	line_session_sent(talk->session, size);
}

static const struct {
	const char *request;
	const char *answer;
} ASKED[] = {
	{"hello 1 app\n", "ok 1 axsignald " AXLE_VERSION "\n"},
	{"hello 2\n", "error version this service speaks version 1\n"},
	{"ping\nping\n", "ok\nok\n"},
	{"get V.Count\n", "ok 4\n"},
	{"get V/Count\n", "ok 4\n"},
	{"get V.Speed\n", "error unavailable the signal has no value\n"},
	{"get V.Nothing\n", "error unknown V.Nothing: no such signal\n"},
	{"get V.B\n", "error unknown V.B: no such signal\n"},
	{"list V.*\n",
	 "item V.Speed sensor float km/h\nitem V.Name sensor string\nitem V.Count attribute uint8\nok 3\n"},
	{"values V.**\n", "item V.Speed\nitem V.Name\nitem V.Count 4\nitem V.B.Fan\nitem V.B.Lamp\nok 5\n"},
	{"list X.*\n", "error unknown X.*: names no signal\n"},
	{"set V.Speed 5\nget V.Speed\n", "ok\nok 5\n"},
	{"set V.Name two  words \nget V.Name\n", "ok\nok two  words \n"},
	{"set V.B.Fan 5\n", NULL},
	{"unsub 1\n", "error handle no such subscription\n"},
	{"release 1\n", "error handle nothing was opened or claimed under this handle\n"},
	{"1 5\n", "refused 1 handle nothing was opened or claimed under this handle\n"},
	{"1x\n", "refused 0 syntax \"1x\": expected a blank behind the handle\n"},
	{"ok 7\n", "late 7\n"},
	{"jump\n", "error syntax \"jump\": no such verb\n"},
	{"sub V.Speed@nonsense=1\n", "error filter V.Speed@nonsense=1: no such filter for this type\n"},
	{"sub V.Name@change=1\n", "error filter V.Name@change=1: no such filter for this type\n"},
	{"sub V.Speed maybe\n", "error syntax sub: expected nothing or \"time\" behind the pattern\n"},
	{"force V.Speed 0 7\nget V.Speed\nset V.Speed 9\nget V.Speed\nunforce V.Speed\nget V.Speed\n",
	 "ok\nok 7\nok\nok 7\nok\nok 9\n"},
	{"group V {\"Speed\": 3, \"Count\": 9}\nvalues V.*\n",
	 "ok\nitem V.Speed 3\nitem V.Name\nitem V.Count 9\nok 3\n"},
};

START_TEST(requests_have_their_answers)
{
	struct world world = world_new();
	struct talk talk;
	talk_start(&talk, &world);
	say(&talk, ASKED[_i].request);
	if (ASKED[_i].answer) {
		hear(&talk, ASKED[_i].answer);
	} else { /* nobody provides the actuator */
		size_t size = 0;
		ck_assert_ptr_nonnull(str_after_prefix(line_session_output(talk.session, &size), "error no-provider "));
	}
	line_session_free(talk.session);
	world_close(&world);
}
END_TEST

START_TEST(values_out_of_range_and_of_another_type_are_told_apart)
{
	struct world world = world_new();
	struct talk talk;
	talk_start(&talk, &world);
	static const struct {
		const char *request, *code;
	} REFUSED[] = {{"set V.Speed fast\n", "error value "}, {"set V.Speed 301\n", "error range "}};
	for (size_t i = 0; i < ARRAY_COUNT(REFUSED); i++) {
		say(&talk, REFUSED[i].request);
		size_t size = 0;
		ck_assert_ptr_nonnull(str_after_prefix(line_session_output(talk.session, &size), REFUSED[i].code));
		line_session_sent(talk.session, size);
	}
	line_session_free(talk.session);
	world_close(&world);
}
END_TEST

START_TEST(updates_go_to_all_who_subscribed)
{
	struct world world = world_new();
	struct talk reader;
	struct talk other;
	struct talk writer;
	talk_start(&reader, &world);
	talk_start(&other, &world);
	talk_start(&writer, &world);
	say(&reader, "sub V.*\n");
	hear(&reader, "name 1 1 V.Speed\nname 1 2 V.Name\nname 1 3 V.Count\nok 1 3\n3 4\n");
	say(&other, "sub V.Speed@above=100\n");
	hear(&other, "name 1 1 V.Speed\nok 1 1\n");
	say(&writer, "claim V.Speed\nopen V.Name\n");
	hear(&writer, "ok 1\nok 2\n");
	int told = reader.told;
	say(&writer, "1 88.5\n2 a b\n1 88.5\n1 120\n1\n");
	hear(&writer, "");
	ck_assert_int_eq(reader.told, told + 1); /* once, for all that is there */
	hear(&reader, "1 88.5\n2 a b\n1 120\n1\n");
	hear(&other, "1 120\n1\n");

	/* Its claim ends with the client. */
	say(&writer, "1 5\n");
	hear(&reader, "1 5\n");
	line_session_free(writer.session);
	hear(&reader, "1\n");
	say(&reader, "unsub 1\nget V.Name\nsub V.Name\n");
	hear(&reader, "ok\nok a b\nname 2 1 V.Name\nok 2 1\n1 a b\n");
	line_session_free(reader.session);
	line_session_free(other.session);
	world_close(&world);
}
END_TEST

START_TEST(source_times_are_told_where_they_are_asked_for)
{
	struct world world = world_new();
	struct talk talk;
	talk_start(&talk, &world);
	say(&talk, "claim V.Speed\nsub V.Speed time\n1@1700000000123456789 5\n");
	hear(&talk, "ok 1\nname 1 2 V.Speed\nok 1 1\n2@1700000000123456789 5\n");
	line_session_free(talk.session);
	world_close(&world);
}
END_TEST

START_TEST(a_claim_is_exclusive_and_actuations_find_their_way)
{
	struct world world = world_new();
	struct talk provider;
	struct talk user;
	talk_start(&provider, &world);
	talk_start(&user, &world);
	say(&provider, "claim V.B.Lamp\n");
	hear(&provider, "ok 1\n");
	say(&user, "claim V.B.Lamp\n");
	size_t size = 0;
	ck_assert_ptr_nonnull(str_after_prefix(line_session_output(user.session, &size), "error busy "));
	line_session_sent(user.session, size);

	say(&user, "set V.B.Lamp true\n");
	unsigned long long id = 0;
	ck_assert_int_eq(sscanf(line_session_output(user.session, &size), "ok %llu", &id), 1);
	line_session_sent(user.session, size);
	unsigned long long asked = 0;
	long long left = 0;
	const char *output = line_session_output(provider.session, &size);
	ck_assert_int_eq(sscanf(output, "request %llu 1 %lld true\n", &asked, &left), 2);
	ck_assert(asked == id);
	ck_assert_int_gt(left, 0);
	line_session_sent(provider.session, size);

	char text[64];
	(void)snprintf(text, sizeof text, "error %llu stuck fast\n", id);
	say(&provider, text);
	hear(&provider, "");
	(void)snprintf(text, sizeof text, "outcome %llu failed stuck fast\n", id);
	hear(&user, text);

	say(&user, "set V.B.Lamp false\n");
	ck_assert_int_eq(sscanf(line_session_output(user.session, &size), "ok %llu", &id), 1);
	line_session_sent(user.session, size);
	line_session_free(provider.session); /* dies over it */
	(void)snprintf(text, sizeof text, "outcome %llu gone the provider went\n", id);
	hear(&user, text);
	line_session_free(user.session);
	world_close(&world);
}
END_TEST

START_TEST(a_client_that_goes_forgets_its_actuations)
{
	struct world world = world_new();
	struct talk provider;
	struct talk user;
	talk_start(&provider, &world);
	talk_start(&user, &world);
	say(&provider, "claim V.B.Fan\n");
	hear(&provider, "ok 1\n");
	say(&user, "set V.B.Fan 3\nset V.B.Fan 4\n");
	line_session_free(user.session);
	unsigned long long first = 0;
	unsigned long long second = 0;
	size_t size = 0;
	const char *output = line_session_output(provider.session, &size);
	ck_assert_int_eq(sscanf(output, "request %llu 1 %*d 3\nrequest %llu 1 %*d 4\n", &first, &second), 2);
	line_session_sent(provider.session, size);
	char text[64];
	(void)snprintf(text, sizeof text, "ok %llu\nok %llu\nok %llu\n", first, second, first);
	say(&provider, text);
	(void)snprintf(text, sizeof text, "late %llu\n", first);
	hear(&provider, text);
	line_session_free(provider.session);
	world_close(&world);
}
END_TEST

START_TEST(a_slow_reader_loses_only_its_own_and_is_told_how_many)
{
	struct world world = world_new();
	struct talk slow;
	struct talk quick;
	struct talk writer;
	talk_start(&slow, &world);
	talk_start(&quick, &world);
	talk_start(&writer, &world);
	say(&slow, "sub V.Speed@all\n");
	hear(&slow, "name 1 1 V.Speed\nok 1 1\n");
	say(&quick, "sub V.Speed@all\n");
	hear(&quick, "name 1 1 V.Speed\nok 1 1\n");
	say(&writer, "claim V.Speed\n");
	hear(&writer, "ok 1\n");
	size_t updates = 0;
	size_t heard = 0;
	char text[32];
	for (; updates < 300000; updates++) {
		(void)snprintf(text, sizeof text, "1 %zu\n", updates % 300);
		say(&writer, text);
		size_t size = 0;
		const char *output = line_session_output(quick.session, &size);
		ck_assert_str_eq(output, text);
		line_session_sent(quick.session, size);
		heard++;
	}
	ck_assert_uint_eq(heard, updates);
	size_t size = 0;
	(void)line_session_output(slow.session, &size);
	ck_assert_uint_le(size, LINE_QUEUE_MAX + 64);
	size_t delivered = 0;
	while (size > 0) { /* now it reads, in pieces */
		const char *output = line_session_output(slow.session, &size);
		size_t part = size < 4096 ? size : 4096;
		for (size_t i = 0; i < part; i++)
			delivered += output[i] == '\n';
		const char *told = strstr(output, "lost 1 ");
		if (told) {
			unsigned long long lost = strtoull(told + 7, NULL, 10);
			ck_assert_str_eq(strchr(told, '\n'), "\n1 299\n"); /* the last value always arrives */
			for (size_t i = part; i < size; i++)
				delivered += output[i] == '\n';
			ck_assert_uint_eq(delivered - 1 + lost, updates);
			line_session_sent(slow.session, size);
			break;
		}
		line_session_sent(slow.session, part);
		(void)line_session_output(slow.session, &size);
	}
	ck_assert_uint_gt(size, 0); /* it was told */
	say(&writer, "1 7\n");
	hear(&slow, "1 7\n");
	line_session_free(slow.session);
	line_session_free(quick.session);
	line_session_free(writer.session);
	world_close(&world);
}
END_TEST

START_TEST(who_does_not_read_his_answers_is_not_read)
{
	struct world world = world_new();
	struct talk talk;
	talk_start(&talk, &world);
	for (int i = 0; i < 200000 && line_session_reads(talk.session); i++)
		say(&talk, "list V.**\n");
	ck_assert(!line_session_reads(talk.session));
	size_t size = 0;
	(void)line_session_output(talk.session, &size);
	ck_assert_uint_lt(size, LINE_QUEUE_MAX + 1024);
	say(&talk, "ping\n"); /* what has been read waits */
	line_session_sent(talk.session, size);
	hear(&talk, "ok\n");
	line_session_free(talk.session);
	world_close(&world);
}
END_TEST

START_TEST(limits_of_one_client_hold)
{
	struct world world = world_new();
	struct talk talk;
	talk_start(&talk, &world);
	for (int i = 0; i < LINE_SUBS_MAX; i++) {
		say(&talk, "sub V.Speed\n");
		size_t size = 0;
		ck_assert_ptr_nonnull(strstr(line_session_output(talk.session, &size), "\nok "));
		line_session_sent(talk.session, size);
	}
	say(&talk, "sub V.Speed\n");
	hear(&talk, "error limit a client has at most 1024 subscriptions\n");
	for (int i = LINE_SUBS_MAX + 1; i < LINE_HANDLES_MAX; i++) {
		say(&talk, "open V.Name\n");
		size_t size = 0;
		ck_assert_ptr_nonnull(str_after_prefix(line_session_output(talk.session, &size), "ok "));
		line_session_sent(talk.session, size);
	}
	say(&talk, "open V.Name\n");
	hear(&talk, "error limit a client has at most 16384 handles\n");
	say(&talk, "unsub 7\nopen V.Name\n");
	hear(&talk, "ok\nok 7\n");
	line_session_free(talk.session);
	world_close(&world);
}
END_TEST

START_TEST(a_new_catalogue_extends_patterns_and_keeps_the_rest)
{
	struct world world = world_new();
	struct talk talk;
	talk_start(&talk, &world);
	say(&talk, "set V.Speed 5\nsub V.*\n");
	hear(&talk, "ok\nname 1 1 V.Speed\nname 1 2 V.Name\nname 1 3 V.Count\nok 1 3\n1 5\n3 4\n");
	world_load(&world, LARGER);
	line_session_reloaded(talk.session);
	hear(&talk, "3\nname 1 4 V.Extra\n");
	say(&talk, "set V.Extra 9\nset V.Speed 6\n");
	hear(&talk, "4 9\nok\n1 6\nok\n");
	line_session_free(talk.session);
	world_close(&world);
}
END_TEST

START_TEST(names_show_who_publishes)
{
	struct world world = world_new();
	struct talk talk;
	talk_start(&talk, &world);
	say(&talk, "hello 1 can0\nclaim V.Speed\nwho V.Speed\nstate V.Speed\nstats\ngrants\nmeta V.Speed\n");
	size_t size = 0;
	const char *output = line_session_output(talk.session, &size);
	ck_assert_ptr_nonnull(strstr(output, "can0@uid:0"));
	ck_assert_ptr_nonnull(strstr(output, "\"claims\":1"));
	ck_assert_ptr_nonnull(strstr(output, "\nok {\"view\":false,\"uid\":0,"));
	ck_assert_ptr_nonnull(strstr(output, "km/h"));
	line_session_free(talk.session);
	world_close(&world);
}
END_TEST

START_TEST(a_view_shows_what_was_granted_and_at_its_rate)
{
	struct world world = world_new();
	uint8_t rights[16] = {0};
	int64_t intervals_ns[16] = {0};
	signal_id speed = store_find(world.store, "V.Speed");
	signal_id name = store_find(world.store, "V.Name");
	ck_assert_uint_lt(speed, 16);
	ck_assert_uint_lt(name, 16);
	rights[store_find(world.store, "V")] = RIGHT_READ;
	rights[speed] = rights[name] = RIGHT_READ;
	intervals_ns[speed] = 3600ll * 1000000000; /* one an hour */
	struct view_sample *samples[16] = {0};
	struct view view = {.rights = rights, .intervals_ns = intervals_ns, .samples = samples, .count = sizeof rights};
	struct subject inside = {.view = &view, .uid = 0, .name = "pod"};
	struct talk reader = {.carrier = {.has_output = has_output}};
	struct talk writer;
	talk_start(&writer, &world);
	ck_assert_int_eq(line_session_new(world.store, &inside, &reader.carrier, &reader.session), 0);
	say(&reader, "list **\nget V.Count\nclaim V.Speed\nset V.Speed 1\n");
	hear(&reader, "item V.Speed sensor float km/h\nitem V.Name sensor string\nok 2\n"
		      "error unknown V.Count: no such signal\nerror denied V.Speed: not permitted to publish\n"
		      "error denied V.Speed: not permitted\n");
	say(&reader, "sub V.*@all\n");
	hear(&reader, "name 1 1 V.Speed\nname 1 2 V.Name\nok 1 2\n");
	say(&writer, "open V.Speed\nopen V.Name\n1 5\n1 6\n2 a\n2 b\n");
	hear(&reader, "1 5\n2 a\n2 b\n"); /* the second speed must wait for its hour */
	say(&reader, "get V.Speed\nsub V.Speed\n");
	hear(&reader, "ok 5\nname 2 3 V.Speed\nok 2 1\n3 5\n"); /* however it is asked for */
	say(&reader, "grants\n");
	hear(&reader, "ok {\"view\":true,\"uid\":0,\"name\":\"pod\",\"read\":[\"V.Speed\",\"V.Name\"],\"actuate\":[],"
		      "\"publish\":[],\"rates\":{\"V.Speed\":0.000277778}}\n");
	rights[name] = 0;
	line_session_recheck(reader.session);
	hear(&reader, "gone 2\n");
	say(&writer, "2 c\n");
	hear(&reader, "");
	line_session_free(reader.session);
	line_session_free(writer.session);
	free(samples[speed]->text);
	free(samples[speed]);
	world_close(&world);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, requests_have_their_answers, 0, ARRAY_COUNT(ASKED));
	tcase_add_test(cases, values_out_of_range_and_of_another_type_are_told_apart);
	tcase_add_test(cases, updates_go_to_all_who_subscribed);
	tcase_add_test(cases, source_times_are_told_where_they_are_asked_for);
	tcase_add_test(cases, a_claim_is_exclusive_and_actuations_find_their_way);
	tcase_add_test(cases, a_client_that_goes_forgets_its_actuations);
	tcase_add_test(cases, a_slow_reader_loses_only_its_own_and_is_told_how_many);
	tcase_add_test(cases, who_does_not_read_his_answers_is_not_read);
	tcase_add_test(cases, limits_of_one_client_hold);
	tcase_add_test(cases, a_new_catalogue_extends_patterns_and_keeps_the_rest);
	tcase_add_test(cases, names_show_who_publishes);
	tcase_add_test(cases, a_view_shows_what_was_granted_and_at_its_rate);
}
TEST_MAIN("session", add_tests)
