#include "manager/src/idtable.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/test_main.h"

struct object {
	char id[ID_TEXT_MAX];
	int owner;
};

static int owned(const void *object, const void *owner)
{
	return ((const struct object *)object)->owner == *(const int *)owner;
}

START_TEST(ids_are_64_digits_and_differ)
{
	char first[ID_TEXT_MAX];
	char second[ID_TEXT_MAX];
	id_make(first);
	id_make(second);
	ck_assert_uint_eq(strspn(first, "0123456789abcdef"), 64);
	ck_assert_uint_eq(strlen(first), 64);
	ck_assert_str_ne(first, second);
}
END_TEST

START_TEST(objects_are_found_by_id_and_by_what_only_they_begin_with)
{
	scoped_done(idtable_done) struct idtable table = {0};
	struct object objects[] = {{"bbb2", 1}, {"aaa1", 1}, {"bbc3", 2}, {"ccc4", 1}};
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(idtable_add(&table, &objects[i]), 0);
	ck_assert_int_eq(idtable_add(&table, &objects[2]), -EEXIST);
	ck_assert_ptr_eq(idtable_get(&table, "bbc3"), &objects[2]);
	ck_assert_ptr_null(idtable_get(&table, "bbc"));

	struct err err = {0};
	void *found = NULL;
	ck_assert_int_eq(idtable_find(&table, "a", "thing", NULL, NULL, &found, &err), 0);
	ck_assert_ptr_eq(found, &objects[1]);
	ck_assert_int_eq(idtable_find(&table, "bb", "thing", NULL, NULL, &found, &err), -EEXIST);
	ck_assert_str_eq(err.message, "2 things begin with \"bb\": expected more digits");
	int owner = 2;
	ck_assert_int_eq(idtable_find(&table, "bb", "thing", owned, &owner, &found, &err), 0);
	ck_assert_ptr_eq(found, &objects[2]);
	ck_assert_int_eq(idtable_find(&table, "a", "thing", owned, &owner, &found, &err), -ENOENT);
	ck_assert_str_eq(err.message, "no such thing: \"a\"");
	ck_assert_int_eq(idtable_find(&table, "", "thing", NULL, NULL, &found, &err), -ENOENT);

	idtable_remove(&table, &objects[1]);
	ck_assert_ptr_null(idtable_get(&table, "aaa1"));
	ck_assert_uint_eq(table.count, 3);
}
END_TEST

START_TEST(many_objects_stay_in_order)
{
	scoped_done(idtable_done) struct idtable table = {0};
	static struct object objects[1000];
	for (size_t i = 0; i < 1000; i++) {
		id_make(objects[i].id);
		ck_assert_int_eq(idtable_add(&table, &objects[i]), 0);
	}
	for (size_t i = 1; i < table.count; i++)
		ck_assert_int_lt(strcmp(table.objects[i - 1], table.objects[i]), 0);
	for (size_t i = 0; i < 1000; i++)
		ck_assert_ptr_eq(idtable_get(&table, objects[i].id), &objects[i]);
	for (size_t i = 0; i < 1000; i++)
		idtable_remove(&table, &objects[i]);
	ck_assert_uint_eq(table.count, 0);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, ids_are_64_digits_and_differ);
	tcase_add_test(cases, objects_are_found_by_id_and_by_what_only_they_begin_with);
	tcase_add_test(cases, many_objects_stay_in_order);
}

TEST_MAIN("idtable", add_tests)
