/* SPDX-License-Identifier: Apache-2.0
 *
 * CUnit in one line per test. A unit test file: a table of {"name__ROW_ID", function}, then CU_MAIN(table). */
#ifndef CADUCEUS_TESTS_CU_H
#define CADUCEUS_TESTS_CU_H

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

struct cu_case {
	const char *name;
	void (*run)(void);
};

/* Where tests/data lies; set before the first test. */
static const char *cu_data __attribute__((unused));

#define CU_MAIN(table) \
	int main(int argc, char **argv) \
	{ \
		CU_pSuite suite; \
		unsigned failed; \
		cu_data = argc > 1 ? argv[1] : "tests/data"; \
		if (CU_initialize_registry() != CUE_SUCCESS) \
			return 2; \
		suite = CU_add_suite(__FILE__, NULL, NULL); \
		for (size_t i_ = 0; i_ < sizeof(table) / sizeof((table)[0]); i_++) \
			CU_add_test(suite, (table)[i_].name, (table)[i_].run); \
		CU_basic_set_mode(CU_BRM_VERBOSE); \
		CU_basic_run_tests(); \
		failed = CU_get_number_of_tests_failed() + CU_get_number_of_failures(); \
		printf("%u passed, %u failed\n", CU_get_number_of_tests_run() - CU_get_number_of_tests_failed(), \
		       CU_get_number_of_tests_failed()); \
		CU_cleanup_registry(); \
		return failed != 0; \
	}

#endif
