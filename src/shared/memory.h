/*
 * src/shared/memory.h
 *	  The layout of kwjobs's shared memory. Only src/shared includes this file, and only
 *	  src/shared touches the memory.
 *
 * Nothing here survives a restart, and nothing has to, because the state of the jobs is in the
 * tables. Shared memory says what runs now: which databases have a coordinator (KwjDatabase), which
 * workers run which attempts (KwjSlot), which jobs sessions do themselves (KwjSessionPlace), and
 * which processes wait for what.
 *
 * LOCKS. One LWLock, kwj_shared->lock, protects everything except KwjProgress (which has atomics
 * and a spinlock of its own), the messages of a slot (KwjSlot.messages), the progress of sessions'
 * jobs (a spinlock for each), the atomics last_tick, unrecorded, hold_changes and sees_workers_out,
 * and the condition variables. A process that holds the lock waits for nothing and raises no error.
 * Signals are sent only under the lock, to the process in proc: exit callbacks clear proc under the
 * lock, so the pid cannot belong to another process by then.
 *
 * A SLOT'S LIFE. There is a slot for each worker that may exist. All transitions but "begun" happen
 * under the lock, held exclusively; the diagram names the process and the function that makes each.
 *
 *    free                                          idle: proc set, job_id 0
 *     |  coordinator: kwj_shared_assign             |  coordinator: kwj_shared_assign
 *     v                                             v
 *    reserved: assigned, proc NULL                 assigned: job_id set, handed_over false
 *     |  coordinator: kwj_shared_hand_over,         |  coordinator, after the commit of its claim:
 *     |  then it asks for a worker                  |  kwj_shared_hand_over
 *     |  worker: kwj_shared_attach_worker           |
 *     +---------------------+-----------------------+
 *                           v
 *                          handed over, attached: handed_over true, proc set  <---------+
 *                           +--> worker: kwj_shared_worker_idle --> idle, if there is   |
 *                           |    nothing to run                                         |
 *                           |  worker: kwj_shared_begin_work                            |
 *                           v                                                           |
 *                          begun: begun true                                            |
 *                           |  worker: kwj_shared_begin_commit                          |
 *                           v                                                           |
 *                          committing: the coordinator sends no more signals            |
 *                           |  worker: kwj_shared_announce (next_job_id set), if it     |
 *                           |  claims its next job in the same commit                   |
 *                           +--> worker: kwj_shared_begin_announced --------------------+
 *                           +--> worker: kwj_shared_worker_idle --> idle
 *
 *   A slot becomes free when its worker exits (worker_exits). If `leave` is set, an idle worker has
 *   to exit, and gets no more jobs. A worker has nothing to run in these cases: the attempt is
 *   not the job's active one any more; a hold came, and the worker has given its claim back; the
 *   rows of the job could not be read, so the worker has ended the attempt with that error; or
 *   somebody has requested PAUSE or CANCEL, so the worker has ended the attempt as requested.
 *
 * The order of the steps makes sure that a committed claim has a slot until its worker is gone or
 * could not be started: the coordinator assigns before its commit and hands over afterwards; a
 * worker that claims a job itself announces it before its commit and begins it afterwards. Only a
 * job whose owner was dropped never gets a slot. So an attempt which is active in the tables, but
 * in no slot, has no worker (any more).
 *
 * WHO DIES WHERE.
 * - The coordinator, before its claim is committed: coordinator_exits() takes assigned jobs back
 *   and frees reserved slots, and the transaction is rolled back. After the commit it hands over
 *   with interrupts held off. If it exits later, coordinator_exits() frees the slots of workers
 *   that have yet to attach, and the next coordinator finds these attempts without a worker.
 * - The worker: worker_exits() frees the slot after its session is gone, and wakes the coordinator,
 *   which settles the attempt (src/coordinator/adopt.c). If the work had not begun, the worker
 *   leaves a KwjUnbegun, and the coordinator takes the attempt back without counting it. If a
 *   worker is killed, the server goes through a crash restart, and this memory is set up anew.
 * - The postmaster never starts the worker: the coordinator frees the reserved slot (dispatch.c).
 *
 * TEAMS. If several workers may carry an attempt, it has a KwjTeam from kwj_team_open() of part 0
 * until kwj_team_end() of the last part. Then several slots have this job and attempt, each with
 * the number of its part. doc/developers/parts.md draws the states.
 *
 * KNOWN HOLES. If more than kwj_max_unbegun workers exit with unbegun attempts before the
 * coordinator has looked, the oldest of these attempts count as crashed. A lockout on a database is
 * not recorded if there is no free entry for it (lockout.c).
 */
#ifndef KWJ_SHARED_MEMORY_H
#define KWJ_SHARED_MEMORY_H

#include "kwjobs.h"
#include "job/messages.h"
#include "job/progress.h"
#include "port/atomics.h"
#include "shared/ask.h"
#include "shared/mail.h"
#include "shared/ready.h"
#include "shared/session_jobs.h"
#include "shared/sight.h"
#include "shared/start.h"
#include "shared/team.h"
#include "shared/wait.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/spin.h"

#define KWJ_WAIT_PLACES			64

/* Entries for databases that have no coordinator, but on which a command has put a lockout. */
#define KWJ_LOCKOUT_ENTRIES		32

/*
 * How many databases without a coordinator the launcher can be told of between two looks. With
 * more, it visits all. A build for tests has few, so that a test need not create hundreds.
 */
#ifdef KWJ_TEST_BUILD
#define KWJ_WANTED				2
#else
#define KWJ_WANTED				256
#endif

/*
 * Why a database has an entry. A database in which nothing of kwjobs happens has none: the
 * launcher remembers when its next coordinator has something to do (src/process/launcher.c).
 *
 *	 (none) --command puts a lockout--> IDLE
 *	 (none), IDLE --launcher--> STARTING --coordinator attaches--> RUNNING --it exits--> LEFT
 *	 STARTING --launcher: the postmaster has no slot for it--> (none), IDLE
 *	 STARTING --launcher: the coordinator never came to life, or a lockout came first--> LEFT
 *	 LEFT --launcher, once no lockout is left--> (none)
 *
 * All transitions happen under the lock. If a command has interrupted jobs in a database without a
 * coordinator, it makes the entry LEFT when it releases its lockout, so that the launcher starts a
 * coordinator for them (lockout.c).
 */
typedef enum DatabaseState
{
	DATABASE_IDLE,				/* no coordinator; the entry exists because of a lockout */
	DATABASE_STARTING,			/* the launcher has asked the postmaster for a coordinator */
	DATABASE_RUNNING,			/* the coordinator runs, and is proc */
	DATABASE_LEFT,				/* the coordinator is gone; the launcher has yet to see why */
} DatabaseState;

/* An attempt whose worker exited in order before it began the work. */
typedef struct KwjUnbegun
{
	Oid			dboid;			/* needed: jobs in a copied database have the same ids */
	int64		job_id;			/* 0: unused entry */
	int32		attempt;
} KwjUnbegun;

/* Protected by kwj_shared->lock. */
typedef struct KwjDatabase
{
	Oid			dboid;			/* InvalidOid: free entry */
	DatabaseState state;
	int			lockouts;		/* number of sessions whose command needs the database for itself */
	int			waits_end;		/* number of lockouts that also make sessions give up their waits */
	PGPROC	   *proc;			/* the coordinator; valid while DATABASE_RUNNING */
	uint32		launch;			/* number of the coordinator's start, see Started in launcher.c */
	TimestampTz launched;		/* when the launcher started the coordinator */
	bool		looked;			/* the coordinator has completed its first pass: kwjobs is there */
	TimestampTz looked_since;	/* when the coordinator set looked */
	TimestampTz idle_since;		/* since when the coordinator has nothing to do; 0: it is busy */
	TimestampTz told_to_leave;	/* when it was told to leave for another database; 0: it was not */
	/* kwj_need_coordinator() was called since the coordinator attached or decided to leave */
	bool		asked;
	bool		in_order;		/* it leaves by itself or for a command, so it has not died */
	/* with in_order: when its successor has something to do; DT_NOEND: unknown */
	TimestampTz due;
	bool		interrupted;	/* a lockout, or a stop of the server, ended the attempts there */
	KwjReady	ready;			/* the jobs that wait for a worker */
	uint32		holds_changed;	/* number of the last change of a hold that concerns it, see held.c */
	TimestampTz limited_since;	/* since when ready.limited has been this role */
	/* when the coordinator was first woken for ready.limited since it set ready; 0: not yet */
	TimestampTz limited_woken;
	bool		overlooked;		/* see kwj_shared_take_overlooked() */
	TimestampTz lowest_rank;	/* see kwj_shared_take_lowest_rank() */
	bool		woken;			/* see kwj_shared_coordinator_was_woken() */
	bool		released;		/* see kwj_shared_take_released() */
	bool		start_unrecorded;	/* the start of the server is not recorded yet, see start.h */
	uint32		quiet_changes;	/* see kwj_quiet_changes() */
	bool		changed;		/* see kwj_shared_take_changes() */
} KwjDatabase;

/* The slot of a worker. Its states and transitions are at the top of this file. */
typedef struct KwjSlot
{
	/* Protected by kwj_shared->lock: */
	bool		in_use;
	uint32		generation;		/* goes up with each worker that gets this slot */
	Oid			dboid;
	Oid			role;
	int64		job_id;			/* 0: idle */
	int32		attempt;
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz since;			/* when the worker got the job, or became idle */
	uint32		holds_noted;	/* the holds by which job_id was claimed, see shared/held.c */
	bool		handed_over;	/* the claim of job_id is committed, so the worker may begin */
	bool		leave;			/* the worker is to exit, and gets no more jobs */
	bool		dismissed;		/* a command on the database has sent the worker away */
	/*
	 * The worker sets this without the lock. Only the worker itself reads it, in its exit callback.
	 */
	bool		begun;			/* the work of the attempt may have begun */
	/* Protected by kwj_shared->lock again: */
	bool		committing;		/* the work is over, so the coordinator sends no more signals */
	int64		next_job_id;	/* the job that the worker has announced; 0: none */
	int32		next_attempt;
	uint32		next_holds_noted;	/* as holds_noted, for the next job */
	bool		watched;		/* see kwj_shared_watch_jobs() */
	int64		waits_for;		/* the job that the attempt waits for; 0: none */
	KwjWaitVerdict wait_verdict;
	PGPROC	   *proc;			/* NULL until the worker has attached */
	int			part;			/* of the attempt; 0: its first worker, mostly the only one */
	bool		in_team;		/* the worker is in the team of its attempt */
	int64		piece;			/* the piece of the work that it holds; KWJ_NO_PIECE: none */
	int			sessions;		/* its places for sessions, see served.h */

	/* Protected as KwjProgress says: */
	KwjProgress progress;
	/* Written by the worker only, without a lock, as KwjMessages says: */
	KwjMessages messages;
	/* Written by sessions that look at the job, as KwjSight says: */
	KwjSight	sight;
} KwjSlot;

/* The workers that carry one attempt together, see shared/team.h. Protected by kwj_shared->lock. */
typedef struct KwjTeam
{
	Oid			dboid;
	int64		job_id;			/* 0: unused entry */
	int32		attempt;
	Oid			role;
	char		job_type[KWJ_JOB_TYPE_LEN];
	TimestampTz began;			/* when the attempt began its work */
	int			wanted;			/* the most parts that there may be */
	int			next_part;		/* the number of the next part that joins */
	int			present;		/* how many parts are in the team */
	int			excused;		/* how many parts were asked to leave, and have yet to */
	bool		planned;		/* all pieces are in the table */
	bool		stopped;		/* a part has left because of a request */
	bool		closed;			/* only one part is left, and no other part may join */
	int64		stop_before;	/* parts may only begin pieces before this one; PG_INT64_MAX: all */
	int64		ahead;			/* how many pieces are planned, not done, and held by no part */
	uint64		news;			/* goes up with each change that a part may wait for */
	uint64		done;			/* units of the pieces that are done */
	uint64		total;			/* units of the whole work; 0: not known yet */
	uint64		rows;			/* rows that all attempts have committed */
} KwjTeam;

/* A job that a coordinator leaves alone, see kwj_shared_set_aside(). */
#define KWJ_ASIDES		32

typedef struct KwjAside
{
	Oid			dboid;			/* InvalidOid: unused */
	int64		job_id;
	char		why[200];
} KwjAside;

/* How many sessions may list the jobs of the server at the same time. */
#define KWJ_ASKS		32

/* A question of a session to other databases, see shared/ask.h. Protected by kwj_shared->lock. */
typedef struct KwjAsk
{
	int			n;				/* how many databases it is for; 0: unused */
	dsm_handle	segment;
	/* the databases, in the order of their queues; InvalidOid: this one has taken the question */
	Oid			databases[KWJ_ASKED];
} KwjAsk;

/* How many mails there may be. A coordinator that finds no place for its mail tries again later. */
#define KWJ_MAILS		64

/*
 * A mail from one database to another. Its states are drawn in mail.c. Protected by
 * kwj_shared->lock.
 */
typedef struct KwjMail
{
	Oid			source;			/* InvalidOid: unused */
	Oid			target;
	KwjMailState state;
	dsm_handle	segment;		/* in an unused place, that of a mail whose source was dropped */
	TimestampTz sent;
} KwjMail;

/*
 * How many databases without kwjobs are remembered. Any further one is asked by each session that
 * lists the jobs of the server, and a coordinator begins there for nothing.
 */
#define KWJ_WITHOUT		1024

/* How many quiet databases are remembered. Sessions ask any further one in vain. */
#define KWJ_QUIET		1024

/* A database in which nothing has happened since its coordinator left, see quiet.h. */
typedef struct KwjQuiet
{
	Oid			dboid;
	TimestampTz newest;			/* when the last of its jobs ended; DT_NOBEGIN: it has none */
} KwjQuiet;

/* How many databases are remembered, see looked.c. */
#define KWJ_LOOKED		1024

/* What the coordinators of a database have found when they last looked. */
typedef struct KwjLooked
{
	Oid			dboid;			/* InvalidOid: unused */
	bool		counted;		/* the collector has looked */
	int64		changes;		/* how many rows had changed then */
	TimestampTz schedules;		/* the last look at the schedules, by kwj_clock(); 0: there was none */
	TimestampTz clock;			/* the last look at the clock; 0: there was none */
} KwjLooked;

/* A place for a job that a session does itself. Its states are drawn in session_jobs.c. */
typedef struct KwjSessionPlace
{
	/* Protected by kwj_shared->lock, except for the fields at its end, which mutex protects. */
	KwjSessionJob job;
	slock_t		mutex;
	PGPROC	   *proc;			/* the session; NULL: no session has the place any more */
	/* the next place in the list of free places, of WRITTEN places, or of a session's jobs */
	int			next;
	SubTransactionId in;		/* read and written by the session only */
	KwjSight	sight;			/* written by sessions that look at the job, as KwjSight says */
	KwjPosition scan;			/* written by the session while its statement scans tables */
} KwjSessionPlace;

typedef struct KwjShared
{
	LWLock	   *lock;
	PGPROC	   *launcher;		/* protected by lock; NULL: no launcher runs */
	bool		launcher_woken; /* protected by lock; see kwj_shared_launcher_was_woken() */
	/* These two: protected by lock; set by the postmaster, and by the launcher when a setting has changed. */
	int			max_coordinators;
	int			max_sessions;	/* how many sessions private servers may have; below 0: even workers lack places */
	int			used_slots;		/* protected by lock; no slot from this one on is in use */
	int			used_entries;	/* protected by lock; no entry from this one on was ever used */
	uint32		launches;		/* protected by lock; number of coordinators started so far */
	/* protected by lock; the postmaster had no slot for the last coordinator */
	bool		no_slot;
	/* protected by lock; the launcher waits for a coordinator to exit */
	bool		place_wanted;
	/* Protected by lock: databases without a coordinator that need one, for the launcher. */
	int			n_wanted;		/* if above KWJ_WANTED, some databases are not in the list */
	Oid			wanted[KWJ_WANTED];
	Oid			starving;		/* protected by lock; a database that waits for its first worker */
	/* protected by lock; when the coordinator of `starving` was first woken for it; 0: not yet */
	TimestampTz starving_woken;
	KwjServerStart server_start;
	pg_atomic_uint32 hold_changes;	/* changed under lock, read without it; see held.c */
	pg_atomic_uint64 last_tick; /* of the last job id, see job_id.c */
	pg_atomic_uint32 sees_workers_out;	/* bool: what the launcher has promised, see stop.h */
	/* protected by lock; kwjobs.admin_role of the server, truncated */
	char		admin_role[NAMEDATALEN];
	ConditionVariable left;		/* signalled when a coordinator or worker has exited */
	ConditionVariable job_changed[KWJ_WAIT_PLACES];	/* hashed by job id, see wait.c */

	/* Protected by lock: the ring buffer kwj_unbegun. */
	int			next_unbegun;
	int			n_unbegun;		/* number of entries in use */
	/* Protected by lock; n_asides may be read without it, see kwj_shared_why_aside(). */
	volatile int n_asides;
	KwjAside	asides[KWJ_ASIDES];

	KwjAsk		asks[KWJ_ASKS]; /* protected by lock */
	volatile int n_asks;		/* how many are in use; changed under lock, read without it */
	KwjMail		mails[KWJ_MAILS];	/* protected by lock */
	volatile int n_mails;		/* how many are in use; changed under lock, read without it */
	/* Protected by lock: databases in which a coordinator has found no kwjobs. */
	int			n_without;
	Oid			without[KWJ_WITHOUT];
	int			n_quiet;		/* protected by lock, as the next */
	KwjQuiet	quiet[KWJ_QUIET];

	/* Protected by lock. */
	int			next_looked;	/* the place that is taken next */
	KwjLooked	looked[KWJ_LOOKED];

	/* Protected by lock; n_session_jobs and n_written_places may be read without it. */
	volatile int n_session_jobs;	/* number of places in use */
	volatile int n_written_places;	/* number of those that are WRITTEN */
	int			highest_place;	/* no place above this one was ever used; -1: none was */
	int			first_free_place;	/* lists by KwjSessionPlace.next; -1: empty */
	int			first_written_place;	/* the places that were written first and last */
	int			last_written_place;
	pg_atomic_uint64 unrecorded;	/* see kwj_shared_count_unrecorded() */
	/*
	 * Followed by kwj_entries databases, kwj_worker_slots slots, as many teams, kwj_max_unbegun
	 * attempts and kwj_max_session_jobs places for jobs of sessions.
	 */
} KwjShared;

/*
 * Before the coordinator has looked, each worker may exit with an unbegun attempt, and so may the
 * next worker in its slot.
 */
#define kwj_max_unbegun	(2 * kwj_worker_slots)

/* Slots from this one on are not in use. Read and changed under the lock. */
#define kwj_used_slots	(kwj_shared->used_slots)

#define kwj_entries	(kwj_max_databases + KWJ_LOCKOUT_ENTRIES)

extern KwjShared *kwj_shared;
extern KwjDatabase *kwj_databases;
extern KwjSlot *kwj_slots;
extern KwjTeam *kwj_teams;
extern KwjUnbegun *kwj_unbegun;
extern KwjSessionPlace *kwj_session_places;

/* For assertions: returns whether this process holds the lock. LW_SHARED means in any mode. */
#define kwj_holds_lock(mode) \
	((mode) == LW_SHARED ? LWLockHeldByMe(kwj_shared->lock) : \
	 LWLockHeldByMeInMode(kwj_shared->lock, mode))

#endif
