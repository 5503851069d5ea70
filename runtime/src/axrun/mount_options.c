#include "runtime/src/axrun/mount_options.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "core/base/array.h"
#include "core/base/err.h"

/* linux/mount.h, which cannot be included beside sys/mount.h */
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

enum meaning {
	ATTRIBUTE, /* set, clear */
	RECURSIVE_ATTRIBUTE,
	PROPAGATION,
	SWITCH,	   /* a bool of struct mount_options at offset `set`, and one at `clear` */
	SUPERBLOCK, /* passed on as file system data under the same name */
	NOTHING,
};

#define SWITCH_AT(member) offsetof(struct mount_options, member)

static const struct option_row {
	const char *name;
	enum meaning meaning;
	uint64_t set;
	uint64_t clear;
} ROWS[] = {
	{"async", NOTHING, 0, 0},
	{"atime", ATTRIBUTE, 0, MOUNT_ATTR__ATIME},
	{"bind", SWITCH, SWITCH_AT(bind), 0},
	{"copy-up", SWITCH, SWITCH_AT(copy_up), 0},
	{"defaults", NOTHING, 0, 0},
	{"dev", ATTRIBUTE, 0, MOUNT_ATTR_NODEV},
	{"diratime", ATTRIBUTE, 0, MOUNT_ATTR_NODIRATIME},
	{"dirsync", SUPERBLOCK, 0, 0},
	{"exec", ATTRIBUTE, 0, MOUNT_ATTR_NOEXEC},
	{"idmap", SWITCH, SWITCH_AT(idmap), 0},
	{"iversion", NOTHING, 0, 0},
	{"lazytime", SUPERBLOCK, 0, 0},
	{"loud", NOTHING, 0, 0},
	{"mand", NOTHING, 0, 0},
	{"noatime", ATTRIBUTE, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
	{"nodev", ATTRIBUTE, MOUNT_ATTR_NODEV, 0},
	{"nodiratime", ATTRIBUTE, MOUNT_ATTR_NODIRATIME, 0},
	{"noexec", ATTRIBUTE, MOUNT_ATTR_NOEXEC, 0},
	{"noiversion", NOTHING, 0, 0},
	{"nolazytime", NOTHING, 0, 0},
	{"nomand", NOTHING, 0, 0},
	{"norelatime", ATTRIBUTE, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
	{"nostrictatime", ATTRIBUTE, 0, MOUNT_ATTR__ATIME},
	{"nosuid", ATTRIBUTE, MOUNT_ATTR_NOSUID, 0},
	{"nosymfollow", ATTRIBUTE, MOUNT_ATTR_NOSYMFOLLOW, 0},
	{"private", PROPAGATION, MS_PRIVATE, 0},
	{"ratime", RECURSIVE_ATTRIBUTE, 0, MOUNT_ATTR__ATIME},
	{"rbind", SWITCH, SWITCH_AT(bind), SWITCH_AT(recursive)},
	{"rdev", RECURSIVE_ATTRIBUTE, 0, MOUNT_ATTR_NODEV},
	{"rdiratime", RECURSIVE_ATTRIBUTE, 0, MOUNT_ATTR_NODIRATIME},
	{"relatime", ATTRIBUTE, 0, MOUNT_ATTR__ATIME},
	{"remount", SWITCH, SWITCH_AT(remount), 0},
	{"rexec", RECURSIVE_ATTRIBUTE, 0, MOUNT_ATTR_NOEXEC},
	{"ridmap", SWITCH, SWITCH_AT(idmap), SWITCH_AT(idmap_recursive)},
	{"rnoatime", RECURSIVE_ATTRIBUTE, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
	{"rnodev", RECURSIVE_ATTRIBUTE, MOUNT_ATTR_NODEV, 0},
	{"rnodiratime", RECURSIVE_ATTRIBUTE, MOUNT_ATTR_NODIRATIME, 0},
	{"rnoexec", RECURSIVE_ATTRIBUTE, MOUNT_ATTR_NOEXEC, 0},
	{"rnorelatime", RECURSIVE_ATTRIBUTE, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
	{"rnostrictatime", RECURSIVE_ATTRIBUTE, 0, MOUNT_ATTR__ATIME},
	{"rnosuid", RECURSIVE_ATTRIBUTE, MOUNT_ATTR_NOSUID, 0},
	{"rnosymfollow", RECURSIVE_ATTRIBUTE, MOUNT_ATTR_NOSYMFOLLOW, 0},
	{"ro", ATTRIBUTE, MOUNT_ATTR_RDONLY, 0},
	{"rprivate", PROPAGATION, MS_PRIVATE | MS_REC, 0},
	{"rrelatime", RECURSIVE_ATTRIBUTE, 0, MOUNT_ATTR__ATIME},
	{"rro", RECURSIVE_ATTRIBUTE, MOUNT_ATTR_RDONLY, 0},
	{"rrw", RECURSIVE_ATTRIBUTE, 0, MOUNT_ATTR_RDONLY},
	{"rshared", PROPAGATION, MS_SHARED | MS_REC, 0},
	{"rslave", PROPAGATION, MS_SLAVE | MS_REC, 0},
	{"rstrictatime", RECURSIVE_ATTRIBUTE, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
	{"rsuid", RECURSIVE_ATTRIBUTE, 0, MOUNT_ATTR_NOSUID},
	{"rsymfollow", RECURSIVE_ATTRIBUTE, 0, MOUNT_ATTR_NOSYMFOLLOW},
	{"runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC, 0},
	{"rw", ATTRIBUTE, 0, MOUNT_ATTR_RDONLY},
	{"shared", PROPAGATION, MS_SHARED, 0},
	{"silent", NOTHING, 0, 0},
	{"slave", PROPAGATION, MS_SLAVE, 0},
	{"strictatime", ATTRIBUTE, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
	{"suid", ATTRIBUTE, 0, MOUNT_ATTR_NOSUID},
	{"symfollow", ATTRIBUTE, 0, MOUNT_ATTR_NOSYMFOLLOW},
	{"sync", SUPERBLOCK, 0, 0},
	{"tmpcopyup", SWITCH, SWITCH_AT(copy_up), 0},
	{"unbindable", PROPAGATION, MS_UNBINDABLE, 0},
};

const char *mount_option_name(size_t index)
{
	return index < ARRAY_COUNT(ROWS) ? ROWS[index].name : NULL;
}

static const struct option_row *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_COUNT(ROWS); i++)
		if (strcmp(ROWS[i].name, name) == 0)
			return &ROWS[i];
	return NULL;
}

/* A later option replaces an earlier one about the same bits ("ro", then "rw"). */
static void change(uint64_t *set, uint64_t *clear, const struct option_row *row)
{
	*set = (*set & ~row->clear) | row->set;
	*clear = (*clear & ~row->set) | row->clear;
}

static void flip(struct mount_options *options, uint64_t offset)
{
	*(bool *)((char *)options + offset) = true;
}

static int add_data(struct mount_options *options, char *text, struct err *err)
{
	if (options->data_count == MOUNT_DATA_MAX)
		return err_set(err, -E2BIG, "mount.options", "more than %d file system options", MOUNT_DATA_MAX);
	struct mount_option *option = &options->data[options->data_count++];
	char *equals = strchr(text, '=');
	if (equals)
		*equals = '\0';
	*option = (struct mount_option){.key = text, .value = equals ? equals + 1 : NULL};
	return 0;
}

static int take(struct mount_options *options, char *text, struct err *err)
{
	const struct option_row *row = find(text);
	if (!row)
		return add_data(options, text, err);
	switch (row->meaning) {
	case ATTRIBUTE:
		change(&options->set, &options->clear, row);
		break;
	case RECURSIVE_ATTRIBUTE:
		change(&options->rset, &options->rclear, row);
		break;
	case PROPAGATION:
		options->propagation = row->set & ~(uint64_t)MS_REC;
		options->propagation_recursive = row->set & MS_REC;
		break;
	case SWITCH:
		flip(options, row->set);
		flip(options, row->clear ? row->clear : row->set);
		break;
	case SUPERBLOCK:
		return add_data(options, text, err);
	case NOTHING:
		break;
	}
	return 0;
}

int mount_options_parse(const char *const *options, struct mount_options *ret_options, struct err *err)
{
	memset(ret_options, 0, offsetof(struct mount_options, storage));
	ret_options->storage_used = 0;
	for (size_t i = 0; options && options[i]; i++) {
		size_t length = strlen(options[i]) + 1;
		if (length > sizeof ret_options->storage - ret_options->storage_used)
			return err_set(err, -E2BIG, "mount.options", "options: more than %zu bytes",
				       sizeof ret_options->storage);
		char *copy = ret_options->storage + ret_options->storage_used;
		memcpy(copy, options[i], length);
		ret_options->storage_used += length;
		char *rest = NULL;
		for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
			int r = take(ret_options, word, err);
			if (r < 0)
				return r;
		}
	}
	ret_options->readonly = (ret_options->set | ret_options->rset) & MOUNT_ATTR_RDONLY;
	return 0;
}
