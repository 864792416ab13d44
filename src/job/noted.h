/*
 * src/job/noted.h
 *	  Why a job waits, as the process that has put it off notes it in its row: how these texts begin.
 *	  kwjobs.why tells by them what the user can do.
 */
#ifndef KWJ_JOB_NOTED_H
#define KWJ_JOB_NOTED_H

/* The coordinator: the postmaster has no slot for a worker. */
#define KWJ_NOTED_NO_SLOT		"waiting for a background worker slot"

/* The worker: there are too few places for the sessions of the job's programs. */
#define KWJ_NOTED_NO_SESSIONS	"waiting for sessions"

/* The coordinator: the job would not end before its window closes, or nobody knows whether it would. */
#define KWJ_NOTED_NO_TIME		"waiting for more time in its window"
#define KWJ_NOTED_NO_TIMEOUT	"waiting: it has no timeout, so nobody knows whether it ends in its window"

#endif
