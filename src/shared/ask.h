/*
 * src/shared/ask.h
 *	  How a session asks the coordinators of other databases about their jobs.
 *
 * doc/developers/server_list.md has a picture of the steps. The session makes a segment of dynamic
 * shared memory with the question and a queue for each database that it asks, and announces the
 * segment in a place of the fixed shared memory, where the coordinators find it.
 */
#ifndef KWJ_SHARED_ASK_H
#define KWJ_SHARED_ASK_H

#include "kwjobs.h"
#include "job/status.h"
#include "lib/stringinfo.h"
#include "storage/dsm.h"
#include "storage/shm_mq.h"

/* How many databases a session asks at a time. */
#define KWJ_ASKED			64
/* How many ids a question can have. */
#define KWJ_ASKED_IDS		1000
/* An answer has at most KWJ_ANSWER_ROWS rows and KWJ_ANSWER_BYTES bytes. */
#define KWJ_ANSWER_ROWS		1000
/* An answer to KWJ_ASK_ALL or KWJ_ASK_MESSAGES may have this many rows: ids and messages are short. */
#define KWJ_ASKED_ALL		10000
#define KWJ_ANSWER_BYTES	(16 * 1024 * 1024)

typedef enum KwjQuestionKind
{
	KWJ_ASK_JOBS,				/* which jobs are there */
	KWJ_ASK_OUTCOME,			/* how the jobs with these ids stand (store/listing.h) */
	KWJ_ASK_CHECK,				/* could these errands be done now (job/errand.h) */
	KWJ_ASK_ALL,				/* the ids of the jobs that PAUSE ALL JOBS and its like control */
	KWJ_ASK_MESSAGES,			/* what kwjobs.messages() returns of this job */
	KWJ_ASK_WHY,				/* what kwjobs.why() returns of this job */
} KwjQuestionKind;

/* The beginning of the segment; it does not change any more once it is announced. */
typedef struct KwjQuestion
{
	uint64		magic;			/* KWJ_QUESTION_MAGIC */
	KwjQuestionKind kind;
	Oid			role;			/* the role that asks */
	Size		errands_at;		/* KWJ_ASK_CHECK: where in the segment the errands are, */
	Size		errands_size;	/* as kwj_errand_put() packs them; */
	int			n_errands;		/* at most KWJ_ASKED_IDS */
	KwjVerb		verb;			/* KWJ_ASK_ALL: of the statement */
	char		job_type[KWJ_JOB_TYPE_LEN]; /* KWJ_ASK_ALL: "" means of all types */
	bool		automatic;		/* without ids: SHOW AUTOMATIC JOBS, not SHOW JOBS */
	int			window;			/* without ids: how far to look back at finished jobs, seconds */
	int			n_ids;			/* -1: the jobs of the window; else the jobs with these ids */
	int64		ids[KWJ_ASKED_IDS];
} KwjQuestion;

typedef enum KwjAnswerKind
{
	KWJ_ANSWER_JOBS,
	KWJ_ANSWER_CHECKED,			/* n_rows results of errands follow, each a KwjErrandResult */
	KWJ_ANSWER_NO_EXTENSION,	/* the database has no kwjobs */
	KWJ_ANSWER_REFUSED,			/* the role does not have the server's admin role */
	KWJ_ANSWER_FAILED,			/* an error, which is in the log; its message is the only row */
} KwjAnswerKind;

/*
 * The beginning of an answer, which is one message. Then come n_rows texts, each as an int32, which
 * is its length, and its bytes. A job is a jsonb object as text.
 */
typedef struct KwjAnswer
{
	int32		kind;			/* KwjAnswerKind */
	int32		encoding;		/* of the texts */
	int32		n_rows;
	int32		more;			/* bool: there are more jobs than fit into an answer */
} KwjAnswer;

/* ---- sessions ---- */

/*
 * Takes those databases out of an array of *n in which a coordinator has found no kwjobs, and for
 * which nobody has asked since. Takes kwj_shared->lock for a moment; raises no error.
 */
extern void kwj_ask_leave_out_without(Oid *databases, int *n);

/*
 * Makes a segment with this question and a queue for each of the n databases, at most KWJ_ASKED.
 * errands: of KWJ_ASK_CHECK; else NULL. *queues: the ends from which this process receives,
 * palloc'd. The segment belongs to the current resource owner. Errors: those of dsm_create().
 */
extern dsm_segment *kwj_ask_prepare(const KwjQuestion *question, const StringInfoData *errands, int n,
									shm_mq_handle ***queues);

/*
 * Announces the segment to the coordinators of these databases, and has the launcher start those
 * that are not there. Returns the place, for kwj_ask_end(); -1: all places are taken. Takes
 * kwj_shared->lock for a moment; raises no error.
 */
extern int	kwj_ask_begin(dsm_segment *segment, const Oid *databases, int n);

/* Frees the place. Takes kwj_shared->lock for a moment; raises no error. */
extern void kwj_ask_end(int place);

/* ---- coordinators ---- */

/*
 * Takes the next question that this process's database has not taken yet. *queue is the number of
 * the database's queue in the segment. Returns false if there is none. Takes kwj_shared->lock for a
 * moment; raises no error.
 */
extern bool kwj_ask_take(dsm_handle *segment, int *queue);

/*
 * Attaches to the segment of a question. Needs a transaction, but the process stays attached when that ends.
 * Returns NULL if the session that asks is gone. *handle: the end into which this process sends, palloc'd.
 * Errors: those of dsm_attach().
 */
extern dsm_segment *kwj_ask_attach(dsm_handle segment, int queue, KwjQuestion **question,
								   shm_mq_handle **handle);

/* Returns the errands of a question as a buffer to read from. Errors: XX000 if it is broken. */
extern StringInfoData kwj_ask_errands(dsm_segment *segment);

/* ---- only for src/shared ---- */

/* Returns whether a question waits for this database. The caller holds kwj_shared->lock. */
extern bool kwj_is_asked(Oid dboid);

#endif
