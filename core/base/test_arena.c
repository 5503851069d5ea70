#include "core/base/arena.h"

#include <stdint.h>
#include <string.h>

#include "core/base/test_main.h"

START_TEST(memory_is_zeroed_aligned_and_distinct)
{
	struct arena arena = {.max = 1 << 20};
	char *last = NULL;
	for (size_t size = 1; size < 600; size++) {
		char *memory = arena_alloc(&arena, size);
		ck_assert_ptr_nonnull(memory);
		ck_assert_uint_eq((uintptr_t)memory % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			ck_assert_int_eq(memory[i], 0);
		memset(memory, 0xff, size);
		ck_assert(memory != last);
		last = memory;
	}
	arena_done(&arena);
}
END_TEST

START_TEST(a_large_block_does_not_end_the_small_one_in_use)
{
	struct arena arena = {.max = 1 << 20};
	char *first = arena_alloc(&arena, 16);
	ck_assert_ptr_nonnull(arena_alloc(&arena, 100000));
	char *second = arena_alloc(&arena, 16);
	ck_assert_ptr_eq(second, first + 16);
	arena_done(&arena);
}
END_TEST

START_TEST(the_cap_holds_and_overflows_count_as_exhausted)
{
	struct arena arena = {.max = 1024};
	ck_assert_ptr_null(arena_alloc(&arena, 1025));
	ck_assert_ptr_nonnull(arena_alloc(&arena, 1000));
	ck_assert_ptr_null(arena_alloc(&arena, 100));
	ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX));
	ck_assert_ptr_null(arena_array(&arena, SIZE_MAX / 2, 4));
	arena_done(&arena);
}
END_TEST

START_TEST(copies_text)
{
	struct arena arena = {.max = 65536};
	ck_assert_str_eq(arena_strdup(&arena, "abc"), "abc");
	ck_assert_str_eq(arena_strndup(&arena, "abc", 2), "ab");
	ck_assert_str_eq(arena_printf(&arena, "%s-%d", "x", 7), "x-7");
	arena_done(&arena);
	ck_assert_uint_eq(arena.used, 0);
}
END_TEST

static void add_tests(TCase *cases)
{
	tcase_add_test(cases, memory_is_zeroed_aligned_and_distinct);
	tcase_add_test(cases, a_large_block_does_not_end_the_small_one_in_use);
	tcase_add_test(cases, the_cap_holds_and_overflows_count_as_exhausted);
	tcase_add_test(cases, copies_text);
}

TEST_MAIN("arena", add_tests)
