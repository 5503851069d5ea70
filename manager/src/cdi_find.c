/* CDI's directories: finding devices, and joining what they ask for. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "manager/src/cdi.h"

struct file {
	size_t priority; /* of its directory: the higher counts */
	struct cdi_spec spec;
	bool used;
};

struct library {
	struct arena *arena;
	struct file *files;
	size_t count;
	struct err bad; /* what was wrong with a file that could not be read */
};

/* --- reading --- */

static int read_file(struct library *library, const char *path, size_t priority)
{
	scoped_done(buf_done) struct buf text = {.max = CDI_FILE_BYTES_MAX};
	struct stat status = {0};
	struct err err = {0};
	struct file *file = &library->files[library->count];
	if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
		return 0; /* a FIFO would hold everything up */
	int r = file_read_at(AT_FDCWD, path, &text, &err);
	if (r == 0)
		r = cdi_spec_parse(path, text.data ? text.data : "", text.size, str_ends_with(path, ".yaml"),
				   library->arena, &file->spec, &err);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		library->bad = err;
		return 0;
	}
	file->priority = priority;
	library->count++;
	return 0;
}

static int is_ours(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
	       (str_ends_with(entry->d_name, ".json") || str_ends_with(entry->d_name, ".yaml"));
}

static void free_names(struct dirent **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

static int read_directory(struct library *library, const char *directory, size_t priority, struct err *err)
{
	struct dirent **names = NULL;
	int count = scandir(directory, &names, is_ours, alphasort);
	if (count < 0)
		return errno == ENOMEM ? err_memory(err, "CDI") : 0; /* no such directory: no devices */
	int r = 0;
	for (int i = 0; r == 0 && i < count; i++) {
		scoped_free char *path = str_printf("%s/%s", directory, names[i]->d_name);
		if (library->count == CDI_FILES_MAX)
			r = err_set(err, -E2BIG, "cdi.limit", "%s: more than %d files", directory, CDI_FILES_MAX);
		else
			r = path ? read_file(library, path, priority) : -ENOMEM;
	}
	free_names(names, count);
	return r == -ENOMEM ? err_memory(err, "CDI's files") : r;
}

/* --- finding --- */

static const struct cdi_device *device_in(const struct cdi_spec *spec, const char *name)
{
	size_t kind = strlen(spec->kind);
	if (strncmp(name, spec->kind, kind) != 0 || name[kind] != '=')
		return NULL;
	for (size_t i = 0; i < spec->devices_count; i++)
		if (str_equal(spec->devices[i].name, name + kind + 1))
			return &spec->devices[i];
	return NULL;
}

static int not_found(const struct library *library, const char *name, struct err *err)
{
	if (library->bad.reason)
		return err_set(err, -ENOENT, "cdi.not-found", "CDI device %s: no file has it (one cannot be read: %s)", name,
			       library->bad.message);
	return err_set(err, -ENOENT, "cdi.not-found", "CDI device %s: no file in the CDI directories has it", name);
}

static int find(const struct library *library, const char *name, struct file **ret_file,
		const struct cdi_device **ret_device, struct err *err)
{
	struct file *found = NULL;
	bool twice = false;
	for (size_t i = 0; i < library->count; i++) {
		struct file *file = &library->files[i];
		if (!device_in(&file->spec, name) || (found && file->priority < found->priority))
			continue;
		twice = found && file->priority == found->priority;
		found = file;
	}
	if (!found)
		return not_found(library, name, err);
	if (twice)
		return err_set(err, -EEXIST, "cdi.conflict", "CDI device %s: two files of one directory have it", name);
	*ret_file = found;
	*ret_device = device_in(&found->spec, name);
	return 0;
}

/* --- joining --- */

/* @first and @second one after the other, of elements of @size bytes. NULL: out of memory. */
static void *join(struct arena *arena, const void *first, size_t first_count, const void *second, size_t second_count,
		  size_t size)
{
	char *joined = arena_array(arena, first_count + second_count + 1, size); /* vectors end with NULL */
	if (joined && first_count)
		memcpy(joined, first, first_count * size);
	if (joined && second_count)
		memcpy(joined + first_count * size, second, second_count * size);
	return joined;
}

#define JOIN(arena, edits, more, member)                                                                               \
	((edits)->member = join(arena, (edits)->member, (edits)->member##_count, (more)->member,                       \
				(more)->member##_count, sizeof *(edits)->member),                                      \
	 (edits)->member##_count += (more)->member##_count, (edits)->member != NULL)

static int append(struct arena *arena, struct cdi_edits *edits, const struct cdi_edits *more)
{
	size_t own = edits->env ? strv_count(edits->env) : 0;
	size_t added = more->env ? strv_count(more->env) : 0;
	edits->env = join(arena, edits->env, own, more->env, added, sizeof *edits->env);
	bool joined = edits->env && JOIN(arena, edits, more, device_nodes) && JOIN(arena, edits, more, mounts) &&
		      JOIN(arena, edits, more, hooks) && JOIN(arena, edits, more, additional_gids);
	if (more->intel_rdt)
		edits->intel_rdt = more->intel_rdt;
	return joined ? 0 : -ENOMEM;
}

static int add_device(struct library *library, const char *name, struct cdi_edits *edits, struct err *err)
{
	struct file *file = NULL;
	const struct cdi_device *device = NULL;
	if (!cdi_name_is_valid(name))
		return err_set(err, -EINVAL, "cdi.name", "CDI device \"%s\": expected VENDOR/CLASS=DEVICE", name);
	int r = find(library, name, &file, &device, err);
	if (r == 0 && !file->used)
		r = append(library->arena, edits, &file->spec.edits);
	if (r < 0)
		return r;
	file->used = true;
	return append(library->arena, edits, &device->edits);
}

int cdi_find(const char *const *directories, const char *const *names, size_t count, struct arena *arena,
	     struct cdi_edits *ret_edits, struct err *err)
{
	if (count > CDI_DEVICES_MAX)
		return err_set(err, -E2BIG, "cdi.limit", "%zu CDI devices: expected at most %d", count, CDI_DEVICES_MAX);
	struct library library = {.arena = arena, .files = arena_array(arena, CDI_FILES_MAX, sizeof *library.files)};
	struct cdi_edits edits = {0};
	int r = library.files ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && directories[i]; i++)
		r = read_directory(&library, directories[i], i, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_device(&library, names[i], &edits, err);
	if (r == -ENOMEM)
		return err_memory(err, "CDI devices");
	if (r == 0)
		*ret_edits = edits;
	return r;
}
