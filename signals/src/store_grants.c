/* What a subject may do, told with as few patterns as it takes: "Vehicle.Cabin.**" where it holds for all below. */
#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/codec/json.h"
#include "signals/src/store_internal.h"
#include "signals/src/view.h"

#define NS_PER_SECOND 1e9

/* Of a leaf or of all leaves below a branch, where they agree. */
enum { NOT_ASKED = -1, MIXED = -2 };

struct telling {
	const struct store *store;
	const struct subject *subject;
	unsigned right;	 /* 0: the rate is asked for */
	struct buf *json;
	bool first;
};

/* 0: it has not; above: it has (the rate: its interval). */
static int64_t of_leaf(const struct telling *telling, uint32_t node)
{
	signal_id id = telling->store->ids[node];
	bool actuator = catalogue_node(telling->store->catalogue, node)->kind == NODE_ACTUATOR;
	if (telling->right == RIGHT_ACTUATE && !actuator)
		return NOT_ASKED;
	if (telling->right)
		return store_may(telling->store, telling->subject, id, telling->right) == 0;
	bool seen = telling->subject->view && store_may(telling->store, telling->subject, id, RIGHT_READ) == 0;
	return seen ? view_interval_ns(telling->subject->view, id) : 0;
}

static int64_t of_all(const struct telling *telling, uint32_t node)
{
	const struct catalogue *catalogue = telling->store->catalogue;
	int64_t all = NOT_ASKED;
	for (uint32_t at = node; at != NODE_NONE; at = catalogue_next(catalogue, node, at)) {
		int64_t one = node_is_leaf(catalogue_node(catalogue, at)) ? of_leaf(telling, at) : NOT_ASKED;
		if (one == NOT_ASKED)
			continue;
		if (all != NOT_ASKED && all != one)
			return MIXED;
		all = one;
	}
	return all;
}

static int add_one(struct telling *telling, uint32_t node, int64_t interval_ns)
{
	const struct catalogue *catalogue = telling->store->catalogue;
	char path[CATALOGUE_PATH_MAX];
	(void)catalogue_path(catalogue, node, path);
	const char *below = node_is_leaf(catalogue_node(catalogue, node)) ? "" : ".**";
	const char *comma = telling->first ? "" : ",";
	telling->first = false;
	if (telling->right)
		return buf_printf(telling->json, "%s\"%s%s\"", comma, path, below);
	return buf_printf(telling->json, "%s\"%s%s\":%.6g", comma, path, below, NS_PER_SECOND / (double)interval_ns);
}

/* Depth is bounded by the catalogue's. */
static int add_below(struct telling *telling, uint32_t node)
{
	const struct catalogue *catalogue = telling->store->catalogue;
	int r = 0;
	for (uint32_t child = catalogue_node(catalogue, node)->first_child; r == 0 && child != NODE_NONE;
	     child = catalogue_node(catalogue, child)->next) {
		int64_t all = of_all(telling, child);
		if (all == MIXED)
			r = add_below(telling, child);
		else if (all > 0)
			r = add_one(telling, child, all);
	}
	return r;
}

int store_add_rights(const struct store *store, const struct subject *subject, struct buf *ret_json)
{
	static const struct {
		const char *name;
		unsigned right;
		char open, close;
	} LISTS[] = {{"read", RIGHT_READ, '[', ']'}, {"actuate", RIGHT_ACTUATE, '[', ']'}, {"publish", RIGHT_PUBLISH, '[', ']'},
		     {"rates", 0, '{', '}'}};
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_COUNT(LISTS); i++) {
		struct telling telling = {store, subject, LISTS[i].right, ret_json, true};
		r = buf_printf(ret_json, ",\"%s\":%c", LISTS[i].name, LISTS[i].open);
		if (r == 0)
			r = add_below(&telling, NODE_ROOT);
		if (r == 0)
			r = buf_add_char(ret_json, LISTS[i].close);
	}
	return r;
}

int store_add_grants(const struct store *store, const struct subject *subject, struct buf *ret_json)
{
	int r = buf_printf(ret_json, "{\"view\":%s,\"uid\":%u,\"name\":", subject->view ? "true" : "false", subject->uid);
	if (r == 0)
		r = json_add_string(ret_json, subject->name);
	if (r == 0)
		r = store_add_rights(store, subject, ret_json);
	return r < 0 ? r : buf_add_char(ret_json, '}');
}
