/* Who may read and set which signal on the host, and how old a value may become: rules over patterns, later ones over
 * earlier ones. Immutable; made from the configuration (signals/src/config.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ACL_ENTRIES_MAX 32
#define POLICY_RULES_MAX 1024

enum acl_tag {
	ACL_TAG_USER,
	ACL_TAG_GROUP,
};

/* A named entry of a POSIX ACL. */
struct acl_entry {
	uint8_t tag;
	uint8_t bits; /* 4 read, 2 write */
	uint32_t id;
};

enum rule_members {
	RULE_OWNER = 1,
	RULE_GROUP = 2,
	RULE_MODE = 4,
	RULE_ACL = 8,
	RULE_AGE = 16,
	RULE_DEADLINE = 32,
};

struct rule {
	const char *pattern;
	unsigned given; /* enum rule_members */
	uid_t uid;
	gid_t gid;
	mode_t mode; /* 0644 and the like; with an ACL its group bits are the mask (acl(5)) */
	const struct acl_entry *acl;
	size_t acl_count;
	int64_t max_age_ns;  /* 0: none */
	int64_t deadline_ns; /* for answering a request */
};

struct policy {
	const struct rule *rules;
	size_t count;
};

/* What holds for one node: the later rule wins, member by member. */
struct permissions {
	uid_t uid;
	gid_t gid;
	mode_t mode;
	const struct acl_entry *acl; /* borrowed from the policy; NULL: none */
	size_t acl_count;
	int64_t max_age_ns;
	int64_t deadline_ns;
};

#define POLICY_DEFAULT_MODE 0644
#define POLICY_DEFAULT_DEADLINE_NS INT64_C(5000000000)

/* @policy may be NULL: root, 0644, no maximum age. */
struct permissions policy_resolve(const struct policy *policy, const char *path);

/* What the kernel computes of owner, mode and ACL, for faces that it does not guard. @bits: 4 read, 2 write. Root may. */
bool permissions_allow(const struct permissions *permissions, uid_t uid, gid_t gid, const gid_t *groups,
		       size_t group_count, unsigned bits);
