/* What the privileged half records of a worker's result: an image without layers, made by hand. */
#include "image/src/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"

static const char CONFIG[] = "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";

struct place {
	char path[64];
	int dir_fd;
	int ingest_fd;
	struct image_store *store;
	char config[DIGEST_TEXT_MAX];
	char manifest[DIGEST_TEXT_MAX];
	char extra[DIGEST_TEXT_MAX]; /* one more blob that the result names; "" for none */
	size_t manifest_size;
	FILE *progress;
};

static void put(int ingest_fd, const char *bytes, char ret_digest[static DIGEST_TEXT_MAX])
{
	struct digest digest;
	char path[DIGEST_TEXT_MAX + 8] = "blobs/";
	ck_assert_int_eq(digest_of(DIGEST_SHA256, bytes, strlen(bytes), &digest), 0);
	digest_format(&digest, ret_digest);
	digest_format_hex(&digest, path + 6);
	ck_assert_int_eq(file_replace_at(ingest_fd, path, bytes, strlen(bytes), 0644, FILE_VOLATILE, NULL), 0);
}

static struct place make_place(void)
{
	struct place place = {.path = "/tmp/axle-commit-XXXXXX", .progress = tmpfile()};
	ck_assert_ptr_nonnull(mkdtemp(place.path));
	place.dir_fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(image_store_open(place.dir_fd, 0, &place.store, NULL), 0);
	char name[32];
	ck_assert_int_eq(store_ingest_make(place.store, name, &place.ingest_fd, NULL), 0);
	ck_assert_int_eq(mkdirat(place.ingest_fd, "blobs", 0700), 0);
	ck_assert_int_eq(mkdirat(place.ingest_fd, "layers", 0700), 0);
	put(place.ingest_fd, CONFIG, place.config);
	scoped_free char *manifest =
		str_printf("{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\",\"size\":%zu},\"layers\":[]}", place.config,
			   strlen(CONFIG));
	put(place.ingest_fd, manifest, place.manifest);
	place.manifest_size = strlen(manifest);
	return place;
}

static void remove_place(struct place *place)
{
	image_store_free(place->store);
	(void)close(place->ingest_fd);
	(void)close(place->dir_fd);
	(void)fclose(place->progress);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, place->path, NULL), 0);
}

static int run(struct place *place, const char *kind, const char *reference, const char *name, const char *id,
	       struct err *err)
{
	struct progress progress = {.fd = fileno(place->progress), .lock = PTHREAD_MUTEX_INITIALIZER};
	struct wire_request request = {.kind = kind, .reference = reference};
	const char *const blobs[] = {place->config, place->manifest, *place->extra ? place->extra : NULL, NULL};
	const char *const chains[] = {NULL};
	const char *const names[] = {name, NULL};
	struct wire_image image = {.manifest = place->manifest,
				   .media_type = MEDIA_OCI_MANIFEST,
				   .size = place->manifest_size,
				   .id = id,
				   .names = names,
				   .blobs = blobs,
				   .chains = chains};
	struct wire_result result = {.version = WIRE_VERSION, .images = &image, .images_count = 1};
	struct commit commit = {.store = place->store,
				.progress = &progress,
				.request = &request,
				.ingest_fd = place->ingest_fd,
				.privileged = geteuid() == 0};
	int r = commit_run(&commit, &result, err);
	ck_assert_int_ge(image_store_refresh(place->store, NULL), 0);
	return r;
}

START_TEST(an_image_is_recorded)
{
	struct place place = make_place();
	struct err err = {0};
	int r = run(&place, "pull", "quay.io/a/b:1", "quay.io/a/b:1", place.config, &err);
	ck_assert_msg(r == 0, "%s", err.message);
	const struct image *image = NULL;
	ck_assert_int_eq(image_store_resolve(place.store, "quay.io/a/b:1", &image, NULL), 0);
	ck_assert_str_eq(image->id, place.config);
	ck_assert_str_eq(image->tags[0], "quay.io/a/b:1");
	remove_place(&place);
}
END_TEST

static const char *const FORBIDDEN[] = {
	"docker.io/library/busybox:latest", /* another image */
	"quay.io/a/b:2",		    /* another tag */
	"quay.io/a/b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"b",				    /* not canonical */
	"",
};

START_TEST(a_pull_names_only_what_was_asked_for)
{
	struct place place = make_place();
	struct err err = {0};
	ck_assert_int_eq(run(&place, "pull", "quay.io/a/b:1", FORBIDDEN[_i], place.config, &err), -EBADMSG);
	ck_assert_str_eq(err.reason, "job.worker");
	ck_assert_uint_eq(image_store_count(place.store), 0);
	remove_place(&place);
}
END_TEST

START_TEST(an_id_that_is_not_the_manifests_is_refused)
{
	struct place place = make_place();
	struct err err = {0};
	ck_assert_int_eq(run(&place, "pull", "quay.io/a/b:1", "quay.io/a/b:1", place.manifest, &err), -EBADMSG);
	ck_assert_str_eq(err.reason, "image.malformed");
	ck_assert_uint_eq(image_store_count(place.store), 0);
	remove_place(&place);
}
END_TEST

START_TEST(blobs_with_other_bytes_are_refused)
{
	struct place place = make_place();
	char path[DIGEST_TEXT_MAX + 8] = "blobs/";
	put(place.ingest_fd, "a layer", place.extra);
	struct err err = {0};
	memcpy(path + 6, place.extra + 7, strlen(place.extra + 7) + 1);
	ck_assert_int_eq(file_replace_at(place.ingest_fd, path, "a liar", 6, 0644, FILE_VOLATILE, NULL), 0);
	ck_assert_int_eq(run(&place, "pull", "quay.io/a/b:1", "quay.io/a/b:1", place.config, &err), -EBADMSG);
	ck_assert_str_eq(err.reason, "image.digest-mismatch");
	ck_assert_uint_eq(image_store_count(place.store), 0);
	put(place.ingest_fd, "a layer", place.extra);
	ck_assert_int_eq(run(&place, "pull", "quay.io/a/b:1", "quay.io/a/b:1", place.config, &err), 0);
	remove_place(&place);
}
END_TEST

START_TEST(documents_with_other_bytes_are_refused)
{
	struct place place = make_place();
	char path[DIGEST_TEXT_MAX + 8] = "blobs/";
	memcpy(path + 6, place.config + 7, strlen(place.config + 7) + 1);
	ck_assert_int_eq(file_replace_at(place.ingest_fd, path, "{}", 2, 0644, FILE_VOLATILE, NULL), 0);
	struct err err = {0};
	ck_assert_int_eq(run(&place, "pull", "quay.io/a/b:1", "quay.io/a/b:1", place.config, &err), -EBADMSG);
	ck_assert_str_eq(err.reason, "image.digest-mismatch");
	ck_assert_uint_eq(image_store_count(place.store), 0);
	remove_place(&place);
}
END_TEST

START_TEST(a_blob_that_is_a_link_is_refused)
{
	struct place place = make_place();
	char path[DIGEST_TEXT_MAX + 8] = "blobs/";
	memcpy(path + 6, place.config + 7, strlen(place.config + 7) + 1);
	ck_assert_int_eq(unlinkat(place.ingest_fd, path, 0), 0);
	ck_assert_int_eq(symlinkat("/etc/passwd", place.ingest_fd, path), 0);
	ck_assert_int_lt(run(&place, "pull", "quay.io/a/b:1", "quay.io/a/b:1", place.config, NULL), 0);
	ck_assert_uint_eq(image_store_count(place.store), 0);
	remove_place(&place);
}
END_TEST

START_TEST(a_held_image_stays_until_it_is_released)
{
	struct place place = make_place();
	ck_assert_int_eq(run(&place, "load", NULL, "localhost/a:1", place.config, NULL), 0);
	struct err err = {0};
	ck_assert_int_eq(image_store_hold(place.store, place.config, NULL), 0);
	ck_assert_int_eq(image_store_remove(place.store, "localhost/a:1", 0, NULL, NULL, &err), -EBUSY);
	ck_assert_str_eq(err.reason, "image.in-use");
	ck_assert_int_eq(image_store_hold(place.store, "sha256:none", NULL), -ENOENT);
	image_store_release(place.store, place.config);
	ck_assert_int_eq(image_store_remove(place.store, "localhost/a:1", 0, NULL, NULL, NULL), 0);
	ck_assert_uint_eq(image_store_count(place.store), 0);
	remove_place(&place);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, an_image_is_recorded);
	tcase_add_loop_test(cases, a_pull_names_only_what_was_asked_for, 0, ARRAY_COUNT(FORBIDDEN));
	tcase_add_test(cases, an_id_that_is_not_the_manifests_is_refused);
	tcase_add_test(cases, blobs_with_other_bytes_are_refused);
	tcase_add_test(cases, documents_with_other_bytes_are_refused);
	tcase_add_test(cases, a_blob_that_is_a_link_is_refused);
	tcase_add_test(cases, a_held_image_stays_until_it_is_released);
}

TEST_MAIN("commit", add_tests)
