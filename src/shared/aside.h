/*
 * src/shared/aside.h
 *	  Jobs that the coordinators leave alone for now, and why.
 */
#ifndef KWJ_SHARED_ASIDE_H
#define KWJ_SHARED_ASIDE_H

#include "kwjobs.h"

/*
 * Say that this coordinator leaves a job alone, and why; NULL: not any more. What a session is told,
 * palloc'd; NULL: the job is not left alone.
 */
extern void kwj_shared_set_aside(int64 job_id, const char *why);
extern char *kwj_shared_why_aside(int64 job_id);

/* The coordinator of that database leaves: nobody leaves jobs of it alone any more. */
extern void kwj_clear_asides(Oid dboid);

#endif
