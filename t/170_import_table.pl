# An IMPORT that creates its table: crashes between the creation and the rows, PAUSE, CANCEL and failures,
# by one worker and by several. The table is created once, and a revert drops it, whatever it is called by
# then, and nothing else.

use strict;
use warnings;

use File::Copy;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 30000;
my $gated = 20000;
my $node = new_node('import_table', <<'EOF');
fsync = off
kwjobs.max_workers = 4
kwjobs.import_batch_size = 64kB
autovacuum = off
EOF
my $good = write_csv($node, $rows);
my $bad = $node->basedir . '/bad.csv';

# A record waits at the gate in the middle of the file. The function says that it is IMMUTABLE, so that it
# is no obstacle for several workers.
$node->safe_psql('postgres', <<"EOF");
CREATE SCHEMA mine;
CREATE FUNCTION passes(n integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS \$\$
BEGIN
    IF n = $gated THEN
        PERFORM pg_advisory_xact_lock_shared(4711);
    END IF;
    RETURN true;
END \$\$;
EOF

sub query { return $node->safe_psql('postgres', $_[0]) }

sub create
{
	my ($workers, $file) = @_;
	return query(<<"EOF");
SET search_path = mine, public;
IMPORT TABLE t (n integer PRIMARY KEY CHECK (passes(n)), a text) CSV DATA ('$file')
    WITH thread_concurrency = '$workers', detached
EOF
}

# Which relations there are in the schema.
sub relations
{
	return query(q{SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relkind IN ('r', 'S', 'v') AND relnamespace = 'mine'::regnamespace});
}

sub note_of { return job_field($node, $_[0], 'running_status') }

# Waits until a worker of the job waits at a gate. Returns its process id.
sub at_gate
{
	my ($job) = @_;
	my $at = "FROM pg_locks AS l JOIN kwjobs.running AS r USING (pid) WHERE l.locktype = 'advisory' AND NOT l.granted AND r.job_id = $job";
	wait_query($node, "SELECT count(*) > 0 $at");
	return query("SELECT min(pid) $at");
}

# Starts a job, and pauses it in the middle.
sub paused
{
	my ($workers) = @_;
	my $gate = close_gate($node);
	my $job = create($workers, $good);
	at_gate($job);
	query("PAUSE JOB $job");
	open_gate($gate);
	wait_for_status($node, $job, 'paused');
	return $job;
}

my $canceled = 'canceled, 57014, job canceled by user';

for my $workers (1, 3)
{
	my $by = "by $workers worker" . ($workers > 1 ? 's' : '');
	my ($gate, $job, $oid, $pid);

	# --- a crash before the table is committed, and after it ---------------------------------------
	$gate = close_gates($node, 4940);
	$job = create($workers, $good);
	$pid = at_gate($job);
	is(relations(), '', "$by: others do not see the table before its creation is committed");
	query(q{SELECT kwjobs.hold('IMPORT')});
	kill_process($node, $pid, $gate);
	$gate = close_gate($node);
	query(q{SELECT kwjobs.release('IMPORT')});
	$pid = at_gate($job);
	$oid = query(q{SELECT 'mine.t'::regclass::oid});
	is(query("SELECT count(*) > 0 AND count(*) < $rows FROM mine.t"), 't', "$by: some batches are committed");
	query('CHECKPOINT');
	kill_process($node, $pid, $gate);
	ends_as($node, $job, 'succeeded', "$by: killed before and after the creation, the job succeeds");
	is_imported($node, 'mine.t', $rows, "$by: with all rows");
	is(query(q{SELECT 'mine.t'::regclass::oid}), $oid, "$by: and with the table that it had created");
	query('DROP TABLE mine.t');

	# --- a crash when the table is committed, but no piece is planned yet ------------------------------
	if ($workers > 1)
	{
		$gate = close_gates($node, 4942);
		$job = create($workers, $good);
		$pid = at_gate($job);
		wait_query($node, q{SELECT to_regclass('mine.t') IS NOT NULL});
		query('CHECKPOINT');
		kill_process($node, $pid, $gate);
		ends_as($node, $job, 'succeeded', "$by: killed before it plans");
		is_imported($node, 'mine.t', $rows, "$by: with all rows, once");
		query('DROP TABLE mine.t');
	}

	# --- the postmaster dies -----------------------------------------------------------------------
	$gate = close_gate($node);
	$job = create($workers, $good);
	at_gate($job);
	$node->kill9;
	$gate->{run}->kill_kill;
	start_when_possible($node);
	ends_as($node, $job, 'succeeded', "$by: without the postmaster");
	is_imported($node, 'mine.t', $rows, "$by: all rows, once");
	query('DROP TABLE mine.t');
}

for my $workers (1, 3)
{
	my $by = "by $workers worker" . ($workers > 1 ? 's' : '');
	my ($gate, $job);

	# --- PAUSE and RESUME --------------------------------------------------------------------------
	$job = paused($workers);
	is(relations(), 't', "$by: a job that is paused keeps its table");
	query("RESUME JOB $job");
	ends_as($node, $job, 'succeeded', "$by: paused and resumed");
	is_imported($node, 'mine.t', $rows, "$by: all rows after a PAUSE");
	query('DROP TABLE mine.t');

	# --- CANCEL, in the middle and while paused ----------------------------------------------------
	$gate = close_gate($node);
	$job = create($workers, $good);
	at_gate($job);
	query("CANCEL JOB $job");
	ends_as($node, $job, $canceled, "$by: canceled in the middle");
	open_gate($gate);
	is(relations(), '', "$by: CANCEL drops the table");
	is(note_of($job), 'dropped the table that the job had created', "$by: and says so");

	$job = paused($workers);
	query('ALTER TABLE mine.t RENAME TO renamed; CREATE TABLE mine.t (other integer)');
	query("CANCEL JOB $job");
	ends_as($node, $job, $canceled, "$by: canceled after a renaming");
	is(relations(), 't', "$by: the job's table is dropped, not the one that has its name");
	is(query(q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'mine.t'::regclass AND attname = 'other'}), '1', "$by: which is that of others");
	query('DROP TABLE mine.t');

	$job = paused($workers);
	query('DROP TABLE mine.t; CREATE TABLE mine.t (n integer, a text)');
	query("RESUME JOB $job");
	ends_as($node, $job, 'failed, 42P01, table mine.t does not exist any more', "$by: the table was dropped, and another one has its name");
	is(note_of($job), 'the table does not exist any more', "$by: nothing is left to drop");
	is(query('SELECT count(*) FROM mine.t'), '0', "$by: and the other table has no row of the job");
	query('DROP TABLE mine.t');

	# --- a crash while the table is dropped ----------------------------------------------------------
	$job = paused($workers);
	query(<<'EOF');
CREATE FUNCTION public.at_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); END $$;
CREATE EVENT TRIGGER at_drop ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION public.at_drop();
EOF
	$gate = close_gate($node);
	query("CANCEL JOB $job");
	kill_process($node, at_gate($job), $gate);
	ends_as($node, $job, $canceled, "$by: killed while the table is dropped");
	is(relations(), '', "$by: it is dropped");
	query('DROP EVENT TRIGGER at_drop; DROP FUNCTION public.at_drop()');

	# --- what keeps the table from being dropped ---------------------------------------------------
	$job = paused($workers);
	query('CREATE VIEW mine.v AS SELECT n FROM mine.t');
	query("CANCEL JOB $job");
	wait_for_status($node, $job, 'revert-failed');
	is(job_field($node, $job, 'error_hint'), 'Drop what depends on it, then type RESUME JOB.', "$by: a view of others is not dropped");
	is(relations(), 't,v', "$by: nothing is");
	query("DROP VIEW mine.v; RESUME JOB $job");
	ends_as($node, $job, $canceled, "$by: without the view, RESUME does the revert");
	is(relations(), '', "$by: and the table is gone");

	# --- failures ----------------------------------------------------------------------------------
	copy($good, $bad);
	append_to_file($bad, "x,not a number\n");
	$job = create($workers, $bad);
	ends_as($node, $job, 'failed, 22P02, invalid input syntax for type integer: "x"', "$by: a bad record");
	is(job_field($node, $job, 'error_line'), $rows + 1, "$by: in its line");
	is(relations(), '', "$by: no table is left");
	query("RETRY JOB $job");
	wait_for_status($node, $job, 'failed');
	is(relations(), '', "$by: RETRY creates the table anew, and drops it again");
	copy($good, $bad);
	query("RETRY JOB $job");
	ends_as($node, $job, 'succeeded', "$by: RETRY with a better file");
	is_imported($node, 'mine.t', $rows, "$by: all rows");
	query('DROP TABLE mine.t');
}

# --- the owner of the table has changed -------------------------------------------------------------
$node->safe_psql('postgres', <<'EOF');
CREATE ROLE kwj_creator LOGIN;
GRANT pg_read_server_files TO kwj_creator;
GRANT ALL ON SCHEMA mine TO kwj_creator;
EOF
my $gate = close_gate($node);
my $job = query("SELECT kwjobs.import_table('CREATE TABLE mine.t (n integer CHECK (public.passes(n)), a text)', ARRAY['$good'], '{\"run_as\": \"kwj_creator\"}')");
at_gate($job);
query("PAUSE JOB $job");
open_gate($gate);
wait_for_status($node, $job, 'paused');
query("ALTER TABLE mine.t OWNER TO CURRENT_USER; CANCEL JOB $job");
wait_for_status($node, $job, 'revert-failed');
is(job_field($node, $job, q(concat_ws('. ', error, error_hint))),
	'must be owner of table t. Drop it by hand, or give it back to the owner of the job, then type RESUME JOB.',
	'a table that belongs to somebody else now is not dropped');
query("ALTER TABLE mine.t OWNER TO kwj_creator; RESUME JOB $job");
ends_as($node, $job, $canceled, 'when it is given back, it is');
is(relations(), '', 'no table is left');

# --- the protocols ----------------------------------------------------------------------------------
my $script = $node->basedir . '/script.sql';
for my $mode ('simple', 'extended', 'prepared')
{
	unlink $script;
	append_to_file($script, "IMPORT TABLE mine.$mode (n integer, a text) CSV DATA ('$good') WITH skip = :skip, detached;\n");
	$node->command_ok([ 'pgbench', '-n', '-t', 1, '-M', $mode, '-D', 'skip=29999', '-f', $script, $node->connstr('postgres') ],
		"IMPORT TABLE in protocol mode $mode");
	$job = query('SELECT max(job_id) FROM kwdb_internal.jobs');
	ends_as($node, $job, 'succeeded', "IMPORT TABLE in protocol mode $mode succeeds");
	is(job_field($node, $job, 'rows'), '1', 'with the row that is not skipped');
}

is_consistent($node);
$node->stop;
done_testing();
