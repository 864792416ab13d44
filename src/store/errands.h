/*
 * src/store/errands.h
 *	  Rows of errands: kwjobs.errand in the database whose session has asked, kwjobs.errand_done in
 *	  the database that has the job.
 */
#ifndef KWJ_STORE_ERRANDS_H
#define KWJ_STORE_ERRANDS_H

#include "kwjobs.h"
#include "job/errand.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

/* ---- the database whose session has asked ---- */

/*
 * Writes an errand for the database that has the job, in the current transaction; gives it its
 * number. When the transaction commits, the coordinator is woken, which sends it.
 */
extern void kwj_store_errand(Oid database, KwjErrand *errand);

/*
 * Returns the errands for these jobs that are on their way, in their order: a list of KwjErrand,
 * without their reasons. The transaction's own are among them.
 */
extern List *kwj_store_errands_for(const int64 *job_ids, int n);

/* Errands that are to be sent to one database. */
typedef struct KwjErrandBatch
{
	Oid			database;		/* InvalidOid: none is due */
	List	   *errands;		/* of KwjErrand, in their order */
	int64		oldest;			/* no errand for this database has a lower number */
	TimestampTz next;			/* when another one becomes due; DT_NOEND: none will */
} KwjErrandBatch;

/* The reasons and changes of a batch have at most this many bytes, unless a single errand has more. */
#define KWJ_BATCH_BYTES		(256 * 1024)

/*
 * Reads at most `most` errands that are due, all for the same database. The databases take turns;
 * last: the one that was sent errands before; InvalidOid: that is not known.
 */
extern KwjErrandBatch kwj_store_due_errands(int most, Oid last);

/* Deletes an errand that has taken effect, or whose job a statement on many jobs has left out. */
extern void kwj_store_errand_over(int64 number);

/* At most this many errands that were refused are kept, for the view kwjobs.errands: the last ones. */
#define KWJ_KEPT_ERRANDS	100

/* Notes that the other database has refused the errand, and its error. It is not sent again. */
extern void kwj_store_errand_refused(int64 number, const KwjErrandResult *result);

/*
 * Has the errand sent again after 0.1 s, 0.2 s, 0.4 s, ... but after a minute at the latest, because
 * it could not be delivered now, or because another transaction keeps the job locked. why: for the
 * view. silent: the other database did not take the mail; until this errand is due again, other
 * errands for that database are not sent either, unless a session has had it check a newer one.
 */
extern void kwj_store_errand_again(int64 number, const char *why, bool silent);

/*
 * The clock was set back, and shows `now`: has the errands sent now that were put off by the old time until a
 * time after `until`.
 */
extern void kwj_store_bring_errands_forward(TimestampTz now, TimestampTz until);

/* An errand that has not taken effect. */
typedef struct KwjErrandLeft
{
	int64		number;
	Oid			database;
	int64		job_id;
	KwjDeed		deed;
	Oid			role;			/* who has asked for it */
	bool		refused;		/* it never will */
	char	   *error;			/* why not; NULL: it is on its way */
	char	   *hint;
} KwjErrandLeft;

/* Reads with a new snapshot those of these errands that have not taken effect. */
extern List *kwj_store_errands_left(const int64 *numbers, int n);

/* ---- errands that are withdrawn ---- */

/*
 * Notes in the current transaction that the errand, which is about this job, is to be withdrawn in the
 * name of the current user. When the transaction commits, the coordinator is woken, which does so.
 */
extern void kwj_store_withdraw_errand(int64 number, int64 job_id);

/* What is to be withdrawn. */
typedef struct KwjWithdrawn
{
	bool		any;
	bool		of_target;		/* some of it is for the database that was asked about */
} KwjWithdrawn;

/* Looks whether there are errands to withdraw, and whether one is for this database; InvalidOid: for none. */
extern KwjWithdrawn kwj_store_look_for_withdrawn(Oid target);

/*
 * Withdraws the errands that are to be withdrawn: from then on they count as refused. Leaves those for the
 * database `busy`, which may have them already. If an errand is over, forgets that it was to be withdrawn.
 * Returns the numbers of those that it has withdrawn, *n of them, palloc'd.
 */
extern int64 *kwj_store_withdraw_errands(Oid busy, int *n);

/* ---- the database that has the job ---- */

/* Returns whether the errand has taken effect here. */
extern bool kwj_store_errand_was_done(int64 number);

/*
 * Notes in the current transaction that the errand of this source takes effect. Forgets those of its
 * errands with numbers below `oldest`, because the source knows that they were done, and those of
 * databases that were dropped.
 */
extern void kwj_store_errand_done(int64 number, Oid source, int64 oldest);

#endif
