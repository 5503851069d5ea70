/* What axsignald is started with and reads again on SIGHUP: catalogue files and the configuration. */
#pragma once

#include "core/base/scoped.h"
#include "signals/src/config.h"

struct catalogue;
struct err;

struct setup {
	const char *const *catalogue_files; /* borrowed; absolute or relative to where the program was started */
	const char *config_file;	    /* borrowed; NULL: none */
	struct catalogue *catalogue;
	struct config config;
};

/* Reads and checks everything; *ret_setup is setup_done()'s. Errors: of open(2) and read(2), of catalogue_load() and
 * config_read(). */
int setup_read(const char *const *catalogue_files, const char *config_file, struct setup *ret_setup, struct err *err);
void setup_done(struct setup *setup);
