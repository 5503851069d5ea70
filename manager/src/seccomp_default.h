/* The system calls of an ordinary container: the profile "RuntimeDefault".
 *
 * What no ordinary program needs, and what has let programs out of containers, is refused; what a capability is about is
 * allowed to those who were granted it. The table is in seccomp_default.c. */
#pragma once

#include <stdint.h>

struct arena;
struct oci_seccomp;

/* Makes the profile for a container with these capabilities (bit N: capability N); all of it lies in @arena.
 * Errors: -ENOMEM. */
int seccomp_default_make(uint64_t capabilities, struct arena *arena, const struct oci_seccomp **ret_seccomp);
