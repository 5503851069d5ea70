#include "signals/src/config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/codec/json.h"
#include "core/codec/toml.h"
#include "signals/src/pattern.h"

#define CONFIG_ARENA_MAX (8U << 20)
#define NS_PER_MS INT64_C(1000000)
#define MS_MAX UINT64_C(86400000)

struct rule_text {
	const char *path;
	const char *owner;
	const char *group;
	const char *mode;
	const char *const *acl;
	const uint64_t *max_age_ms;
	const uint64_t *deadline_ms;
};

struct document {
	struct config_daemon daemon;
	const struct rule_text *rules;
	size_t rules_count;
	const struct grant *grants;
	size_t grants_count;
};

static const struct json_field DAEMON_FIELDS[] = {
	JSON_FIELD(struct config_daemon, user, "user", JSON_STRING_T, 0),
	JSON_FIELD(struct config_daemon, state, "state", JSON_STRING_T, 0),
	JSON_FIELD(struct config_daemon, socket, "socket", JSON_STRING_T, 0),
	JSON_FIELD(struct config_daemon, audit, "audit", JSON_STRING_T, 0),
};
static const struct json_table DAEMON = JSON_TABLE_STRICT(struct config_daemon, DAEMON_FIELDS);

static const struct json_field RULE_FIELDS[] = {
	JSON_FIELD(struct rule_text, path, "path", JSON_STRING_T, JSON_REQUIRED),
	JSON_FIELD(struct rule_text, owner, "owner", JSON_STRING_T, 0),
	JSON_FIELD(struct rule_text, group, "group", JSON_STRING_T, 0),
	JSON_FIELD(struct rule_text, mode, "mode", JSON_STRING_T, 0),
	JSON_FIELD(struct rule_text, acl, "acl", JSON_STRINGS, 0),
	JSON_FIELD(struct rule_text, max_age_ms, "max_age_ms", JSON_U64_OPT, 0),
	JSON_FIELD(struct rule_text, deadline_ms, "deadline_ms", JSON_U64_OPT, 0),
};
static const struct json_table RULE = JSON_TABLE_STRICT(struct rule_text, RULE_FIELDS);

static const struct json_field DOCUMENT_FIELDS[] = {
	JSON_NESTED(struct document, daemon, "daemon", JSON_STRUCT, &DAEMON, 0),
	JSON_NESTED_COUNTED(struct document, rules, "rule", JSON_STRUCTS, &RULE, 0),
	JSON_NESTED_COUNTED(struct document, grants, "grant", JSON_STRUCTS, &GRANT_TABLE, 0),
};
static const struct json_table DOCUMENT = JSON_TABLE_STRICT(struct document, DOCUMENT_FIELDS);

/* One rule being made, for messages. */
struct place {
	const char *name;
	size_t rule;
	struct err *err;
};

static int fail(const struct place *place, const char *member, const char *expected, const char *found)
{
	return err_set(place->err, -EINVAL, "config.invalid", "%s: rule[%zu].%s: expected %s, found \"%.100s\"",
		       place->name, place->rule, member, expected, found);
}

static int find_user(const char *text, uint32_t *ret_id)
{
	uint64_t number = 0;
	if (parse_u64(text, 0, UINT32_MAX - 1, &number) == 0) {
		*ret_id = (uint32_t)number;
		return 0;
	}
	const struct passwd *user = getpwnam(text);
	if (!user)
		return -ENOENT;
	*ret_id = user->pw_uid;
	return 0;
}

static int find_group(const char *text, uint32_t *ret_id)
{
	uint64_t number = 0;
	if (parse_u64(text, 0, UINT32_MAX - 1, &number) == 0) {
		*ret_id = (uint32_t)number;
		return 0;
	}
	const struct group *group = getgrnam(text);
	if (!group)
		return -ENOENT;
	*ret_id = group->gr_gid;
	return 0;
}

/* "user:bob:rw", "group:hvac:r" */
static int parse_acl_entry(const struct place *place, const char *text, struct acl_entry *ret_entry)
{
	static const char EXPECTED[] = "user:NAME:rw or group:NAME:r";
	scoped(strv_free) char **parts = str_split(text, ':');
	if (!parts)
		return -ENOMEM;
	if (strv_count((const char *const *)parts) != 3 || strspn(parts[2], "rw") != strlen(parts[2]))
		return fail(place, "acl", EXPECTED, text);
	bool user = str_equal(parts[0], "user");
	if (!user && !str_equal(parts[0], "group"))
		return fail(place, "acl", EXPECTED, text);
	struct acl_entry entry = {.tag = user ? ACL_TAG_USER : ACL_TAG_GROUP};
	entry.bits = (uint8_t)((strchr(parts[2], 'r') ? 4 : 0) | (strchr(parts[2], 'w') ? 2 : 0));
	if ((user ? find_user : find_group)(parts[1], &entry.id) < 0)
		return fail(place, "acl", "a user or group of this system", text);
	*ret_entry = entry;
	return 0;
}

static int make_acl(const struct place *place, const struct rule_text *text, struct arena *arena, struct rule *rule)
{
	size_t count = strv_count(text->acl);
	if (count > ACL_ENTRIES_MAX)
		return fail(place, "acl", "at most 32 entries", text->acl[ACL_ENTRIES_MAX]);
	struct acl_entry *acl = arena_array(arena, count + 1, sizeof *acl);
	if (!acl)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int r = parse_acl_entry(place, text->acl[i], &acl[i]);
		if (r < 0)
			return r;
	}
	rule->acl = acl;
	rule->acl_count = count;
	rule->given |= RULE_ACL;
	return 0;
}

static int make_owners(const struct place *place, const struct rule_text *text, struct rule *rule)
{
	uint32_t id = 0;
	if (text->owner) {
		if (find_user(text->owner, &id) < 0)
			return fail(place, "owner", "a user of this system", text->owner);
		rule->uid = id;
		rule->given |= RULE_OWNER;
	}
	if (text->group) {
		if (find_group(text->group, &id) < 0)
			return fail(place, "group", "a group of this system", text->group);
		rule->gid = id;
		rule->given |= RULE_GROUP;
	}
	if (text->mode) {
		uint32_t mode = 0;
		if (parse_mode(text->mode, &mode) < 0 || mode & ~0666U)
			return fail(place, "mode", "an octal mode without x, such as \"0640\"", text->mode);
		rule->mode = mode;
		rule->given |= RULE_MODE;
	}
	return 0;
}

static int make_times(const struct place *place, const struct rule_text *text, struct rule *rule)
{
	if (text->max_age_ms) {
		if (*text->max_age_ms > MS_MAX)
			return fail(place, "max_age_ms", "at most a day", "more");
		rule->max_age_ns = (int64_t)*text->max_age_ms * NS_PER_MS;
		rule->given |= RULE_AGE;
	}
	if (text->deadline_ms) {
		if (*text->deadline_ms == 0 || *text->deadline_ms > MS_MAX)
			return fail(place, "deadline_ms", "1 ms to a day", *text->deadline_ms ? "more" : "0");
		rule->deadline_ns = (int64_t)*text->deadline_ms * NS_PER_MS;
		rule->given |= RULE_DEADLINE;
	}
	return 0;
}

static int make_rule(const struct place *place, const struct rule_text *text, struct arena *arena, struct rule *rule)
{
	if (!pattern_is_good(text->path))
		return fail(place, "path", "a path or a pattern such as \"Vehicle.Cabin.**\"", text->path);
	rule->pattern = text->path;
	int r = make_owners(place, text, rule);
	if (r == 0)
		r = make_times(place, text, rule);
	if (r == 0 && text->acl)
		r = make_acl(place, text, arena, rule);
	return r;
}

static int make_rules(const char *name, const struct document *document, struct config *config, struct err *err)
{
	if (document->rules_count > POLICY_RULES_MAX)
		return err_set(err, -EINVAL, "config.invalid", "%s: rule: expected at most %d", name, POLICY_RULES_MAX);
	struct rule *rules = arena_array(&config->arena, document->rules_count + 1, sizeof *rules);
	if (!rules)
		return -ENOMEM;
	for (size_t i = 0; i < document->rules_count; i++) {
		struct place place = {.name = name, .rule = i, .err = err};
		int r = make_rule(&place, &document->rules[i], &config->arena, &rules[i]);
		if (r < 0)
			return r;
	}
	config->policy = (struct policy){.rules = rules, .count = document->rules_count};
	return 0;
}

static int take_grants(const char *name, const struct document *document, struct config *config, struct err *err)
{
	if (document->grants_count > GRANTS_MAX)
		return err_set(err, -EINVAL, "config.invalid", "%s: grant: expected at most %d", name, GRANTS_MAX);
	for (size_t i = 0; i < document->grants_count; i++) {
		int r = signal_lists_check(&document->grants[i].lists, err);
		if (r < 0)
			return err_add(err, r, "%s: grant[%zu]", name, i);
	}
	config->grants = document->grants;
	config->grants_count = document->grants_count;
	return 0;
}

int config_read(const char *name, const char *text, size_t length, struct config *ret_config, struct err *err)
{
	struct document document = {0};
	json_t *value = NULL;
	config_init(ret_config);
	int r = toml_parse(name, text, length, &value, err);
	if (r < 0)
		return r;
	r = json_decode_value(name, value, &DOCUMENT, &ret_config->arena, &document, err);
	json_decref(value);
	if (r == 0)
		r = make_rules(name, &document, ret_config, err);
	if (r == 0)
		r = take_grants(name, &document, ret_config, err);
	ret_config->daemon = document.daemon;
	if (r < 0)
		config_done(ret_config);
	return r;
}

void config_init(struct config *config)
{
	*config = (struct config){.arena = {.max = CONFIG_ARENA_MAX}};
}

void config_done(struct config *config)
{
	arena_done(&config->arena);
	config_init(config);
}
