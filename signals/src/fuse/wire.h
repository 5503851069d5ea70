/* The FUSE protocol (linux/fuse.h, 7.38, and what came later) as structs: bytes from the kernel in, bytes for it out.
 * No I/O, no state: signals/src/fuse/channel.h reads and writes, signals/src/files/ gives the meaning.
 *
 * A request points into the bytes it was parsed from. Everything in it was checked against their length. */
#pragma once

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* linux/fuse.h 7.41 and later, which Debian 12 does not have */
#define FUSE_WIRE_NOTIFY_RESEND 7
#define FUSE_WIRE_UNIQUE_RESEND (UINT64_C(1) << 63)
#define FUSE_WIRE_HAS_RESEND (UINT64_C(1) << 39)

#define FUSE_WIRE_WRITE_MAX 65536U
#define FUSE_WIRE_REQUEST_MAX (FUSE_WIRE_WRITE_MAX + 4096U)

struct fuse_request {
	uint32_t opcode;
	uint64_t unique; /* all 64 bits: an answer repeats them */
	uint64_t node;
	uint32_t uid;
	uint32_t gid;
	uint32_t pid;
	union {
		struct fuse_init_in init;
		struct fuse_getattr_in getattr;
		struct fuse_setattr_in setattr;
		struct fuse_open_in open;
		struct fuse_create_in create;
		struct fuse_read_in read;
		struct fuse_write_in write;
		struct fuse_release_in release;
		struct fuse_poll_in poll;
		struct fuse_interrupt_in interrupt;
		struct fuse_forget_in forget;
		struct fuse_batch_forget_in batch_forget;
		struct fuse_getxattr_in getxattr;
		struct fuse_ioctl_in ioctl;
		struct fuse_access_in access;
	} in;
	const char *name;  /* of LOOKUP, CREATE, GETXATTR ...; terminated */
	const char *data;  /* of WRITE; the entries of BATCH_FORGET */
	uint32_t size;	   /* of data */
};

/* A request as it was before it was sent again after a restart. */
static inline uint64_t fuse_unique_first(uint64_t unique)
{
	return unique & ~FUSE_WIRE_UNIQUE_RESEND;
}

/* Errors: -EINVAL (shorter than it says, or than its operation needs; a name without an end). The opcode and the unique
 * id are set where the header was whole, so that it can be answered. */
int fuse_request_parse(const char *bytes, size_t length, struct fuse_request *ret_request);

/* The @index-th entry of a BATCH_FORGET. */
struct fuse_forget_one fuse_request_forget(const struct fuse_request *request, uint32_t index);

/* Does the kernel expect an answer? */
bool fuse_request_has_answer(uint32_t opcode);

/* Adds one directory entry; false if it does not fit into @room. */
bool fuse_add_dirent(char *buffer, size_t room, size_t *at, uint64_t node, uint64_t next_offset, uint32_t type,
		     const char *name);
