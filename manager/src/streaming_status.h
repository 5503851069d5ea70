/* How an Exec or Attach ended, as a kubelet's client reads it on the error stream. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct err;

/* What protocol the client asked for: by its version, 1 to 4. From 4 on the status is a Status object of the Kubernetes API
 * in JSON, before that it is text, and nothing for success. */
#define STATUS_PROTOCOL_JSON 4

/* Exit code 0 is success. Errors: -ENOMEM, -EMSGSIZE. */
int status_of_exit(int version, int32_t exit_code, struct buf *ret_text);

/* It could not be done: @what ("executing command in container") and why. */
int status_of_failure(int version, const char *what, const struct err *err, int code, struct buf *ret_text);
