#include "signals/src/grant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "signals/src/pattern.h"
#include "signals/src/store.h"

#define NS_PER_SECOND INT64_C(1000000000)
#define UNMANAGED "unmanaged"
#define WORD_MAX 256

#define IDENTITY_FIELDS(type)                                                                                          \
	JSON_FIELD(type, identity.manager, "manager", JSON_STRING_T, 0),                                               \
	JSON_FIELD(type, identity.pod_namespace, "namespace", JSON_STRING_T, 0),                                       \
	JSON_FIELD(type, identity.pod, "pod", JSON_STRING_T, 0),                                                       \
	JSON_FIELD(type, identity.service_account, "service_account", JSON_STRING_T, 0),                               \
	JSON_FIELD(type, identity.image, "image", JSON_STRING_T, 0)
#define LIST_FIELDS(type)                                                                                              \
	JSON_FIELD(type, lists.read, "read", JSON_STRINGS, 0),                                                         \
	JSON_FIELD(type, lists.actuate, "actuate", JSON_STRINGS, 0),                                                   \
	JSON_FIELD(type, lists.publish, "publish", JSON_STRINGS, 0)

static const struct json_field REQUEST_FIELDS[] = {
	JSON_FIELD(struct view_request, id, "id", JSON_STRING_T, JSON_REQUIRED),
	IDENTITY_FIELDS(struct view_request),
	LIST_FIELDS(struct view_request),
	JSON_NESTED(struct view_request, container, "container", JSON_STRUCT_OPT, &CONTAINER_PLACE_TABLE, 0),
};
const struct json_table VIEW_REQUEST_TABLE = JSON_TABLE(struct view_request, REQUEST_FIELDS);

static const struct json_field GRANT_FIELDS[] = {
	IDENTITY_FIELDS(struct grant),
	LIST_FIELDS(struct grant),
	JSON_FIELD(struct grant, rate, "rate", JSON_U64, 0),
};
const struct json_table GRANT_TABLE = JSON_TABLE_STRICT(struct grant, GRANT_FIELDS);

static int check_list(const char *name, const char *const *patterns, struct err *err)
{
	if (strv_count(patterns) > GRANT_PATTERNS_MAX)
		return err_set(err, -E2BIG, "grant.patterns", "%s: expected at most %d patterns", name, GRANT_PATTERNS_MAX);
	for (size_t i = 0; patterns && patterns[i]; i++)
		if (!pattern_is_good(patterns[i]))
			return err_set(err, -EINVAL, "grant.pattern",
				       "%s: expected a path or a pattern such as \"Vehicle.Cabin.**\", found \"%.100s\"", name,
				       patterns[i]);
	return 0;
}

int signal_lists_check(const struct signal_lists *lists, struct err *err)
{
	int r = check_list("read", lists->read, err);
	if (r == 0)
		r = check_list("actuate", lists->actuate, err);
	return r < 0 ? r : check_list("publish", lists->publish, err);
}

static bool text_matches(const char *glob, const char *text)
{
	return !glob || (text && pattern_text_matches(glob, text));
}

/* An image has several digests: of its configuration, its manifest, the index that it was pulled by. One is enough. */
static bool any_word_matches(const char *glob, const char *words)
{
	char word[WORD_MAX];
	while (glob && words && *words) {
		size_t n = strcspn(words, " ");
		if (n > 0 && n < sizeof word) {
			memcpy(word, words, n);
			word[n] = '\0';
			if (pattern_text_matches(glob, word))
				return true;
		}
		words += n + (words[n] != '\0');
	}
	return !glob;
}

static bool identity_matches(const struct view_identity *granted, const struct view_identity *asks)
{
	bool unmanaged = !asks->manager || str_equal(asks->manager, UNMANAGED);
	if (unmanaged && !str_equal(granted->manager, UNMANAGED))
		return false;
	return (unmanaged || text_matches(granted->manager, asks->manager)) &&
	       text_matches(granted->pod_namespace, asks->pod_namespace) && text_matches(granted->pod, asks->pod) &&
	       text_matches(granted->service_account, asks->service_account) && any_word_matches(granted->image, asks->image);
}

static bool any_matches(const char *const *patterns, const char *path)
{
	for (size_t i = 0; patterns && patterns[i]; i++)
		if (pattern_matches(patterns[i], path))
			return true;
	return false;
}

static unsigned rights_in(const struct signal_lists *lists, const char *path)
{
	return (any_matches(lists->read, path) ? (unsigned)RIGHT_READ : 0) |
	       (any_matches(lists->actuate, path) ? (unsigned)RIGHT_ACTUATE : 0) |
	       (any_matches(lists->publish, path) ? (unsigned)RIGHT_PUBLISH : 0);
}

struct computing {
	const struct store *store;
	const struct view_request *request;
	const struct grant *grants;
	size_t count;
	struct view *view;
	bool *any_rate;
};

/* Of several grants that hold, each adds: its rights, and for reading the most generous rate. */
static void compute_leaf(const struct computing *computing, signal_id id, const char *path)
{
	unsigned asked = rights_in(&computing->request->lists, path);
	unsigned rights = 0;
	int64_t interval_ns = INT64_MAX;
	for (size_t i = 0; asked && i < computing->count; i++) {
		const struct grant *grant = &computing->grants[i];
		unsigned here = identity_matches(&grant->identity, &computing->request->identity)
					? asked & rights_in(&grant->lists, path)
					: 0;
		rights |= here;
		int64_t own = grant->rate ? NS_PER_SECOND / (int64_t)grant->rate : 0;
		if (here & RIGHT_READ && own < interval_ns)
			interval_ns = own;
	}
	computing->view->rights[id] = (uint8_t)rights;
	computing->view->intervals_ns[id] = interval_ns == INT64_MAX ? 0 : interval_ns;
	*computing->any_rate |= computing->view->intervals_ns[id] != 0;
}

/* A branch exists where something below it does. */
static void lift_rights(const struct computing *computing, uint32_t node)
{
	const struct catalogue *catalogue = store_catalogue(computing->store);
	unsigned rights = view_rights(computing->view, store_id(computing->store, node));
	for (uint32_t up = catalogue_node(catalogue, node)->parent; rights && up != NODE_NONE;
	     up = catalogue_node(catalogue, up)->parent)
		computing->view->rights[store_id(computing->store, up)] |= RIGHT_READ;
}

int view_compute(const struct store *store, const struct view_request *request, const struct grant *grants, size_t count,
		 struct view *ret_view)
{
	const struct catalogue *catalogue = store_catalogue(store);
	uint32_t ids = store_id_count(store);
	struct view view = {.rights = calloc(ids, 1), .intervals_ns = calloc(ids, sizeof(int64_t)), .count = ids};
	if (!view.rights || !view.intervals_ns) {
		view_done(&view);
		return -ENOMEM;
	}
	bool any_rate = false;
	const struct computing computing = {store, request, grants, count, &view, &any_rate};
	for (uint32_t node = NODE_ROOT; node != NODE_NONE; node = catalogue_next(catalogue, NODE_ROOT, node)) {
		char path[CATALOGUE_PATH_MAX];
		if (!node_is_leaf(catalogue_node(catalogue, node)))
			continue;
		catalogue_path(catalogue, node, path);
		compute_leaf(&computing, store_id(store, node), path);
		lift_rights(&computing, node);
	}
	if (any_rate && !(view.samples = calloc(ids, sizeof(struct view_sample *)))) {
		view_done(&view);
		return -ENOMEM;
	}
	*ret_view = view;
	return 0;
}
