/* Seccomp profiles of an administrator's own ("Localhost"): files in either form that is in use.
 *
 * The form of the OCI runtime specification is the plain one (linux.seccomp). That of Docker and of the containers tools
 * adds what depends on the machine and on the container: "archMap" instead of "architectures", and for a rule "includes"
 * and "excludes" (capabilities, architectures, minKernel), "name" for a single call, and errno values by name. Both may be
 * mixed; what is left is the plain form. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct oci_seccomp;

#define SECCOMP_PROFILE_BYTES_MAX (1 << 20)

/* Of @text (@source names it) what holds for a container with @capabilities (bit N: capability N) on @kernel ("6.1.0-13":
 * uname(2)'s release) and this program's architecture. All of it lies in @arena.
 * Errors: -EINVAL ("json.malformed", "json.invalid", "seccomp.profile"), -ENOMEM. */
int seccomp_profile_parse(const char *source, const char *text, size_t length, uint64_t capabilities, const char *kernel,
			  struct arena *arena, const struct oci_seccomp **ret_seccomp, struct err *err);

/* The same of the file at the absolute @path, for the running kernel. Errors: also of open(2) and read(2), -EMSGSIZE. */
int seccomp_profile_read(const char *path, uint64_t capabilities, struct arena *arena,
			 const struct oci_seccomp **ret_seccomp, struct err *err);
