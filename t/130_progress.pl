# What SHOW JOBS shows of jobs that run: the phase of the command, how far it is, whom it waits for,
# when it will be over and when it moved last.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('progress', <<'EOF', extra => [ '--no-locale', '--encoding=UTF8' ]);
kwjobs.track = top
kwjobs.admin_role = 'boss'
max_prepared_transactions = 10
autovacuum = off
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub field { my ($job, $field) = @_; return job_field($node, $job, $field) }
sub session { return $node->background_psql('postgres', on_error_stop => 0) }

# Fifty pages with two rows each. While an index on stop(a) is built, the build stops at rows 1, 11, 51
# and 91 if the gate of this number is closed, that is if a session has the advisory lock. The build
# must not wait for that lock, because SHOW JOBS would then say so, and not how far the build is. So
# it waits for the end of a job, which table gate names and which a test cancels to open the gate.
# stopped has how often a build was stopped.
sql(<<'EOF');
CREATE SEQUENCE stopped;
CREATE TABLE gate (number integer, job bigint);
CREATE FUNCTION is_open(gate integer) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN RETURN pg_try_advisory_lock_shared(gate) AND pg_advisory_unlock_shared(gate); END $$;
-- The NOTICE of kwjobs.wait that says why the other job does not run would be a message of this job.
CREATE FUNCTION stop_at(gate integer) RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    IF NOT public.is_open(gate) THEN
        PERFORM nextval('public.stopped'), kwjobs.wait((SELECT g.job FROM public.gate AS g WHERE g.number = gate));
    END IF;
END $$;
CREATE FUNCTION stop(a integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF a IN (1, 11, 51, 91) THEN
        PERFORM public.stop_at(a);
    END IF;
    RETURN a;
END $$;
CREATE TABLE pages (a integer, b text);
ALTER TABLE pages ALTER b SET STORAGE PLAIN;
INSERT INTO pages SELECT n, repeat('x', 3900) FROM generate_series(1, 100) AS n;
CREATE TABLE t (a integer);
EOF
is(sql(q{SELECT pg_relation_size('pages') / 8192}), 50, 'the table has 50 pages');

# Returns a session that has closed these gates.
sub close_some
{
	my (@gates) = @_;
	my $list = join(', ', @gates);
	sql(<<"EOF");
SELECT setval('stopped', 1, false);
TRUNCATE gate;
INSERT INTO gate SELECT n, kwjobs.submit('SELECT 1', run_at => now() + interval '1 day') FROM unnest(ARRAY[$list]) AS n
EOF
	return close_gates($node, @gates);
}

sub open_one
{
	my ($gates, $gate) = @_;
	$gates->query_safe("SELECT pg_advisory_unlock($gate)");
	sql("SELECT kwjobs.cancel(job) FROM gate WHERE number = $gate");
	return;
}

# Opens the gates that are still closed, and ends the session.
sub open_others
{
	my ($gates) = @_;
	$gates->quit;
	sql(q{SELECT kwjobs.cancel(job) FROM gate JOIN kwjobs.job ON job_id = job WHERE finished IS NULL});
	return;
}

# Waits until the build has been stopped for the n-th time.
sub wait_until_stopped { my ($n) = @_; wait_query($node, "SELECT is_called AND last_value = $n FROM stopped"); return }

# Has the session begin a statement. Returns the statement's job.
sub begin_statement
{
	my ($session, $statement) = @_;
	my $is_it = "FROM kwdb_internal.session_jobs() WHERE description = '$statement' AND status = 'running'";
	$session->query_until(qr/begins/, "\\echo begins\n$statement;\n");
	wait_query($node, "SELECT count(*) = 1 $is_it");
	return sql("SELECT job_id $is_it");
}

# The same with a statement that is stopped. Nobody looks at the job before that.
sub begin_and_stop
{
	my ($session, $statement) = @_;
	$session->query_until(qr/begins/, "\\echo begins\n$statement;\n");
	wait_until_stopped(1);
	return sql("SELECT job_id FROM kwdb_internal.session_jobs() WHERE description = '$statement' AND status = 'running'");
}

# Waits until the process of the job waits for a lock: that of the process $pid, and of no other, if it is given.
# (Sessions that look at jobs have snapshots, too, for which a job may wait.)
sub wait_until_waiting
{
	my ($job, $pid) = @_;
	my $for = defined $pid ? " AND pg_blocking_pids(pid) = '{$pid}'" : '';
	wait_query($node, "SELECT count(*) = 1 FROM kwdb_internal.jobs AS j JOIN pg_stat_activity AS a USING (pid) WHERE j.job_id = $job AND a.wait_event_type = 'Lock'$for");
	return;
}

my $shown = q(running_status, round(fraction_completed::numeric, 2));
my $scanning = 'building index: scanning table';

# Runs the statement as a SQL job, which stops at gate 51, or at another one. There, this function compares what
# is shown of the job with a text, or with a regular expression. Then it lets the job succeed.
sub shows_at_gate
{
	my ($statement, $expected, $name, $gate) = (@_, 51);
	my $compare = ref $expected ? \&like : \&is;
	my $gates = close_some($gate);
	my $job = sql("SELECT kwjobs.submit(\$sql\$$statement\$sql\$)");
	wait_until_stopped(1);
	$compare->(field($job, $shown), $expected, $name);
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');
	return;
}

# ---- how far it is ----

# Follows the build of an index through gates 51 and 91.
sub follow_build
{
	my ($job, $gates, $name) = @_;
	is(field($job, $shown), "$scanning|0.25", "$name: half of the scan is a quarter");
	is(field($job, 'moved IS NULL'), 't', '... and nothing is known to have moved since the look before');
	wait_query($node, "SELECT eta IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job");
	# A quarter is done, so the rest takes three times as long as it took until the look, which is in this statement.
	my $started = "coalesce((SELECT since FROM kwjobs.running WHERE job_id = $job), started)";
	my $ratio = sub { return "round((extract(epoch FROM eta - $_[0]) / extract(epoch FROM $_[0] - $started))::numeric, 1)" };
	is(field($job, $ratio->('statement_timestamp()') . ' >= 2 AND ' . $ratio->('clock_timestamp()') . ' <= 4'),
		't', '... eta is three times as far away as the start');
	my $before = sql('SELECT clock_timestamp()');
	open_one($gates, 51);
	wait_until_stopped(2);
	is(field($job, $shown), "$scanning|0.45", '... further on, the fraction is larger');
	is(field($job, "moved > '$before'"), 't', '... and it has moved');
	my $moved = field($job, 'moved');
	is(field($job, 'moved'), $moved, '... but not since');
	open_one($gates, 91);
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');
	is(field($job, 'fraction_completed, running_status, eta, moved'), '1|||', '... at the end there is nothing of it');
	return;
}

sub test_create_index
{
	my $gates = close_some(51, 91);
	my $session = session();
	my $job = begin_and_stop($session, 'CREATE INDEX pages_stop ON pages (stop(a))');
	is(sql("SELECT running_status FROM [SHOW JOB $job]"), $scanning, 'SHOW JOB shows the phase');
	follow_build($job, $gates, 'a session');
	$session->quit;

	shows_at_gate('CREATE INDEX pages_1 ON pages (stop(a))', "$scanning|", 'in the first page PostgreSQL says that all is done, so nothing is known', 1);
	sql('DROP INDEX pages_1, pages_stop');
	$gates = close_some(51, 91);
	$job = sql(q{SELECT kwjobs.submit('CREATE INDEX pages_stop ON pages (stop(a))')});
	wait_until_stopped(1);
	follow_build($job, $gates, 'a SQL job');
	return;
}

# REINDEX counts each index from 0, and the first one here is over at once.
sub test_several_indexes
{
	sql('CREATE INDEX pages_a ON pages (a)');
	my $gates = close_some(51);
	my $session = session();
	my $job = begin_and_stop($session, 'REINDEX TABLE pages');
	is(field($job, $shown), "$scanning|", 'the fraction of one of several indexes is not that of the job');
	is(field($job, 'eta IS NULL'), 't', '... and there is no eta');
	sql("CANCEL JOB $job");
	wait_for_status($node, $job, 'canceled');
	is(field($job, 'fraction_completed'), '0', '... a job that did nothing is at 0');
	open_others($gates);

	$gates = close_some(51);
	$job = begin_and_stop($session, 'REINDEX INDEX pages_stop');
	is(field($job, $shown), "$scanning|0.25", 'the fraction of the only index is');
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');
	$session->quit;

	# A SQL job writes a checkpoint before REINDEX CONCURRENTLY, which says nothing of how far the
	# job is.
	shows_at_gate('REINDEX TABLE CONCURRENTLY pages', "$scanning|", 'nor is that of one of several indexes that are built beside the old ones');
	sql('DROP INDEX pages_a');

	# A quarter of the build is done, and the build is 0.6 of the whole. The table has two indexes
	# now, the old one and the new one beside it, but the job builds only one.
	shows_at_gate('REINDEX TABLE CONCURRENTLY pages', "$scanning|0.15", 'the fraction of the only index, built beside the old one');
	sql('DROP INDEX pages_stop');
	return;
}

# PostgreSQL counts only a part of what these statements do. The phase is shown, but no fraction.
sub test_part_of_a_statement
{
	shows_at_gate($_, "$scanning|", "no fraction: $_")
	  for 'DO $$ BEGIN CREATE INDEX pages_1 ON pages (stop(a)); CREATE INDEX pages_2 ON pages (a); END $$',
	  'ALTER TABLE pages ADD EXCLUDE USING btree (stop(a) WITH =)';
	sql('DROP INDEX pages_1, pages_2; ALTER TABLE pages DROP CONSTRAINT pages_stop_excl');
	return;
}

# If a job has several statements, the fraction counts each as an equal share.
sub test_several_statements
{
	my $gates = close_some(51);
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1; CREATE INDEX pages_stop ON pages (stop(a)); DROP INDEX pages_stop; SELECT 1')});
	wait_until_stopped(1);
	is(field($job, 'running_status, round(fraction_completed::numeric, 4)'), "statement 2 of 4: $scanning|0.3125", 'the second of four statements');
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');
	shows_at_gate('SELECT count(stop(a)) FROM pages', '|', 'the next job of the worker, a single query');
	return;
}

# When the command is over, PostgreSQL's counters are gone. In test builds the worker of the job
# then waits for the advisory lock 4902 before it commits.
sub test_never_back
{
	my $gates = close_some(51, 4902);
	my $job = sql(q{SELECT kwjobs.submit('CREATE INDEX pages_stop ON pages (stop(a))')});
	wait_until_stopped(1);
	is(field($job, $shown), "$scanning|0.25", 'before the end of the command');
	open_one($gates, 51);
	wait_at_gates($node, 1, 'objid = 4902');
	is(field($job, 'round(fraction_completed::numeric, 2)'), '0.25', '... what was shown stays');
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');
	sql('DROP INDEX pages_stop');
	return;
}

# An event trigger still runs when the command is over and PostgreSQL's counters are gone. The
# trigger does not wait for a lock, so that the job is not shown as one that waits.
sub test_end_of_command
{
	sql(<<'EOF');
CREATE FUNCTION at_end() RETURNS event_trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM public.stop_at(52); END $$;
CREATE EVENT TRIGGER at_end ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION at_end();
EOF
	my $gates = close_some(51, 52);
	my $job = sql(q{SELECT kwjobs.submit('CREATE INDEX pages_stop ON pages (stop(a))')});
	wait_until_stopped(1);
	wait_query($node, "SELECT eta IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job");
	open_one($gates, 51);
	wait_until_stopped(2);
	is(field($job, "$shown, eta IS NULL"), '|0.25|t', 'after the command there is no eta');
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');
	sql('DROP EVENT TRIGGER at_end; DROP INDEX pages_stop');
	return;
}

# While the index of a TOAST table is rebuilt, nobody knows how far a statement is.
sub test_toast
{
	sql('CREATE TABLE wide (a text); ALTER TABLE wide ALTER a SET STORAGE EXTERNAL');
	my $index = sql(q{SELECT indexrelid::regclass FROM pg_index JOIN pg_class AS c ON indrelid = reltoastrelid WHERE c.oid = 'wide'::regclass});
	my ($holds, $session) = (session(), session());
	$holds->query_safe(q{BEGIN; INSERT INTO wide VALUES (repeat('x', 10000))});
	my $job = begin_statement($session, "REINDEX INDEX CONCURRENTLY $index");
	wait_until_waiting($job);
	like(field($job, $shown), qr/^waiting for writers before build: pid \d+ .*\|$/, 'no fraction: an index of a TOAST table');
	$holds->query_safe('COMMIT');
	wait_for_status($node, $job, 'succeeded');
	$_->quit for $holds, $session;
	sql('DROP TABLE wide');
	return;
}

# ANALYZE reads a table alone, and then once more with the tables that inherit from it. PostgreSQL
# counts from 0 each time.
sub test_analyze
{
	sql('CREATE INDEX pages_stop ON pages (stop(a))');
	shows_at_gate('ANALYZE pages', 'computing statistics|0.90', 'ANALYZE of one table');
	sql('CREATE TABLE child () INHERITS (pages)');
	shows_at_gate('ANALYZE pages', 'computing statistics|', 'no fraction: ANALYZE of a table with a child');
	sql('DROP INDEX pages_stop; DROP TABLE child');
	return;
}

# A statement has ended, and its transaction has not.
sub test_open_transaction
{
	my $session = session();
	my $statement = 'CREATE INDEX t_open ON t (a)';
	$session->query_safe("BEGIN; $statement");
	my $job = sql("SELECT job_id FROM kwdb_internal.session_jobs() WHERE description = '$statement'");
	is(field($job, 'running_status, fraction_completed'), 'waiting for the end of its transaction|0.99', 'all is done but the COMMIT');
	$session->query_safe('ROLLBACK');
	wait_for_status($node, $job, 'failed');
	is(field($job, 'fraction_completed'), '0', '... and after a ROLLBACK nothing');
	$session->quit;
	return;
}

# In a copy of the database, a job has the same id. Here its attempt has the same number, too, and
# the same slot, as there is only one worker.
sub test_copied_database
{
	configure($node, 'kwjobs.max_workers', 1);
	my $job = sql(q{SELECT kwjobs.submit('CREATE INDEX pages_stop ON pages (stop(a))', run_at => now() + interval '1 day')});
	sql('CREATE DATABASE copied TEMPLATE postgres');
	my $gates = close_some(51);
	sql("SELECT kwjobs.run_now($job)");
	wait_until_stopped(1);
	is(field($job, $shown), "$scanning|0.25", 'in the original');
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');

	# The coordinator that begins for the second job pauses the first. Nobody looks at another job
	# that runs there, because that would replace the record of the look at the original.
	$gates = $node->background_psql('copied');
	$gates->query_safe(q(INSERT INTO gate SELECT 11, kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')));
	wait_for_status($node, $job, 'paused', 'copied');
	$gates->query_safe($_) for 'SELECT pg_advisory_lock(11)', q(SELECT setval('stopped', 1, false)),
		"SELECT kwjobs.resume($job)", "SELECT kwjobs.run_now($job)";
	wait_query($node, 'SELECT is_called AND last_value = 1 FROM stopped', 'copied');
	is(job_field($node, $job, "$shown, total_num_of_ex", 'copied'), "$scanning|0.05|1", '... and in the copy');
	$gates->query_safe($_) for 'SELECT pg_advisory_unlock(11)', 'SELECT kwjobs.cancel(job) FROM gate WHERE number = 11';
	$gates->quit;
	wait_for_status($node, $job, 'succeeded', 'copied');
	sql('DROP DATABASE copied');
	sql('DROP INDEX pages_stop');
	configure($node, 'kwjobs.max_workers');
	return;
}

# kwjobs.progress has a line for each job that a process has.
sub test_view
{
	my $gates = close_some(51);
	my $job = sql(q{SELECT kwjobs.submit('CREATE INDEX pages_stop ON pages (stop(a))')});
	my $waits = sql(q{SELECT kwjobs.submit('CREATE INDEX t_a ON t (a)', run_at => now() + interval '1 day')});
	wait_until_stopped(1);
	wait_query($node, q(SELECT "left" IS NOT NULL FROM kwjobs.progress));
	is(sql(q(SELECT id, what, bar, percent, rate ~ '^[0-9.]+ %/min$', elapsed ~ '^[0-9]+s$', "left" ~ '^[0-9]+s$', waits_for FROM kwjobs.progress)),
		"$job|CREATE INDEX pages_stop ON p..|#####...............|25|t|t|t|", 'a line for the job that runs');
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');
	my $holds = session();
	$holds->query_safe('BEGIN; LOCK TABLE t');
	$job = sql(q{SELECT kwjobs.submit('CREATE INDEX t_b ON t (a)')});
	wait_until_waiting($job);
	like(sql('SELECT id, bar, percent, rate, "left", waits_for FROM kwjobs.progress'),
		qr/^$job\|\?{20}\|\|\|\|lock on public\.t: pid \d+ \(.*\), idle in transaction for \d+ s$/, 'a job that waits');
	$holds->quit;
	wait_for_status($node, $job, 'succeeded');
	is(sql('SELECT count(*) FROM kwjobs.progress'), '0', 'no line for jobs that no process has');
	sql("CANCEL JOB $waits");
	sql('DROP INDEX pages_stop, t_b');
	return;
}

sub test_vacuum_full
{
	sql('CREATE INDEX pages_stop ON pages (stop(a))');
	my $gates = close_some(51);
	my $session = session();
	my $job = begin_and_stop($session, 'VACUUM FULL pages');
	is(field($job, $shown), 'rebuilding indexes|0.75', 'VACUUM FULL rebuilds the index');
	open_one($gates, 51);
	wait_for_status($node, $job, 'succeeded');
	open_others($gates);
	$session->quit;
	sql('DROP INDEX pages_stop');
	return;
}

# ---- the file of a new table ----

# PostgreSQL may extend a file by several pages at once, so only the beginning is exact.
my $writing = qr/^writing new table: \d+ kB/;

# ALTER TABLE writes all rows into a new table. The index is built at the end, so writing is 0.75 of
# the whole.
sub test_rewrite
{
	my $rewrite = 'ALTER TABLE pages ALTER a TYPE integer USING stop(a)';
	sql('CREATE INDEX pages_a ON pages (a)');
	my $gates = close_some(51, 91);
	my $session = session();
	my $job = begin_and_stop($session, $rewrite);
	like(field($job, 'running_status'), qr/$writing of about 400 kB$/, 'a session: the size of the new file');
	is(field($job, 'fraction_completed BETWEEN 0.75 * 0.48 AND 0.75 * 0.7'), 't', '... half of it is written');
	wait_query($node, "SELECT eta IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job");
	my $before = sql('SELECT clock_timestamp()');
	my $fraction = field($job, 'fraction_completed');
	open_one($gates, 51);
	wait_until_stopped(2);
	is(field($job, "fraction_completed BETWEEN greatest($fraction + 0.01, 0.75 * 0.88) AND 0.75"), 't', '... further on, the fraction is larger');
	is(field($job, "moved > '$before'"), 't', '... and it has moved');
	open_one($gates, 91);
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');
	$session->quit;
	sql('DROP INDEX pages_a');

	$gates = close_some(51);
	$job = sql("SELECT kwjobs.submit('SELECT 1; $rewrite')");
	wait_until_stopped(1);
	like(field($job, 'running_status'), qr/^statement 2 of 2: writing new table: \d+ kB of about \d+ kB$/, 'a SQL job: the size of the new file');
	is(field($job, 'fraction_completed BETWEEN 0.5 + 0.49 * 0.48 AND 0.5 + 0.49 * 0.7'), 't', '... without an index, it is all there is');
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');
	return;
}

# The rows are in the new table, and the index is built.
sub test_rewrite_indexes
{
	sql('CREATE INDEX pages_stop ON pages (stop(a))');
	my $gates = close_some(51);
	my $session = session();
	my $job = begin_and_stop($session, 'ALTER TABLE pages ALTER a TYPE integer USING a + 0');
	is(field($job, $shown), 'rebuilding indexes|0.75', 'ALTER TABLE rebuilds the index');
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');
	$session->quit;
	sql('DROP INDEX pages_stop');
	return;
}

# Such a statement may rewrite several tables.
sub test_several_rewrites
{
	sql('CREATE SEQUENCE numbers; CREATE TABLE child (PRIMARY KEY (a)) INHERITS (pages)');
	shows_at_gate('ALTER TABLE pages ALTER a TYPE integer USING stop(a)', qr/$writing\|$/, 'no fraction: a table with a child');
	sql('ALTER TABLE child NO INHERIT pages');
	sql('INSERT INTO child SELECT * FROM pages');
	shows_at_gate('ALTER TABLE child ALTER a TYPE integer USING stop(a)', qr/$writing of about \d+ kB\|0\.[34]\d$/, 'a fraction: it is the child of none');
	sql('ALTER TABLE child INHERIT pages');
	shows_at_gate(q(ALTER TABLE child ADD c integer DEFAULT stop(nextval('numbers')::integer)), qr/$writing\|$/, 'no fraction: the child of a table');
	sql('DROP TABLE child; DROP SEQUENCE numbers');
	return;
}

# CREATE TABLE AS and the like write into a new table, and nobody knows how large it will be.
sub test_new_table
{
	for my $statement ('CREATE TABLE copy AS SELECT stop(a) AS a, b FROM pages',
		'SELECT stop(a) AS a, b INTO copy FROM pages')
	{
		my $gates = close_some(51);
		my $session = session();
		my $job = begin_and_stop($session, $statement);
		like(field($job, $shown), qr/$writing\|$/, "$statement: the size of the new file");
		open_others($gates);
		wait_for_status($node, $job, 'succeeded');
		$session->quit;
		sql('DROP TABLE copy');
		shows_at_gate($statement, qr/$writing\|$/, '... and as a SQL job');
		sql('DROP TABLE copy');
	}
	return;
}

# REFRESH writes a new file beside the old one, which it will replace.
sub test_refresh
{
	sql('CREATE MATERIALIZED VIEW view AS SELECT stop(a) AS a, b FROM pages WITH NO DATA');
	shows_at_gate('REFRESH MATERIALIZED VIEW view', qr/$writing\|$/, 'no fraction: REFRESH of a view without rows');
	shows_at_gate('REFRESH MATERIALIZED VIEW view', qr/$writing of about \d+ kB\|0\.[456]\d$/, 'REFRESH of a view with rows');
	sql('CREATE UNIQUE INDEX ON view (a)');
	shows_at_gate('REFRESH MATERIALIZED VIEW CONCURRENTLY view', qr/^\|$/, 'nothing: REFRESH CONCURRENTLY, which writes a temporary table');
	sql('DROP MATERIALIZED VIEW view');
	return;
}

# ---- the scan that drives a statement ----

# Waits until a job shows how far its scan is, and that it is there ($percent: a regular expression). Its process
# looks twice a second, and may have looked before the scan was stopped.
sub wait_for_scan
{
	my ($job, $percent) = (@_, '\d+');
	wait_query($node, "SELECT running_status ~ 'about ($percent) % of the scan done\$' FROM kwdb_internal.jobs WHERE job_id = $job");
	return;
}

# Runs another job, which stops at gate 51 in a scan of this table, and waits until that scan is shown.
# An earlier job that has stopped there, too, has had the time by then to show its scan. If nothing is
# shown of it, that is because it shows nothing. Returns the other job.
sub show_later_scan
{
	my ($table) = @_;
	my $job = sql("SELECT kwjobs.submit('DELETE FROM $table WHERE stop(a) < 0')");
	wait_until_stopped(2);
	wait_for_scan($job);
	return $job;
}

# The scan is at row 51, which is in page 25 or 26 of 50, or of 64, where PostgreSQL extends a file by many pages.
sub test_scan
{
	sql('CREATE TABLE target (a integer, b text); CREATE TABLE few (a integer); INSERT INTO few VALUES (1)');
	my $percent = '39|40|4[89]|5\d';
	my $read = qr/about ($percent) % of the scan done/;
	for my $case ([ 'INSERT INTO target SELECT stop(a), b FROM pages', $read ],
		[ 'DELETE FROM pages WHERE stop(a) < 0', $read ],
		[ 'UPDATE pages SET b = b WHERE stop(a) < 0', $read ],
		[ 'INSERT INTO target SELECT stop(p.a), p.b FROM pages AS p, LATERAL (SELECT FROM few WHERE few.a <> p.a OFFSET 0) AS f', $read ],
		[ 'SELECT stop(a) AS a INTO made FROM pages', qr/writing new table: \d+ kB, $read/ ])
	{
		my ($statement, $expected) = @$case;
		my $gates = close_some(51);
		my $job = sql("SELECT kwjobs.submit('$statement')");
		wait_until_stopped(1);
		wait_for_scan($job, $percent);
		like(field($job, $shown), qr/^$expected\|0\.(3[89]|4[789]|5\d)$/, "the scan is in the middle: $statement");
		open_others($gates);
		wait_for_status($node, $job, 'succeeded');
		is(field($job, 'running_status, fraction_completed'), '|1', '... and at the end there is nothing of it');
	}

	# The second statement is driven by a scan of a small table, so what the first has shown is
	# gone.
	my $gates = close_some(51);
	my $job = sql(q(SELECT kwjobs.submit('INSERT INTO target SELECT stop(a), b FROM pages; UPDATE few SET a = 1 WHERE stop_at(52) IS NOT NULL')));
	wait_until_stopped(1);
	wait_for_scan($job, $percent);
	like(field($job, $shown), qr/^statement 1 of 2: $read\|0\.(19|2\d)$/, 'the first of two statements');
	my $second = close_gates($node, 52);
	sql(q(INSERT INTO gate SELECT 52, kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')));
	open_one($gates, 51);
	wait_until_stopped(2);
	is(field($job, $shown), 'statement 2 of 2|0.50', '... and the second, of which nothing is known');
	open_others($_) for $gates, $second;
	wait_for_status($node, $job, 'succeeded');
	sql('DROP TABLE target, few, made');
	return;
}

# Runs statements as SQL jobs with these settings. Each stops at row 51. Compares the percentage that
# is shown of the scan, and the fraction, which is 0.98 of it, with numbers from..to.
sub shows_scan
{
	my ($settings, $statement, $from, $to) = @_;
	my $gates = close_some(51);
	my $job = sql("SELECT kwjobs.submit('$statement', settings => '$settings')");
	wait_until_stopped(1);
	wait_for_scan($job, join('|', $from .. $to));
	my ($percent, $fraction) = split /\|/, field($job, q(substring(running_status FROM 'about (\d+) %'), fraction_completed));
	ok($percent >= $from && $percent <= $to, "$percent % of the scan, in $from..$to: $statement");
	cmp_ok(abs($fraction - 0.98 * $percent / 100), '<', 0.011, '... and the fraction is that');
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');
	return;
}

my %only = (
	bitmaps => '{"enable_seqscan": "off", "enable_indexscan": "off"}',
	indexes => '{"enable_seqscan": "off", "enable_bitmapscan": "off"}',
	hashes => '{"enable_nestloop": "off", "enable_mergejoin": "off"}',
	small_hashes => '{"enable_nestloop": "off", "enable_mergejoin": "off", "work_mem": "64kB"}');

# Row 51 is in page 26 of 50, but this table has 13 pages in the first partition and 37 or 38 in the
# second.
sub test_partitions
{
	sql(<<'EOF');
CREATE TABLE target (a integer, b text);
CREATE TABLE parted (a integer, b text) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (27);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (27) TO (101);
ALTER TABLE parted_1 ALTER b SET STORAGE PLAIN;
ALTER TABLE parted_2 ALTER b SET STORAGE PLAIN;
INSERT INTO parted SELECT n, repeat('x', 3900) FROM generate_series(1, 100) AS n;
EOF
	shows_scan('{}', $_, 40, 52)
	  for 'INSERT INTO target SELECT stop(a), b FROM parted', 'DELETE FROM parted WHERE stop(a) < 0', 'UPDATE parted SET b = b WHERE stop(a) < 0',
	  'INSERT INTO target SELECT stop(a), b FROM (SELECT * FROM parted_1 UNION ALL SELECT * FROM parted_2) AS u';
	return;
}

# The position is that among the pages of the bitmap, not among all of the table.
sub test_bitmap
{
	sql('CREATE INDEX pages_a ON pages (a); ANALYZE pages');
	shows_scan($only{bitmaps}, 'INSERT INTO target SELECT stop(a), b FROM pages WHERE a > 0', 50, 54);
	shows_scan($only{bitmaps}, 'INSERT INTO target SELECT stop(a), b FROM pages WHERE a > 20', 38, 42);
	return;
}

# If a hash table fits into memory, each row of the table goes through the join at once.
sub test_hash_join
{
	sql('CREATE TABLE few (a integer); INSERT INTO few VALUES (1); ANALYZE few');
	shows_scan($only{hashes}, 'INSERT INTO target SELECT stop(p.a), p.b FROM pages AS p JOIN few ON few.a = p.a - p.a + 1', 39, 52);
	sql('DROP TABLE few');
	return;
}

# A process for parallel queries reads the table, and the worker of the job takes its rows. It must
# not take a lock in the function that stops, so it waits for an advisory lock here.
sub test_parallel
{
	sql(<<'EOF');
CREATE FUNCTION stop_leader(a integer) RETURNS integer LANGUAGE plpgsql PARALLEL RESTRICTED AS $$
BEGIN
    IF a = 51 THEN
        PERFORM pg_advisory_xact_lock_shared(51);
    END IF;
    RETURN a;
END $$;
EOF
	my $gate = close_gates($node, 51);
	my $job = sql(<<'EOF');
SELECT kwjobs.submit('CREATE TABLE made AS SELECT stop_leader(a) AS a, b FROM pages', settings => '{"parallel_setup_cost": "0", "parallel_tuple_cost": "0",
    "min_parallel_table_scan_size": "0", "max_parallel_workers_per_gather": "1", "parallel_leader_participation": "off"}')
EOF
	wait_at_gates($node, 1, 'objid = 51');
	wait_query($node, "SELECT fraction_completed >= 0.38 FROM kwdb_internal.jobs WHERE job_id = $job");
	# The process is ahead of the worker by as many rows as there is room for between the two.
	is(field($job, 'fraction_completed BETWEEN 0.38 AND 0.98'), 't', 'a parallel scan, of which half has come to the worker');
	$gate->quit;
	wait_for_status($node, $job, 'succeeded');
	is(sql('SELECT count(*) FROM made'), '100', '... and the statement has done its work');
	sql('DROP TABLE made; DROP FUNCTION stop_leader');
	return;
}

# ---- constraints ----

my $half = '39|40|4\d|5[0-4]';
my $validated = qr/^validating constraint, about ($half) % of the scan done\|0\.(38|39|4\d|5[0-3])$/;

# Runs a statement that checks constraints, in a session and as a SQL job. Its scan stops at row 51, and
# this function compares what is shown of it there. $undo: removes the constraints afterwards.
sub shows_validation
{
	my ($statement, $undo) = @_;
	my $session = session();
	for my $in ('a session', 'a SQL job')
	{
		my $gates = close_some(51);
		my $job = $in eq 'a session' ? begin_statement($session, $statement) : sql("SELECT kwjobs.submit('$statement')");
		wait_until_stopped(1);
		wait_for_scan($job, $half);
		like(field($job, $shown), $validated, "$in: $statement");
		open_others($gates);
		wait_for_status($node, $job, 'succeeded');
		sql($undo);
	}
	$session->quit;
	return;
}

sub test_validation
{
	my $drop = 'ALTER TABLE pages DROP CONSTRAINT c';
	my $not_valid = 'ALTER TABLE pages ADD CONSTRAINT c CHECK (stop(a) > 0) NOT VALID';
	shows_validation('ALTER TABLE pages ADD CONSTRAINT c CHECK (stop(a) > 0), ALTER a SET NOT NULL', "$drop, ALTER a DROP NOT NULL");
	sql($not_valid);
	shows_validation('ALTER TABLE pages VALIDATE CONSTRAINT c', "$drop; $not_valid");
	sql($drop);

	# The tables of a tree are read one after the other, so all of them count.
	my $statement = 'ALTER TABLE parted ADD CONSTRAINT c CHECK (stop(a) > 0)';
	shows_validation($statement, 'ALTER TABLE parted DROP CONSTRAINT c');

	# Each statement of a transaction counts its own tables.
	my $session = session();
	my $gates = close_some(51);
	$session->query_safe('BEGIN; ALTER TABLE pages ADD CONSTRAINT c CHECK (a > 0)');
	my $job = begin_and_stop($session, $statement);
	wait_for_scan($job, $half);
	like(field($job, $shown), $validated, 'the second statement of a transaction');
	open_others($gates);
	$session->query_safe('ROLLBACK');
	wait_for_status($node, $job, 'failed');
	$session->quit;
	return;
}

# PostgreSQL checks a foreign key with a join of the two tables. Here it calls a function that
# converts the key of each row, and stops at the row with "middle".
sub test_foreign_key
{
	sql(<<'EOF');
CREATE TYPE kind AS ENUM ('plain', 'middle');
CREATE FUNCTION number_of(a kind) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    name text := enum_out(a);
BEGIN
    IF name <> 'middle' THEN
        RETURN 1;
    END IF;
    PERFORM public.stop_at(51);
    RETURN 2;
END $$;
CREATE CAST (kind AS integer) WITH FUNCTION number_of AS IMPLICIT;
CREATE TABLE kinds (a integer PRIMARY KEY);
INSERT INTO kinds VALUES (1), (2);
CREATE TABLE of_kind (a kind, b text);
ALTER TABLE of_kind ALTER b SET STORAGE PLAIN;
INSERT INTO of_kind SELECT CASE WHEN n = 51 THEN 'middle' ELSE 'plain' END::kind, repeat('x', 3900) FROM generate_series(1, 100) AS n;
ANALYZE kinds, of_kind;
EOF
	my $drop = 'ALTER TABLE of_kind DROP CONSTRAINT f';
	shows_validation('ALTER TABLE of_kind ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES kinds', $drop);
	sql('ALTER TABLE of_kind ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES kinds NOT VALID');
	my $gates = close_some(51);
	my $job = sql('SELECT kwjobs.submit($$ALTER TABLE of_kind VALIDATE CONSTRAINT f$$)');
	wait_until_stopped(1);
	wait_for_scan($job, $half);
	like(field($job, $shown), $validated, 'VALIDATE CONSTRAINT of a foreign key');
	open_others($gates);
	wait_for_status($node, $job, 'succeeded');

	# PostgreSQL checks two foreign keys by two queries, one after the other. Of these nothing is shown.
	sql($drop);
	$gates = close_some(51);
	$job = sql('SELECT kwjobs.submit($$ALTER TABLE of_kind ADD FOREIGN KEY (a) REFERENCES kinds, ADD FOREIGN KEY (a) REFERENCES kinds$$)');
	wait_until_stopped(1);
	my $other = show_later_scan('pages');
	is(field($job, $shown), 'validating constraint|', 'no fraction: two foreign keys');
	open_others($gates);
	wait_for_status($node, $_, 'succeeded') for $job, $other;
	sql('DROP TABLE of_kind, kinds; DROP TYPE kind CASCADE');
	return;
}

# If the check of a constraint fails, the session stops looking how far the scan is. So of its next
# statement, which stops at the gate, too, nothing is shown, as its table has one page only.
sub test_validation_fails
{
	sql('CREATE TABLE small (a integer); INSERT INTO small VALUES (51)');
	my $session = session();
	my $gates = close_some(51);
	my $job = begin_and_stop($session, 'ALTER TABLE pages ADD CHECK (stop(a) < 52)');
	wait_for_scan($job);
	open_others($gates);
	wait_for_status($node, $job, 'failed');
	is(field($job, 'running_status, fraction_completed'), '|0', 'nothing is left of a check that has failed');
	$gates = close_some(51);
	$job = begin_and_stop($session, 'ALTER TABLE small ADD CHECK (stop(a) > 0)');
	my $other = show_later_scan('pages');
	is(field($job, $shown), 'validating constraint|', '... nor is anything shown of the next one, which reads a page');
	open_others($gates);
	wait_for_status($node, $_, 'succeeded') for $job, $other;
	$session->quit;
	sql('DROP TABLE small');
	return;
}

# Nothing is shown of statements that do more than to check the rows, nor if PostgreSQL does not count
# the blocks that the process reads.
sub test_no_validation
{
	sql(<<'EOF');
CREATE TABLE others (LIKE pages INCLUDING STORAGE);
INSERT INTO others SELECT * FROM pages;
CREATE TABLE keys (a integer PRIMARY KEY);
INSERT INTO keys SELECT n FROM generate_series(1, 100) AS n;
ALTER TABLE pages ADD CONSTRAINT c CHECK (stop(a) > 0) NOT VALID, ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES keys NOT VALID;
EOF
	for my $case ([ '{}', 'ALTER TABLE pages VALIDATE CONSTRAINT c, VALIDATE CONSTRAINT f' ],
		[ '{}', 'ALTER TABLE pages ADD CHECK (stop(a) > 0), ADD FOREIGN KEY (a) REFERENCES keys' ],
		[ '{"track_counts": "off"}', 'ALTER TABLE pages ADD CHECK (stop(a) > 0)' ],
		[ '{}', 'ALTER TABLE pages ADD CHECK (stop(a) > 0), ADD COLUMN d integer' ])
	{
		my ($settings, $statement) = @$case;
		my $gates = close_some(51);
		my $job = sql("SELECT kwjobs.submit('$statement', settings => '$settings')");
		wait_until_stopped(1);
		my $other = show_later_scan('others');
		is(field($job, $shown), 'validating constraint|', "no fraction: $statement");
		open_others($gates);
		wait_for_status($node, $_, 'succeeded') for $job, $other;
	}
	sql(<<'EOF');
DROP TABLE keys CASCADE;
DROP TABLE others;
ALTER TABLE pages DROP CONSTRAINT c, DROP CONSTRAINT pages_a_check, DROP CONSTRAINT pages_a_check1, DROP CONSTRAINT pages_a_check2, DROP COLUMN d;
EOF
	return;
}

# In these plans the scan does not tell how far the statement is, so nothing is shown of it.
sub test_no_driving_scan
{
	sql(q(CREATE TABLE many AS SELECT n AS a, repeat('x', 100) AS b FROM generate_series(1, 5000) AS n; ANALYZE many));
	for my $case ([ '{}', 'INSERT INTO target SELECT stop(a) FROM pages LIMIT 1000' ],
		[ '{}', 'INSERT INTO target SELECT sum(stop(a)) FROM pages' ],
		[ '{}', 'WITH d AS (DELETE FROM target) INSERT INTO target SELECT stop(a) FROM pages' ],
		[ $only{indexes}, 'INSERT INTO target SELECT stop(a) FROM pages WHERE a > 0' ],
		[ '{}', 'INSERT INTO target SELECT stop(a) FROM parted WHERE a > (SELECT 0)' ],
		[ $only{small_hashes}, 'INSERT INTO target SELECT p.a FROM pages AS p WHERE stop(p.a) > 0 AND EXISTS (SELECT FROM many AS m WHERE m.a = p.a AND m.b <> p.b)' ])
	{
		my ($settings, $statement) = @$case;
		my $gates = close_some(51);
		my $job = sql("SELECT kwjobs.submit('$statement', settings => '$settings')");
		wait_until_stopped(1);
		my $other = show_later_scan('pages');
		is(field($job, $shown), '|', "no fraction: $statement");
		open_others($gates);
		wait_for_status($node, $_, 'succeeded') for $job, $other;
	}
	sql('DROP TABLE target, many, parted; DROP INDEX pages_a');
	return;
}

# ---- statements of which PostgreSQL counts nothing ----

# sql/progress.sql has those that look at themselves. DROP DATABASE waits for a checkpoint, which
# does not come while the checkpointer stands still.
sub test_drop_database
{
	sql('CREATE DATABASE dropped');
	my $checkpointer = sql(q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'));
	my $session = session();
	kill 'STOP', $checkpointer;
	my $job = begin_statement($session, 'DROP DATABASE dropped');
	wait_query($node, q(SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event IN ('CheckpointStart', 'CheckpointDone')));
	is(field($job, 'running_status, fraction_completed'), 'waiting for a checkpoint|', 'DROP DATABASE waits for a checkpoint');
	kill 'CONT', $checkpointer;
	wait_for_status($node, $job, 'succeeded');
	$session->quit;
	return;
}

# A SQL job that truncates a table.
sub test_steps_of_jobs
{
	sql(<<'EOF');
CREATE FUNCTION stop_trigger() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM public.stop_at(51); RETURN NULL; END $$;
CREATE TABLE emptied ();
CREATE TRIGGER stop AFTER TRUNCATE ON emptied EXECUTE FUNCTION stop_trigger();
EOF
	shows_at_gate('SELECT 1; TRUNCATE emptied', 'statement 2 of 2: truncating: the old files are removed after the commit|0.50', 'a SQL job that truncates');
	sql('DROP TABLE emptied; DROP FUNCTION stop_trigger');
	return;
}

# ---- whom it waits for ----

sub test_waits
{
	my ($holds, $session, $second) = (session(), session(), session());
	$holds->query_safe(q(SET application_name = 'pg_dump'));
	my $pid = $holds->query_safe('SELECT pg_backend_pid()');
	$holds->query_safe('BEGIN; LOCK TABLE t IN ACCESS SHARE MODE');
	my $job = begin_statement($session, 'ALTER TABLE t ADD c integer');
	wait_until_waiting($job);
	like(field($job, 'running_status'), qr/^waiting for lock on public\.t: pid $pid \(pg_dump\), idle in transaction for \d+ s$/, 'a lock on a table');
	is(field($job, 'fraction_completed IS NULL, eta IS NULL, moved > started'), 't|t|t', '... it moved until it had to wait');
	my $moved = field($job, 'moved');
	is(field($job, 'moved'), $moved, '... and not since');
	my $behind = begin_statement($second, 'ALTER TABLE t ADD d integer');
	wait_until_waiting($behind);
	like(field($behind, 'running_status'), qr/^waiting for lock on public\.t: pid \d+ \(.*\), (idle in transaction|active) for \d+ s, and 1 other$/, 'two sessions make it wait');
	$holds->query_safe('COMMIT');
	wait_for_status($node, $_, 'succeeded') for $job, $behind;
	is(field($job, 'running_status IS NULL'), 't', 'with the lock there is nothing to wait for');

	$holds->query_safe(q(BEGIN; LOCK TABLE t IN ACCESS SHARE MODE; PREPARE TRANSACTION 'p'));
	$job = begin_statement($session, 'ALTER TABLE t DROP c');
	wait_until_waiting($job);
	is(field($job, 'running_status'), 'waiting for lock on public.t: a prepared transaction', 'a prepared transaction makes it wait');
	sql(q(COMMIT PREPARED 'p'));
	wait_for_status($node, $job, 'succeeded');
	$_->quit for $holds, $session, $second;
	return;
}

sub test_old_snapshots
{
	my ($holds, $session) = (session(), session());
	$holds->query_safe(q(SET application_name = 'pg_dump'));
	my $pid = $holds->query_safe('SELECT pg_backend_pid()');
	$holds->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	my $job = begin_statement($session, 'CREATE INDEX CONCURRENTLY t_a ON t (a)');
	wait_until_waiting($job, $pid);
	like(field($job, 'running_status'), qr/^waiting for old snapshots: pid $pid \(pg_dump\), idle in transaction for \d+ s$/, 'old snapshots');
	is(field($job, 'round(fraction_completed::numeric, 2)'), '0.98', '... once the index is built');
	$holds->query_safe('COMMIT; BEGIN; INSERT INTO t VALUES (1)');
	wait_for_status($node, $job, 'succeeded');
	$job = begin_statement($session, 'DROP INDEX CONCURRENTLY t_a');
	wait_until_waiting($job, $pid);
	like(field($job, 'running_status'), qr/^waiting for the end of a transaction: pid $pid \(pg_dump\), idle in transaction for \d+ s$/, 'a command without a phase');
	$holds->query_safe('COMMIT');
	wait_for_status($node, $job, 'succeeded');
	$_->quit for $holds, $session;
	return;
}

# A job's own words come before an advisory lock, which is the job's affair, and after other locks.
sub test_own_words
{
	my $gate = close_gate($node);
	my $job = sql(q{SELECT kwjobs.submit('SELECT kwjobs.progress(0.5, ''half''), pg_advisory_xact_lock_shared(4711); SELECT count(*) FROM t')});
	wait_at_gate($node, $job);
	is(field($job, 'running_status, fraction_completed'), 'half|0.5', 'own words come before an advisory lock');
	my $holds = session();
	$holds->query_safe('BEGIN; LOCK TABLE t');
	open_gate($gate);
	wait_query($node, q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs worker' AND wait_event = 'relation'));
	like(field($job, 'running_status'), qr/^statement 2 of 2: waiting for lock on public\.t: pid \d+ /, '... and after other locks');
	is(field($job, 'fraction_completed'), '0.5', '... the fraction stays');
	$holds->quit;
	wait_for_status($node, $job, 'succeeded');
	return;
}

# ---- what others may see ----

sub test_rights
{
	sql(<<'EOF');
CREATE ROLE boss;
CREATE ROLE bob LOGIN;
CREATE ROLE amy LOGIN;
GRANT boss TO amy;
CREATE TABLE secret (a integer);
CREATE VIEW open_view AS SELECT a FROM secret;
GRANT SELECT ON open_view TO bob;
CREATE ROLE writers;
GRANT INSERT ON secret TO writers;
EOF
	my $holds = session();
	my $pid = $holds->query_safe('SELECT pg_backend_pid()');
	$holds->query_safe(q(SET application_name = 'tool'));
	$holds->query_safe('BEGIN; LOCK TABLE secret');
	my $job = result_as($node, 'bob', q{SELECT kwjobs.submit('SELECT count(*) FROM open_view')});
	wait_until_waiting($job);
	my $look = "SELECT running_status FROM kwjobs.my_jobs WHERE job_id = $job";
	is(result_as($node, 'bob', $look), "waiting for lock on a table: pid $pid (tool)", 'without rights: no name of the table, no state of the session');
	sql('GRANT pg_read_all_stats TO bob');
	like(result_as($node, 'bob', $look), qr/^waiting for lock on a table: pid $pid \(tool\), idle in transaction for \d+ s$/, 'pg_read_all_stats sees the state');
	# GRANT on the table would wait for its lock, since PostgreSQL 18.
	sql('GRANT writers TO bob');
	like(result_as($node, 'bob', $look), qr/^waiting for lock on public\.secret: pid $pid /, 'a right on the table shows its name');
	is(result_as($node, 'amy', "SELECT running_status FROM kwdb_internal.jobs WHERE job_id = $job"),
		"waiting for lock on public.secret: pid $pid (tool)", 'the admin role sees the name, but not the state');
	$holds->quit;
	wait_for_status($node, $job, 'succeeded');
	return;
}

test_create_index();
test_several_indexes();
test_part_of_a_statement();
test_several_statements();
test_never_back();
test_end_of_command();
test_toast();
test_analyze();
test_open_transaction();
test_view();
test_vacuum_full();
test_waits();
test_old_snapshots();
test_own_words();
test_rights();
test_copied_database();
# These write the table anew, after which its file may be larger.
test_rewrite();
test_rewrite_indexes();
test_several_rewrites();
test_new_table();
test_refresh();
test_scan();
test_partitions();
test_bitmap();
test_hash_join();
test_parallel();
test_validation();
test_foreign_key();
test_validation_fails();
test_no_validation();
test_no_driving_scan();
test_drop_database();
test_steps_of_jobs();
is_consistent($node);
$node->stop;
done_testing();
