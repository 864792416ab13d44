/*
 * src/lifecycle/many.h
 *	  Statements and functions that act on many jobs at once.
 */
#ifndef KWJ_LIFECYCLE_MANY_H
#define KWJ_LIFECYCLE_MANY_H

#include "kwjobs.h"

/*
 * Sorts the ids and removes duplicates. Returns how many are left. All sessions lock the rows of
 * jobs in this order, so that they do not run into a deadlock with each other.
 */
extern int	kwj_sort_ids(int64 *job_ids, int n);

/*
 * Reports in one NOTICE how many jobs were left out, and why. counts and reasons have n entries;
 * entry 0 stands for the jobs that were not left out. A reason is text that can follow "it is" or
 * "they are". There is no NOTICE if no job was left out.
 */
extern void kwj_report_left_out(const int *counts, const char *const *reasons, int n);

#endif
