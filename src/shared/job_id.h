/*
 * src/shared/job_id.h
 *	  Job ids: ((now - 2015-01-01 UTC) in ticks of 10 us << 15) + node id,
 *	  strictly increasing within a server.
 *
 * The ids in the specification have this form: 966387435059478529 was made on
 * node 1 at 2024-05-06 09:40:40.484460 UTC.
 */
#ifndef KWJ_SHARED_JOB_ID_H
#define KWJ_SHARED_JOB_ID_H

#include "kwjobs.h"

/*
 * Returns a new id, higher than all ids that this server has made. Process: any. Takes no lock, and
 * raises no error.
 */
extern int64 kwj_job_id_next(void);

/*
 * Notes that there is a job with this id, so that later ids are higher, even if the clock was set
 * back while the server was down. An id more than ten years ahead of the clock is ignored.
 */
extern void kwj_job_id_note(int64 job_id);

/* For qsort() and bsearch(): compares two job ids (int64), or structs whose first field is one. */
extern int	kwj_job_id_compare(const void *a, const void *b);

#endif
