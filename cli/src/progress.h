/* How far a pull or load is: bars that are drawn anew on a terminal, a line for each event otherwise. On standard error. */
#pragma once

#include <stdbool.h>

#include "proto/axle.h"

struct arena;

struct progress;

/* All in @arena. NULL when out of memory. @name: of what is fetched, until the daemon says the complete one. @quiet: nothing
 * is printed. */
struct progress *progress_new(struct arena *arena, const char *name, bool quiet);

/* Takes one message of Images.Pull or Images.Load. */
void progress_take(struct progress *progress, const Axle__PullResponse *response);

/* Draws the last state and ends the lines. */
void progress_end(struct progress *progress);

/* "[=====>    ]" of @width columns within the brackets; all blank where @total is 0. */
void progress_bar(char *ret_text, unsigned width, uint64_t done, uint64_t total);
