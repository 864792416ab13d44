/*
 * src/store/over.h
 *	  Telling those who listen of jobs that a query has ended. Only src/store includes this.
 */
#ifndef KWJ_STORE_OVER_H
#define KWJ_STORE_OVER_H

#include "kwjobs.h"

/*
 * Columns that each query which ends jobs has to return, for kwj_store_tell_listeners(). The query
 * calls kwjobs.job "j". The error is read only if the job has a channel, because the text may be
 * long, or its TOAST data may be lost.
 */
#define KWJ_OVER_COLUMNS \
	" j.job_id, j.status, j.notify, CASE WHEN j.notify IS NOT NULL THEN j.error_code END AS error_code," \
	" CASE WHEN j.notify IS NOT NULL THEN left(j.error, 1000) END AS error"

/*
 * The first n rows of the last query have these columns: tells of the jobs among them that are
 * over.
 */
extern void kwj_store_tell_listeners(uint64 n);

#endif
