/*
 * src/job/current.c
 *	  The attempt that this process runs now.
 *
 * Process: the worker sets it; any process may ask. Locks: none.
 */
#include "postgres.h"

#include "job/current.h"

static KwjAttempt *current = NULL;

KwjAttempt *
kwj_attempt_current(void)
{
	return current;
}

void
kwj_attempt_set_current(KwjAttempt *attempt)
{
	current = attempt;
}
