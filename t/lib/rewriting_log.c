/*
 * t/lib/rewriting_log.c
 *	  A library that changes errors when they are reported, as Citus does with cancels that
 *	  are its distributed deadlocks. t/050_statement_hooks.pl builds it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/elog.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static emit_log_hook_type previous_hook;

static void
on_report(ErrorData *edata)
{
	if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED && edata->message != NULL &&
		strcmp(edata->message, "canceled by another server") == 0)
	{
		edata->sqlerrcode = ERRCODE_T_R_DEADLOCK_DETECTED;
		edata->message = MemoryContextStrdup(ErrorContext, "it was a distributed deadlock");
	}
	if (previous_hook)
		previous_hook(edata);
}

void
_PG_init(void)
{
	previous_hook = emit_log_hook;
	emit_log_hook = on_report;
}
