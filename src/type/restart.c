/*
 * src/type/restart.c
 *	  RESTART: a start of the server.
 *
 * Process: none. process/server_start.c makes these jobs; they are over when they are
 * created, so nothing executes them.
 */
#include "postgres.h"

#include "type/restart.h"

static KwjRequest
execute(KwjAttempt *attempt)
{
	elog(ERROR, "a start of the server cannot be executed");
}

static void
revert(KwjAttempt *attempt)
{
	elog(ERROR, "a start of the server cannot be reverted");
}

const KwjType kwj_type_restart = {
	.name = "RESTART",
	.pausable = false,
	.cancelable = false,
	.execute = execute,
	.revert = revert,
};
