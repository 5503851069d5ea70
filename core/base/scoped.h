/* Ownership that the compiler checks: a variable declared with one of these is released when it goes out of scope.
 *
 *	scoped_free char *name = NULL;                 free()
 *	scoped_fd int fd = -1;                         close() where >= 0
 *	scoped(store_free) struct store *store = NULL; store_free(store); the destructor takes NULL
 *	scoped_done(buf_done) struct buf buf = {0};    buf_done(&buf); for objects embedded in the frame
 *
 * A module that is used with scoped() says SCOPED_DEFINE(struct store, store_free) in its header. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void scoped_free_(void *pointer)
{
	free(*(void **)pointer);
}

static inline void scoped_fd_(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* nothing is left to do about it here */
}

#define scoped_free __attribute__((cleanup(scoped_free_)))
#define scoped_fd __attribute__((cleanup(scoped_fd_)))
#define scoped(destructor) __attribute__((cleanup(destructor##_scoped_)))
#define scoped_done(destructor) __attribute__((cleanup(destructor)))

#define SCOPED_DEFINE(type, destructor)                                                                                \
	static inline void destructor##_scoped_(type **pointer)                                                        \
	{                                                                                                              \
		destructor(*pointer);                                                                                  \
	}

/* Hands a scoped pointer or descriptor over to the caller: reads it and leaves NULL or -1 behind. */
#define TAKE(pointer)                                                                                                  \
	({                                                                                                             \
		__auto_type taken_ = (pointer);                                                                        \
		(pointer) = NULL;                                                                                      \
		taken_;                                                                                                \
	})
#define TAKE_FD(fd)                                                                                                    \
	({                                                                                                             \
		int taken_ = (fd);                                                                                     \
		(fd) = -1;                                                                                             \
		taken_;                                                                                                \
	})
