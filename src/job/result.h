/*
 * src/job/result.h
 *	  The result that the statements of the attempt set (kwjobs.set_result).
 *
 * Process: worker. It is in the worker's own memory until the attempt succeeds; then
 * src/store/end.c writes it into the job's row, in the transaction of the work.
 */
#ifndef KWJ_JOB_RESULT_H
#define KWJ_JOB_RESULT_H

#include "kwjobs.h"
#include "utils/jsonb.h"

/* Forget it, because an attempt begins. */
extern void kwj_result_reset(void);

/*
 * Set the result; NULL takes it away. A rollback of the transaction or of the subtransaction in
 * which this is called brings back what was there before.
 */
extern void kwj_result_set(Jsonb *result);

/* Return the result, or NULL. It lives until the next change. */
extern Jsonb *kwj_result(void);

#endif
