/*
 * src/lifecycle/many.h
 *	  Statements and functions that act on many jobs at once.
 */
#ifndef KWJ_LIFECYCLE_MANY_H
#define KWJ_LIFECYCLE_MANY_H

#include "kwjobs.h"

/*
 * Sorts the ids, and keeps each once. Returns how many are left. All sessions lock the rows of jobs
 * in this order, so that there is no deadlock between them.
 */
extern int	kwj_sort_ids(int64 *job_ids, int n);

/*
 * Reports in one NOTICE how many jobs were left out, and why. counts and reasons have n entries;
 * entry 0 is for the jobs that were not left out. A reason continues "it is" or "they are". Says
 * nothing if no job was left out.
 */
extern void kwj_report_left_out(const int *counts, const char *const *reasons, int n);

#endif
