/*
 * src/type/test/parts.c
 *	  Jobs of type TEST_PARTS: work that several workers do.
 *
 * Process: session (validation), worker.
 */
#include "postgres.h"

#include "type/test/test.h"

const KwjType kwj_type_test_parts = {
	.name = "TEST_PARTS",
};
