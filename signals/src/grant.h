/* What containers may see and do: the host's grants, requests by annotation, and what comes of both.
 *
 * A request names signals by patterns; each grant says for which containers it holds and up to which signals. What a
 * container gets is what it asked for and some grant allows. Who the container is, the caller of the runtime vouches for;
 * a hook that nobody told anything says "unmanaged". docs/formats/signal-views.md */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/codec/json.h"
#include "signals/src/container_place.h"
#include "signals/src/view.h"

struct arena;
struct err;
struct store;

#define GRANTS_MAX 1024
#define GRANT_PATTERNS_MAX 256 /* of one list */
#define VIEW_TEXT_MAX 16384    /* a request as JSON */

/* Lists of patterns; NULL: none. */
struct signal_lists {
	const char *const *read;
	const char *const *actuate;
	const char *const *publish;
};

/* Who a container is. NULL: not known. */
struct view_identity {
	const char *manager; /* "axled", "unmanaged" */
	const char *pod_namespace;
	const char *pod;
	const char *service_account;
	const char *image; /* digests, separated by blanks; in a grant a glob that one of them matches */
};

struct view_request {
	const char *id; /* of the container: one view each */
	struct view_identity identity;
	struct signal_lists lists;
	const struct container_place *container; /* where the view is to be mounted again; NULL: nobody can */
};

/* Members of the identity are globs ("*" any characters); NULL matches any container but those that are unmanaged, which
 * only a grant reaches that names their manager. */
struct grant {
	struct view_identity identity;
	struct signal_lists lists;
	uint64_t rate; /* most updates a second of each signal; 0: no limit */
};

extern const struct json_table VIEW_REQUEST_TABLE;
extern const struct json_table GRANT_TABLE; /* strict */

/* Checks patterns and counts. Errors: -EINVAL, -E2BIG. */
int signal_lists_check(const struct signal_lists *lists, struct err *err);

/* Fills @ret_view (view_done()) with what holds now: to be done again after a reload. Errors: -ENOMEM. */
int view_compute(const struct store *store, const struct view_request *request, const struct grant *grants, size_t count,
		 struct view *ret_view);
