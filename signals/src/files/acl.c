/* POSIX ACLs of the policy, as the kernel asks for them (linux/posix_acl_xattr.h). */
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

#include "signals/src/files/internal.h"
#include "signals/src/policy.h"
#include "signals/src/store_internal.h"

#define ACL_NAME "system.posix_acl_access"
#define ACL_FIXED 4 /* owner, group, mask, others */

struct acl {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[ACL_ENTRIES_MAX + ACL_FIXED];
};

static void add_entry(struct acl *acl, size_t *count, uint16_t tag, unsigned bits, uint32_t id)
{
	acl->entries[(*count)++] = (struct posix_acl_xattr_entry){.e_tag = tag, .e_perm = (uint16_t)bits, .e_id = id};
}

static void add_named(struct acl *acl, size_t *count, const struct permissions *permissions, enum acl_tag tag, bool directory)
{
	for (size_t i = 0; i < permissions->acl_count; i++) {
		const struct acl_entry *entry = &permissions->acl[i];
		unsigned bits = directory ? (entry->bits & 4U) | (entry->bits & 4U) >> 2 : entry->bits;
		if (entry->tag == tag)
			add_entry(acl, count, tag == ACL_TAG_USER ? ACL_USER : ACL_GROUP, bits, entry->id);
	}
}

/* In the order that the kernel demands. Returns the size. */
static size_t fill(struct acl *acl, const struct permissions *permissions, mode_t mode, bool directory)
{
	size_t count = 0;
	acl->header.a_version = POSIX_ACL_XATTR_VERSION;
	add_entry(acl, &count, ACL_USER_OBJ, mode >> 6 & 7, (uint32_t)ACL_UNDEFINED_ID);
	add_named(acl, &count, permissions, ACL_TAG_USER, directory);
	add_entry(acl, &count, ACL_GROUP_OBJ, mode >> 3 & 7, (uint32_t)ACL_UNDEFINED_ID);
	add_named(acl, &count, permissions, ACL_TAG_GROUP, directory);
	add_entry(acl, &count, ACL_MASK, mode >> 3 & 7, (uint32_t)ACL_UNDEFINED_ID);
	add_entry(acl, &count, ACL_OTHER, mode & 7, (uint32_t)ACL_UNDEFINED_ID);
	return sizeof acl->header + count * sizeof acl->entries[0];
}

/* Size of the ACL of a node. Errors: -ENODATA (it has none), -ENOENT. */
static int acl_of(const struct connection *connection, uint64_t node, struct acl *ret_acl, size_t *ret_size)
{
	struct node_ref ref;
	struct fuse_attr attr;
	int r = files_resolve(connection, node, &ref);
	if (r < 0)
		return r;
	struct permissions permissions = store_permissions(connection->files->store, ref.signal);
	if (connection->view || !permissions.acl)
		return -ENODATA;
	files_fill_attr(connection, node, &ref, &attr);
	*ret_size = fill(ret_acl, &permissions, attr.mode, ref.kind == FILE_NONE);
	return 0;
}

/* getxattr(2): size 0 asks how many bytes there are. */
static void answer_sized(struct connection *connection, const struct fuse_request *request, const void *bytes,
			 size_t size)
{
	struct fuse_getxattr_out out = {.size = (uint32_t)size};
	uint32_t room = request->in.getxattr.size;
	if (room == 0)
		answer(connection, request, 0, &out, sizeof out);
	else
		answer(connection, request, room < size ? -ERANGE : 0, bytes, size);
}

void op_getxattr(struct connection *connection, const struct fuse_request *request)
{
	struct acl acl;
	size_t size = 0;
	int r = -ENODATA;
	if (strcmp(request->name, ACL_NAME) == 0)
		r = acl_of(connection, request->node, &acl, &size);
	if (r < 0)
		answer(connection, request, r, NULL, 0);
	else
		answer_sized(connection, request, &acl, size);
}

void op_listxattr(struct connection *connection, const struct fuse_request *request)
{
	struct acl acl;
	size_t size = 0;
	int r = acl_of(connection, request->node, &acl, &size);
	if (r < 0 && r != -ENODATA)
		answer(connection, request, r, NULL, 0);
	else
		answer_sized(connection, request, ACL_NAME, r == 0 ? sizeof ACL_NAME : 0);
}
