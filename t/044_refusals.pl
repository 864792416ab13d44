# What is refused because of the transaction: only if the transaction, as it stands, is the reason; and
# the error names the statement that was typed. Names of settings that do not exist.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('refusals', "max_prepared_transactions = 10\n");
add_jobs($node);
$node->safe_psql('postgres', <<'EOF');
CREATE ROLE stranger LOGIN;
CREATE TABLE ran (n serial);
CREATE PROCEDURE touch(job bigint) LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        PERFORM kwjobs.cancel(job);
        RAISE EXCEPTION 'undo';
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
END $$;
EOF

# $timeout ends a wait; what is expected to be refused gets the time that this takes on a busy machine.
# Job 3 is over: a wait for it ends at once. For one that this transaction has touched it is refused, also
# if it has finished meanwhile for others; so a job that runs at a gate is waited for.
sub refuses
{
	my ($job, $statements, $timeout) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "BEGIN; $statements; SET LOCAL statement_timeout = '$timeout'; SHOW JOB WHEN COMPLETE $job");
	return $err =~ /cannot wait for job $job in the transaction that created or controlled it/ ? 'refused'
	  : $err =~ /canceling statement due to statement timeout/ ? 'waits' : $err;
}

sub prepares
{
	my ($statements) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "BEGIN; $statements; PREPARE TRANSACTION 'half'");
	$node->safe_psql('postgres', "ROLLBACK PREPARED 'half'") if $rc == 0;
	return $rc == 0 ? 'prepared' : $err =~ /cannot PREPARE a transaction that has created or controlled jobs/ ? 'refused' : $err;
}

my $gate = close_gate($node);
my $job = $node->safe_psql('postgres', "SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')");
wait_at_gate($node, $job);
$node->safe_psql('postgres', "SELECT count(kwjobs.submit('SELECT 1', run_at => '2099-01-01', key => 'k' || n)) FROM generate_series(1, 40) AS n");
my $many = q(CANCEL JOBS (SELECT job_id FROM kwdb_internal.jobs WHERE key LIKE 'k%'));
for my $case (
	[ "CANCEL JOB $job", 1 ],
	[ "SAVEPOINT s; CANCEL JOB $job; ROLLBACK TO s", 0 ],
	[ "SAVEPOINT s; CANCEL JOB $job; RELEASE s", 1 ],
	[ "SAVEPOINT s; SAVEPOINT t; CANCEL JOB $job; RELEASE t; ROLLBACK TO s", 0 ],
	[ "SAVEPOINT s; SAVEPOINT t; CANCEL JOB $job; ROLLBACK TO t; RELEASE s", 0 ],
	[ "CANCEL JOB $job; SAVEPOINT s; PAUSE JOB 1; ROLLBACK TO s", 1 ],
	[ "SAVEPOINT s; CANCEL JOB $job; ROLLBACK TO s; CANCEL JOB $job", 1 ],
	[ "CALL touch($job)", 0 ],
	[ "SAVEPOINT s; $many; ROLLBACK TO s", 0 ],
	[ "SAVEPOINT s; SAVEPOINT t; $many; CANCEL JOB $job; RELEASE t; ROLLBACK TO s", 0 ],
	[ "SAVEPOINT s; SELECT kwjobs.submit('SELECT 1'); ROLLBACK TO s", 0 ])
{
	my ($statements, $touched) = @$case;
	is(refuses($job, $statements, $touched ? '60s' : '200ms'), $touched ? 'refused' : 'waits', "a wait: $statements");
	is(prepares($statements), $touched ? 'refused' : 'prepared', "PREPARE TRANSACTION: $statements");
}
is(refuses($job, $many, '60s'), 'refused', 'a wait after more jobs than are remembered');
is(refuses($job, "$many; SAVEPOINT s; PAUSE JOB 1; ROLLBACK TO s", '60s'), 'refused', '... also after a rollback of another one');
is(prepares($many), 'refused', '... as is PREPARE TRANSACTION');

# A job whose lock is given back with the savepoint runs, while the transaction goes on.
my $session = $node->background_psql('postgres');
my $later = $node->safe_psql('postgres', "SELECT kwjobs.submit('INSERT INTO ran DEFAULT VALUES', run_at => 'tomorrow')");
$session->query_safe($_) for 'BEGIN', 'SAVEPOINT s', "SELECT kwjobs.cancel($later)";
set_clock($node, 'tomorrow');
wait_for_pass($node);
is(job_field($node, $later, 'status'), 'pending', 'its time has come while its row is locked');
$session->query_safe('ROLLBACK TO s');
wait_for_status($node, $later, 'succeeded');
$session->query_safe('COMMIT');
$session->quit;
open_gate($gate);

# In a read-only transaction
for my $verb (qw(PAUSE RESUME CANCEL))
{
	for my $form ([ "$verb JOB 1", "$verb JOB" ], [ "$verb JOB 1 WITH REASON = 'x'", "$verb JOB" ], [ "$verb JOBS (SELECT 1)", "$verb JOBS" ],
		[ "PREPARE p AS $verb JOB \$1; EXECUTE p(1)", "$verb JOB" ], [ "DO \$\$BEGIN $verb JOB 1; END\$\$", "$verb JOB" ],
		[ "SELECT kwjobs.\L$verb\E(1)", "$verb JOB" ])
	{
		my ($statement, $name) = @$form;
		my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nBEGIN READ ONLY; $statement");
		like($err, qr/ERROR:  25006: cannot execute $name in a read-only transaction/, "read-only: $statement");
		like($err, qr/HINT:  Run it in a transaction that is READ WRITE\./, '... and what to do') if $statement =~ /JOB/;
	}
}
my ($rc, $out, $err) = $node->psql('postgres', "BEGIN READ ONLY; EXPLAIN PAUSE JOB 1; UPDATE kwjobs.job_control SET verb = NULL");
like($err, qr/cannot execute UPDATE in a read-only transaction/, 'an UPDATE is one');
($rc, $out, $err) = $node->psql('postgres', "BEGIN READ ONLY; PREPARE p AS PAUSE JOB 1; COMMIT; EXECUTE p");
is($err, '', 'what is prepared in one transaction runs in another');

# Without the right: no query of ours is shown
for my $statement ('SHOW JOB WHEN COMPLETE 1', 'SHOW JOBS WHEN COMPLETE (SELECT 1)', 'SELECT * FROM kwjobs.when_complete(ARRAY[1])', 'SHOW JOB 1', 'SHOW JOBS', 'PAUSE JOB 1')
{
	($rc, $out, $err) = $node->psql('postgres', "SET ROLE stranger; $statement");
	like($err, qr/ERROR:  only users with the admin role are allowed to/, "without the right: $statement");
	unlike($err, qr/CONTEXT|SELECT ARRAY/, '... without a query of ours');
}

# Settings that do not exist
SKIP:
{
	skip 'prefixes are reserved since PostgreSQL 15', 4 if $node->safe_psql('postgres', 'SHOW server_version_num') < 150000;
	for my $statement ("SET jobs.retention_tim = '1d'", 'SET kwjobs.show_windw = 1', "ALTER DATABASE postgres SET jobs.retention = '1d'")
	{
		($rc, $out, $err) = $node->psql('postgres', $statement);
		like($err, qr/ERROR:  invalid configuration parameter name "(kw)?jobs\./, "refused: $statement");
	}
	my $log = -s $node->logfile;
	$node->append_conf('postgresql.conf', "jobs.retention_tim = '1d'");
	$node->restart;
	like(slurp_file($node->logfile, $log), qr/WARNING:  invalid configuration parameter name "jobs\.retention_tim", removing it/, 'in the configuration file, too');
}

$node->stop;
done_testing();
