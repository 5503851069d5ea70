#include "signals/src/fuse/wire.h"

#include <errno.h>
#include <string.h>

#include "core/base/array.h"

#define MEMBER_SIZE(member) sizeof(((struct fuse_request *)0)->in.member)

enum tail {
	TAIL_NONE,
	TAIL_NAME,
	TAIL_DATA,
};

/* What follows the header: a struct of at least so many bytes (older minors send fewer), then a name or data. */
static const struct {
	uint16_t bytes;
	uint8_t tail;
} FORMS[] = {
	[FUSE_LOOKUP] = {0, TAIL_NAME},
	[FUSE_FORGET] = {MEMBER_SIZE(forget), TAIL_NONE},
	[FUSE_GETATTR] = {MEMBER_SIZE(getattr), TAIL_NONE},
	[FUSE_SETATTR] = {MEMBER_SIZE(setattr), TAIL_NONE},
	[FUSE_OPEN] = {MEMBER_SIZE(open), TAIL_NONE},
	[FUSE_READ] = {MEMBER_SIZE(read), TAIL_NONE},
	[FUSE_WRITE] = {MEMBER_SIZE(write), TAIL_DATA},
	[FUSE_RELEASE] = {MEMBER_SIZE(release), TAIL_NONE},
	[FUSE_GETXATTR] = {MEMBER_SIZE(getxattr), TAIL_NAME},
	[FUSE_LISTXATTR] = {MEMBER_SIZE(getxattr), TAIL_NONE},
	[FUSE_INIT] = {8, TAIL_NONE},
	[FUSE_OPENDIR] = {MEMBER_SIZE(open), TAIL_NONE},
	[FUSE_READDIR] = {MEMBER_SIZE(read), TAIL_NONE},
	[FUSE_RELEASEDIR] = {MEMBER_SIZE(release), TAIL_NONE},
	[FUSE_ACCESS] = {MEMBER_SIZE(access), TAIL_NONE},
	[FUSE_CREATE] = {MEMBER_SIZE(create), TAIL_NAME},
	[FUSE_INTERRUPT] = {MEMBER_SIZE(interrupt), TAIL_NONE},
	[FUSE_POLL] = {MEMBER_SIZE(poll), TAIL_NONE},
	[FUSE_BATCH_FORGET] = {MEMBER_SIZE(batch_forget), TAIL_DATA},
	[FUSE_IOCTL] = {MEMBER_SIZE(ioctl), TAIL_NONE},
};

static int parse_tail(struct fuse_request *request, enum tail tail, const char *bytes, size_t length)
{
	if (tail == TAIL_NAME) {
		if (!memchr(bytes, '\0', length))
			return -EINVAL;
		request->name = bytes;
	} else if (tail == TAIL_DATA) {
		request->data = bytes;
		request->size = (uint32_t)length;
	}
	return 0;
}

static int check_counts(const struct fuse_request *request)
{
	if (request->opcode == FUSE_WRITE && request->in.write.size != request->size)
		return -EINVAL;
	if (request->opcode == FUSE_BATCH_FORGET &&
	    request->in.batch_forget.count > request->size / sizeof(struct fuse_forget_one))
		return -EINVAL;
	return 0;
}

int fuse_request_parse(const char *bytes, size_t length, struct fuse_request *ret_request)
{
	struct fuse_in_header header;
	*ret_request = (struct fuse_request){0};
	if (length < sizeof header)
		return -EINVAL;
	memcpy(&header, bytes, sizeof header);
	ret_request->opcode = header.opcode;
	ret_request->unique = header.unique;
	ret_request->node = header.nodeid;
	ret_request->uid = header.uid;
	ret_request->gid = header.gid;
	ret_request->pid = header.pid;
	if (header.len != length)
		return -EINVAL;
	if (header.opcode >= ARRAY_COUNT(FORMS))
		return 0;
	bytes += sizeof header;
	length -= sizeof header;
	/* behind the operation's own bytes the kernel may put extensions (7.38): not for those that have a tail here */
	size_t own = FORMS[header.opcode].bytes;
	if (length < own)
		return -EINVAL;
	if (header.opcode == FUSE_INIT) /* as much of it as there is */
		own = length < MEMBER_SIZE(init) ? length : MEMBER_SIZE(init);
	memcpy(&ret_request->in, bytes, own);
	int r = parse_tail(ret_request, (enum tail)FORMS[header.opcode].tail, bytes + own, length - own);
	return r < 0 ? r : check_counts(ret_request);
}

struct fuse_forget_one fuse_request_forget(const struct fuse_request *request, uint32_t index)
{
	struct fuse_forget_one one;
	memcpy(&one, request->data + index * sizeof one, sizeof one);
	return one;
}

bool fuse_request_has_answer(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

bool fuse_add_dirent(char *buffer, size_t room, size_t *at, uint64_t node, uint64_t next_offset, uint32_t type,
		     const char *name)
{
	size_t length = strlen(name);
	struct fuse_dirent entry = {.ino = node, .off = next_offset, .namelen = (uint32_t)length, .type = type};
	size_t size = FUSE_DIRENT_ALIGN(offsetof(struct fuse_dirent, name) + length);
	if (size > room - *at)
		return false;
	char *out = buffer + *at;
	memset(out, 0, size);
	memcpy(out, &entry, offsetof(struct fuse_dirent, name));
	memcpy(out + offsetof(struct fuse_dirent, name), name, length);
	*at += size;
	return true;
}
