/*
 * src/function/queue.c
 *	  SQL-callable: kwjobs.set_queue, which sets how many jobs of a queue may run at the same time.
 *
 * Process: sessions. Locks: those of store/queue.h.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lifecycle/control.h"
#include "lifecycle/options.h"
#include "store/queue.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(kwjobs_set_queue);

/* Arguments: the name of the queue, and the limit; NULL: none. */
Datum
kwjobs_set_queue(PG_FUNCTION_ARGS)
{
	const char *name;

	kwj_check_writable("kwjobs.set_queue()");
	kwj_check_admin("call kwjobs.set_queue()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the name of the queue must not be null"),
				 errhint("For instance: SELECT kwjobs.set_queue('mail', 2).")));
	name = kwj_queue_name(PG_GETARG_DATUM(0));
	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the limit of a queue is out of range: %d", PG_GETARG_INT32(1)),
				 errhint("Give 0 or more, or NULL for no limit.")));
	kwj_store_set_queue(name, PG_ARGISNULL(1) ? -1 : PG_GETARG_INT32(1));
	PG_RETURN_VOID();
}
