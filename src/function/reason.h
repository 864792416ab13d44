/*
 * src/function/reason.h
 *	  Why a job that could run, or is to run later, does not run now.
 */
#ifndef KWJ_FUNCTION_REASON_H
#define KWJ_FUNCTION_REASON_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/* A job that is pending, or reverting without an attempt. */
typedef struct KwjPending
{
	Oid			owner;
	const char *job_type;
	TimestampTz due;
	TimestampTz run_at;			/* 0: at once */
	bool		ready;			/* it has a rank */
	const char *noted;			/* why its last attempt was taken back, or NULL */
	int			n_depends_on;	/* how many jobs it waits for; more than one: at least */
	int64		depends_on;		/* one of them */
} KwjPending;

/* What is asked once for many jobs: the state of the server at that moment. */
typedef struct KwjRoom KwjRoom;

/* Look, in the current memory context. Process: sessions. Locks: that of shared memory, for a moment. */
extern KwjRoom *kwj_reason_look(void);

/* Why the job does not run, palloc'd. Process: sessions, in a transaction. */
extern char *kwj_reason_of(KwjRoom *room, const KwjPending *job);

#endif
