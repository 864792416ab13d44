/*
 * src/shared/aside.h
 *	  Jobs that the coordinators leave alone for now, and why, for sessions to see.
 */
#ifndef KWJ_SHARED_ASIDE_H
#define KWJ_SHARED_ASIDE_H

#include "kwjobs.h"

/*
 * kwj_shared_set_aside: the coordinator of this database leaves the job alone, and why; NULL: not
 * any more. kwj_shared_why_aside: the reason for a session to show, palloc'd; NULL if the job is
 * not left alone. Both take kwj_shared->lock for a moment.
 */
extern void kwj_shared_set_aside(int64 job_id, const char *why);
extern char *kwj_shared_why_aside(int64 job_id);

/*
 * The coordinator of the database exits, so that no jobs there are left alone any more. The caller
 * holds kwj_shared->lock exclusively.
 */
extern void kwj_clear_asides(Oid dboid);

#endif
