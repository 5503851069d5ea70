#include "runtime/src/axrun/limits_saved.h"

#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"

#define FILE_BYTES_MAX 4096

void limits_saved_note(struct limits_saved *saved, int dir_fd, const char *file)
{
	scoped_done(buf_done) struct buf text = {.max = FILE_BYTES_MAX};
	if (dir_fd < 0 || saved->count == LIMITS_SAVED_MAX || strlen(file) >= sizeof saved->entries->file ||
	    file_read_at(dir_fd, file, &text, NULL) < 0 || !text.data || text.size >= sizeof saved->entries->text)
		return;
	const char *end = strchr(text.data, '\n');
	if (end && end[1])
		return;
	saved->entries[saved->count].dir_fd = dir_fd;
	(void)snprintf(saved->entries[saved->count].file, sizeof saved->entries->file, "%s", file);
	(void)snprintf(saved->entries[saved->count].text, sizeof saved->entries->text, "%s", text.data);
	saved->count++;
}

void limits_saved_restore(const struct limits_saved *saved)
{
	for (int round = 0; round < 2; round++)
		for (size_t i = saved->count; i-- > 0;) /* the update's own failure is the one to be told */
			(void)file_write_kernel(saved->entries[i].dir_fd, saved->entries[i].file, saved->entries[i].text, NULL);
}
