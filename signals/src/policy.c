#include "signals/src/policy.h"

#include "signals/src/pattern.h"

static void apply(const struct rule *rule, struct permissions *permissions)
{
	if (rule->given & RULE_OWNER)
		permissions->uid = rule->uid;
	if (rule->given & RULE_GROUP)
		permissions->gid = rule->gid;
	if (rule->given & RULE_MODE)
		permissions->mode = rule->mode;
	if (rule->given & RULE_AGE)
		permissions->max_age_ns = rule->max_age_ns;
	if (rule->given & RULE_DEADLINE)
		permissions->deadline_ns = rule->deadline_ns;
	if (rule->given & RULE_ACL) {
		permissions->acl = rule->acl_count ? rule->acl : NULL;
		permissions->acl_count = rule->acl_count;
	}
}

struct permissions policy_resolve(const struct policy *policy, const char *path)
{
	struct permissions permissions = {.mode = POLICY_DEFAULT_MODE, .deadline_ns = POLICY_DEFAULT_DEADLINE_NS};
	for (size_t i = 0; policy && i < policy->count; i++)
		if (pattern_matches(policy->rules[i].pattern, path))
			apply(&policy->rules[i], &permissions);
	return permissions;
}

static bool is_member(gid_t wanted, gid_t gid, const gid_t *groups, size_t group_count)
{
	bool found = wanted == gid;
	for (size_t i = 0; !found && i < group_count; i++)
		found = groups[i] == wanted;
	return found;
}

/* acl(5), "Access check algorithm": owner, named users, groups, others; named entries and the group under the mask. */
bool permissions_allow(const struct permissions *permissions, uid_t uid, gid_t gid, const gid_t *groups,
		       size_t group_count, unsigned bits)
{
	unsigned mask = permissions->acl ? permissions->mode >> 3 & 7 : 7;
	if (uid == 0)
		return true;
	if (uid == permissions->uid)
		return (permissions->mode >> 6 & bits) == bits;
	for (size_t i = 0; i < permissions->acl_count; i++)
		if (permissions->acl[i].tag == ACL_TAG_USER && permissions->acl[i].id == uid)
			return (permissions->acl[i].bits & mask & bits) == bits;
	bool in_a_group = is_member(permissions->gid, gid, groups, group_count);
	if (in_a_group && (permissions->mode >> 3 & 7 & bits) == bits)
		return true;
	for (size_t i = 0; i < permissions->acl_count; i++) {
		const struct acl_entry *entry = &permissions->acl[i];
		if (entry->tag != ACL_TAG_GROUP || !is_member(entry->id, gid, groups, group_count))
			continue;
		in_a_group = true;
		if ((entry->bits & mask & bits) == bits)
			return true;
	}
	return !in_a_group && (permissions->mode & bits) == bits;
}
