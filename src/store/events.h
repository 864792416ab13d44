/*
 * src/store/events.h
 *	  What was asked of a job, by whom and why: rows of kwjobs.event.
 *
 * The view kwdb_internal.job_events shows them together with what the other tables have. So only
 * that is written here which no other table keeps: requests, and the ends of jobs that run again.
 */
#ifndef KWJ_STORE_EVENTS_H
#define KWJ_STORE_EVENTS_H

#include "kwjobs.h"
#include "job/status.h"
#include "utils/jsonb.h"

/*
 * A job keeps its KWJ_FIRST_EVENTS first and its KWJ_LAST_EVENTS last events; those between them
 * are deleted. So a role that asks for something again and again cannot fill the disk.
 */
#define KWJ_FIRST_EVENTS	500
#define KWJ_LAST_EVENTS		500

/* Who asks for something: the current user, and the user of the session. */
typedef struct KwjActor
{
	Oid			role;
	Oid			session;
} KwjActor;

typedef struct KwjEvent
{
	int64		job_id;
	const char *event;			/* what was asked for, as "pause" */
	KwjActor	actor;
	KwjStatus	status;			/* the status that the job has got by this */
	const char *reason;			/* as given; a long one is clipped; NULL: none */
	Jsonb	   *detail;			/* an object; NULL: none */
} KwjEvent;

/*
 * Returns who acts now. The caller has yet to call kwj_store_enter(), after which the current user
 * is the extension's owner.
 */
extern KwjActor kwj_store_actor(void);

/*
 * The coordinator does what a session of another database has asked for: until it calls this with
 * InvalidOid, the session user that kwj_store_actor() returns is this one.
 */
extern void kwj_store_act_for(Oid session_user);

/*
 * Writes the event, in the current transaction. The caller has locked the job's row, so that the
 * events of a job have an order, and changes the row in the same transaction.
 */
extern void kwj_store_event(const KwjEvent *event);

/*
 * Returns what the job's row loses when it is replaced: who has created the job, and its
 * description, as the detail of an event. NULL if there is no such job.
 */
extern Jsonb *kwj_store_before_replacement(int64 job_id);

/*
 * Keeps the end of a job that will not be over any more, or will end anew, as an event; else the
 * job's row would lose it. The caller has locked the row, and has yet to change it.
 */
extern void kwj_store_event_of_end(int64 job_id);

#endif
