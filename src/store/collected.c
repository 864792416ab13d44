/*
 * src/store/collected.c
 *	  Of which tables statistics are to be collected, and of which they were.
 *
 * Callers: the coordinator, in a transaction of its own (coordinator/collect.c); the worker, in the
 * transaction that runs ANALYZE and ends the job (type/stats). As there is one job of the collector
 * at a time, and the coordinator only looks while there is none, the two never write the same row at
 * the same time.
 *
 *     (no row) --look: somebody has collected--> changes, collected
 *              --note: a job was created-------> job_id
 *              --the job has succeeded---------> changes, collected, times, job_id
 *              --note: the table is gone-------> (no row)
 *
 * Locks: kwjobs.collected in RowExclusiveLock, the catalogs in AccessShareLock, until the end of the
 * transaction. Nothing locks the tables of users.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "store/collected.h"
#include "store/query.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* How many changes of a relation PostgreSQL has counted. */
#define CHANGES(relid) \
	"pg_stat_get_tuples_inserted(" relid ") + pg_stat_get_tuples_updated(" relid ")" \
	" + pg_stat_get_tuples_deleted(" relid ")"

static KwjQuery job_query = {
	"SELECT job_id, status FROM kwjobs.job WHERE owner = $1 AND key = $2 AND finished IS NULL",
	2, {OIDOID, TEXTOID}
};

/*
 * $1, $2: a table is stale when this fraction of its rows, and this many rows more, have changed. $3:
 * autovacuum works. $4: tables of which a user has canceled autovacuum's ANALYZE. $5: the first OID
 * that initdb does not use. $6: owners of tables that had their turn, the last one first. The owners
 * take turns so that a role whose tables are always stale does not keep the collector from others.
 *
 * tree		each table with children: itself, and all tables below it
 * counted	what PostgreSQL has counted for each table that the collector may choose. lent: the table
 *			is autovacuum's and is here because of $4. It is chosen only if autovacuum would choose it
 * known	the same with what kwjobs.collected says. based: kwjobs.collected has how many changes the
 *			table had when its statistics were collected, and the rest has come since. If it has not,
 *			`mods` have come since: PostgreSQL sets these to 0 when it analyzes a table, and ANALYZE
 *			of a partitioned table analyzes its partitions, too
 * noted	writes into kwjobs.collected what kwj_store_stalest() notes
 */
static KwjQuery stalest_query = {
	"WITH RECURSIVE tree (root, relid) AS ("
	" SELECT DISTINCT i.inhparent, i.inhparent FROM pg_inherits AS i"
	"  JOIN pg_class AS p ON p.oid = i.inhparent AND p.relkind IN ('r', 'p')"
	" UNION SELECT t.root, i.inhrelid FROM tree AS t JOIN pg_inherits AS i ON i.inhparent = t.relid),"
	" counted AS MATERIALIZED ("
	" SELECT t.root AS relid, true AS inherits, false AS lent, sum(" CHANGES("t.relid") ")::bigint AS total,"
	"  sum(pg_stat_get_mod_since_analyze(t.relid))::bigint AS mods,"
	"  coalesce(sum(greatest(c.reltuples, 0)) FILTER (WHERE c.relkind <> 'p'), 0)::float8 AS rows"
	" FROM tree AS t JOIN pg_class AS c ON c.oid = t.relid GROUP BY t.root"
	" UNION ALL SELECT c.oid, false, NOT m.mine, " CHANGES("c.oid") ", pg_stat_get_mod_since_analyze(c.oid),"
	"  greatest(c.reltuples, 0)::float8"
	" FROM pg_class AS c CROSS JOIN LATERAL (SELECT NOT $3 OR c.reloptions IS NOT NULL AND EXISTS ("
	"   SELECT FROM pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'autovacuum_enabled'"
	"    AND NOT o.option_value::boolean)) AS m (mine)"
	" WHERE c.relkind IN ('r', 'm') AND c.oid >= $5 AND (m.mine OR c.oid = ANY ($4))"
	"  AND NOT EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid)),"
	" known AS MATERIALIZED ("
	" SELECT c.*, format('%I.%I', n.nspname, k.relname) AS name, k.reloptions, k.relowner,"
	"  b.based,"
	"  CASE WHEN b.based THEN abs(c.total - s.changes) ELSE c.mods END AS changes,"
	"  $1 * c.rows + $2 AS target, greatest(s.collected, a.at) AS collected,"
	"  s.collected IS NULL AND a.at IS NULL AND NOT EXISTS (SELECT FROM pg_statistic AS p"
	"   WHERE p.starelid = c.relid AND p.stainherit = c.inherits) AS never,"
	"  CASE WHEN cardinality(s.times) > 1"
	"   THEN (s.times[cardinality(s.times)] - s.times[1]) / (cardinality(s.times) - 1)"
	"   ELSE '12 hours' END AS gap,"
	"  CASE WHEN j.status = 'failed' AND j.finished > clock_timestamp() - interval '1 hour'"
	"   THEN j.finished + interval '1 hour' END AS not_before"
	" FROM counted AS c JOIN pg_class AS k ON k.oid = c.relid"
	"  JOIN pg_namespace AS n ON n.oid = k.relnamespace"
	"  LEFT JOIN kwjobs.collected AS s ON s.relid = c.relid"
	"  LEFT JOIN kwjobs.job AS j ON j.job_id = s.job_id"
	"  CROSS JOIN LATERAL (SELECT greatest(pg_stat_get_last_analyze_time(c.relid),"
	"   pg_stat_get_last_autoanalyze_time(c.relid))) AS a (at)"
	"  CROSS JOIN LATERAL (SELECT c.inherits AND s.changes IS NOT NULL"
	"   AND NOT coalesce(a.at > s.collected, false)) AS b (based)"
	" WHERE k.relpersistence <> 't' AND k.oid >= $5 AND n.nspname <> 'kwjobs'),"
	" noted AS ("
	" INSERT INTO kwjobs.collected AS s (relid, changes, collected)"
	" SELECT k.relid, k.total - k.mods, coalesce(k.collected, clock_timestamp()) FROM known AS k"
	" WHERE k.inherits AND NOT k.never AND NOT k.based"
	" ON CONFLICT (relid) DO UPDATE SET changes = excluded.changes, collected = excluded.collected)"
	" SELECT k.relid, k.relowner, k.name, k.not_before FROM known AS k"
	" WHERE CASE WHEN k.lent THEN k.changes > (SELECT"
	"   coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_analyze_threshold'),"
	"    current_setting('autovacuum_analyze_threshold'))::float8"
	"   + coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_analyze_scale_factor'),"
	"    current_setting('autovacuum_analyze_scale_factor'))::float8 * k.rows"
	"   FROM pg_options_to_table(k.reloptions) AS o)"
	"  WHEN k.never THEN k.total > 0 OR k.rows > 0"
	"  ELSE k.changes > 0 AND (k.changes >= k.target"
	"   OR clock_timestamp() - k.collected > 2 * k.gap + interval '1 hour') END"
	" ORDER BY k.not_before NULLS FIRST, array_position($6, k.relowner) DESC NULLS FIRST,"
	"  k.never DESC, k.changes / greatest(k.target, 1) DESC, k.relid LIMIT 1",
	6, {FLOAT8OID, INT8OID, BOOLOID, OIDARRAYOID, OIDOID, OIDARRAYOID}, .fresh = true
};

static KwjQuery note_query = {
	"WITH gone AS (DELETE FROM kwjobs.collected AS s"
	"  WHERE NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = s.relid))"
	" INSERT INTO kwjobs.collected AS s (relid, job_id) VALUES ($1, $2)"
	" ON CONFLICT (relid) DO UPDATE SET job_id = excluded.job_id",
	2, {OIDOID, INT8OID}
};

static KwjQuery changes_query = {
	"WITH RECURSIVE tree (relid) AS (SELECT $1"
	"  UNION SELECT i.inhrelid FROM tree AS t JOIN pg_inherits AS i ON i.inhparent = t.relid)"
	" SELECT sum(" CHANGES("t.relid") ")::bigint AS changes FROM tree AS t",
	1, {OIDOID}
};

static KwjQuery collected_query = {
	"INSERT INTO kwjobs.collected AS s (relid, changes, collected, times)"
	" SELECT $1, $2, n.now, ARRAY[n.now] FROM clock_timestamp() AS n (now)"
	" ON CONFLICT (relid) DO UPDATE SET changes = excluded.changes, collected = excluded.collected,"
	"  times = (s.times || excluded.times)[greatest(cardinality(s.times) - 2, 1):]",
	2, {OIDOID, INT8OID}
};

int64
kwj_store_collection_job(KwjStatus *status)
{
	KwjStoreScope scope;
	Datum		values[2] = {ObjectIdGetDatum(BOOTSTRAP_SUPERUSERID),
	CStringGetTextDatum(KWJ_COLLECTION_KEY)};
	int64		job_id = 0;

	kwj_store_enter(&scope);
	if (kwj_query_run(&job_query, values, NULL, false) > 0)
	{
		job_id = kwj_row_int64(0, "job_id");
		*status = kwj_status_from_name(kwj_row_text(0, "status", CurrentMemoryContext));
	}
	kwj_store_leave(&scope);
	return job_id;
}

bool
kwj_store_stalest(const KwjStaleness *rules, KwjStale *stale)
{
	KwjStoreScope scope;
	Datum		values[6];
	bool		found;

	kwj_store_enter(&scope);
	values[0] = Float8GetDatum(rules->fraction);
	values[1] = Int64GetDatum(rules->rows);
	values[2] = BoolGetDatum(rules->autovacuum);
	values[3] = kwj_oids_arg(rules->canceled, rules->n_canceled);
	values[4] = ObjectIdGetDatum(FirstNormalObjectId);
	values[5] = kwj_oids_arg(rules->served, rules->n_served);
	found = kwj_query_run(&stalest_query, values, NULL, false) > 0;
	if (found)
	{
		stale->relid = kwj_row_oid(0, "relid");
		stale->owner = kwj_row_oid(0, "relowner");
		stale->name = kwj_row_text(0, "name", scope.caller);
		stale->not_before = kwj_row_time(0, "not_before");
	}
	kwj_store_leave(&scope);
	return found;
}

static void
run_for(KwjQuery *query, Oid relid, int64 number)
{
	KwjStoreScope scope;
	Datum		values[2] = {ObjectIdGetDatum(relid), Int64GetDatum(number)};

	kwj_store_enter(&scope);
	(void) kwj_query_run(query, values, NULL, false);
	kwj_store_leave(&scope);
}

void
kwj_store_note_collection(Oid relid, int64 job_id)
{
	run_for(&note_query, relid, job_id);
}

int64
kwj_store_table_changes(Oid relid)
{
	KwjStoreScope scope;
	Datum		value = ObjectIdGetDatum(relid);
	int64		changes;

	kwj_store_enter(&scope);
	(void) kwj_query_run(&changes_query, &value, NULL, false);
	changes = kwj_row_int64(0, "changes");
	kwj_store_leave(&scope);
	return changes;
}

void
kwj_store_collected(Oid relid, int64 changes)
{
	run_for(&collected_query, relid, changes);
}
