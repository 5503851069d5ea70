/* Times as people type them: how long ago ("90s", "10m", "1h30m"), a date (RFC 3339, or a part of it in local time), or
 * seconds since the epoch. */
#pragma once

#include <stdint.h>

struct err;

/* @option names it in messages. NULL: *ret_ns stays. Errors: -EINVAL. */
int moment_parse(const char *option, const char *text, int64_t *ret_ns, struct err *err);
