#include "core/base/list.h"

#include "core/base/test_main.h"

struct item {
	int value;
	struct list link;
};

START_TEST(keeps_the_order_of_appending)
{
	struct list head = LIST_INIT(head);
	struct item items[3] = {{.value = 1}, {.value = 2}, {.value = 3}};
	ck_assert(list_empty(&head));
	for (size_t i = 0; i < 3; i++)
		list_append(&head, &items[i].link);
	int expected = 1;
	LIST_FOR_EACH(link, next, &head)
		ck_assert_int_eq(LIST_ENTRY(link, struct item, link)->value, expected++);
	ck_assert_int_eq(expected, 4);
}
END_TEST

START_TEST(elements_may_go_while_the_list_is_walked)
{
	struct list head = LIST_INIT(head);
	struct item items[3] = {{.value = 1}, {.value = 2}, {.value = 3}};
	for (size_t i = 0; i < 3; i++)
		list_append(&head, &items[i].link);
	int seen = 0;
	LIST_FOR_EACH(link, next, &head) {
		seen++;
		list_remove(link);
	}
	ck_assert_int_eq(seen, 3);
	ck_assert(list_empty(&head));
	ck_assert(!list_linked(&items[0].link));
}
END_TEST

START_TEST(removing_what_is_in_no_list_does_nothing)
{
	struct item item = {0};
	list_remove(&item.link);
	ck_assert(!list_linked(&item.link));
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, keeps_the_order_of_appending);
	tcase_add_test(cases, elements_may_go_while_the_list_is_walked);
	tcase_add_test(cases, removing_what_is_in_no_list_does_nothing);
}

TEST_MAIN("list", add_tests)
