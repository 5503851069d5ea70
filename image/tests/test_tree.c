/* What layers mean, entry by entry. A layer is written as a list of entries; the records come out as lines. */
#include "image/src/tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/base/test_main.h"
#include "image/src/tree_list.h"

/* "d PATH", "f PATH", "l PATH TARGET" (symbolic), "h PATH TARGET" (hard): entries separated by ';', layers by '|'. */
static int add_entry(struct tree *tree, const char *text, uint64_t number, struct err *err)
{
	static const struct {
		char letter;
		enum tar_type type;
	} TYPES[] = {{'d', TAR_DIRECTORY}, {'f', TAR_FILE}, {'l', TAR_SYMLINK}, {'h', TAR_HARD_LINK}, {'p', TAR_FIFO}};
	char path[300];
	char target[300] = "";
	char letter = 0;
	ck_assert_int_ge(sscanf(text, " %c %299s %299s", &letter, path, target), 2);
	struct tar_entry entry = {.path = path, .link = target, .mode = 0600, .size = number};
	for (size_t i = 0; i < ARRAY_COUNT(TYPES); i++)
		entry.type = TYPES[i].letter == letter ? TYPES[i].type : entry.type;
	return tree_add(tree, &entry, entry.type == TAR_FILE ? number : TREE_NO_DATA, err);
}

static int print_record(void *user, const struct tree_record *record, struct err *err)
{
	(void)err;
	static const char LETTERS[] = {'d', 'f', 'C', 'h', 'l', 'c', 'b', 'p', 'w'};
	if (str_equal(record->path, "."))
		return 0;
	int r = buf_printf(user, "%c %s", LETTERS[record->type], record->path);
	if (r == 0 && record->opaque)
		r = buf_add_text(user, " opaque");
	if (r == 0 && record->type == TREE_FILE)
		r = buf_printf(user, " #%llu", (unsigned long long)record->data);
	if (r == 0 && *record->target)
		r = buf_printf(user, " %s", record->target);
	if (r == 0 && record->type == TREE_COPY)
		r = buf_printf(user, " of %u", record->source);
	return r < 0 ? r : buf_add_char(user, ';');
}

struct list {
	struct buf bytes;
	struct tree_totals totals;
};

static int keep_record(void *user, const struct tree_record *record, struct err *err)
{
	(void)err;
	struct list *list = user;
	return tree_list_add(&list->bytes, record, &list->totals);
}

static int replay(void *user, const struct tree_record *record, struct err *err)
{
	return tree_replay(user, record, err);
}

/* Gives the layer to a second tree the way a later pull gets it: through its list. */
static void replay_layer(struct tree *tree, struct tree *copy)
{
	struct list list = {.bytes = {.max = 1 << 20}};
	ck_assert_int_eq(tree_list_begin(&list.bytes), 0);
	ck_assert_int_eq(tree_emit_layer(tree, keep_record, &list, NULL), 0);
	ck_assert_int_eq(tree_list_end(&list.bytes, &list.totals), 0);
	tree_begin_layer(copy);
	struct err err = {0};
	int r = tree_list_read(list.bytes.data, list.bytes.size, replay, copy, NULL, &err);
	ck_assert_msg(r == 0, "%s", err.message);
	buf_done(&list.bytes);
}

static int add_layer(struct tree *tree, char *text, uint64_t *number, struct err *err)
{
	tree_begin_layer(tree);
	char *rest = NULL;
	int r = 0;
	for (char *entry = strtok_r(text, ";", &rest); r == 0 && entry; entry = strtok_r(NULL, ";", &rest))
		r = add_entry(tree, entry, (*number)++, err);
	return r < 0 ? r : tree_end_layer(tree, err);
}

static const struct {
	const char *layers;
	const char *top;    /* records of the last layer */
	const char *merged; /* records of the merged view */
} CASES[] = {
	{"d a;f a/b", "d a;f a/b #1;", "d a;C a/b a/b of 0;"},
	/* a parent without an entry; a lower directory is kept as it is */
	{"f a/b", "d a;f a/b #0;", "d a;C a/b a/b of 0;"},
	{"d a;f a/x|f a/y", "d a;f a/y #2;", "d a;C a/x a/x of 0;C a/y a/y of 1;"},
	/* names */
	{"f ./a/../b//c", "d b;f b/c #0;", "d b;C b/c b/c of 0;"},
	{"f ../../etc/passwd", "d etc;f etc/passwd #0;", "d etc;C etc/passwd etc/passwd of 0;"},
	{"f /abs", "f abs #0;", "C abs abs of 0;"},
	/* duplicates: the last one counts */
	{"f a;f a", "f a #1;", "C a a of 0;"},
	{"d a;f a/b;f a", "f a #2;", "C a a of 0;"},
	{"f a;d a;f a/b", "d a;f a/b #2;", "d a;C a/b a/b of 0;"},
	/* whiteouts */
	{"f a;f b|f .wh.a", "w a;", "C b b of 0;"},
	{"f b|f .wh.a", "", "C b b of 0;"},
	{"d a;f a/b|f .wh.a", "w a;", ""},
	{"d a;f a/b|f a/.wh.b", "d a;w a/b;", "d a;"},
	{"d a;f a/b|f .wh.a;d a;f a/c", "d a opaque;f a/c #4;", "d a;C a/c a/c of 1;"},
	{"d a;f a/b|d a;f a/c;f .wh.a", "d a opaque;f a/c #3;", "d a;C a/c a/c of 1;"},
	{"d a;f a/b|f a/c;f .wh.a", "d a opaque;f a/c #2;", "d a;C a/c a/c of 1;"},
	{"f a|f a;f .wh.a", "f a #1;", "C a a of 1;"},
	{"f a|f .wh.a;f a", "f a #2;", "C a a of 1;"},
	{"d a;f a/b|f .wh.a;f a", "f a #3;", "C a a of 1;"},
	{"f a|f .wh.a|f a", "f a #2;", "C a a of 2;"},
	{"d a;f a/b|f .wh.a|d a", "d a;", "d a;"},
	{"d a;f a/b|f a|d a", "d a opaque;", "d a;"},
	{"d a;d a/b;f a/b/c|f a/b/x;f a/.wh.b", "d a;d a/b opaque;f a/b/x #3;", "d a;d a/b;C a/b/x a/b/x of 1;"},
	/* opaque marks */
	{"d a;f a/b|f a/.wh..wh..opq", "d a opaque;", "d a;"},
	{"d a;f a/b|f a/c;f a/.wh..wh..opq", "d a opaque;f a/c #2;", "d a;C a/c a/c of 1;"},
	{"d a;f a/b|f a/.wh..wh..opq;f a/.wh.b;f a/c", "d a opaque;f a/c #4;", "d a;C a/c a/c of 1;"},
	{"f a;f b|f .wh..wh..opq;f c", "w a;w b;f c #3;", "C c c of 1;"},
	{"d a;f a/b|f a/.wh..wh..opq;f a/c;f a/.wh..wh..opq", "d a opaque;f a/c #3;", "d a;C a/c a/c of 1;"},
	{"d a;d a/b;f a/b/c|d a/b;f a/.wh..wh..opq;f a/b/d;f a/b/.wh..wh..opq", "d a opaque;d a/b opaque;f a/b/d #5;",
	 "d a;d a/b;C a/b/d a/b/d of 1;"},
	{"d a;d a/b;f a/b/c|f a/b/d;f a/b/.wh..wh..opq;f a/.wh..wh..opq", "d a opaque;d a/b opaque;f a/b/d #3;",
	 "d a;d a/b;C a/b/d a/b/d of 1;"},
	{"d a;f a/b|f .wh..wh..opq;d a;f a/c;f .wh..wh..opq", "d a opaque;f a/c #4;", "d a;C a/c a/c of 1;"},
	{"f a|f .wh..wh.plnk", "", "C a a of 0;"},
	/* links */
	{"l bin usr/bin;d usr;d usr/bin|f bin/x", "d usr;d usr/bin;f usr/bin/x #3;",
	 "l bin usr/bin;d usr;d usr/bin;C usr/bin/x usr/bin/x of 1;"},
	{"l a ../../..|f a/x", "f x #1;", "l a ../../..;C x x of 1;"},
	{"l a /b/../c;f a/x", "l a /b/../c;d c;f c/x #1;", "l a /b/../c;d c;C c/x c/x of 0;"},
	{"d etc;l local /etc|d local;f local/x", "d local opaque;f local/x #3;", "d etc;d local;C local/x local/x of 1;"},
	{"f a;h b a", "f a #0;h b a;", "C a a of 0;h b a;"},
	{"h b a;f a", "f b #1;h a b;", "C b b of 0;h a b;"},
	{"f a|h b a", "C a a of 0;h b a;", "C a a of 1;h b a;"},
	{"f a|h b a|h c b", "C b a of 1;h c b;", "C a a of 1;C b b of 2;h c b;"},
	{"f a|h b a;f .wh.a", "w a;C b a of 0;", "C b b of 1;"},
	{"f a|f .wh.a;h b a", "w a;C b a of 0;", "C b b of 1;"},
	{"f a|h b a;f a", "f a #2;C b a of 0;", "C a a of 1;C b b of 1;"},
	{"l a x|h b a", "l a x;h b a;", "l a x;h b a;"},
	{"f a;h a a", "f a #0;", "C a a of 0;"},
};

START_TEST(a_layer_means)
{
	char *text = strdup(CASES[_i].layers);
	scoped(tree_free) struct tree *tree = NULL;
	scoped(tree_free) struct tree *copy = NULL;
	ck_assert_int_eq(tree_new(&tree), 0);
	ck_assert_int_eq(tree_new(&copy), 0);
	scoped_done(buf_done) struct buf top = {.max = 65536};
	scoped_done(buf_done) struct buf merged = {.max = 65536};
	scoped_done(buf_done) struct buf replayed = {.max = 65536};
	uint64_t number = 0;
	char *rest = NULL;
	for (char *layer = strtok_r(text, "|", &rest); layer; layer = strtok_r(NULL, "|", &rest)) {
		struct err err = {0};
		int r = add_layer(tree, layer, &number, &err);
		ck_assert_msg(r == 0, "%s: %s", CASES[_i].layers, err.message);
		buf_clear(&top);
		ck_assert_int_eq(buf_add_text(&top, ""), 0);
		ck_assert_int_eq(tree_emit_layer(tree, print_record, &top, NULL), 0);
		replay_layer(tree, copy);
	}
	ck_assert_int_eq(buf_add_text(&merged, ""), 0);
	ck_assert_int_eq(tree_emit_all(tree, print_record, &merged, NULL), 0);
	ck_assert_int_eq(tree_emit_all(copy, print_record, &replayed, NULL), 0);
	ck_assert_str_eq(top.data, CASES[_i].top);
	ck_assert_str_eq(merged.data, CASES[_i].merged);
	/* What lists carry over is all that later layers and the bundle need. */
	ck_assert_str_eq(replayed.data ? replayed.data : "", merged.data);
	free(text);
}
END_TEST

START_TEST(links_wait_for_links)
{
	char text[] = "h c b;h b a;f a";
	scoped(tree_free) struct tree *tree = NULL;
	scoped_done(buf_done) struct buf top = {.max = 4096};
	uint64_t number = 0;
	ck_assert_int_eq(tree_new(&tree), 0);
	ck_assert_int_eq(add_layer(tree, text, &number, NULL), 0);
	ck_assert_int_eq(tree_emit_layer(tree, print_record, &top, NULL), 0);
	ck_assert_str_eq(top.data, "f c #2;h b c;h a c;");
}
END_TEST

static const char *const REFUSED[] = {
	"f .wh.",      "f .wh..",	"f a/.wh...", "f a;f a/b", "h a b", "h a b;h b a", "d a;h b a",
	"l a a;f a/x", "l a b;l b a;f a/x",
};

START_TEST(refuses)
{
	char *text = strdup(REFUSED[_i]);
	scoped(tree_free) struct tree *tree = NULL;
	uint64_t number = 0;
	struct err err = {0};
	ck_assert_int_eq(tree_new(&tree), 0);
	ck_assert_int_eq(add_layer(tree, text, &number, &err), -EBADMSG);
	ck_assert_str_eq(err.reason, "image.layer-malformed");
	free(text);
}
END_TEST

START_TEST(deep_paths_through_links_stay_bounded)
{
	/* Each link leads one hundred names deeper: the path that comes out is longer than any that went in. */
	scoped(tree_free) struct tree *tree = NULL;
	ck_assert_int_eq(tree_new(&tree), 0);
	tree_begin_layer(tree);
	char target[1000] = "";
	for (size_t i = 0; i < 400; i++)
		memcpy(target + 2 * i, "d/", 3);
	char path[200] = "";
	int r = 0;
	for (int i = 0; r == 0 && i < 20; i++) {
		(void)snprintf(path + strlen(path), sizeof path - strlen(path), "%sl", i ? "/" : "");
		struct tar_entry entry = {.type = TAR_SYMLINK, .path = path, .link = target};
		r = tree_add(tree, &entry, TREE_NO_DATA, NULL);
	}
	ck_assert_int_eq(r, -EFBIG);
}
END_TEST

/* GHSA-rp3h-jf77-q9p4's kind: were each marker to walk the folder, these would be billions of steps. */
static const char *const MARKERS[] = {"d/.wh..wh..opq", ".wh..wh..opq", ".wh.d"};

START_TEST(repeated_markers_stay_cheap)
{
	enum { FILES = 100000, REPEATED = 400000 };
	scoped(tree_free) struct tree *tree = NULL;
	ck_assert_int_eq(tree_new(&tree), 0);
	char path[32];
	for (int layer = 0; layer < 2; layer++) {
		tree_begin_layer(tree);
		for (int i = 0; i < FILES; i++) {
			(void)snprintf(path, sizeof path, "%s%d", i % 2 ? "d/" : "", i);
			struct tar_entry entry = {.type = TAR_FILE, .path = path, .link = ""};
			ck_assert_int_eq(tree_add(tree, &entry, 0, NULL), 0);
		}
	}
	struct tar_entry marker = {.type = TAR_FILE, .path = MARKERS[_i], .link = ""};
	for (int i = 0; i < REPEATED; i++)
		ck_assert_int_eq(tree_add(tree, &marker, 0, NULL), 0);
}
END_TEST

START_TEST(long_names_are_refused)
{
	char name[300];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	scoped(tree_free) struct tree *tree = NULL;
	ck_assert_int_eq(tree_new(&tree), 0);
	tree_begin_layer(tree);
	struct tar_entry entry = {.type = TAR_FILE, .path = name, .link = ""};
	ck_assert_int_eq(tree_add(tree, &entry, 0, NULL), -EFBIG);
}
END_TEST

START_TEST(attributes_of_the_machine_are_left_out)
{
	ck_assert(tree_keeps_xattr("user.note"));
	ck_assert(tree_keeps_xattr("security.capability"));
	ck_assert(!tree_keeps_xattr("user.overlay.opaque"));
	ck_assert(!tree_keeps_xattr("trusted.overlay.opaque"));
	ck_assert(!tree_keeps_xattr("security.selinux"));
	ck_assert(!tree_keeps_xattr("system.posix_acl_access"));
}
END_TEST

START_TEST(a_damaged_list_is_told)
{
	char text[] = "d a;f a/b;l a/c x;h a/d a/b";
	scoped(tree_free) struct tree *tree = NULL;
	struct list list = {.bytes = {.max = 1 << 20}};
	uint64_t number = 0;
	ck_assert_int_eq(tree_new(&tree), 0);
	ck_assert_int_eq(add_layer(tree, text, &number, NULL), 0);
	ck_assert_int_eq(tree_list_begin(&list.bytes), 0);
	ck_assert_int_eq(tree_emit_layer(tree, keep_record, &list, NULL), 0);
	ck_assert_int_eq(tree_list_end(&list.bytes, &list.totals), 0);
	ck_assert_uint_eq(list.totals.inodes, 4);
	scoped_done(buf_done) struct buf out = {.max = 1 << 20};
	for (size_t cut = 0; cut < list.bytes.size; cut++)
		ck_assert_int_eq(tree_list_read(list.bytes.data, cut, print_record, &out, NULL, NULL), -EUCLEAN);
	list.bytes.data[6]++;
	ck_assert_int_eq(tree_list_read(list.bytes.data, list.bytes.size, print_record, &out, NULL, NULL), -EPROTONOSUPPORT);
	list.bytes.data[6]--;
	char *name = memchr(list.bytes.data + 100, 'b', list.bytes.size - 100);
	ck_assert_ptr_nonnull(name);
	name[-1] = '.'; /* "a.b" is a name, "a/b" became one */
	name[-2] = '.';
	name[0] = '/';
	ck_assert_int_eq(tree_list_read(list.bytes.data, list.bytes.size, print_record, &out, NULL, NULL), -EUCLEAN);
	buf_done(&list.bytes);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_loop_test(cases, a_layer_means, 0, ARRAY_COUNT(CASES));
	tcase_add_test(cases, links_wait_for_links);
	tcase_add_loop_test(cases, refuses, 0, ARRAY_COUNT(REFUSED));
	tcase_add_test(cases, deep_paths_through_links_stay_bounded);
	tcase_add_loop_test(cases, repeated_markers_stay_cheap, 0, ARRAY_COUNT(MARKERS));
	tcase_add_test(cases, long_names_are_refused);
	tcase_add_test(cases, attributes_of_the_machine_are_left_out);
	tcase_add_test(cases, a_damaged_list_is_told);
}

TEST_MAIN("tree", add_tests)
