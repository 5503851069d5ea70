/* What a person or a peer must be told about a failure.
 *
 * Filled where the failure is found, given context on the way up, shown once where it is handled. Lives on the caller's
 * stack and never allocates, so that reporting a failure cannot fail. Wherever a function takes a struct err, NULL means
 * that nobody wants to know. */
#pragma once

#define ERR_MESSAGE_MAX 512

struct err {
	int code;		       /* -errno */
	const char *reason;	       /* stable and static, for logs and peers: "digest.malformed" */
	char message[ERR_MESSAGE_MAX]; /* for a person: the thing, the value, what was expected; always terminated */
};

/* Fills @err and returns @code: `return err_set(err, -EINVAL, "digest.malformed", ...)`. An over-long message is cut. */
int err_set(struct err *err, int code, const char *reason, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The same, with ": " and the text of errno -@code behind the message: for a system call that failed.
 * `return err_sys(err, -errno, "store.open", "open %s", path)`. */
int err_sys(struct err *err, int code, const char *reason, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* -ENOMEM while making or reading @what, reason "memory.exhausted": `return err_memory(err, "image store")`. */
int err_memory(struct err *err, const char *what);

/* Puts context in front of the message and returns the code unchanged: `return err_add(err, r, "layer %zu", i)`. */
int err_add(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The message, or the text of @code where nobody filled @err: never NULL, for the line that handles the failure. */
const char *err_text(const struct err *err, int code);
