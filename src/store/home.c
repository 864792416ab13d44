/*
 * src/store/home.c
 *	  Jobs in a database that CREATE DATABASE ... TEMPLATE has copied.
 *
 * Caller: the coordinator, in its first pass in a database (only = 0), and if that raises an error,
 * job by job in transactions of their own (src/coordinator/singly.c).
 *
 * The row of kwjobs.home names the database and the cluster to which the jobs belong. A coordinator
 * that finds another OID in the same cluster is in a copy. The jobs go on in the original, so the
 * coordinator pauses them here, until a user resumes them, and sets kwjobs.home to this database in
 * the same transaction. In another cluster, the files came by pg_upgrade: the jobs have moved, and
 * go on here.
 *
 * Locks: the rows of all copied jobs that are neither over nor paused. The coordinator waits for
 * these locks, as no copied job may start before it is paused. At the end it updates the row of
 * kwjobs.home. All locks are held until the end of the transaction. If the coordinator dies before
 * the commit, its successor does the same again.
 *
 * Known hole: a physical backup or a replica has the same OID and the same cluster, and cannot be
 * told from the original: its jobs go on.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "store/home.h"
#include "store/query.h"
#include "utils/builtins.h"

/*
 * Returns no row if the jobs belong to this database. copied is false after pg_upgrade, which makes
 * a new cluster.
 */
static KwjQuery home_query = {
	"SELECT h.database <> $1 AND h.cluster = c.system_identifier AS copied"
	" FROM kwjobs.home AS h, pg_control_system() AS c"
	" WHERE h.database <> $1 OR h.cluster <> c.system_identifier",
	1, {OIDOID}
};

/* After pg_upgrade. In a copy the schedules keep the database to which they belong, and are paused. */
static KwjQuery move_schedules_query = {
	"UPDATE kwjobs.schedule AS s SET home_database = $1, home_cluster = c.system_identifier"
	" FROM pg_control_system() AS c, kwjobs.home AS h"
	" WHERE s.home_database = h.database AND s.home_cluster = h.cluster",
	1, {OIDOID}
};

static KwjQuery move_query = {
	"UPDATE kwjobs.home SET database = $1, cluster = c.system_identifier"
	" FROM pg_control_system() AS c",
	1, {OIDOID}
};

/*
 * A row that was written after this database was created was not copied: the job was submitted or
 * controlled here. xmin is the transaction that wrote the row, even if the row is frozen.
 *
 * The xmin of a copied row may be more than 2^31 transactions old, so that age() is negative, as it
 * is for an xid in the future. Real future xids (of transactions that began after this query, while
 * it waited for a row lock) are at most a few million ahead. So an age below -100 million means
 * "very old".
 */
#define IS_WRITTEN_HERE(row) \
	"age(" row ".xmin) < age(d.xmin) AND age(" row ".xmin) > -100000000"
#define WRITTEN_HERE	IS_WRITTEN_HERE("j")

/*
 * No part of a copied job runs here until a user resumes it; that includes its revert. A job that
 * was being canceled is canceled here, too: if there is nothing to revert, part "idle" of the query
 * only takes its attempt away, and the coordinator cancels the job in the same pass; otherwise the
 * job is paused, and RESUME reverts it. A job that reverts keeps the error that made it revert.
 */
static KwjQuery pause_query = {
	"WITH copied AS MATERIALIZED ("
	" SELECT j.job_id, j.active_attempt, j.status = 'cancel-requested' AS canceled,"
	"  " KWJ_IS_REVERTIBLE " AS revertible"
	" FROM kwjobs.job AS j, pg_database AS d"
	" WHERE d.oid = $1 AND j.finished IS NULL AND (j.status IS DISTINCT FROM 'paused' OR j.active_attempt IS NOT NULL)"
	" AND ($4 IS NULL OR j.job_id = $4) AND NOT (" WRITTEN_HERE ")"
	" FOR NO KEY UPDATE OF j),"
	" interrupted AS ("
	" UPDATE kwjobs.attempt AS a SET status = 'interrupted', finished = clock_timestamp(),"
	"  error_code = '55000', error = $2, error_hint = $3"
	" FROM copied AS c WHERE a.job_id = c.job_id AND a.attempt = c.active_attempt),"
	" idle AS ("
	" UPDATE kwjobs.job AS j SET active_attempt = NULL, modified = clock_timestamp()"
	" FROM copied AS c WHERE j.job_id = c.job_id AND c.canceled AND NOT c.revertible)"
	" UPDATE kwjobs.job AS j SET status = 'paused', active_attempt = NULL, rank = NULL,"
	"  retries = 0, refusals = 0, modified = t.now,"
	"  revert_to = CASE WHEN c.canceled THEN 'canceled' ELSE j.revert_to END,"
	"  running_status = 'paused: this database is a copy; RESUME JOB '"
	"   || CASE WHEN c.canceled THEN 'reverts the job here, too' ELSE 'lets the job run here, too' END,"
	"  request_reason = CASE WHEN c.canceled THEN j.request_reason ELSE $2 END,"
	"  request_user = CASE WHEN c.canceled THEN j.request_user END,"
	"  request_time = CASE WHEN c.canceled THEN j.request_time ELSE t.now END,"
	"  error_code = CASE WHEN c.canceled THEN '57014'"
	"   WHEN j.revert_to IS NULL THEN '55000' ELSE j.error_code END,"
	"  error = CASE WHEN c.canceled THEN 'job canceled by user'"
	"   WHEN j.revert_to IS NULL THEN $2 ELSE j.error END,"
	"  error_hint = CASE WHEN c.canceled"
	"   THEN 'To have it reverted here, too, type RESUME JOB ' || j.job_id || '.'"
	"   WHEN j.revert_to IS NULL"
	"   THEN 'If it is to run here, too, type RESUME JOB ' || j.job_id"
	"    || '; if not, CANCEL JOB ' || j.job_id || '.' ELSE j.error_hint END"
	" FROM copied AS c, (SELECT clock_timestamp()) AS t (now)"
	" WHERE j.job_id = c.job_id AND NOT (c.canceled AND NOT c.revertible)",
	4, {OIDOID, TEXTOID, TEXTOID, INT8OID}, .fresh = true
};

/*
 * In a copy, the release of a hold resumes nothing: what the hold has paused goes on in the
 * original. Until this has run, kwj_store_release sees by kwjobs.home that this is a copy.
 */
static KwjQuery forget_paused_query = {
	"UPDATE kwjobs.hold SET paused = NULL, paused_at = NULL WHERE paused IS NOT NULL", 0, {0}
};

/*
 * The control statements for jobs of other databases that were copied are those of the original,
 * which sends them. Sessions of this database may have written others already.
 */
static KwjQuery forget_errands_query = {
	"DELETE FROM kwjobs.errand AS e USING pg_database AS d"
	" WHERE d.oid = $1 AND NOT (" IS_WRITTEN_HERE("e") ")",
	1, {OIDOID}
};

uint64
kwj_store_come_home(int64 only)
{
	KwjStoreScope scope;
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', only == 0 ? 'n' : ' '};
	uint64		paused = 0;

	kwj_store_enter(&scope);
	values[0] = ObjectIdGetDatum(MyDatabaseId);
	if (kwj_query_run(&home_query, values, NULL, false) > 0)
	{
		if (kwj_row_bool(0, "copied"))
		{
			values[1] = CStringGetTextDatum("this database is a copy of another one, where the job goes on");
			values[2] = CStringGetTextDatum("If the job is to run here, too, type RESUME JOB.");
			values[3] = Int64GetDatum(only);
			paused = kwj_query_run(&pause_query, values, nulls, false);
			(void) kwj_query_run(&forget_paused_query, NULL, NULL, false);
			(void) kwj_query_run(&forget_errands_query, values, NULL, false);
		}
		else if (only == 0)
			(void) kwj_query_run(&move_schedules_query, values, NULL, false);
		if (only == 0)
			kwj_query_run(&move_query, values, NULL, false);
	}
	kwj_store_leave(&scope);
	return paused;
}
