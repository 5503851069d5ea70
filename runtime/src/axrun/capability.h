/* Linux capabilities of a container process (capabilities(7), config.md "process.capabilities"). */
#pragma once

#include <stdint.h>

struct err;
struct oci_capabilities;

/* One bit per capability in each set. */
struct capability_sets {
	uint64_t bounding;
	uint64_t effective;
	uint64_t inheritable;
	uint64_t permitted;
	uint64_t ambient;
};

/* "CAP_CHOWN" in any case, with or without the prefix. Returns its number, or -EINVAL. */
int capability_parse(const char *name);
const char *capability_name(unsigned number); /* NULL beyond the last */

/* Reads the sets (NULL: none at all). Names that this kernel does not know, and what the calling process may not grant,
 * are left out, as the specification asks ("SHOULD NOT fail"). @available: what may be granted. */
void capability_sets_from_oci(const struct oci_capabilities *oci, uint64_t available, struct capability_sets *ret_sets);

/* The calling process's bounding set. */
uint64_t capability_bounding_set(void);

/* Reduces the bounding set: needs CAP_SETPCAP, so before capability_apply(). */
int capability_limit_bounding(uint64_t bounding, struct err *err);

/* Sets the rest on the calling process, after its uid has changed (PR_SET_KEEPCAPS). */
int capability_apply(const struct capability_sets *sets, struct err *err);
