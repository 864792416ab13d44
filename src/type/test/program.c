/*
 * src/type/test/program.c
 *	  Jobs of type TEST_PROGRAM: work that a program does.
 *
 * Process: session (validation), worker.
 */
#include "postgres.h"

#include "type/test/test.h"

const KwjType kwj_type_test_program = {
	.name = "TEST_PROGRAM",
};
