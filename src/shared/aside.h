/*
 * src/shared/aside.h
 *	  Jobs that the coordinators leave alone for now, and the reasons, which sessions show.
 */
#ifndef KWJ_SHARED_ASIDE_H
#define KWJ_SHARED_ASIDE_H

#include "kwjobs.h"

/*
 * The coordinator of this database calls kwj_shared_set_aside when it leaves the job alone; `why`
 * is the reason, or NULL if it does not leave the job alone any more. A session calls
 * kwj_shared_why_aside, which returns the reason, palloc'd; NULL if the job is not left alone. Both
 * take kwj_shared->lock for a moment.
 */
extern void kwj_shared_set_aside(int64 job_id, const char *why);
extern char *kwj_shared_why_aside(int64 job_id);

/*
 * Removes all entries of the database, because its coordinator exits. The caller holds
 * kwj_shared->lock exclusively.
 */
extern void kwj_clear_asides(Oid dboid);

#endif
