/* Names with a suffix. The kernel keeps each that it was told until it is told otherwise: they are counted, capped, and
 * taken back when nobody has them open any more. */
#include <errno.h>
#include <string.h>

#include "signals/src/files/internal.h"
#include "signals/src/store_internal.h"

#define SLOT_BITS 16
#define MUX_SUFFIX "stream"
#define IDLE_NS INT64_C(1000000000)

static const struct {
	const char *suffix;
	enum file_kind kind;
	bool of_leaf;
	bool of_branch;
} FIXED[] = {
	{"meta", FILE_META, true, true},
	{"state", FILE_STATE, true, false},
	{"provide", FILE_PROVIDE, true, false},
	{"group", FILE_GROUP, false, true},
};

int names_parse(const struct connection *connection, signal_id signal, const char *suffix, enum file_kind *ret_kind,
		char *canonical)
{
	const struct node *node = store_node(connection->files->store, signal);
	if (signal == NODE_ROOT) {
		*ret_kind = FILE_MUX;
		memcpy(canonical, MUX_SUFFIX, sizeof MUX_SUFFIX);
		return strcmp(suffix, MUX_SUFFIX) == 0 ? 0 : -ENOENT;
	}
	bool leaf = node_is_leaf(node);
	for (size_t i = 0; i < sizeof FIXED / sizeof *FIXED; i++) {
		if (strcmp(FIXED[i].suffix, suffix) != 0)
			continue;
		if (!(leaf ? FIXED[i].of_leaf : FIXED[i].of_branch))
			return -ENOENT;
		*ret_kind = FIXED[i].kind;
		memcpy(canonical, suffix, strlen(suffix) + 1);
		return 0;
	}
	struct filter filter;
	if (!leaf || filter_parse(suffix, strlen(suffix), &node->leaf->rule.type, &filter) < 0)
		return -ENOENT;
	filter_format(&filter, canonical);
	*ret_kind = FILE_STREAM;
	return 0;
}

uint64_t names_node(const struct files *files, const struct table_name *name)
{
	return NAME_NODE | (uint64_t)name->reuse << SLOT_BITS | (uint64_t)(name - files->table->names);
}

struct table_name *names_of_node(const struct files *files, uint64_t node)
{
	uint64_t slot = node & ((1U << SLOT_BITS) - 1);
	if (!(node & NAME_NODE) || slot >= TABLE_NAMES_MAX)
		return NULL;
	struct table_name *name = &files->table->names[slot];
	return name->used && names_node(files, name) == node ? name : NULL;
}

static struct table_name *find_name(const struct connection *connection, signal_id signal, enum file_kind kind,
				    const char *suffix)
{
	struct table *table = connection->files->table;
	for (uint32_t i = 0; i < table->header->name_high; i++) {
		struct table_name *name = &table->names[i];
		if (name->used && name->signal == signal && name->kind == kind && name->connection == connection->number &&
		    strcmp(name->suffix, suffix) == 0)
			return name;
	}
	return NULL;
}

static struct table_name *free_slot(struct table *table)
{
	for (uint32_t i = 0; i < table->header->name_high; i++)
		if (!table->names[i].used)
			return &table->names[i];
	if (table->header->name_high == TABLE_NAMES_MAX)
		return NULL;
	return &table->names[table->header->name_high++];
}

/* The kernel is asked to forget what nobody has open; its FORGET frees the slot. */
static void take_back(struct files *files, const struct table_name *name)
{
	const struct connection *connection = files->connections[name->connection];
	char text[CATALOGUE_NAME_MAX + FILTER_TEXT_MAX + 2];
	const struct table_entry *entry = &files->table->entries[name->signal];
	struct buf buf = {.max = sizeof text};
	if (connection && buf_printf(&buf, "%s@%s", table_entry_name(files->table, name->signal), name->suffix) == 0)
		fuse_invalidate_name(files->invalidator, connection->channel.fd,
				     name->kind == FILE_MUX ? FUSE_ROOT_ID : (uint64_t)entry->parent + 1, buf.data);
	buf_done(&buf);
}

static void watch_idle(struct files *files)
{
	if (!files->idle_names.place)
		(void)timer_set(store_timers(files->store), &files->idle_names, store_now_boot() + IDLE_NS);
}

void names_idle(struct timer *timer)
{
	struct files *files = (struct files *)((char *)timer - offsetof(struct files, idle_names));
	for (uint32_t i = 0; i < files->table->header->name_high; i++)
		if (files->table->names[i].used && files->table->names[i].opens == 0)
			take_back(files, &files->table->names[i]);
}

int names_get(struct connection *connection, signal_id signal, enum file_kind kind, const char *suffix,
	      struct table_name **ret_name)
{
	struct files *files = connection->files;
	struct table_name *name = find_name(connection, signal, kind, suffix);
	watch_idle(files);
	if (!name) {
		if (connection->names >= NAMES_PER_CONNECTION || !(name = free_slot(files->table)))
			return -ENFILE;
		uint32_t reuse = name->reuse + 1;
		*name = (struct table_name){.kind = (uint8_t)kind, .connection = (uint8_t)connection->number,
					    .reuse = reuse, .signal = signal};
		memcpy(name->suffix, suffix, strlen(suffix) + 1);
		table_commit(&name->used, (uint8_t)1);
		connection->names++;
		files->stats.names++;
	}
	*ret_name = name;
	return 0;
}

static void drop(struct files *files, struct table_name *name)
{
	struct connection *connection = files->connections[name->connection];
	table_commit(&name->used, (uint8_t)0);
	files->stats.names--;
	if (connection)
		connection->names--;
}

void names_forget(struct files *files, uint64_t node, uint64_t lookups)
{
	struct table_name *name = names_of_node(files, node);
	if (!name)
		return;
	name->lookups -= lookups < name->lookups ? lookups : name->lookups;
	if (name->lookups == 0 && name->opens == 0)
		drop(files, name);
}

void names_opened(struct files *files, struct table_name *name)
{
	(void)files;
	name->opens++;
}

void names_released(struct files *files, struct table_name *name)
{
	name->opens -= name->opens > 0;
	if (name->opens == 0)
		take_back(files, name);
}

/* How many have it open follows from the handles; of the kernel's references some may have been missed: it is asked to
 * give back what is idle. */
void names_take_over(struct connection *connection)
{
	struct files *files = connection->files;
	struct table *table = files->table;
	for (uint32_t i = 0; i < table->header->name_high; i++) {
		struct table_name *name = &table->names[i];
		if (!name->used || name->connection != connection->number)
			continue;
		name->opens = 0;
		connection->names++;
		files->stats.names++;
	}
	for (uint32_t i = 0; i < table->header->handle_high; i++) {
		const struct table_handle *handle = &table->handles[i];
		if (handle->used && handle->connection == connection->number && handle->name)
			table->names[handle->name - 1].opens++;
	}
	if (connection->names)
		watch_idle(files);
}

void names_drop_all(struct connection *connection)
{
	struct files *files = connection->files;
	for (uint32_t i = 0; i < files->table->header->name_high; i++)
		if (files->table->names[i].used && files->table->names[i].connection == connection->number)
			drop(files, &files->table->names[i]);
}

void op_forget(struct connection *connection, const struct fuse_request *request)
{
	names_forget(connection->files, request->node, request->in.forget.nlookup);
}

void op_batch_forget(struct connection *connection, const struct fuse_request *request)
{
	for (uint32_t i = 0; i < request->in.batch_forget.count; i++) {
		struct fuse_forget_one one = fuse_request_forget(request, i);
		names_forget(connection->files, one.nodeid, one.nlookup);
	}
}
