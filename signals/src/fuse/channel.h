/* One FUSE connection's descriptor: whole requests in, answers and notifications out. Never blocks.
 *
 * NOTIFY_INVAL_* may wait for locks that a task holds which itself waits for us: they are sent by a thread of their own
 * (struct fuse_invalidator), never by the one that serves requests. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"
#include "signals/src/fuse/wire.h"

struct fuse_channel {
	int fd;	      /* not owned */
	char *buffer; /* FUSE_WIRE_REQUEST_MAX bytes */
	char *small;  /* a page, for answers that fit: the kernel looks up the pages of each part by itself */
};

/* Errors: -ENOMEM, of fcntl(2). */
int fuse_channel_init(struct fuse_channel *channel, int fd);
void fuse_channel_done(struct fuse_channel *channel);

/* 1: *ret_request is there, valid until the next call; 0: nothing waits.
 * Errors: -ENODEV (the file system was unmounted or the connection aborted), of read(2). */
int fuse_channel_receive(struct fuse_channel *channel, struct fuse_request *ret_request);

/* Answers: @error 0 or -errno; then @size bytes (only with 0). An answer to a request that is gone is no error. */
int fuse_channel_answer(const struct fuse_channel *channel, uint64_t unique, int error, const void *bytes, size_t size);

/* An answer that was kept, with its header. */
int fuse_channel_answer_again(const struct fuse_channel *channel, uint64_t unique, const char *answer, size_t size);

/* The file behind @poll_handle is ready. */
void fuse_channel_notify_poll(const struct fuse_channel *channel, uint64_t poll_handle);

/* Asks for all requests that an earlier server read and did not answer. Errors: -EINVAL (kernel before 6.9). */
int fuse_channel_notify_resend(const struct fuse_channel *channel);

/* signals/src/fuse/invalidator.c */
struct fuse_invalidator;

/* Starts the thread. Errors: -ENOMEM, -EAGAIN. */
int fuse_invalidator_new(struct fuse_invalidator **ret_invalidator);
/* Waits for what is being sent; drops the rest. */
void fuse_invalidator_free(struct fuse_invalidator *invalidator);
SCOPED_DEFINE(struct fuse_invalidator, fuse_invalidator_free)

/* Queue: never block, fail silently when out of memory (names and attributes are then dropped later). */
void fuse_invalidate_name(struct fuse_invalidator *invalidator, int fd, uint64_t parent, const char *name);
void fuse_invalidate_node(struct fuse_invalidator *invalidator, int fd, uint64_t node);
/* Drops what is queued for @fd and waits until none of it is being sent: before the descriptor is closed. */
void fuse_invalidator_forget(struct fuse_invalidator *invalidator, int fd);
