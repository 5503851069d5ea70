#include "image/src/model.h"

#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define D "\"digest\":\"sha256:" HEX "\",\"size\":3"
#define CONFIG "\"config\":{" D "}"

static const struct {
	const char *text;
	const char *type; /* Content-Type */
	int code;
	enum model_kind kind;
} KINDS[] = {
	{"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\"}", NULL, 0, MODEL_KIND_INDEX},
	{"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_DOCKER_MANIFEST "\"}", NULL, 0, MODEL_KIND_MANIFEST},
	{"{\"schemaVersion\":2}", MEDIA_DOCKER_LIST "; charset=utf-8", 0, MODEL_KIND_INDEX},
	{"{\"schemaVersion\":2,\"layers\":[]}", NULL, 0, MODEL_KIND_MANIFEST},
	{"{\"schemaVersion\":2,\"manifests\":[]}", "text/html", 0, MODEL_KIND_INDEX},
	/* What it says of itself counts, not what the server says (CVE-2021-41190). */
	{"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"}", MEDIA_OCI_INDEX, 0, MODEL_KIND_MANIFEST},
	{"{\"schemaVersion\":2,\"layers\":[],\"manifests\":[]}", NULL, -ENOTSUP, 0},
	{"{\"schemaVersion\":1,\"layers\":[]}", NULL, -ENOTSUP, 0},
	{"{\"schemaVersion\":2,\"mediaType\":\"x/y\",\"layers\":[]}", MEDIA_OCI_MANIFEST, -ENOTSUP, 0},
	{"{}", NULL, -ENOTSUP, 0},
	{"{", NULL, -EBADMSG, 0},
	{"[]", NULL, -ENOTSUP, 0},
};

START_TEST(documents_tell_what_they_are)
{
	enum model_kind kind = MODEL_KIND_INDEX;
	ck_assert_int_eq(model_kind_of("x", KINDS[_i].text, strlen(KINDS[_i].text), KINDS[_i].type, &kind, NULL),
			 KINDS[_i].code);
	if (KINDS[_i].code == 0)
		ck_assert_int_eq(kind, KINDS[_i].kind);
}
END_TEST

static const struct {
	const char *text;
	int code;
} MANIFESTS[] = {
	{"{\"schemaVersion\":2," CONFIG ",\"layers\":[{" D "}]}", 0},
	{"{\"schemaVersion\":2," CONFIG ",\"layers\":[]}", 0},
	{"{\"schemaVersion\":3," CONFIG ",\"layers\":[]}", -EBADMSG},
	{"{\"schemaVersion\":2,\"layers\":[]}", -EBADMSG},
	{"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"digest\":\"sha256:x\",\"size\":1}]}", -EBADMSG},
	{"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"digest\":\"md5:d41d8cd98f00b204e9800998ecf8427e\",\"size\":1}]}",
	 -ENOTSUP},
	{"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"digest\":\"sha256:" HEX "\",\"size\":-1}]}", -EBADMSG},
	{"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"digest\":\"sha256:" HEX "\"}]}", -EBADMSG},
	{"{\"schemaVersion\":2," CONFIG ",\"layers\":{}}", -EBADMSG},
	{"{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:" HEX "\",\"size\":99999999}}", -EFBIG},
};

START_TEST(manifests_are_checked)
{
	scoped_done(arena_done) struct arena arena = {.max = MODEL_MEMORY_MAX};
	struct model_manifest manifest;
	struct err err = {0};
	int r = model_read_manifest("m", MANIFESTS[_i].text, strlen(MANIFESTS[_i].text), &arena, &manifest, &err);
	ck_assert_msg(r == MANIFESTS[_i].code, "%d: %s", r, err.message);
	if (r < 0)
		ck_assert_ptr_nonnull(str_after_prefix(err.reason, r == -ENOTSUP ? "digest." : "image."));
}
END_TEST

#define PLATFORM(os, arch, variant)                                                                                    \
	"{" D ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\",\"variant\":\"" variant "\"}}"

static const struct {
	const char *manifests;
	struct model_platform wanted;
	int chosen; /* -1: none */
} PLATFORMS[] = {
	{PLATFORM("linux", "arm64", "v8") "," PLATFORM("linux", "amd64", ""), {"amd64", "linux", ""}, 1},
	{PLATFORM("linux", "arm64", "v8") "," PLATFORM("linux", "amd64", ""), {"arm64", "linux", "v8"}, 0},
	{PLATFORM("linux", "arm64", "") "," PLATFORM("linux", "arm64", "v8"), {"arm64", "linux", "v8"}, 1},
	{PLATFORM("linux", "arm", "v5") "," PLATFORM("linux", "arm", "v6"), {"arm", "linux", "v7"}, 1},
	{PLATFORM("linux", "arm", "v7"), {"arm", "linux", "v6"}, -1},
	{PLATFORM("windows", "amd64", ""), {"amd64", "linux", ""}, -1},
	{PLATFORM("unknown", "unknown", ""), {"amd64", "linux", ""}, -1},
	{"{" D "}", {"amd64", "linux", ""}, 0},
	{"{" D "},{" D "}", {"amd64", "linux", ""}, -1},
};

START_TEST(platforms_are_chosen)
{
	scoped_done(arena_done) struct arena arena = {.max = MODEL_MEMORY_MAX};
	struct model_index index;
	scoped_free char *text = str_printf("{\"schemaVersion\":2,\"manifests\":[%s]}", PLATFORMS[_i].manifests);
	ck_assert_int_eq(model_read_index("i", text, strlen(text), &arena, &index, NULL), 0);
	const struct model_descriptor *chosen = NULL;
	struct err err = {0};
	int r = model_choose_platform(&index, &PLATFORMS[_i].wanted, &chosen, &err);
	ck_assert_int_eq(r, PLATFORMS[_i].chosen < 0 ? -ENOEXEC : 0);
	if (r == 0)
		ck_assert_ptr_eq(chosen, &index.manifests[PLATFORMS[_i].chosen]);
	else
		ck_assert_str_eq(err.reason, "image.no-platform");
}
END_TEST

START_TEST(chain_ids_are_those_of_the_specification)
{
	/* image-spec, config.md: ChainID(A) = A, ChainID(A|B) = digest(ChainID(A) " " B) */
	struct digest chain, expected;
	char text[] = "sha256:" HEX " sha256:" HEX;
	ck_assert_int_eq(model_chain_append(&chain, true, "sha256:" HEX), 0);
	ck_assert_int_eq(digest_parse_text("sha256:" HEX, &expected, NULL), 0);
	ck_assert(digest_equal(&chain, &expected));
	ck_assert_int_eq(model_chain_append(&chain, false, "sha256:" HEX), 0);
	ck_assert_int_eq(digest_of(DIGEST_SHA256, text, strlen(text), &expected), 0);
	ck_assert(digest_equal(&chain, &expected));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, documents_tell_what_they_are, 0, ARRAY_COUNT(KINDS));
	tcase_add_loop_test(cases, manifests_are_checked, 0, ARRAY_COUNT(MANIFESTS));
	tcase_add_loop_test(cases, platforms_are_chosen, 0, ARRAY_COUNT(PLATFORMS));
	tcase_add_test(cases, chain_ids_are_those_of_the_specification);
}

TEST_MAIN("model", add_tests)
