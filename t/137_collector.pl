# The collector: AUTO_CREATE_STATS jobs for tables that autovacuum leaves alone. Of which tables and
# when it collects statistics, how its jobs are controlled, how they give way, and that nothing
# happens where nothing has changed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

# An autovacuum worker comes every second, so it soon tells the collector that rows have changed.
my $node = new_node('collector', <<"EOF", extra => [ '--no-locale', '--encoding=UTF8' ]);
kwjobs.automatic_collection_min_stale_rows = 10
kwjobs.admin_role = 'boss'
kwjobs.test_haste = 5
$choosy_autovacuum
EOF

sub sql { my ($query, $db) = @_; return $node->safe_psql($db // 'postgres', $query) }
sub field { my ($job, $field) = @_; return job_field($node, $job, $field) }
sub session { return $node->background_psql('postgres', on_error_stop => 0) }
sub has_query { my ($query, $name) = @_; return ok(becomes_true($node, $query), $name) }

my $gate = 51;
create_gated_functions($node, $gate);
sql('CREATE ROLE boss; CREATE TABLE changes (a integer)');

sub switch { my ($on) = @_; sql("SET CLUSTER SETTING sql.stats.automatic_collection.enabled = $on"); return }

sub change_rows { sql('INSERT INTO changes SELECT generate_series(1, 100)'); return }

# Waits until PostgreSQL has counted so many changes of these tables together. A session may report what it has
# changed only when it ends, and psql does not wait for that.
sub wait_for_counts
{
	my ($changes, @tables) = @_;
	my $list = join(', ', map { "'$_'" } @tables);
	wait_query($node, "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) >= $changes FROM pg_stat_user_tables WHERE relname IN ($list)");
	return;
}

# Creates a table with 100 rows. Autovacuum leaves it alone, so that it is the collector's.
sub create
{
	my ($table) = @_;
	sql("CREATE TABLE $table (a integer) WITH (autovacuum_enabled = off); INSERT INTO $table SELECT generate_series(1, 100)");
	wait_for_counts(100, $table);
	return;
}

# Closes the gate and has the collector come to a new table with an index on $index. Returns the
# session that has closed the gate.
sub create_closed
{
	my ($table, $index) = @_;
	sql("CREATE TABLE $table (a integer); CREATE INDEX ON $table ($index); INSERT INTO $table SELECT generate_series(1, 100)");
	my $gates = close_gates($node, $gate);
	sql("ALTER TABLE $table SET (autovacuum_enabled = off)");
	change_rows();
	return $gates;
}

sub jobs_of { my ($table) = @_; return "FROM kwdb_internal.jobs WHERE created_by_type = 'collector' AND description ~ '[.]$table\$'" }

# Waits until a job of the table that is later than the job $after has this status. Returns it.
sub wait_for_job
{
	my ($table, $status, $after) = @_;
	my $are = jobs_of($table) . " AND status = '$status' AND job_id > " . ($after // 0);
	my $job;
	# One query, as the job may have another status a moment later.
	ok(comes_true(sub { ($job = sql("SELECT max(job_id) $are")) ne '' }), "a job of $table is $status");
	return $job;
}

sub count_jobs { my ($table) = @_; return sql('SELECT count(*) ' . jobs_of($table)) }

# Waits until the collector has looked at what was committed before, and has had nothing left to do:
# it has collected the statistics of a new table, which come first, and then looks again before it
# comes to the next one.
my $markers = 0;
sub wait_for_looks
{
	for (1 .. 2)
	{
		my $marker = 'marker' . ++$markers;
		create($marker);
		wait_for_job($marker, 'succeeded');
		sql("DROP TABLE $marker");
	}
	return;
}

sub has_statistics { my ($table) = @_; return sql("SELECT count(*) > 0 FROM pg_statistic WHERE starelid = '$table'::regclass AND stainherit") }

# ---- which tables, and when ----

sub test_partitioned
{
	sql(<<'EOF');
CREATE TABLE parted (a integer, b integer) PARTITION BY LIST (b);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted2 PARTITION OF parted FOR VALUES IN (2);
INSERT INTO parted SELECT n, n % 2 + 1 FROM generate_series(1, 1000) AS n;
EOF
	is(sql('SHOW CLUSTER SETTING sql.stats.automatic_collection.enabled'), 'off', 'the collector is off by default');
	switch('true');
	is(sql('SHOW kwjobs.automatic_collection_enabled'), 'on', 'the name that the specification has sets it');
	my $job = wait_for_job('parted', 'succeeded');
	my $oid = sql("SELECT 'parted'::regclass::oid");
	is(field($job, 'description, statement, user_name = current_user, job_type, running_status'),
		"Table statistics refresh for postgres.public.parted|CREATE STATISTICS __auto__ FROM [$oid] WITH OPTIONS THROTTLING 0.9|t|AUTO_CREATE_STATS|", 'a partitioned table gets a job, as the specification describes it');
	is(sql("SELECT count(*) FROM [SHOW JOBS] WHERE job_id = $job"), 0, '... which SHOW JOBS does not show');
	is(sql("SELECT status, fraction_completed FROM [SHOW AUTOMATIC JOBS] WHERE job_id = $job"), 'succeeded|1', '... and SHOW AUTOMATIC JOBS does');
	is(has_statistics('parted'), 't', '... and statistics of all partitions together');
	is(sql("SELECT count(*) FROM pg_statistic WHERE starelid = 'parted1'::regclass"), 0, '... but none of the partitions, which are tables of autovacuum');

	# 0.2 * 1000 + 10 rows have to change. PostgreSQL does not know how many rows a partition has
	# before it has analyzed it.
	sql('ANALYZE parted1, parted2');
	sql('UPDATE parted SET a = -a WHERE a <= 150');
	wait_for_looks();
	is(count_jobs('parted'), 1, 'too few changes leave it alone');
	sql('DELETE FROM parted WHERE a BETWEEN 151 AND 230');
	my $second = wait_for_job('parted', 'succeeded', $job);
	wait_for_looks();
	is(count_jobs('parted'), 2, '... enough of them, in several partitions, do not, once');

	# Statistics that a user has collected count. Each of the two changes alone is too small for the collector,
	# which may look in between; together they are not.
	sql('UPDATE parted SET a = a + 1 WHERE a > 850');
	wait_for_counts(1000 + 150 + 80 + 150, 'parted1', 'parted2');
	sql('ANALYZE parted');
	sql('UPDATE parted SET a = a + 1 WHERE a > 900');
	wait_for_looks();
	is(count_jobs('parted'), 2, 'ANALYZE by a user counts, with the changes after it');
	sql('UPDATE parted SET a = a + 1 WHERE a > 700');
	my $third = wait_for_job('parted', 'succeeded', $second);

	sql('ALTER TABLE parted DETACH PARTITION parted2');
	change_rows();
	has_query('SELECT count(*) = 1 ' . jobs_of('parted') . " AND status = 'succeeded' AND job_id > $third", 'a partition that is detached counts as changed');
	return;
}

sub test_tables
{
	sql(<<'EOF');
CREATE TABLE parent (a integer);
CREATE TABLE child () INHERITS (parent);
INSERT INTO child SELECT generate_series(1, 100);
CREATE TABLE top (a integer) PARTITION BY LIST (a);
CREATE TABLE middle PARTITION OF top FOR VALUES IN (1) PARTITION BY LIST (a);
CREATE TABLE leaf PARTITION OF middle FOR VALUES IN (1);
CREATE TABLE empty (a integer) PARTITION BY LIST (a);
CREATE TABLE autovacuums AS SELECT generate_series(1, 100) AS a;
CREATE MATERIALIZED VIEW view WITH (autovacuum_enabled = no) AS SELECT generate_series(1, 100) AS a;
CREATE UNLOGGED TABLE unlogged (a integer) WITH (autovacuum_enabled = off);
CREATE SCHEMA "S.1";
CREATE TABLE "S.1"."T x" (a integer) WITH (autovacuum_enabled = off);
EOF
	sql('INSERT INTO top SELECT 1 FROM generate_series(1, 100); INSERT INTO unlogged SELECT 1; INSERT INTO "S.1"."T x" SELECT 1');
	wait_for_job($_, 'succeeded') for ('parent', 'top', 'middle', 'view', 'unlogged');
	has_query(q{SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE description = 'Table statistics refresh for postgres.public.parent' AND status = 'succeeded'}, 'a table with children');
	has_query(q{SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE description = 'Table statistics refresh for postgres."S.1"."T x"' AND status = 'succeeded'}, '... names are shown as they can be typed');
	is(has_statistics('parent'), 't', '... a table with children has statistics of all of them together');
	my $session = session();
	$session->query_safe('CREATE TEMP TABLE temporary (a integer) WITH (autovacuum_enabled = off); INSERT INTO temporary SELECT generate_series(1, 100)');
	wait_for_looks();
	is(sql(q{SELECT count(*) FROM kwdb_internal.jobs WHERE created_by_type = 'collector' AND description ~ '[.](child|leaf|empty|autovacuums|temporary|job|pg_.*)$'}),
		0, '... tables of autovacuum, temporary ones, catalogs and those of kwjobs are left alone');
	$session->quit;
	is(sql(q{SELECT max(n) FROM (SELECT count(*) AS n FROM kwdb_internal.jobs WHERE created_by_type = 'collector' AND description !~ 'parted$' GROUP BY description) AS j}), 1, '... and each is done once');
	is(sql(q{SELECT count(*) FROM kwdb_internal.jobs AS a JOIN kwdb_internal.jobs AS b ON a.job_id < b.job_id AND b.started < a.finished
		WHERE a.created_by_type = 'collector' AND b.created_by_type = 'collector'}), 0, '... one at a time');
	return;
}

# A role whose tables are more stale than those of others does not keep the collector from these.
sub test_turns
{
	switch('false');
	sql(<<'EOF');
CREATE ROLE eager;
CREATE ROLE modest;
CREATE TABLE eager1 (a integer) WITH (autovacuum_enabled = off);
CREATE TABLE eager2 (a integer) WITH (autovacuum_enabled = off);
CREATE TABLE eager3 (a integer) WITH (autovacuum_enabled = off);
CREATE TABLE modest1 (a integer) WITH (autovacuum_enabled = off);
CREATE TABLE modest2 (a integer) WITH (autovacuum_enabled = off);
ALTER TABLE eager1 OWNER TO eager;
ALTER TABLE eager2 OWNER TO eager;
ALTER TABLE eager3 OWNER TO eager;
ALTER TABLE modest1 OWNER TO modest;
ALTER TABLE modest2 OWNER TO modest;
INSERT INTO eager1 SELECT generate_series(1, 3000);
INSERT INTO eager2 SELECT generate_series(1, 2000);
INSERT INTO eager3 SELECT generate_series(1, 1000);
INSERT INTO modest1 SELECT generate_series(1, 20);
INSERT INTO modest2 SELECT generate_series(1, 10);
EOF
	wait_for_counts(6030, qw(eager1 eager2 eager3 modest1 modest2));
	switch('true');
	wait_for_job($_, 'succeeded') for ('eager3', 'modest2');
	is(sql(q{SELECT string_agg(substring(description FROM '[a-z]*.$'), ' ' ORDER BY job_id) } . jobs_of('(eager|modest).')),
		'eager1 modest1 eager2 modest2 eager3', 'owners of tables take turns, each with the most stale one first');
	is(sql('SELECT DISTINCT timeout, priority ' . jobs_of('eager.')), '03:00:00|-10', '... no table has the collector for ever');
	return;
}

# ---- control ----

# Has the collector come to a new table. Returns the session that has closed the gate, and the job,
# which waits there.
sub stop_at
{
	my ($table) = @_;
	my $gates = create_closed($table, 'stop(a)');
	my $job = wait_for_job($table, 'running');
	wait_at_gate($node, $job);
	return ($gates, $job);
}

sub test_control
{
	my ($gates, $job) = stop_at('controlled');
	is(sql('SELECT kwjobs.pause_all(), kwjobs.cancel_all()'), '0|0', 'ALL JOBS leaves it alone');
	sql("SET ROLE boss; PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	create('other');
	sql("RESUME JOB $job");
	wait_at_gate($node, $job);
	is(count_jobs('other'), 0, 'PAUSE stops the collector, RESUME lets it go on');
	sql("CANCEL JOB $job WITH REASON = 'not now'");
	wait_for_status($node, $job, 'canceled');
	is(field($job, 'error_code, request_reason'), '57014|not now', 'CANCEL cancels ANALYZE');
	$gates->quit;
	wait_for_job('controlled', 'succeeded', $job);
	wait_for_job('other', 'succeeded');
	is(count_jobs('controlled'), 2, '... and the work is started again');

	# A hold keeps the next job from beginning. Somebody else collects the statistics meanwhile.
	sql(q{SELECT kwjobs.hold('AUTO_CREATE_STATS')});
	create('emptied');
	$job = wait_for_job('emptied', 'pending');
	sql('ANALYZE emptied');
	sql("CANCEL JOB $job");
	wait_for_status($node, $job, 'canceled');
	sql(q{SELECT kwjobs.release('AUTO_CREATE_STATS')});
	wait_for_looks();
	is(count_jobs('emptied'), 1, 'a canceled job is not started again when it is not needed any more');
	return;
}

sub test_switched_off
{
	my ($gates, $job) = stop_at('stopped');
	switch('false');
	wait_for_status($node, $job, 'canceled');
	is(field($job, 'request_reason'), 'kwjobs.automatic_collection_enabled is off', 'switched off, it cancels the job that runs');
	$gates->quit;
	switch('true');
	wait_for_job('stopped', 'succeeded');

	($gates, $job) = stop_at('halted');
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	# The coordinator and the worker exit as soon as they have nothing to do.
	$node->append_conf('postgresql.conf', "kwjobs.coordinator_idle_timeout = 0\nkwjobs.worker_idle_timeout = 0");
	sql('ALTER SYSTEM SET autovacuum_naptime = 3600');
	$node->reload;
	wait_query($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'});
	switch('false');
	has_query("SELECT status = 'canceled' FROM kwdb_internal.jobs WHERE job_id = $job", '... one that is paused, too, where no coordinator is');
	create('unwanted');
	$gates->quit;
	switch('true');
	wait_for_job($_, 'succeeded') for ('unwanted', 'halted');

	# The coordinator leaves, and has looked at the settings before the collector is switched on. When the collector
	# of another database has done something, the launcher has seen the change, too.
	sql('CREATE DATABASE beside');
	$node->safe_psql('beside', 'CREATE EXTENSION kwjobs; CREATE TABLE beside (a integer) WITH (autovacuum_enabled = off); INSERT INTO beside VALUES (1)');
	switch('false');
	create('parting');
	my $gate = close_gates($node, 4936);
	sql(q{SELECT kwjobs.submit('SELECT 1')});
	wait_at_gates($node, 1, 'objid = 4936');
	switch('true');
	wait_query($node, q{SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE created_by_type = 'collector' AND status = 'succeeded'}, 'beside');
	$gate->quit;
	wait_for_job('parting', 'succeeded');
	sql('DROP DATABASE beside');
	sql('ALTER SYSTEM RESET autovacuum_naptime');
	$node->reload;
	return;
}

# ---- it gives way ----

sub test_locked
{
	my $session = session();
	# The collector must not come to the tables before they are locked.
	switch('false');
	create('locked');
	$session->query_safe('BEGIN; LOCK TABLE locked');
	switch('true');
	my $job = wait_for_job('locked', 'pending');
	wait_query($node, "SELECT count(*) > 1 FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'failed'");
	is(sql("SELECT DISTINCT error_code, error FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'failed'"), '55P03|table public.locked is locked', 'it does not wait for a lock');
	$session->query_safe('ROLLBACK');
	sql("SELECT kwjobs.run_now($job)");
	wait_for_status($node, $job, 'succeeded');

	switch('false');
	sql('CREATE TABLE barred (a integer) PARTITION BY LIST (a); CREATE TABLE bar PARTITION OF barred DEFAULT');
	sql('INSERT INTO barred SELECT generate_series(1, 5)');
	wait_for_counts(5, 'bar');
	$session->query_safe('BEGIN; LOCK TABLE bar');
	switch('true');
	$job = wait_for_job('barred', 'pending');
	wait_query($node, "SELECT count(*) > 0 FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'failed'");
	is(sql("SELECT DISTINCT error_code, error FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'failed'"), '55P03|table public.bar is locked', '... nor for that of a partition');
	$session->query_safe('ROLLBACK');
	wait_for_status($node, $job, 'succeeded');
	$session->quit;
	return;
}

# Has a session lock something while the collector analyzes the table.
sub lock_beside
{
	my ($table, $lock, $name) = @_;
	my $job = wait_for_job($table, 'running');
	wait_at_gate($node, $job);
	my $session = session();
	my $pid = $session->query_safe("SET application_name = 'migrate'; SELECT pg_backend_pid()");
	$session->query_safe("BEGIN; LOCK TABLE $lock");
	wait_query($node, "SELECT count(*) > 0 FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'failed'");
	is(sql("SELECT error_code, error FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'failed' ORDER BY attempt LIMIT 1"),
		"55P03|canceled by lock of pid $pid (migrate)", $name);
	$session->quit;
	return $job;
}

sub test_gives_way
{
	my $gates = create_closed('yielding', 'stop(a)');
	my $job = lock_beside('yielding', 'yielding', 'it gives way to a session that waits for a lock on the table');
	$gates->quit;
	wait_for_status($node, $job, 'succeeded');

	$gates = close_gates($node, $gate);
	sql('CREATE TABLE whole (a integer) PARTITION BY LIST (a); CREATE TABLE part PARTITION OF whole DEFAULT; CREATE INDEX ON part (a); CREATE STATISTICS whole_stop ON (stop(a)), a FROM whole; INSERT INTO whole SELECT generate_series(1, 100)');
	$job = lock_beside('whole', 'part', '... or on a partition');
	$gates->quit;
	wait_for_status($node, $job, 'succeeded');

	# The cancel comes when ANALYZE has read the table, and before it has ended. The session logs that it sends the
	# cancel before it does so, and that it still waits after that.
	$gates = close_gates($node, 4935);
	create('late');
	change_rows();
	$job = wait_for_job('late', 'running');
	wait_at_gates($node, 1, 'objid = 4935');
	my $log = -s $node->logfile;
	my $session = session();
	$session->query_safe('SET log_min_messages = debug1; SET log_lock_waits = on');
	$session->query_until(qr/begun/, "\\echo begun\nBEGIN; LOCK TABLE late;\n");
	$node->wait_for_log(qr/sending cancel to blocking autovacuum.*still waiting for AccessExclusiveLock/s, $log);
	$gates->quit;
	wait_query($node, "SELECT count(*) > 0 FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'failed'");
	like(sql("SELECT error_code, error FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'failed' ORDER BY attempt LIMIT 1"),
		qr/^55P03\|canceled by lock/, '... until the very end of ANALYZE');
	$session->quit;
	wait_for_status($node, $job, 'succeeded');

	($gates, $job) = stop_at('hit');
	sql('SELECT pg_cancel_backend(' . field($job, 'pid') . ')');
	wait_for_status($node, $job, 'failed');
	is(field($job, 'error_code'), '57014', '... where nobody waits for a lock, an error is what it is');
	sql("RETRY JOB $job");
	$gates->quit;
	wait_for_status($node, $job, 'succeeded');
	return;
}

sub test_failed
{
	my $gates = create_closed('failing', 'fail(a)');
	my $job = wait_for_job('failing', 'failed');
	is(field($job, 'error, error_code'), 'the index does not want to|P0001', 'an error of the work is the error of the job');
	change_rows();
	wait_for_looks();
	is(count_jobs('failing'), 1, '... and the table is left alone for a while, and no other');
	$gates->quit;
	sql("RETRY JOB $job");
	wait_for_status($node, $job, 'succeeded');
	wait_for_looks();
	is(count_jobs('failing'), 1, '... RETRY collects its statistics');
	return;
}

# ---- beside autovacuum ----

sub test_canceled_autovacuum
{
	switch('false');
	sql('ALTER SYSTEM SET kwjobs.track_autovacuum = on');
	$node->reload;
	sql(<<'EOF');
CREATE TABLE taken (a integer) WITH (autovacuum_enabled = off, autovacuum_analyze_threshold = 1, autovacuum_analyze_scale_factor = 0);
CREATE INDEX ON taken (stop(a));
INSERT INTO taken SELECT generate_series(1, 100);
EOF
	my $gates = close_gates($node, $gate);
	sql('ALTER TABLE taken RESET (autovacuum_enabled)');
	my $analyze = q{FROM kwdb_internal.jobs WHERE statement = 'ANALYZE public.taken' AND status = 'running'};
	wait_query($node, "SELECT count(*) = 1 $analyze");
	my $job = sql("SELECT job_id $analyze");
	wait_at_gate($node, $job);
	# From now on autovacuum does not come back by itself, and none of its other workers is about to look at the table.
	configure($node, 'autovacuum_naptime', 3600);
	wait_query($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'});
	switch('true');
	sql("CANCEL JOB $job");
	my $again = wait_for_job('taken', 'running');
	cmp_ok($again, '>', $job, 'after CANCEL of an ANALYZE of autovacuum the collector begins it at once');
	wait_at_gate($node, $again);
	$gates->quit;
	wait_for_status($node, $again, 'succeeded');
	is(field($job, 'status'), 'canceled', '... which was canceled');
	is(sql("SELECT (result->>'pages_hit')::bigint > 0, (result->>'pages_read')::bigint >= 0, (result->>'pages_dirtied')::bigint >= 0, (result->>'wal_records')::bigint >= 0, (result->>'wal_bytes')::bigint >= 0, result ? 'dead_rows' FROM kwjobs.job WHERE job_id = $job"),
		't|t|t|t|t|f', 'a job of autovacuum says what it has cost');

	# The same with a table that autovacuum itself would leave alone by the time of the CANCEL.
	sql('CREATE TABLE left_alone (a integer); CREATE INDEX ON left_alone (stop(a)); INSERT INTO left_alone SELECT generate_series(1, 5000)');
	$gates = close_gates($node, $gate);
	sql('ALTER SYSTEM SET autovacuum_analyze_threshold = 4000; ALTER SYSTEM SET autovacuum_analyze_scale_factor = 0; ALTER SYSTEM RESET autovacuum_naptime');
	$node->reload;
	$analyze =~ s/taken/left_alone/;
	wait_query($node, "SELECT count(*) = 1 $analyze");
	$job = sql("SELECT job_id $analyze");
	wait_at_gate($node, $job);
	sql('ALTER SYSTEM RESET autovacuum_analyze_threshold; ALTER SYSTEM SET autovacuum_naptime = 3600');
	$node->reload;
	sql("CANCEL JOB $job");
	wait_query($node, "SELECT status = 'canceled' FROM kwjobs.job WHERE job_id = $job");
	# A change of this setting has the collector look.
	sql('SET CLUSTER SETTING sql.stats.automatic_collection.min_stale_rows = 12');
	wait_for_pass($node);
	is(count_jobs('left_alone'), 0, 'after CANCEL of one that is not needed any more it does not');
	$gates->quit;
	sql('ALTER SYSTEM RESET autovacuum_naptime; ALTER SYSTEM RESET autovacuum_analyze_scale_factor; ALTER SYSTEM RESET kwjobs.track_autovacuum');
	$node->reload;
	return;
}

# ---- beside REINDEX ----

# The collector has read which of its jobs is not over, and waits for kwjobs.collected. Meanwhile
# REINDEX, which has locked kwjobs.job in ShareLock, waits for the indexes that the collector has read.
sub test_reindex
{
	my $log = -s $node->logfile;
	my ($holder, $reindexes) = (session(), session());
	my $is = q{FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE NOT l.granted AND };
	$holder->query_safe('BEGIN; LOCK TABLE kwjobs.collected IN EXCLUSIVE MODE');
	create('beside_reindex');
	change_rows();
	wait_query($node, "SELECT count(*) = 1 $is a.backend_type = 'kwjobs coordinator' AND l.relation = 'kwjobs.collected'::regclass");
	$reindexes->query_until(qr/begun/, "\\echo begun\nREINDEX TABLE kwjobs.job;\n");
	wait_query($node, "SELECT count(*) = 1 $is a.query ~ '^REINDEX' AND l.locktype = 'relation'");
	$holder->query_safe('COMMIT');
	wait_for_job('beside_reindex', 'succeeded');
	$reindexes->query_safe('SELECT 1');
	unlike(substr(slurp_file($node->logfile), $log), qr/deadlock detected/, 'REINDEX beside the collector meets no deadlock');
	is($reindexes->{stderr}, '', '... and is not canceled');
	$_->quit for $holder, $reindexes;
	return;
}

# ---- where nothing happens ----

sub test_idle
{
	sql('CREATE DATABASE quiet');
	sql('CREATE EXTENSION kwjobs', 'quiet');
	sql('CREATE TABLE parted (a integer) PARTITION BY LIST (a); CREATE TABLE part PARTITION OF parted DEFAULT; INSERT INTO parted SELECT generate_series(1, 100)', 'quiet');
	wait_query($node, q{SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE created_by_type = 'collector' AND status = 'succeeded'}, 'quiet');
	sql(q{ALTER SYSTEM SET log_min_messages = 'debug1'});
	$node->reload;
	my $starts = qr/starting background worker process "kwjobs (coordinator|worker)/;
	my $rounds = sub
	{
		for (1 .. 3)
		{
			$node->wait_for_log(qr/autovacuum: processing database "quiet"/, -s $node->logfile);
		}
	};
	# In the first rounds the collector looks because of the rows that its own job has written. That may take more
	# than three rounds, as the log shows a round when it begins, and not when it has told the collector.
	ok(comes_true(sub {
		becomes_true($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type ~ '^kwjobs (coord|work)'}) or return 0;
		my $from = -s $node->logfile;
		$rounds->();
		return slurp_file($node->logfile, $from) !~ $starts;
	}), 'the collector comes to rest');
	sql('CHECKPOINT');
	my $log = -s $node->logfile;
	my $before = sql('SELECT pg_current_wal_insert_lsn()');
	$rounds->();
	my $new = substr(slurp_file($node->logfile), $log);
	unlike($new, $starts, 'autovacuum comes to an idle database, and no process of kwjobs is started for it');
	is(sql('SELECT pg_current_wal_insert_lsn()'), $before, '... nor is WAL written');
	sql('ALTER SYSTEM RESET log_min_messages');
	$node->reload;
	sql('DROP DATABASE quiet');
	return;
}

sub test_without_autovacuum
{
	sql('ALTER SYSTEM SET autovacuum = off');
	$node->reload;
	wait_for_job('autovacuums', 'succeeded');
	sql('CREATE TABLE plain AS SELECT generate_series(1, 100) AS a');
	has_query('SELECT count(*) = 1 ' . jobs_of('plain') . q{ AND status = 'succeeded'}, 'without autovacuum, its tables are the collector\'s');
	sql('ALTER SYSTEM RESET autovacuum');
	$node->reload;
	return;
}

sub test_without_counters
{
	sql('ALTER SYSTEM SET track_counts = off');
	$node->reload;
	sql('CREATE TABLE uncounted (a integer) WITH (autovacuum_enabled = off); INSERT INTO uncounted SELECT generate_series(1, 100)');
	sql('VACUUM uncounted');
	sql('SET CLUSTER SETTING sql.stats.automatic_collection.min_stale_rows = 11');
	wait_for_pass($node);
	is(count_jobs('uncounted'), 0, 'without counters the collector does nothing');
	sql('ALTER SYSTEM RESET track_counts');
	$node->reload;
	wait_for_job('uncounted', 'succeeded');
	return;
}

sub test_crash
{
	my ($gates, $job) = stop_at('crashing');
	kill_process($node, field($job, 'pid'));
	wait_for_status($node, $job, 'succeeded');
	is(count_jobs('crashing'), 1, 'after a crash, the job goes on');
	has_query(q{SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE created_by_type = 'collector' AND finished IS NULL}, '... and the collector comes to an end');
	return;
}

test_partitioned();
test_tables();
test_turns();
test_control();
test_switched_off();
test_locked();
test_gives_way();
test_failed();
test_canceled_autovacuum();
test_reindex();
test_idle();
test_without_autovacuum();
test_without_counters();
test_crash();
is_consistent($node);
$node->stop('immediate');
done_testing();
