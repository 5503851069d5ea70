/* axsignald at work: one event loop over the store and its faces. Everything that can be refused was read before
 * (signals/src/setup.h). */
#pragma once

#include <stdbool.h>

struct err;
struct log;
struct setup;

/* Serves @mount (NULL: no files) until SIGTERM, SIGINT, or the mount is gone. Takes over what @setup holds.
 * Errors: of mounting, of the holder; once it serves, 0. */
int daemon_run(struct setup *setup, const char *mount, const struct log *log, struct err *err);
