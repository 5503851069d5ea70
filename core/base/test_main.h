/* The main() of a unit test: one suite of one test case from a list. Include it once, at the end of test_<module>.c:
 *
 *	static void add_tests(TCase *cases) { tcase_add_test(cases, what_holds); }
 *	TEST_MAIN("module", add_tests) */
#pragma once

#include <check.h>
#include <stdlib.h>

#define TEST_MAIN(name, add_tests)                                                                                     \
	int main(void)                                                                                                 \
	{                                                                                                              \
		TCase *cases = tcase_create(name);                                                                     \
		tcase_set_timeout(cases, 60);                                                                          \
		add_tests(cases);                                                                                      \
		Suite *suite = suite_create(name);                                                                     \
		suite_add_tcase(suite, cases);                                                                         \
		SRunner *runner = srunner_create(suite);                                                               \
		srunner_run_all(runner, CK_NORMAL);                                                                    \
		int failed = srunner_ntests_failed(runner);                                                            \
		srunner_free(runner);                                                                                  \
		return failed ? EXIT_FAILURE : EXIT_SUCCESS;                                                           \
	}
