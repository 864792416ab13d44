# The primary dies in the middle of hundreds of jobs and the standby is promoted: it goes on with
# them at once, and each does its work exactly once. With synchronous replication, nothing that
# was reported as succeeded is lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 3000;

my $schema = <<'EOF';
CREATE TABLE ledger (job bigint, kind text);
CREATE TABLE step (job bigint, n integer);
-- Twenty steps, each committed with the state that says so. A step takes 10 ms, so that the primary
-- dies while many jobs are between two of them.
CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
DECLARE
    done integer := coalesce((kwjobs.checkpoint_state())::integer, 0);
BEGIN
    WHILE done < 20 LOOP
        done := done + 1;
        INSERT INTO step VALUES (kwjobs.current_job(), done);
        PERFORM pg_sleep(0.01);
        CALL kwjobs.checkpoint(done / 20.0, to_jsonb(done));
    END LOOP;
    INSERT INTO ledger VALUES (kwjobs.current_job(), 'steps');
END $$;
EOF
# Advisory lock 4712 stops it in the middle.
my $append = q{INSERT INTO ledger VALUES (kwjobs.current_job(), ''plain''); SELECT pg_sleep(0.02), pg_advisory_xact_lock_shared(4712)};

# A primary and a standby of it, with node ids of their own.
sub new_pair
{
	my ($name) = @_;
	my $primary = new_node($name, <<'EOF', allows_streaming => 1);
kwjobs.max_workers = 4
kwjobs.node_id = 7
kwjobs.import_batch_size = 1kB
log_statement = none
EOF
	my $standby = start_standby($primary, "${name}_standby", "kwjobs.node_id = 8\n");
	$primary->safe_psql('postgres', $schema);
	return ($primary, $standby);
}

# After the promotion: how soon jobs go on, that all of them end, and what they did.
sub check_promoted
{
	my ($standby) = @_;
	my $log = -s $standby->logfile;
	$standby->promote;
	$standby->wait_for_log(qr/database system is ready to accept connections/, $log);
	wait_query($standby, 'SELECT count(*) > 0 FROM kwdb_internal.job_attempts WHERE node_id = 8');
	# The log has the time to the millisecond.
	my ($ready) = slurp_file($standby->logfile, $log) =~
	  /^(\S+ \S+ \S+) .*database system is ready to accept connections/m;
	my $seconds = $standby->safe_psql('postgres',
		"SELECT extract(epoch FROM min(started) - '$ready') FROM kwdb_internal.job_attempts WHERE node_id = 8");
	note("jobs go on $seconds s after the server is ready");
	cmp_ok($seconds, '<', 10, 'the promoted standby goes on with the jobs at once');

	wait_query($standby, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	is( $standby->safe_psql('postgres', q{SELECT job_type, status, error FROM kwjobs.job WHERE status <> 'succeeded'}),
		'', 'every job succeeds');
	is( $standby->safe_psql('postgres', <<'EOF'), '', 'the ledger has each of them once');
SELECT job_id, job, n FROM (SELECT job_id FROM kwjobs.job WHERE job_type = 'SQL' AND status = 'succeeded') AS j
  FULL JOIN (SELECT job, count(*) AS n FROM ledger GROUP BY job) AS l ON job = job_id
 WHERE job IS NULL OR job_id IS NULL OR n <> 1
EOF
	is( $standby->safe_psql('postgres', 'SELECT job, n FROM step GROUP BY job, n HAVING count(*) > 1'),
		'', 'no step between two checkpoints was done twice');
	is( $standby->safe_psql('postgres', <<'EOF'), '', 'nor left out');
SELECT job FROM ledger WHERE kind = 'steps' AND (SELECT count(*) FROM step AS s WHERE s.job = ledger.job) <> 20
EOF
	is( $standby->safe_psql('postgres', <<'EOF'), 't', 'attempts that the primary began are on record as crashed');
SELECT count(*) > 0 AND bool_and(node_id = 7) FROM kwdb_internal.job_attempts WHERE status = 'crashed'
EOF
	is_consistent($standby);
	return;
}

# ---- asynchronous ----

{
	my ($primary, $standby) = new_pair('async');
	my $csv = write_csv($primary, $rows);
	make_target($primary, 'target', 1500);
	my $gate = close_gate($primary);
	my $import = start_import($primary, 'target', $csv);
	wait_at_gate($primary, $import);
	my $steps = $primary->safe_psql('postgres', q{SELECT kwjobs.submit('CALL steps()')});
	$primary->safe_psql('postgres', q{SELECT count(kwjobs.submit('CALL steps()', priority => 1)) FROM generate_series(1, 20)});
	my $submit = "SELECT count(kwjobs.submit('$append')) FROM generate_series(1, 300)";
	$primary->safe_psql('postgres', $submit);
	my $later = $primary->safe_psql('postgres', q{SELECT kwjobs.submit('INSERT INTO ledger VALUES (kwjobs.current_job(), ''later'')',
		run_at => now() + interval '1 second')});
	wait_query($primary, 'SELECT count(*) > 100 FROM kwjobs.job WHERE finished IS NOT NULL');
	# three workers stop, however long all of the following takes
	my $middle = $primary->background_psql('postgres');
	$middle->query_safe('SELECT pg_advisory_lock(4712)');
	$primary->safe_psql('postgres', $submit);
	wait_query($primary, q{SELECT count(*) = 3 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4712 AND NOT granted});
	my $submitted = $primary->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
	$primary->wait_for_catchup($standby, 'replay', $submitted);

	# What the standby says before.
	is($standby->safe_psql('postgres', q{SELECT count(*) > 600 FROM [SHOW JOBS]}), 't',
		'SHOW JOBS works on the standby');
	is($standby->safe_psql('postgres', "SELECT status FROM [SHOW JOB $import]"), 'running', 'so does SHOW JOB');
	is( $standby->safe_psql('postgres',
			q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'kwjobs%'}),
		0, 'nothing of kwjobs runs there');
	for my $statement ("PAUSE JOB $steps", "RESUME JOB $steps", "CANCEL JOB $steps", "SELECT kwjobs.cancel($steps)",
		q{SELECT kwjobs.submit('SELECT 1')}, q{CALL kwjobs.run('SELECT 1')})
	{
		my ($rc, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY verbose\n$statement");
		like($err, qr/ERROR:  25006: .*during recovery\n.*HINT:  Connect to the primary server\./s,
			"refused on the standby, with the reason: $statement");
	}

	is($primary->safe_psql('postgres', q{SELECT count(*) > 10 FROM kwjobs.job WHERE finished IS NULL}), 't',
		'the primary dies in the middle');
	$primary->stop('immediate');
	$_->{run}->kill_kill for $gate, $middle;
	check_promoted($standby);
	is_imported($standby, 'target', $rows, 'the import is complete');
	is( $standby->safe_psql('postgres', <<'EOF'), "7|t\n8|t", 'coordinator_id tells which server ran the last attempt');
SELECT coordinator_id, bool_and(coordinator_id = (SELECT node_id FROM kwdb_internal.job_attempts AS a
                                                   WHERE a.job_id = j.job_id ORDER BY attempt DESC LIMIT 1))
  FROM kwdb_internal.jobs AS j WHERE job_type <> 'RESTART' GROUP BY coordinator_id ORDER BY coordinator_id
EOF
	is($standby->safe_psql('postgres', "SELECT job_id % 32768 FROM kwdb_internal.jobs WHERE job_id = $import"), 7,
		'the id of a job tells who created it');
	is($standby->safe_psql('postgres', q{SELECT kwjobs.submit('SELECT 1') % 32768}), 8, '... also of a new one');
	$standby->stop;
}

# ---- synchronous ----

{
	my ($primary, $standby) = new_pair('sync');
	# From now on all commits wait: first for a standby that is not there, then for this one.
	$primary->safe_psql('postgres', 'CREATE TABLE written (n integer)');
	my $writer = lose_standby($primary);
	set_standby($primary, 'sync_standby');
	$writer->quit;
	wait_query($primary, q{SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'});

	# Sessions that run job after job and write down what they were told.
	my $script = $primary->basedir . '/calls.sql';
	append_to_file($script, "CALL kwjobs.run('$append', 'told', priority => 1);\n" x 500);
	my @told = map { $primary->basedir . "/told$_" } 1 .. 4;
	my @runs = map {
		IPC::Run::start(
			[ $primary->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $script, '-d', $primary->connstr('postgres') ],
			'>', $_, '2>', "$_.errors")
	} @told;
	# Beside them jobs that nobody waits for, so that workers go from one to the next.
	$primary->safe_psql('postgres', "SELECT count(kwjobs.submit('$append')) FROM generate_series(1, 300)");
	$primary->safe_psql('postgres', q{SELECT count(kwjobs.submit('CALL steps()', priority => 1)) FROM generate_series(1, 10)});
	wait_query($primary, q{SELECT count(*) FILTER (WHERE description = 'told') > 50 AND count(*) FILTER (WHERE description <> 'told') > 50
		FROM kwjobs.job WHERE status = 'succeeded'});
	$primary->stop('immediate');
	$_->finish for @runs;

	my @ids = map { slurp_file($_) =~ /^(\d+)\|succeeded\|/mg } @told;
	cmp_ok(scalar(@ids), '>', 40, 'jobs were reported as succeeded') or diag(map { slurp_file("$_.errors") } @told);
	is($standby->safe_psql('postgres', 'SELECT count(*) FROM kwjobs.job WHERE job_id = ANY (ARRAY['
			  . join(', ', @ids) . "]) AND status = 'succeeded'"),
		scalar(@ids), 'the standby has all of them as succeeded');
	is($standby->safe_psql('postgres', 'SELECT count(DISTINCT job) FROM ledger WHERE job = ANY (ARRAY['
			  . join(', ', @ids) . '])'),
		scalar(@ids), '... with their work');
	# the new primary has no standby to wait for
	$standby->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
	$standby->reload;
	check_promoted($standby);
	$standby->stop;
}

done_testing();
