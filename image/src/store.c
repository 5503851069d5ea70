#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "image/src/store_internal.h"

#define ID_PREFIX_MIN 3

struct version {
	int64_t version;
};

static const struct json_field VERSION_FIELDS[] = {
	JSON_FIELD(struct version, version, "version", JSON_I64, JSON_REQUIRED),
};
static const struct json_table VERSION = JSON_TABLE(struct version, VERSION_FIELDS);

static const char VERSION_TEXT[] = "{\"version\":1}\n";
static const char LAYOUT_TEXT[] = "{\"imageLayoutVersion\":\"1.0.0\"}\n";
static const char INDEX_TEXT[] = "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"manifests\":[]}";

/* Returns 1 where there is no store yet. */
static int check_version(int dir_fd, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = 4096};
	struct err ignored;
	int r = file_read_at(dir_fd, STORE_VERSION_FILE, &text, &ignored);
	if (r == -ENOENT)
		return 1;
	if (r < 0)
		return err_sys(err, r, "store.io", "image store: read %s", STORE_VERSION_FILE);
	struct version version = {0};
	scoped_done(arena_done) struct arena arena = {.max = 4096};
	if (json_decode(STORE_VERSION_FILE, text.data, text.size, &VERSION, &arena, &version, &ignored) < 0)
		return err_set(err, -EUCLEAN, "store.damaged", "image store: %s", ignored.message);
	if (version.version > STORE_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "store.version",
			       "image store: version %lld was made by a newer Axle (this one understands %d)",
			       (long long)version.version, STORE_VERSION);
	return version.version == STORE_VERSION
		       ? 0
		       : err_set(err, -EUCLEAN, "store.damaged", "image store: version %lld never was",
				 (long long)version.version);
}

/* Makes an empty store; the version file comes last and says that the rest is there. */
static int make_store(int dir_fd, struct err *err)
{
	static const char *const DIRECTORIES[] = {STORE_BLOBS, STORE_BLOBS "/sha256", STORE_BLOBS "/sha512", STORE_LAYERS,
						  STORE_INGEST};
	/* What lies below is for root and for the worker, which is given descriptors; containers' users reach layers through
	 * their mounts: search permission is all that those need. */
	for (size_t i = 0; i < sizeof DIRECTORIES / sizeof *DIRECTORIES; i++)
		if (mkdirat(dir_fd, DIRECTORIES[i], 0711) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "store.io", "image store: make %s", DIRECTORIES[i]);
	static const struct {
		const char *name;
		const char *text;
	} FILES[] = {
		{STORE_INDEX, INDEX_TEXT}, {STORE_LAYOUT_FILE, LAYOUT_TEXT}, {STORE_VERSION_FILE, VERSION_TEXT}};
	for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
		int r = file_replace_at(dir_fd, FILES[i].name, FILES[i].text, strlen(FILES[i].text), 0644, FILE_SYNCED,
					err);
		if (r < 0)
			return err_add(err, r, "image store");
	}
	return 0;
}

static int prepare(struct image_store *store, struct err *err)
{
	int r = check_version(store->dir_fd, err);
	if (r < 0 || (store->flags & IMAGE_STORE_READ_ONLY))
		return r <= 0 ? r : err_set(err, -ENOENT, "store.io", "there is no image store");
	scoped_fd int lock = -1;
	int locked = store_lock(store, &lock, err);
	if (locked < 0)
		return locked;
	r = check_version(store->dir_fd, err); /* another may have made it meanwhile */
	if (r == 1)
		r = make_store(store->dir_fd, err);
	bool alive;
	return r < 0 ? r : store_ingest_sweep(store->dir_fd, &alive, err);
}

static int reload(struct image_store *store, struct err *err)
{
	struct store_records records = {0};
	struct stat seen;
	int r = store_records_read(store->dir_fd, &records, &seen, err);
	if (r < 0)
		return r;
	store_records_done(&store->records);
	store->records = records;
	store->seen = seen;
	return store_images_load(store, err);
}

int image_store_open(int dir_fd, unsigned flags, struct image_store **ret_store, struct err *err)
{
	scoped(image_store_free) struct image_store *store = calloc(1, sizeof *store);
	if (!store)
		return err_memory(err, "image store");
	store->flags = flags;
	store->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	if (store->dir_fd < 0)
		return err_sys(err, -errno, "store.io", "image store");
	int r = prepare(store, err);
	if (r == 0)
		r = reload(store, err);
	if (r == 0)
		*ret_store = TAKE(store);
	return r;
}

void image_store_free(struct image_store *store)
{
	if (!store)
		return;
	while (store->holds) {
		struct store_hold *hold = store->holds;
		store->holds = hold->next;
		free(hold);
	}
	store_records_done(&store->records);
	arena_done(&store->arena);
	if (store->dir_fd >= 0)
		(void)close(store->dir_fd);
	free(store);
}

int image_store_dir(const struct image_store *store)
{
	return store->dir_fd;
}

int image_store_refresh(struct image_store *store, struct err *err)
{
	struct stat st;
	if (fstatat(store->dir_fd, STORE_INDEX, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, -errno, "store.io", "image store: %s", STORE_INDEX);
	const struct stat *seen = &store->seen;
	if (st.st_ino == seen->st_ino && st.st_size == seen->st_size && st.st_mtim.tv_sec == seen->st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == seen->st_mtim.tv_nsec && st.st_ctim.tv_nsec == seen->st_ctim.tv_nsec)
		return 0;
	int r = reload(store, err);
	return r < 0 ? r : 1;
}

size_t image_store_count(const struct image_store *store)
{
	return store->images_count;
}

const struct image *image_store_at(const struct image_store *store, size_t index)
{
	return index < store->images_count ? &store->images[index] : NULL;
}

void image_store_usage(const struct image_store *store, struct image_usage *ret_usage)
{
	*ret_usage = store->usage;
}

int image_store_read_blob(const struct image_store *store, const char *digest, struct buf *ret_bytes, struct err *err)
{
	return store_blob_read(store->dir_fd, digest, ret_bytes, err);
}

/* ---- Resolving -------------------------------------------------------------------------------------------------- */

static bool is_hex(const char *text)
{
	for (; *text; text++)
		if (!isdigit((unsigned char)*text) && !(*text >= 'a' && *text <= 'f'))
			return false;
	return true;
}

static const struct image *find_by_reference(const struct image_store *store, const struct image_reference *reference)
{
	struct image_reference wanted = *reference;
	if (wanted.digest[0])
		wanted.tag[0] = '\0'; /* the digest says it all */
	char text[IMAGE_REFERENCE_MAX];
	image_reference_format(&wanted, text);
	for (size_t i = 0; i < store->images_count; i++) {
		const struct image *image = &store->images[i];
		if (strv_contains(image->tags, text) || strv_contains(image->digests, text))
			return image;
	}
	return NULL;
}

/* By the digest of a manifest, an index it came from, or an id. */
static const struct image *find_by_digest(const struct image_store *store, const char *digest)
{
	for (size_t i = 0; i < store->images_count; i++) {
		const struct image *image = &store->images[i];
		if (str_equal(image->id, digest) || str_equal(image->manifest_digest, digest))
			return image;
		for (size_t k = 0; image->digests[k]; k++)
			if (str_equal(strchr(image->digests[k], '@') + 1, digest))
				return image;
	}
	return NULL;
}

/* Returns how many ids begin with @prefix; the same id counts once. */
static size_t find_by_prefix(const struct image_store *store, const char *prefix, const struct image **ret_image)
{
	size_t found = 0;
	for (size_t i = 0; i < store->images_count; i++) {
		const struct image *image = &store->images[i];
		const char *hex = strchr(image->id, ':') + 1;
		if (!str_after_prefix(hex, prefix) || (found && str_equal((*ret_image)->id, image->id)))
			continue;
		*ret_image = image;
		found++;
	}
	return found;
}

int image_store_resolve(const struct image_store *store, const char *text, const struct image **ret_image,
			struct err *err)
{
	struct image_reference reference;
	const struct image *image = NULL;
	const char *hex = str_after_prefix(text ? text : "", "sha256:");
	bool whole_digest = hex && strlen(hex) == 64 && is_hex(hex);
	int parsed = whole_digest ? -EINVAL : image_reference_parse(text, &reference, err);
	if (whole_digest)
		image = find_by_digest(store, text);
	else if (parsed == 0)
		image = find_by_reference(store, &reference);
	const char *prefix = hex ? hex : text ? text : "";
	if (!image && strlen(prefix) >= ID_PREFIX_MIN && is_hex(prefix)) {
		size_t found = find_by_prefix(store, prefix, &image);
		if (found > 1)
			return err_set(err, -EEXIST, "image.ambiguous", "image id \"%s\" is the beginning of %zu ids", prefix,
				       found);
		parsed = 0;
	}
	if (image) {
		*ret_image = image;
		return 0;
	}
	if (parsed < 0 && !whole_digest)
		return parsed;
	return err_set(err, -ENOENT, "image.not-found", "image \"%.300s\" is not in the store", text);
}

/* ---- Holds ------------------------------------------------------------------------------------------------------ */

static struct store_hold *find_hold(const struct image_store *store, const char *id)
{
	for (struct store_hold *hold = store->holds; hold; hold = hold->next)
		if (str_equal(hold->id, id))
			return hold;
	return NULL;
}

static struct store_hold *add_hold(struct image_store *store, const struct digest *digest)
{
	struct store_hold *hold = calloc(1, sizeof *hold);
	if (!hold)
		return NULL;
	digest_format(digest, hold->id);
	hold->next = store->holds;
	store->holds = hold;
	return hold;
}

int image_store_hold(struct image_store *store, const char *id, struct err *err)
{
	struct digest digest;
	if (digest_parse_text(id, &digest, NULL) < 0 || !find_by_digest(store, id))
		return err_set(err, -ENOENT, "image.not-found", "image \"%.200s\" is not in the store", id ? id : "");
	struct store_hold *hold = find_hold(store, id);
	if (hold && hold->going)
		return err_set(err, -ENOENT, "image.not-found", "image \"%.200s\" is being removed", id);
	if (!hold)
		hold = add_hold(store, &digest);
	if (!hold)
		return err_memory(err, "image store");
	hold->count++;
	return 0;
}

static void drop_hold(struct image_store *store, struct store_hold *hold)
{
	struct store_hold **at = &store->holds;
	while (*at != hold)
		at = &(*at)->next;
	*at = hold->next;
	free(hold);
}

void image_store_release(struct image_store *store, const char *id)
{
	struct store_hold *hold = find_hold(store, id);
	if (hold && !hold->going && --hold->count == 0)
		drop_hold(store, hold);
}

/* ---- Changing the records --------------------------------------------------------------------------------------- */

static const struct image *find_id(const struct image_store *store, const char *id, struct err *err)
{
	const struct image *image = find_by_digest(store, id);
	if (!image)
		(void)err_set(err, -ENOENT, "image.not-found", "image \"%.200s\" is not in the store", id);
	return image;
}

/* Under the lock: writes what @store->records holds now and reads it back. */
static int write_back(struct image_store *store, struct err *err)
{
	int r = store_records_write(store->dir_fd, &store->records, err);
	int again = reload(store, r < 0 ? NULL : err); /* also after a failure: memory must agree with the disk */
	return r < 0 ? r : again;
}

/* The manifest that record @index leads to belongs to the image @id. */
static bool leads_to(const struct image_store *store, size_t index, const char *id)
{
	for (size_t i = 0; i < store->images_count; i++)
		if (str_equal(store->images[i].id, id) &&
		    str_equal(store->images[i].manifest_digest, store->records.names[index].manifest))
			return true;
	return false;
}

int image_store_tag(struct image_store *store, const char *id, const char *text, struct err *err)
{
	struct image_reference reference;
	int r = image_reference_parse(text, &reference, err);
	if (r < 0)
		return r;
	if (reference.digest[0])
		return err_set(err, -EINVAL, "reference.malformed", "image reference \"%.200s\": expected a tag", text);
	scoped_fd int lock = -1;
	r = store_lock(store, &lock, err);
	if (r == 0)
		r = image_store_refresh(store, err);
	if (r < 0)
		return r;
	const struct image *image = find_id(store, id, err);
	if (!image)
		return -ENOENT;
	char name[IMAGE_REFERENCE_MAX];
	image_reference_format(&reference, name);
	for (size_t i = 0; i < store->records.count; i++) {
		if (!str_equal(store->records.names[i].manifest, image->manifest_digest))
			continue;
		struct store_name added = store->records.names[i];
		added.reference = name;
		r = store_records_add(&store->records, &added);
		return r < 0 ? err_set(err, r, "store.io", "image store: out of memory") : write_back(store, err);
	}
	return err_set(err, -EUCLEAN, "store.damaged", "image \"%s\" has no record", image->id);
}

int image_store_set_pinned(struct image_store *store, const char *id, bool pinned, struct err *err)
{
	scoped_fd int lock = -1;
	int r = store_lock(store, &lock, err);
	if (r == 0)
		r = image_store_refresh(store, err);
	if (r < 0)
		return r;
	const struct image *image = find_id(store, id, err);
	if (!image)
		return -ENOENT;
	for (size_t i = 0; i < store->records.count; i++)
		if (leads_to(store, i, image->id))
			store->records.names[i].pinned = pinned;
	return write_back(store, err);
}

static int may_remove(const struct image_store *store, const struct image *image, unsigned flags, struct err *err)
{
	if (image->pinned && !(flags & IMAGE_REMOVE_PINNED))
		return err_set(err, -EPERM, "image.pinned", "image %s is pinned", image->id);
	const struct store_hold *hold = find_hold(store, image->id);
	if (hold && hold->going)
		return err_set(err, -EALREADY, "image.in-use", "image %s is being removed", image->id);
	if (hold)
		return err_set(err, -EBUSY, "image.in-use", "image %s is in use (%u times)", image->id, hold->count);
	return 0;
}

/* The canonical name that @text gives, if it is one of the image's tags. */
static bool named_tag(const struct image *image, const char *text, char ret_name[static IMAGE_REFERENCE_MAX])
{
	struct image_reference reference;
	if (image_reference_parse(text, &reference, NULL) < 0 || reference.digest[0])
		return false;
	image_reference_format(&reference, ret_name);
	return strv_contains(image->tags, ret_name);
}

/* Takes the names of @id out of the records: all, or only @tag. */
static int drop_names(struct image_store *store, const char *id, const char *tag, char ***untagged)
{
	for (size_t i = store->records.count; i-- > 0;) {
		const char *reference = store->records.names[i].reference;
		if (!leads_to(store, i, id) || (tag && !str_equal(reference, tag)))
			continue;
		if (reference && strv_add(untagged, reference) < 0)
			return -ENOMEM;
		store_records_remove_at(&store->records, i);
	}
	return 0;
}

/* Notes that nobody may hold the image. */
static int mark_going(struct image_store *store, const char *id)
{
	struct digest digest;
	struct store_hold *hold = digest_parse_text(id, &digest, NULL) < 0 ? NULL : add_hold(store, &digest);
	if (!hold)
		return -ENOMEM;
	hold->going = true;
	return 0;
}

void image_store_end_removal(struct image_store *store, const char *id)
{
	struct store_hold *hold = find_hold(store, id);
	if (hold && hold->going)
		drop_hold(store, hold);
}

int image_store_begin_removal(struct image_store *store, const char *text, unsigned flags, char ***ret_untagged,
			      char **ret_id, struct err *err)
{
	const struct image *image = NULL;
	int r = image_store_resolve(store, text, &image, err);
	if (r < 0)
		return r;
	char tag[IMAGE_REFERENCE_MAX];
	bool only_tag = (flags & IMAGE_REMOVE_REFERENCE) && named_tag(image, text, tag) && image->tags[1];
	r = only_tag ? 0 : may_remove(store, image, flags, err);
	if (r < 0)
		return r;
	scoped(strv_free) char **untagged = NULL;
	scoped_free char *id = only_tag ? NULL : strdup(image->id);
	r = only_tag || id ? 0 : -ENOMEM;
	for (const char *const *name = only_tag ? NULL : image->tags; r == 0 && name && *name; name++)
		r = strv_add(&untagged, *name);
	for (const char *const *name = only_tag ? NULL : image->digests; r == 0 && name && *name; name++)
		r = strv_add(&untagged, *name);
	if (r == 0 && only_tag)
		r = strv_add(&untagged, tag);
	if (r == 0 && id)
		r = mark_going(store, id);
	if (r < 0)
		return err_memory(err, "image store");
	*ret_untagged = TAKE(untagged);
	*ret_id = TAKE(id);
	return 0;
}

static int remove_locked(struct image_store *store, const char *text, unsigned flags, char ***untagged, char **gone,
			 struct err *err)
{
	const struct image *image = NULL;
	int r = image_store_resolve(store, text, &image, err);
	if (r < 0)
		return r;
	char tag[IMAGE_REFERENCE_MAX];
	bool only_tag = (flags & IMAGE_REMOVE_REFERENCE) && named_tag(image, text, tag) && image->tags[1];
	if (!only_tag) {
		r = may_remove(store, image, flags, err);
		if (r < 0)
			return r;
	}
	scoped_free char *id = strdup(image->id);
	if (!id || drop_names(store, id, only_tag ? tag : NULL, untagged) < 0)
		return err_memory(err, "image store");
	r = write_back(store, err);
	if (r == 0 && !only_tag)
		*gone = TAKE(id);
	return r < 0 ? r : store_collect_locked(store, err);
}

int image_store_remove(struct image_store *store, const char *text, unsigned flags, char ***ret_untagged, char **ret_id,
		       struct err *err)
{
	scoped_fd int lock = -1;
	int r = store_lock(store, &lock, err);
	if (r == 0)
		r = image_store_refresh(store, err);
	if (r < 0)
		return r;
	scoped(strv_free) char **untagged = NULL;
	scoped_free char *id = NULL;
	r = remove_locked(store, text, flags, &untagged, &id, err);
	if (r < 0)
		return r;
	if (ret_untagged)
		*ret_untagged = TAKE(untagged);
	if (ret_id)
		*ret_id = TAKE(id);
	return 0;
}

int image_store_collect(struct image_store *store, struct err *err)
{
	scoped_fd int lock = -1;
	int r = store_lock(store, &lock, err);
	if (r == 0)
		r = image_store_refresh(store, err);
	return r < 0 ? r : store_collect_locked(store, err);
}
