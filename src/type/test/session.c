/*
 * src/type/test/session.c
 *	  Jobs of type TEST_SESSION: a session does them itself (src/function/test_session_job.c).
 *
 * Process: session.
 */
#include "postgres.h"

#include "type/test/test.h"

const KwjType kwj_type_test_session = {
	.name = "TEST_SESSION",
	.cancelable = true,
};
