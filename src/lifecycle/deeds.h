/*
 * src/lifecycle/deeds.h
 *	  What an errand asks for, in the database that has the job.
 */
#ifndef KWJ_LIFECYCLE_DEEDS_H
#define KWJ_LIFECYCLE_DEEDS_H

#include "kwjobs.h"
#include "job/errand.h"
#include "lifecycle/control.h"

/*
 * Does what the errand would do, only to *job. Returns whether and why a statement on many jobs
 * leaves the job out: a number of KwjLeftOut or, of KWJ_DEED_DELETE, KwjDeletable; 0: it does not.
 * Errors: those of the statement or function.
 */
extern int	kwj_deed_would(const KwjErrand *errand, KwjControlledJob *job, KwjTypeAllows allows);

/* Does what the errand asks for, as the current user. Errors: those of the statement or function. */
extern void kwj_deed_do(const KwjErrand *errand, KwjTypeAllows allows);

#endif
