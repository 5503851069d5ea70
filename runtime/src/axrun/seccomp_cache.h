/* Compiled seccomp programs, kept below the state root: compiling a usual profile costs more than all the rest of a start.
 *
 * An entry holds the whole profile it was made from (with machine, library and cache version) and is used only where that
 * is equal byte for byte; anything odd counts as not there. */
#pragma once

#include "core/base/buf.h"

struct oci_seccomp;
struct seccomp_program;

#define SECCOMP_PROFILE_MAX (1 << 20)
#define SECCOMP_CACHE_ENTRIES_MAX 64

/* What decides the program, as bytes (not text): appended to @ret_profile. Errors: -ENOMEM, -EMSGSIZE. */
int seccomp_profile_bytes(const struct oci_seccomp *seccomp, struct buf *ret_profile);

/* Fills filter, length and notifies. Returns 0, or -ENOENT. */
int seccomp_cache_get(int dir_fd, const struct buf *profile, struct seccomp_program *program);

/* Keeps a program. A failure is silent: the next start compiles again. */
void seccomp_cache_put(int dir_fd, const struct buf *profile, const struct seccomp_program *program);
