/* -v HOST:PATH[:OPTIONS] and --device HOST[:PATH[:rwm]], in the host's terms to CRI's. */
#pragma once

#include "proto/cri.h"

struct arena;
struct err;

/* A relative HOST is of the current folder; it must exist. OPTIONS: ro, rw, rro (with everything mounted below), private,
 * slave, shared and their r- forms, z, Z, noexec, nosuid, nodev, separated by commas.
 * Errors: -EINVAL, -ENOENT and others of realpath(3), -ENOMEM. */
int volume_parse(const char *text, struct arena *arena, Cri__Mount *ret_mount, struct err *err);

/* Errors: as above. */
int device_parse(const char *text, struct arena *arena, Cri__Device *ret_device, struct err *err);
