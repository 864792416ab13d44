/*
 * src/type/test/test.h
 *	  Job types with which tests use features that no other type uses yet. Only a test build
 *	  has them (make KWJ_TEST_BUILD=1).
 */
#ifndef KWJ_TYPE_TEST_TEST_H
#define KWJ_TYPE_TEST_TEST_H

#include "type/type.h"

extern const KwjType kwj_type_test_parts;
extern const KwjType kwj_type_test_program;
extern const KwjType kwj_type_test_session;

#endif
