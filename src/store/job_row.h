/*
 * src/store/job_row.h
 *	  Begins a row of kwjobs.job.
 */
#ifndef KWJ_STORE_JOB_ROW_H
#define KWJ_STORE_JOB_ROW_H

#include "store/table.h"

/*
 * Begin a new row of kwjobs.job in the opened table: columns that are NOT NULL and have a DEFAULT
 * get it, the others are NULL. The caller sets the other columns that are NOT NULL: job_id,
 * job_type, description, owner, user_name, status, due, max_attempts, payload, created,
 * modified.
 */
extern void kwj_job_row_begin(KwjTable *jobs);

/*
 * Returns whether a row that is begun here is all that an INSERT would make: no user has added
 * triggers, or columns with a DEFAULT, to the table.
 */
extern bool kwj_job_row_is_enough(const KwjTable *jobs);

#endif
