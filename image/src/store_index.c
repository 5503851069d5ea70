/* index.json: the record that names images. Replaced whole, atomically, synced, under the store's lock. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "image/src/store_internal.h"

#define NAMES_MAX 65536

int store_lock(const struct image_store *store, int *ret_lock_fd, struct err *err)
{
	scoped_fd int fd = openat(store->dir_fd, STORE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "store.io", "image store: open %s", STORE_LOCK);
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(err, -errno, "store.io", "image store: lock");
	*ret_lock_fd = TAKE_FD(fd);
	return 0;
}

void store_records_done(struct store_records *records)
{
	arena_done(&records->arena);
	*records = (struct store_records){0};
}

static int fill_names(struct store_records *records, const struct model_index *index)
{
	records->names = arena_array(&records->arena, index->manifests_count + 1, sizeof *records->names);
	if (!records->names)
		return -ENOMEM;
	for (size_t i = 0; i < index->manifests_count; i++) {
		const struct model_descriptor *descriptor = &index->manifests[i];
		records->names[i] = (struct store_name){
			.reference = model_annotation(descriptor, ANNOTATION_REF_NAME),
			.manifest = descriptor->digest,
			.media_type = descriptor->media_type ? descriptor->media_type : MEDIA_OCI_MANIFEST,
			.size = descriptor->size,
			.source = model_annotation(descriptor, ANNOTATION_SOURCE),
			.pinned = str_equal(model_annotation(descriptor, ANNOTATION_PINNED), "true"),
		};
	}
	records->count = index->manifests_count;
	return 0;
}

int store_records_read(int dir_fd, struct store_records *ret_records, struct stat *ret_seen, struct err *err)
{
	scoped_fd int fd = openat(dir_fd, STORE_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat seen;
	if (fd < 0 || fstat(fd, &seen) < 0)
		return err_sys(err, -errno, "store.io", "image store: open %s", STORE_INDEX);
	scoped_done(buf_done) struct buf text = {.max = INDEX_SIZE_MAX};
	int r = fd_read_all(fd, &text);
	if (r < 0)
		return err_sys(err, r, "store.io", "image store: read %s", STORE_INDEX);
	scoped_done(store_records_done) struct store_records records = {.arena = {.max = MODEL_MEMORY_MAX}};
	struct model_index index = {0};
	r = model_read_index(STORE_INDEX, text.data ? text.data : "", text.size, &records.arena, &index, err);
	if (r < 0)
		return err_set(err, -EUCLEAN, "store.damaged", "image store: %s", err ? err->message : "");
	if (index.manifests_count > NAMES_MAX || fill_names(&records, &index) < 0)
		return err_set(err, -ENOMEM, "store.io", "image store: %zu names", index.manifests_count);
	*ret_records = records;
	records = (struct store_records){0};
	*ret_seen = seen;
	return 0;
}

static void describe(const struct store_name *name, struct json_pair pairs[static 3],
		     struct model_descriptor *ret_descriptor)
{
	size_t count = 0;
	if (name->reference)
		pairs[count++] = (struct json_pair){ANNOTATION_REF_NAME, name->reference};
	if (name->source)
		pairs[count++] = (struct json_pair){ANNOTATION_SOURCE, name->source};
	if (name->pinned)
		pairs[count++] = (struct json_pair){ANNOTATION_PINNED, "true"};
	*ret_descriptor = (struct model_descriptor){
		.media_type = name->media_type,
		.digest = name->manifest,
		.size = name->size,
		.annotations = pairs,
		.annotations_count = count,
	};
}

int store_records_write(int dir_fd, const struct store_records *records, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = MODEL_MEMORY_MAX};
	struct model_descriptor *descriptors = arena_array(&arena, records->count + 1, sizeof *descriptors);
	struct json_pair(*pairs)[3] = arena_array(&arena, records->count + 1, sizeof *pairs);
	scoped_done(buf_done) struct buf text = {.max = INDEX_SIZE_MAX};
	int r = descriptors && pairs ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < records->count; i++)
		describe(&records->names[i], pairs[i], &descriptors[i]);
	struct model_index index = {2, MEDIA_OCI_INDEX, descriptors, records->count};
	if (r == 0)
		r = json_encode(&MODEL_INDEX, &index, &text);
	if (r < 0)
		return err_sys(err, r, "store.io", "image store: write %s", STORE_INDEX);
	return file_replace_at(dir_fd, STORE_INDEX, text.data, text.size, 0644, FILE_SYNCED, err);
}

void store_records_remove_at(struct store_records *records, size_t index)
{
	for (size_t i = index; i + 1 < records->count; i++)
		records->names[i] = records->names[i + 1];
	records->count--;
}

/* Whether another name than that at @except leads to @manifest. */
static bool has_other_name(const struct store_records *records, const char *manifest, size_t except)
{
	for (size_t i = 0; i < records->count; i++)
		if (i != except && str_equal(records->names[i].manifest, manifest))
			return true;
	return false;
}

/* The name at @index leads elsewhere from now on: its old image stays, if need be without a name. */
static void take_name_away(struct store_records *records, size_t index)
{
	if (has_other_name(records, records->names[index].manifest, index))
		store_records_remove_at(records, index);
	else
		records->names[index].reference = NULL;
}

int store_records_add(struct store_records *records, const struct store_name *name)
{
	struct store_name added = *name;
	for (size_t i = records->count; i-- > 0;) {
		const struct store_name *old = &records->names[i];
		bool same_image = str_equal(old->manifest, name->manifest);
		added.pinned = added.pinned || (same_image && old->pinned);
		if (same_image && (!old->reference || str_equal(old->reference, name->reference)))
			store_records_remove_at(records, i);
		else if (old->reference && str_equal(old->reference, name->reference))
			take_name_away(records, i);
	}
	struct store_name *names = arena_array(&records->arena, records->count + 2, sizeof *names);
	if (!names)
		return -ENOMEM;
	if (records->count)
		memcpy(names, records->names, records->count * sizeof *names);
	added.reference = name->reference ? arena_strdup(&records->arena, name->reference) : NULL;
	added.manifest = arena_strdup(&records->arena, name->manifest);
	added.media_type = arena_strdup(&records->arena, name->media_type);
	added.source = name->source ? arena_strdup(&records->arena, name->source) : NULL;
	if (!added.manifest || !added.media_type)
		return -ENOMEM;
	names[records->count++] = added;
	records->names = names;
	return 0;
}
