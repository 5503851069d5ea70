/* What limits were before an update, so that one that fails halfway changes nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define LIMITS_SAVED_MAX 64

struct limits_saved {
	struct {
		int dir_fd; /* borrowed: the group's */
		char file[80];
		char text[200];
	} entries[LIMITS_SAVED_MAX];
	size_t count;
};

/* Notes the content of a cgroup file of one line. One that is missing, or longer, is left out: it is never restored. */
void limits_saved_note(struct limits_saved *saved, int dir_fd, const char *file);

/* Writes all back, the last first; twice, because of limits that bound one another. */
void limits_saved_restore(const struct limits_saved *saved);
