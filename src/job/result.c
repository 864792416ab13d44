/*
 * src/job/result.c
 *	  The result that the statements of the attempt set.
 *
 * Process: worker. Locks: none.
 *
 * The result follows the transactions of the work: it is a stack, with at most one value for each
 * level of subtransaction, the innermost one on top. When a level commits, its value becomes that
 * of the level around it; when it is rolled back, its value goes away. Level 0 is what is
 * committed: a statement may commit on its way.
 */
#include "postgres.h"

#include "access/xact.h"
#include "job/result.h"
#include "job/transaction.h"
#include "utils/memutils.h"

typedef struct Value
{
	struct Value *below;
	int			level;			/* of the subtransaction that has set it; 0: committed */
	Jsonb	   *result;			/* NULL: it was taken away */
} Value;

static Value *top = NULL;

static void
pop(void)
{
	Value	   *value = top;

	top = value->below;
	if (value->result != NULL)
		pfree(value->result);
	pfree(value);
}

/* The level has committed: what it has set replaces what the levels down to `outer` had set. */
static void
lower(int outer)
{
	Value	   *value = top;

	top = value->below;
	while (top != NULL && top->level >= outer)
		pop();
	value->below = top;
	value->level = outer;
	top = value;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
					  void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
		while (top != NULL && top->level >= level)
			pop();
	else if (event == SUBXACT_EVENT_COMMIT_SUB && top != NULL && top->level >= level)
		lower(level - 1);
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		while (top != NULL && top->level > 0)
			pop();
	else if (event == XACT_EVENT_COMMIT && top != NULL && top->level > 0)
		lower(0);
}

void
kwj_result_reset(void)
{
	while (top != NULL)
		pop();
}

void
kwj_result_set(Jsonb *result)
{
	static bool registered = false;
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	Value	   *value = palloc(sizeof(Value));

	value->level = GetCurrentTransactionNestLevel();
	value->result = result ? DatumGetJsonbPCopy(JsonbPGetDatum(result)) : NULL;
	MemoryContextSwitchTo(caller);
	kwj_at_transaction_end(&registered, at_transaction_end, at_subtransaction_end);
	value->below = top;
	top = value;
	lower(value->level);
}

Jsonb *
kwj_result(void)
{
	return top ? top->result : NULL;
}
