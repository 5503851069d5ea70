#include "core/sys/disk_usage.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"

#define BLOCK_BYTES 512 /* of st_blocks, whatever the file system's own (stat(3type)) */
#define LINKED_FIRST 256

/* Inodes that have several names and were counted already: an open-addressed set. All are of one file system. */
struct linked {
	ino_t *inodes; /* 0: free */
	size_t count;
	size_t room; /* a power of two */
};

static void linked_done(struct linked *linked)
{
	free(linked->inodes);
}

static ino_t *linked_slot(const struct linked *linked, ino_t inode)
{
	size_t at = (size_t)((uint64_t)inode * 0x9e3779b97f4a7c15) & (linked->room - 1);
	while (linked->inodes[at] && linked->inodes[at] != inode)
		at = (at + 1) & (linked->room - 1);
	return &linked->inodes[at];
}

static int linked_grow(struct linked *linked)
{
	struct linked grown = {.room = linked->room ? 2 * linked->room : LINKED_FIRST, .count = linked->count};
	grown.inodes = calloc(grown.room, sizeof *grown.inodes);
	if (!grown.inodes)
		return -ENOMEM;
	for (size_t i = 0; i < linked->room; i++)
		if (linked->inodes[i])
			*linked_slot(&grown, linked->inodes[i]) = linked->inodes[i];
	free(linked->inodes);
	*linked = grown;
	return 0;
}

/* Returns 1 for one that is new, 0 for one that was there. */
static int linked_add(struct linked *linked, ino_t inode)
{
	if (linked->count >= DISK_USAGE_LINKED_MAX || inode == 0)
		return 1;
	if (2 * linked->count >= linked->room && linked_grow(linked) < 0)
		return -ENOMEM;
	ino_t *slot = linked_slot(linked, inode);
	if (*slot)
		return 0;
	*slot = inode;
	linked->count++;
	return 1;
}

static int count_entry(const FTSENT *entry, struct linked *linked, struct disk_usage *usage)
{
	static const int COUNTED[] = {FTS_D, FTS_DNR, FTS_F, FTS_SL, FTS_SLNONE, FTS_DEFAULT};
	bool counted = false;
	for (size_t i = 0; i < sizeof COUNTED / sizeof *COUNTED; i++)
		counted = counted || entry->fts_info == COUNTED[i];
	if (!counted)
		return 0;
	bool several = entry->fts_info != FTS_D && entry->fts_info != FTS_DNR && entry->fts_statp->st_nlink > 1;
	int r = several ? linked_add(linked, entry->fts_statp->st_ino) : 1;
	if (r > 0) {
		usage->bytes += (uint64_t)entry->fts_statp->st_blocks * BLOCK_BYTES;
		usage->inodes++;
	}
	return r < 0 ? r : 0;
}

int disk_usage_of(const char *path, struct disk_usage *ret_usage, struct err *err)
{
	scoped_done(linked_done) struct linked linked = {0};
	struct disk_usage usage = {0};
	char *const roots[] = {(char *)path, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_XDEV, NULL);
	if (!walk)
		return err_sys(err, -errno, "disk-usage", "walk %s", path);
	int r = 0;
	FTSENT *entry = NULL;
	while (r == 0 && (errno = 0, entry = fts_read(walk)))
		r = entry->fts_level == FTS_ROOTLEVEL && entry->fts_info == FTS_NS ? -entry->fts_errno
										    : count_entry(entry, &linked, &usage);
	if (r == 0 && errno)
		r = -errno;
	(void)fts_close(walk);
	if (r < 0)
		return err_sys(err, r, "disk-usage", "walk %s", path);
	*ret_usage = usage;
	return 0;
}
