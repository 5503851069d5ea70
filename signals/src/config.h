/* The configuration of axsignald: a TOML file (docs/formats/signal-config.md). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "signals/src/grant.h"
#include "signals/src/policy.h"

struct err;

#define CONFIG_BYTES_MAX (1U << 20)

struct config_daemon {
	const char *user;   /* who it becomes once the file system is mounted; NULL: stays, without capabilities */
	const char *state;  /* where the holder's socket lies; NULL: by the mount's path */
	const char *socket; /* of the line protocol; NULL: none */
	const char *audit;  /* a file for the audit; NULL: with the log */
};

struct config {
	struct config_daemon daemon;
	struct policy policy;
	const struct grant *grants;
	size_t grants_count;
	struct arena arena; /* of all the above */
};

/* Reads the @length bytes at @text, called @name in messages; users and groups are looked up in the system's databases.
 * @ret_config is config_done()'s. Errors: -EINVAL (@err: where and what was expected), -ENOMEM. */
int config_read(const char *name, const char *text, size_t length, struct config *ret_config, struct err *err);

/* What holds without a file. */
void config_init(struct config *config);
void config_done(struct config *config);
