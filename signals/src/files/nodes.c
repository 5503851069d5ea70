/* Lookup, attributes, directories. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "signals/src/files/internal.h"
#include "signals/src/policy.h"
#include "signals/src/store_internal.h"
#include "signals/src/view.h"

#define FILE_SIZE 4096	/* as in sysfs: with 0, some programs do not even read */
#define LONG_SECONDS 86400
#define NS_PER_SECOND 1000000000
#define READDIR_MAX 65536

static bool exists(const struct connection *connection, signal_id id)
{
	if (!store_node(connection->files->store, id))
		return false;
	return !connection->view || id == NODE_ROOT || view_rights(connection->view, id);
}

int files_resolve(const struct connection *connection, uint64_t node, struct node_ref *ret_ref)
{
	const struct files *files = connection->files;
	struct node_ref ref = {0};
	if (node & NAME_NODE) {
		ref.name = names_of_node(files, node);
		if (!ref.name || ref.name->connection != connection->number)
			return -ENOENT;
		ref.signal = ref.name->signal;
		ref.kind = (enum file_kind)ref.name->kind;
	} else {
		if (node == 0 || node > UINT32_MAX)
			return -ENOENT;
		ref.signal = (signal_id)(node - 1);
	}
	if (!exists(connection, ref.signal))
		return -ENOENT;
	if (!ref.name && node_is_leaf(store_node(files->store, ref.signal)))
		ref.kind = FILE_VALUE;
	*ret_ref = ref;
	return 0;
}

/* The bits a grant gives everyone inside a view: there the mount is the identity. */
static mode_t view_mode(const struct view *view, signal_id id)
{
	unsigned rights = view_rights(view, id);
	mode_t mode = rights & RIGHT_READ ? 0444 : 0;
	return rights & (RIGHT_PUBLISH | RIGHT_ACTUATE) ? mode | 0222 : mode;
}

static void fill_permissions(const struct connection *connection, const struct node_ref *ref, struct fuse_attr *attr)
{
	bool directory = ref->kind == FILE_NONE;
	if (connection->view) {
		attr->mode = directory ? 0555 : kind_spans_signals(ref->kind) ? 0666 : view_mode(connection->view, ref->signal);
		return;
	}
	struct permissions permissions = store_permissions(connection->files->store, ref->signal);
	mode_t mode = permissions.mode & 0666;
	if (ref->kind == FILE_MUX) /* anyone: each signal is asked for by itself */
		mode = 0666;
	if (directory) /* who may read may search */
		mode = (mode & 0444) | (mode & 0444) >> 2;
	if (ref->kind == FILE_META || ref->kind == FILE_STATE)
		mode &= 0444;
	attr->mode = mode;
	attr->uid = permissions.uid;
	attr->gid = permissions.gid;
}

void files_fill_attr(const struct connection *connection, uint64_t node, const struct node_ref *ref,
		     struct fuse_attr *ret_attr)
{
	struct fuse_attr attr = {.ino = node, .nlink = 1, .blksize = FILE_SIZE};
	fill_permissions(connection, ref, &attr);
	if (ref->kind == FILE_NONE) {
		attr.mode |= S_IFDIR;
		attr.nlink = 2;
	} else {
		struct reading reading;
		attr.mode |= S_IFREG;
		attr.size = FILE_SIZE;
		attr.blocks = 0;
		if (!kind_spans_signals(ref->kind)) {
			store_read(connection->files->store, connection->view, ref->signal, &reading);
			attr.mtime = (uint64_t)(reading.receive_ns / NS_PER_SECOND);
			attr.mtimensec = (uint32_t)(reading.receive_ns % NS_PER_SECOND);
		}
	}
	attr.atime = attr.ctime = attr.mtime;
	attr.atimensec = attr.ctimensec = attr.mtimensec;
	*ret_attr = attr;
}

/* Times of values are always asked for; directories change with a reload only, which invalidates them. */
uint64_t files_attr_seconds(const struct node_ref *ref)
{
	return ref->kind == FILE_NONE ? LONG_SECONDS : 0;
}

static void answer_entry(struct connection *connection, const struct fuse_request *request, uint64_t node,
			 const struct node_ref *ref, uint64_t entry_seconds)
{
	struct fuse_entry_out out = {.nodeid = node, .generation = 1, .entry_valid = entry_seconds,
				     .attr_valid = files_attr_seconds(ref)};
	files_fill_attr(connection, node, ref, &out.attr);
	answer(connection, request, 0, &out, sizeof out);
}

/* "Speed@rate=10" below @parent. */
static int lookup_name(struct connection *connection, const struct fuse_request *request, const struct node_ref *parent,
		       const char *at)
{
	struct files *files = connection->files;
	uint32_t node = parent->signal == NODE_ROOT && at == request->name
				? NODE_ROOT /* "@stream": of no signal */
				: catalogue_child(store_catalogue(files->store),
						  store_node_index(files->store, parent->signal), request->name,
						  (size_t)(at - request->name));
	struct node_ref ref = {.signal = store_id(files->store, node)};
	char canonical[FILTER_TEXT_MAX];
	if (node == NODE_NONE || !exists(connection, ref.signal))
		return -ENOENT;
	int r = names_parse(connection, ref.signal, at + 1, &ref.kind, canonical);
	if (r == 0)
		r = names_get(connection, ref.signal, ref.kind, canonical, &ref.name);
	if (r < 0)
		return r;
	ref.name->lookups++;
	answer_entry(connection, request, names_node(files, ref.name), &ref, 0);
	/* another spelling leads to the same file, but the kernel need not remember it */
	if (strcmp(at + 1, canonical) != 0)
		fuse_invalidate_name(files->invalidator, connection->channel.fd, request->node, request->name);
	return 0;
}

static int lookup(struct connection *connection, const struct fuse_request *request)
{
	struct files *files = connection->files;
	struct node_ref parent;
	int r = files_resolve(connection, request->node, &parent);
	if (r < 0)
		return r;
	if (parent.kind != FILE_NONE)
		return -ENOTDIR;
	if (strlen(request->name) > CATALOGUE_NAME_MAX + FILTER_TEXT_MAX)
		return -ENAMETOOLONG;
	const char *at = strchr(request->name, '@');
	if (at)
		return lookup_name(connection, request, &parent, at);
	uint32_t node = catalogue_child(store_catalogue(files->store), store_node_index(files->store, parent.signal),
					request->name, strlen(request->name));
	struct node_ref ref = {.signal = store_id(files->store, node)};
	if (node == NODE_NONE || !exists(connection, ref.signal))
		return -ENOENT;
	if (node_is_leaf(store_node(files->store, ref.signal)))
		ref.kind = FILE_VALUE;
	answer_entry(connection, request, (uint64_t)ref.signal + 1, &ref, LONG_SECONDS);
	return 0;
}

void op_lookup(struct connection *connection, const struct fuse_request *request)
{
	int r = lookup(connection, request);
	if (r < 0)
		answer(connection, request, r, NULL, 0);
}

static void answer_attr(struct connection *connection, const struct fuse_request *request)
{
	struct node_ref ref;
	struct fuse_attr_out out = {0};
	int r = files_resolve(connection, request->node, &ref);
	if (r == 0) {
		out.attr_valid = files_attr_seconds(&ref);
		files_fill_attr(connection, request->node, &ref, &out.attr);
	}
	answer(connection, request, r, &out, sizeof out);
}

void op_getattr(struct connection *connection, const struct fuse_request *request)
{
	answer_attr(connection, request);
}

/* access(2) in a view, where the kernel does not check by itself: everyone there has the same rights. */
void op_access(struct connection *connection, const struct fuse_request *request)
{
	struct node_ref ref;
	struct fuse_attr attr;
	int r = files_resolve(connection, request->node, &ref);
	if (r == 0) {
		files_fill_attr(connection, request->node, &ref, &attr);
		if (connection->view && (request->in.access.mask & 7 & ~attr.mode))
			r = -EACCES;
	}
	answer(connection, request, r, NULL, 0);
}

/* Size and times: accepted, no effect (truncate, touch). Owner and mode are the policy's. */
void op_setattr(struct connection *connection, const struct fuse_request *request)
{
	if (request->in.setattr.valid & (FATTR_MODE | FATTR_UID | FATTR_GID))
		answer(connection, request, -EPERM, NULL, 0);
	else
		answer_attr(connection, request);
}

void op_opendir(struct connection *connection, const struct fuse_request *request)
{
	struct fuse_open_out out = {0};
	answer(connection, request, 0, &out, sizeof out);
}

/* Where a listing goes on: 1 and 2 are behind "." and "..", then 3 + the id of the entry that came last. */
static uint32_t next_child(const struct files *files, uint32_t parent, uint64_t offset)
{
	const struct catalogue *catalogue = store_catalogue(files->store);
	if (offset <= 2)
		return catalogue_node(catalogue, parent)->first_child;
	uint32_t node = store_node_index(files->store, (signal_id)(offset - 3));
	/* an entry that a reload took away ends the listing: there is no telling where it went on */
	if (node == NODE_NONE || catalogue_node(catalogue, node)->parent != parent)
		return NODE_NONE;
	return catalogue_node(catalogue, node)->next;
}

static void add_children(struct connection *connection, uint32_t parent, uint64_t offset, char *entries, size_t room,
			 size_t *at)
{
	struct files *files = connection->files;
	const struct catalogue *catalogue = store_catalogue(files->store);
	for (uint32_t node = next_child(files, parent, offset); node != NODE_NONE;
	     node = catalogue_node(catalogue, node)->next) {
		signal_id id = store_id(files->store, node);
		const struct node *n = catalogue_node(catalogue, node);
		uint32_t type = (uint32_t)(node_is_leaf(n) ? S_IFREG : S_IFDIR) >> 12;
		if (!exists(connection, id))
			continue;
		if (!fuse_add_dirent(entries, room, at, (uint64_t)id + 1, (uint64_t)id + 3, type, n->name))
			return;
	}
}

void op_readdir(struct connection *connection, const struct fuse_request *request)
{
	struct files *files = connection->files;
	struct node_ref ref;
	int r = files_resolve(connection, request->node, &ref);
	if (r == 0 && ref.kind != FILE_NONE)
		r = -ENOTDIR;
	size_t room = request->in.read.size < READDIR_MAX ? request->in.read.size : READDIR_MAX;
	char *entries = NULL;
	buf_clear(&files->text);
	if (r == 0)
		r = buf_reserve(&files->text, room, &entries);
	if (r < 0) {
		answer(connection, request, r, NULL, 0);
		return;
	}
	size_t at = 0;
	uint64_t offset = request->in.read.offset;
	if (offset < 1 && !fuse_add_dirent(entries, room, &at, request->node, 1, S_IFDIR >> 12, "."))
		offset = 0;
	if (offset < 2)
		(void)fuse_add_dirent(entries, room, &at, request->node, 2, S_IFDIR >> 12, "..");
	add_children(connection, store_node_index(files->store, ref.signal), offset, entries, room, &at);
	answer(connection, request, 0, entries, at);
}
