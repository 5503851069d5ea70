/* Seccomp filters (config-linux.md, "Seccomp"). */
#pragma once

#include <stddef.h>

#include "runtime/src/axrun/seccomp_program.h"

struct err;
struct oci_seccomp;

void seccomp_program_done(struct seccomp_program *program);

/* Makes the BPF program of a profile. Unknown system calls are left out (an older library, a newer profile).
 * @cache_fd: a directory where compiled programs are kept (-1: nowhere); what is found there was made from the same
 * profile by the same version. Errors: -EINVAL (@err: which action, operator or architecture), -ENOMEM. */
int seccomp_program_compile(const struct oci_seccomp *seccomp, int cache_fd, struct seccomp_program *ret_program,
		    struct err *err);

/* Loads it into the calling process, which has CAP_SYS_ADMIN in its user namespace or no_new_privs.
 * *ret_listener: the notification descriptor, or -1. */
int seccomp_program_load(const struct seccomp_program *program, int *ret_listener, struct err *err);

/* The names that profiles may use, for `features`; NULL behind the last. */
const char *seccomp_action_name(size_t index);
const char *seccomp_operator_name(size_t index);
const char *seccomp_architecture_name(size_t index);
const char *seccomp_flag_name(size_t index);
