/* A pod's membership in a network, as its record knows it (struct network_record). Embedded in struct pod. */
#pragma once

#include <stddef.h>

#include "manager/src/record.h"

struct arena;
struct cni_result;
struct err;

struct membership {
	struct network_record record; /* what the pod's record points to; its documents are owned */
	const char **addresses;	      /* of the pod, without prefixes, in the result's order; in the pod's arena */
	size_t addresses_count;
};

/* Ends the membership; {0} is none. */
void membership_done(struct membership *membership);

/* Takes over what @record, which was just read, says of a network, and lets it point here. Errors: -EINVAL, -ENOMEM. */
int membership_load(struct membership *membership, struct pod_record *record, struct arena *arena, struct err *err);

/* Notes the addresses of a result. Errors: -ENOMEM. */
int membership_take_addresses(struct membership *membership, const struct cni_result *result, struct arena *arena);
