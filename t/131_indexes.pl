# Each process keeps what it knows of the indexes of kwjobs's tables, and workers and sessions do
# not open those that their rows cannot be in. So here the indexes change while workers and sessions
# use them, and after each change every index must have all its entries.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('indexes', <<'EOF');
kwjobs.max_workers = 4
kwjobs.track = top
autovacuum = off
fsync = off
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }

my $unfinished = 'SELECT count(*) FROM kwjobs.job WHERE finished IS NULL';

# Jobs whose rows come into all indexes: with keys, with a queue and its limit, in lines, that wait
# for each other, that are retried, that fail, that start later.
sub submit_all_kinds
{
	sql(<<'EOF');
SELECT kwjobs.set_queue('narrow', 1);
SELECT count(kwjobs.submit('SELECT 1')), count(kwjobs.submit('SELECT 1', key => 'k' || n)),
       count(kwjobs.submit('SELECT 1', queue => 'narrow')), count(kwjobs.submit('SELECT 1', serial_key => 's' || n % 3)),
       count(kwjobs.submit('SELECT 1', serial_key => 's', queue => 'wide')),
       count(kwjobs.submit('SELECT 1/0', max_attempts => 2, retry_initial_delay => '1 ms', on_failure => 'retry')),
       count(kwjobs.submit('SELECT 1', run_at => clock_timestamp() + interval '20 ms')),
       count(kwjobs.submit('SELECT 1', depends_on => kwjobs.submit('SELECT 1')))
  FROM generate_series(1, 20) AS n;
EOF
	return;
}

# Runs jobs of all kinds, and a session whose statements are recorded as jobs, and changes the indexes
# meanwhile. Waits until all jobs are over, and checks that each index has all its entries.
sub is_complete_after
{
	my ($name, @changes) = @_;
	# After these jobs, the workers and the coordinator keep what they know of all indexes.
	submit_all_kinds();
	wait_query($node, "SELECT ($unfinished) = 0");
	# After these statements, the session keeps what it has opened to write the rows.
	my $session = $node->background_psql('postgres');
	$session->query_safe('CREATE TABLE tracked (a integer); ALTER TABLE tracked ADD b integer; ALTER TABLE tracked ADD c integer');
	submit_all_kinds();
	sql($_) for @changes;
	submit_all_kinds();
	$session->query_safe('DROP TABLE tracked');
	$session->quit;
	# A trigger may have given a rank to a job that is over. The coordinator takes it away.
	wait_query($node, "SELECT ($unfinished) = 0 AND NOT EXISTS (SELECT FROM kwjobs.job WHERE rank IS NOT NULL)");
	is_consistent($node);
	is(sql('SELECT string_agg(DISTINCT status, $$ $$ ORDER BY status) FROM kwjobs.job'), 'failed succeeded', "... $name");
	sql('DELETE FROM kwjobs.attempt; DELETE FROM kwjobs.job');
	return;
}

# REINDEX locks the table before the index. A coordinator that kept its lock on an index while it
# waits for that on the table would be in a deadlock with it. Here the coordinator stops at a gate,
# where it has found a job that may start and has yet to write its row. $also: has it make a full
# pass, in the transaction that submits this job.
sub reindexes_beside_pass
{
	my ($index, $also) = @_;
	my $log = -s $node->logfile;
	wait_query($node, q(SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'));
	my $gate = close_gates($node, 4925);
	my $job = sql("BEGIN; " . ($also // '') . "SELECT kwjobs.submit('SELECT 1'); COMMIT");
	wait_at_gates($node, 1, q(backend_type = 'kwjobs coordinator'));
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/begins/, "\\echo begins\nREINDEX INDEX kwjobs.$index;\n");
	wait_query($node, "SELECT count(*) = 1 FROM pg_locks WHERE pid = $pid AND NOT granted AND locktype = 'relation'");
	$gate->quit;
	$session->query_safe('SELECT 1');
	$session->quit;
	wait_for_status($node, $job, 'succeeded');
	ok(!$node->log_contains(qr/deadlock detected/, $log),
		"REINDEX of $index meets no deadlock with a " . ($also ? 'full pass' : 'short pass'));
	return;
}

# This has to come before the first queue is made: with a queue, each pass locks the table early.
sql(q(SELECT kwjobs.submit('SELECT 1')));
reindexes_beside_pass('job_ready');
for my $index (qw(job_ready job_active job_requested job_waiting job_pkey))
{
	my $later = sql(q(SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')));
	reindexes_beside_pass($index, "CANCEL JOB $later; ");
}

# REINDEX CONCURRENTLY gives the name of an index to another one, and makes the old one INVALID, while
# others use the table. Here a session does so while the coordinator waits for its lock on the old one.
{
	my $log = -s $node->logfile;
	my $renames = $node->background_psql('postgres', on_error_stop => 0);
	sql(sql(q{SELECT replace(pg_get_indexdef('kwjobs.job_ready'::regclass), 'job_ready', 'job_ready_new')}));
	my $gate = close_gates($node, 4904);
	my $later = sql(q(SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')));
	wait_at_gates($node, 1, 'objid = 4904');
	my $job = sql(q(SELECT kwjobs.submit('SELECT 1')));
	my $waits = q{SELECT count(*) = 1 FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
		WHERE a.backend_type = '%s' AND NOT l.granted AND l.relation = 'kwjobs.job_ready'::regclass};
	$renames->query_until(qr/begins/, "BEGIN;\n\\echo begins\nALTER INDEX kwjobs.job_ready SET TABLESPACE pg_default;\n");
	wait_query($node, sprintf($waits, 'client backend'));
	$gate->quit;
	wait_query($node, sprintf($waits, 'kwjobs coordinator'));
	$renames->query_safe($_) for q{UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'kwjobs.job_ready'::regclass},
	  'ALTER INDEX kwjobs.job_ready RENAME TO job_ready_old', 'ALTER INDEX kwjobs.job_ready_new RENAME TO job_ready', 'COMMIT';
	$renames->quit;
	wait_for_status($node, $job, 'succeeded');
	ok(!$node->log_contains(qr/no usable index|job by job/, $log), 'a search that waits for an index goes on in the one that has its name now');
	sql("CANCEL JOB $later; DROP INDEX kwjobs.job_ready_old");
}

# The same with a session that controls a job: it waits for the row, and then has yet to write it.
{
	my $log = -s $node->logfile;
	my $waits = q{FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ };
	my ($holder, $cancels, $reindexes) = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 3;
	my $job = sql(q(SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')));
	$holder->query_safe("BEGIN; SELECT FROM kwjobs.job WHERE job_id = $job FOR UPDATE");
	$cancels->query_until(qr/begins/, "\\echo begins\nCANCEL JOB $job;\n");
	wait_query($node, "SELECT count(*) = 1 $waits '^CANCEL JOB'");
	$reindexes->query_until(qr/begins/, "\\echo begins\nREINDEX INDEX kwjobs.job_pkey;\n");
	wait_query($node, "SELECT count(*) = 1 $waits '^REINDEX'");
	$holder->query_safe('COMMIT');
	$_->query('SELECT 1') for $cancels, $reindexes;
	ok(!$node->log_contains(qr/deadlock detected/, $log), 'REINDEX meets no deadlock with CANCEL JOB');
	wait_for_status($node, $job, 'canceled');
	$_->quit for $holder, $cancels, $reindexes;
}

# The same with the transaction that deletes old jobs. Here it has read which job is the oldest, and
# waits for the table of the sums.
{
	my $log = -s $node->logfile;
	my $waits = q{FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE NOT l.granted AND };
	my ($holder, $reindexes) = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 2;
	sql(q(UPDATE kwjobs.job SET finished = finished - interval '1 day' WHERE finished IS NOT NULL));
	$holder->query_safe('BEGIN; LOCK TABLE kwjobs.history IN EXCLUSIVE MODE');
	configure($node, 'jobs.retention_time', '1h');
	wait_query($node, "SELECT count(*) = 1 $waits a.backend_type = 'kwjobs coordinator' AND l.relation = 'kwjobs.history'::regclass");
	$reindexes->query_until(qr/begins/, "\\echo begins\nREINDEX INDEX kwjobs.job_finished;\n");
	wait_query($node, "SELECT count(*) = 1 $waits a.query ~ '^REINDEX' AND l.locktype = 'relation'");
	$holder->query_safe('COMMIT');
	wait_query($node, q(SELECT count(*) = 0 FROM kwjobs.job WHERE finished < now() - interval '12 hours'));
	$reindexes->query('SELECT 1');
	ok(!$node->log_contains(qr/deadlock detected/, $log), 'REINDEX meets no deadlock with the deletion of old jobs');
	$_->quit for $holder, $reindexes;
}
sql('DELETE FROM kwjobs.event; DELETE FROM kwjobs.attempt; DELETE FROM kwjobs.job');

is_complete_after('without a change');

# What the user adds
is_complete_after('after CREATE INDEX', q(CREATE INDEX mine ON kwjobs.job (status) WHERE status = 'running'));
is_complete_after('after CREATE INDEX CONCURRENTLY',
	'CREATE INDEX CONCURRENTLY mine_too ON kwjobs.job (finished) WHERE rank IS NULL AND status IS NOT NULL');
# PostgreSQL puts the body of a function in SQL in the place of its call, but not that of one in
# PL/pgSQL.
is_complete_after('after functions of the user in predicates', <<'EOF', map { "CREATE INDEX mine_$_ ON kwjobs.job (job_id) WHERE public.is_$_(status)" } qw(short long));
CREATE FUNCTION is_short(status text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.length(status) < 8';
CREATE FUNCTION is_long(status text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN length(status) > 8; END $$
EOF
# An index that is empty has one page.
is(sql(q(SELECT pg_relation_size('kwjobs.mine') > 8192, pg_relation_size('kwjobs.mine_too') > 8192)), 't|t', 'the indexes of the user are in use');
is_complete_after('after DROP INDEX', 'DROP INDEX kwjobs.mine');
is_complete_after('after DROP INDEX CONCURRENTLY', 'DROP INDEX CONCURRENTLY kwjobs.mine_too', 'DROP INDEX kwjobs.mine_short, kwjobs.mine_long');

# What administrators do to ours
is_complete_after('after REINDEX', map { "REINDEX INDEX kwjobs.$_" } qw(job_ready job_line job_finished));
is_complete_after('after REINDEX CONCURRENTLY', map { "REINDEX INDEX CONCURRENTLY kwjobs.$_" } qw(job_ready job_waiting job_key job_pkey));
is_complete_after('after VACUUM ANALYZE', 'VACUUM ANALYZE kwjobs.job', 'VACUUM FULL kwjobs.attempt');

# A process has places for 256 indexes, which follow from their OIDs. Of more, some have the same place.
# No row is in half of these, and each row is in the others.
is_complete_after('with 257 indexes more', <<'EOF');
DO $$ BEGIN
    FOR i IN 1..257 LOOP
        EXECUTE format('CREATE INDEX many_%s ON kwjobs.job (job_id) WHERE ' ||
            CASE i % 2 WHEN 0 THEN 'rank IS NULL AND priority = %s' ELSE 'priority <> %s' END, i, i);
    END LOOP;
END $$
EOF
is_complete_after('without them', <<'EOF');
DO $$ BEGIN
    FOR i IN 1..257 LOOP
        EXECUTE format('DROP INDEX kwjobs.many_%s', i);
    END LOOP;
END $$
EOF

# An index of the user raises an error for the row of a job that gets the turn in its line. The job
# before it, whose end passes the turn on, must succeed all the same.
{
	sql('CREATE INDEX raises ON kwjobs.job ((100 / (priority - 7))) WHERE rank IS NOT NULL');
	my $gate = close_gate($node);
	my $first = sql(q(SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)', serial_key => 'one')));
	my $second = sql(q(SELECT kwjobs.submit('SELECT 1', serial_key => 'one', priority => 7)));
	wait_at_gate($node, $first);
	wait_query($node, "SELECT line IS NOT NULL FROM kwjobs.job WHERE job_id = $second");
	open_gate($gate);
	wait_for_end($node, $first);
	is(job_field($node, $first, 'status'), 'succeeded', 'the job before it succeeds all the same');
	wait_query($node, "SELECT running_status LIKE '%the turn of the job could not be passed on: division by zero' FROM kwdb_internal.jobs WHERE job_id = $first");
	is(job_field($node, $second, 'status'), 'pending', 'the next in line waits as long as its row cannot be written');
	sql('DROP INDEX kwjobs.raises');
	wait_for_status($node, $second, 'succeeded');
}

# A session has locked an index, and not the table. The worker does not open this index for a job
# that succeeds, but it would need it to pass the turn on. The job must not wait for that: else a
# session that then locks the job's row would be in a deadlock with it. A look into kwjobs.job would
# wait for the session, so this looks into kwjobs.attempt.
# A worker knows which indexes it does not need when it has ended a job since an index was dropped, so
# each of them ends one first.
{
	my $gate = close_gate($node);
	my @each = map { sql(q(SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)'))) } 1 .. sql('SHOW kwjobs.max_workers');
	wait_at_gate($node, $_) for @each;
	open_gate($gate);
	wait_for_status($node, $_, 'succeeded') for @each;
	$gate = close_gate($node);
	my $first = sql(q(SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)', serial_key => 'two')));
	my $second = sql(q(SELECT kwjobs.submit('SELECT 1', serial_key => 'two')));
	wait_at_gate($node, $first);
	wait_query($node, "SELECT line IS NOT NULL FROM kwjobs.job WHERE job_id = $second");
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN');
	$session->query_safe('ALTER INDEX kwjobs.job_ready SET TABLESPACE pg_default');
	open_gate($gate);
	ok(becomes_true($node, "SELECT status = 'succeeded' FROM kwjobs.attempt WHERE job_id = $first"),
		'a job that has the next one in line to tell does not wait for a lock on an index');
	$session->query_safe('ROLLBACK');
	$session->quit;
	wait_for_status($node, $second, 'succeeded');
}

# Without the index by which a job finds its dependents, and while a session builds it anew, a job ends as
# ever, and the coordinator tells its dependents.
{
	my $definition = sql(q{SELECT pg_get_indexdef('kwjobs.dependency_depends_on'::regclass)});
	my ($locks, $builds) = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 2;
	my $ends = sub {
		my ($how) = @_;
		my $gate = close_gate($node);
		my $first = sql(q(SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')));
		my $second = sql("SELECT kwjobs.submit('SELECT 1', depends_on => $first)");
		wait_at_gate($node, $first);
		$how->();
		open_gate($gate);
		wait_for_end($node, $first, $second);
		return sql("SELECT string_agg(status, ' ') FROM kwjobs.job WHERE job_id IN ($first, $second)");
	};
	is($ends->(sub { sql('DROP INDEX kwjobs.dependency_depends_on') }), 'succeeded succeeded', 'a job and its dependent, without the index of dependents');
	is($ends->(sub {
		$locks->query_safe('BEGIN');
		$locks->query_safe('LOCK TABLE kwjobs.dependency IN ROW EXCLUSIVE MODE');
		$builds->query_until(qr/begins/, "\\echo begins\n" . $definition =~ s/INDEX/INDEX CONCURRENTLY/r . ";\n");
		wait_query($node, q{SELECT count(*) = 1 FROM pg_class AS c JOIN pg_index AS i ON c.oid = i.indexrelid WHERE c.relname = 'dependency_depends_on' AND NOT i.indisready});
	}), 'succeeded succeeded', '... and while it is built');
	$locks->query_safe('COMMIT');
	$builds->query_safe('SELECT 1');
	$_->quit for $locks, $builds;
	is(sql(q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'kwjobs.dependency_depends_on'::regclass}), 't', '... until it is there again');
}

# A trigger writes a rank into the row of each job that ends. The coordinator takes it away.
sql(<<'EOF');
CREATE FUNCTION rank_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.finished IS NOT NULL AND (tg_op = 'INSERT' OR old.finished IS NULL) THEN
        new.rank := clock_timestamp();
    END IF;
    RETURN new;
END $$;
EOF
is_complete_after('with a trigger', 'CREATE TRIGGER rank_all BEFORE INSERT OR UPDATE ON kwjobs.job FOR EACH ROW EXECUTE FUNCTION rank_all()');

sql('DROP TRIGGER rank_all ON kwjobs.job');

# A process keeps the OIDs of the tables, too. Here one session drops the extension and creates it
# again. Then the tables have the same names and other OIDs; after a rollback, they have the old OIDs
# again.
sub is_found_after
{
	my ($name, $statements) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $submit = q(SELECT kwjobs.submit('SELECT 1') > 0);
	is($session->query_safe($submit), 't', 'a session that knows the tables');
	$session->query_safe($statements);
	is($session->query_safe($submit), 't', "... finds them after $name");
	$session->quit;
	wait_query($node, "SELECT ($unfinished) = 0");
	return;
}

is_found_after('a rollback', "BEGIN; DROP EXTENSION kwjobs; CREATE EXTENSION kwjobs; SELECT kwjobs.submit('SELECT 1'); ROLLBACK");
is_found_after('DROP EXTENSION and CREATE EXTENSION', 'DROP EXTENSION kwjobs; CREATE EXTENSION kwjobs');

# Another session puts another table in the place of one of ours, and nothing else changes.
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe('CREATE TABLE known_1 ()');
	sql(<<'EOF');
SET kwjobs.track = none;
BEGIN;
ALTER TABLE kwjobs.job RENAME TO job_before;
CREATE TABLE kwjobs.job (LIKE kwjobs.job_before INCLUDING DEFAULTS INCLUDING INDEXES);
COMMIT;
EOF
	$session->query_safe('CREATE TABLE known_2 ()');
	is(sql(q(SELECT description FROM kwjobs.job)), 'CREATE TABLE known_2 ()', 'a session writes into the table that has the name now');
	sql('SET kwjobs.track = none; DROP TABLE kwjobs.job; ALTER TABLE kwjobs.job_before RENAME TO job');
	$session->query_safe('CREATE TABLE known_3 ()');
	is(sql(q(SELECT string_agg(description, ', ' ORDER BY job_id) FROM kwjobs.job WHERE description LIKE '%known%')),
		'CREATE TABLE known_1 (), CREATE TABLE known_3 ()', '... and into ours when it has its name again');
	$session->quit;
}

# A session that has opened our table for its last statements cannot write the next row any more, because
# a user has changed the table. Then the coordinator writes the row, or counts it as one that cannot be
# written. When the change is undone, the session writes again.
sub is_back_after
{
	my ($session, $name, $undo) = @_;
	sql("SET kwjobs.track = none; $undo");
	$session->query_safe("CREATE TABLE back_after_$name ()");
	is($session->query_safe("SELECT count(*) FROM kwjobs.job WHERE description = 'CREATE TABLE back_after_$name ()'"),
		1, '... and without it, the session writes its rows');
	return;
}

{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $before = unrecorded($node);
	my $rows = q(SELECT string_agg(description, ', ' ORDER BY job_id) FROM kwjobs.job WHERE description LIKE '%with_it%');
	$session->query_safe("CREATE TABLE known_well_$_ ()") for 1 .. 3;

	sql(<<'EOF');
SET kwjobs.track = none;
CREATE TABLE fired (description text);
CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.fired VALUES (new.description);
    RETURN new;
END $$;
CREATE TRIGGER note_row AFTER INSERT ON kwjobs.job FOR EACH ROW EXECUTE FUNCTION note_row();
EOF
	$session->query_safe('CREATE TABLE with_trigger ()');
	wait_for_session_jobs($node);
	is(sql('SELECT string_agg(description, $$, $$) FROM fired'), 'CREATE TABLE with_trigger ()', 'a trigger fires for the row of a session');
	is_back_after($session, 'trigger', 'DROP TRIGGER note_row ON kwjobs.job');
	is(unrecorded($node), $before, '... and no row is lost');

	sql('SET kwjobs.track = none; ALTER TABLE kwjobs.job ADD CONSTRAINT short CHECK (length(description) < 5) NOT VALID');
	$session->query_safe('CREATE TABLE with_it ()');
	wait_for_session_jobs($node);
	is(sql($rows), '', 'a constraint keeps the row of a session out');
	is(unrecorded($node) - $before, 1, '... which is counted');
	is_back_after($session, 'constraint', 'ALTER TABLE kwjobs.job DROP CONSTRAINT short');

	sql('SET kwjobs.track = none; ALTER TABLE kwjobs.job ADD COLUMN needed integer NOT NULL DEFAULT 5; ALTER TABLE kwjobs.job ALTER COLUMN needed DROP DEFAULT');
	$session->query_safe('DROP TABLE with_it');
	wait_for_session_jobs($node);
	is(sql($rows), '', 'so does a column that must not be NULL');
	is(unrecorded($node) - $before, 2, '... and the row is counted');
	is_back_after($session, 'column', 'ALTER TABLE kwjobs.job DROP COLUMN needed');

	sql('SET kwjobs.track = none; CREATE UNIQUE INDEX one_each ON kwjobs.job (description) WHERE description LIKE $$%with_it%$$');
	$session->query_safe('CREATE TABLE with_it ()');
	$session->query_safe('DROP TABLE with_it');
	is(sql($rows), 'CREATE TABLE with_it (), DROP TABLE with_it', 'a session writes into a unique index');
	$session->query_safe('CREATE TABLE with_it ()');
	wait_for_session_jobs($node);
	is(sql($rows), 'CREATE TABLE with_it (), DROP TABLE with_it', '... which keeps out a row with the same value');
	is(unrecorded($node) - $before, 3, '... and the row is counted');
	is_back_after($session, 'index', 'DROP INDEX kwjobs.one_each');

	# What a foreign key of a user, or a partitioned table, keeps out. Both let other rows in.
	sql(<<'EOF');
SET kwjobs.track = none;
DELETE FROM kwjobs.job WHERE description LIKE '%with_it%';
CREATE TABLE known (description text PRIMARY KEY);
INSERT INTO known VALUES ('DROP TABLE with_it');
ALTER TABLE kwjobs.job ADD CONSTRAINT is_known FOREIGN KEY (description) REFERENCES known NOT VALID;
EOF
	$session->query_safe('DROP TABLE with_it');
	$session->query_safe('CREATE TABLE with_it ()');
	wait_for_session_jobs($node);
	is(sql($rows), 'DROP TABLE with_it', 'a foreign key keeps out the rows of a session to which there is no key, and no others');
	is(unrecorded($node) - $before, 4, '... and the row is counted');
	is_back_after($session, 'key', 'ALTER TABLE kwjobs.job DROP CONSTRAINT is_known; DROP TABLE known');

	sql(<<'EOF');
SET kwjobs.track = none;
CREATE TABLE whole (LIKE kwjobs.job) PARTITION BY LIST (description);
DELETE FROM kwjobs.attempt;
DELETE FROM kwjobs.job WHERE description <> 'DROP TABLE with_it';
ALTER TABLE whole ATTACH PARTITION kwjobs.job FOR VALUES IN ('DROP TABLE with_it');
EOF
	$session->query_safe('DROP TABLE with_it');
	$session->query_safe('CREATE TABLE with_it ()');
	wait_for_session_jobs($node);
	is(sql($rows), 'DROP TABLE with_it, DROP TABLE with_it', 'so does a table of which ours is a partition');
	is(unrecorded($node) - $before, 5, '... and the row is counted');
	is_back_after($session, 'partition', 'ALTER TABLE whole DETACH PARTITION kwjobs.job; DROP TABLE whole');

	$session->quit;
	is_consistent($node);
	sql('SET kwjobs.track = none; DROP FUNCTION note_row(); DROP TABLE fired');
}

# A session keeps the numbers of our columns, and the values that its rows have in common, until the
# columns change. Here another session changes them: it moves a column to the end, under the name that
# it had, and adds one with a default. The rows of sessions have NULL in it, as in all columns for which
# they have no value, though rows that were there before have the default.
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $rows = q(SELECT string_agg(description || ' ' || user_name || ' ' || coalesce(added::text, 'NULL'), ', ' ORDER BY job_id)
		FROM kwjobs.job WHERE description LIKE '%columns%' AND status = 'succeeded');
	$session->query_safe('CREATE TABLE columns_1 ()');
	sql(<<'EOF');
SET kwjobs.track = none;
ALTER TABLE kwjobs.job ADD COLUMN added integer DEFAULT 5;
EOF
	$session->query_safe('CREATE TABLE columns_2 ()');
	is(sql($rows), 'CREATE TABLE columns_1 () postgres 5, CREATE TABLE columns_2 () postgres NULL', 'a session does not set a column that was added');
	sql(<<'EOF');
SET kwjobs.track = none;
BEGIN;
ALTER TABLE kwjobs.job RENAME COLUMN user_name TO old_name;
ALTER TABLE kwjobs.job ALTER COLUMN old_name DROP NOT NULL;
ALTER TABLE kwjobs.job ADD COLUMN user_name text;
UPDATE kwjobs.job SET user_name = old_name;
COMMIT;
EOF
	$session->query_safe('CREATE TABLE columns_3 ()');
	is(sql($rows), 'CREATE TABLE columns_1 () postgres 5, CREATE TABLE columns_2 () postgres NULL, CREATE TABLE columns_3 () postgres NULL',
		'... and finds one that has another number now');
	is(sql('SELECT count(*) FROM kwjobs.job WHERE old_name IS NULL'), 1, '... in the row as well');
	sql(<<'EOF');
SET kwjobs.track = none;
BEGIN;
UPDATE kwjobs.job SET old_name = user_name;
ALTER TABLE kwjobs.job ALTER COLUMN old_name SET NOT NULL;
ALTER TABLE kwjobs.job DROP COLUMN user_name;
ALTER TABLE kwjobs.job RENAME COLUMN old_name TO user_name;
ALTER TABLE kwjobs.job DROP COLUMN added;
COMMIT;
EOF
	$session->query_safe('CREATE TABLE columns_4 ()');
	is(sql(q(SELECT user_name FROM kwjobs.job WHERE description = 'CREATE TABLE columns_4 ()')), 'postgres', '... and again');
	$session->quit;
}

# A job that is submitted gets the number that a column of a user gives to each row.
sql('SET kwjobs.track = none; ALTER TABLE kwjobs.job ADD COLUMN numbered bigint GENERATED ALWAYS AS IDENTITY');
is(sql(q(SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day') AS job \\gset
SELECT numbered > 0 FROM kwjobs.job WHERE job_id = :job; \\o /dev/null
CANCEL JOB :job)), 't', 'a job gets a value for an identity column');
sql('SET kwjobs.track = none; ALTER TABLE kwjobs.job DROP COLUMN numbered');

# A user's partial index has the rows of sessions for which its predicate is true, and no others.
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	sql(q(SET kwjobs.track = none; CREATE INDEX some_rows ON kwjobs.job (description) WHERE description LIKE '%partial_1%'));
	$session->query_safe("CREATE TABLE partial_$_ ()") for 0 .. 2;
	my $settings = 'SET enable_seqscan = off; SET enable_bitmapscan = off';
	my $read = "SELECT description FROM kwjobs.job WHERE description LIKE '%partial_1%'";
	like(sql("$settings; EXPLAIN $read"), qr/some_rows(?!.*Filter)/s, 'what a partial index of a user has, is read without a filter');
	is(sql("$settings; $read"), 'CREATE TABLE partial_1 ()', '... and it has the rows that belong into it, and no others');
	sql('SET kwjobs.track = none; DROP INDEX kwjobs.some_rows');
	$session->quit;
}

$node->stop;
done_testing();
