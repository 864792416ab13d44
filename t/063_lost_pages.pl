# What is stored apart from the rows of a job may be lost. That job fails with a plain reason, all others go on,
# and SHOW JOBS shows all of them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjBroken;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = broken_node('lost');
my $lost = qr/missing chunk number 0 for toast value/;
# it cannot be compressed
my $noise = q{(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) AS n)};

# All that is stored apart from the rows of a table.
sub lose
{
	my (@tables) = @_;
	my @files = map { sql("SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE oid = 'kwjobs.$_'::regclass") } @tables;
	sql('CHECKPOINT');
	$node->stop;
	for my $file (@files)
	{
		my $path = $node->data_dir . "/$file";
		my $size = -s $path;
		ok($size > 0, "$file has something to lose");
		open(my $fh, '+<', $path) or die "$path: $!";
		print $fh "\0" x $size;
		close($fh) or die "$path: $!";
	}
	$node->start;
	know_coordinator();
	return;
}

$node->safe_psql('postgres', <<'EOT');
CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
DECLARE
    long_state jsonb := to_jsonb((SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) AS n));
BEGIN
    IF kwjobs.checkpoint_state() IS NULL THEN
        CALL kwjobs.checkpoint(0.5, long_state);
        PERFORM pg_advisory_lock_shared(4711);
    END IF;
    INSERT INTO ran SELECT kwjobs.current_job();
END $$;
EOT

# ---- what the job is to do, and what it has noted ----

my $payload = sql("SELECT kwjobs.submit('SELECT ''' || $noise || '''', description => 'bad', run_at => now() + interval '1 hour')");
my $gate = close_gate($node);
my $state = sql(q{SELECT kwjobs.submit('CALL steps()', description => 'bad', on_revert => 'INSERT INTO ran VALUES (-1)')});
wait_at_gate($node, $state);
sql("PAUSE JOB $state");
wait_for_status($node, $state, 'paused');
open_gate($gate);
lose('job', 'checkpoint');

among_others('the payload', $payload, undef, qr/^failed: the job could not be read: $lost/);
is(sql("SELECT error_code FROM kwdb_internal.jobs WHERE job_id = $payload"), 'XX001', 'with the error code');

$gate = close_gate($node);
my @jobs = (submit_at_gate(2), submit_others(2));
sql("RESUME JOB $state");
push(@jobs, submit_others(2));
open_gate($gate);
others_are_well('the state', @jobs, submit_others(1, 'other'));
is_over('the state', $state, qr/^(failed|revert-failed): .*$lost/);

for my $statement ('SHOW JOBS', "SHOW JOB $payload", "SHOW JOB WHEN COMPLETE $payload")
{
	my ($rc, $out, $err) = $node->psql('postgres', $statement);
	is($rc, 0, "$statement works") or diag($err);
	like($out, qr/\Q$payload\E.*\(cannot be read: $lost/, '... and says what is lost');
	like($out, qr/\Q$jobs[0]\E/, '... and shows the others') if $statement eq 'SHOW JOBS';
}
sql("DELETE FROM kwjobs.attempt WHERE job_id IN ($payload, $state); DELETE FROM kwjobs.job WHERE job_id IN ($payload, $state)");

# ---- errors, which are read when a revert fails ----

$gate = close_gate($node);
my $revert = sql(q{SELECT kwjobs.submit('SELECT 1 / 0', description => 'bad',
	on_revert => 'SELECT 1 / (pg_advisory_xact_lock_shared(4711) IS NULL)::integer')});
wait_at_gate($node, $revert);
is(job_field($node, $revert, 'status'), 'reverting', 'it is being reverted');
sql("UPDATE kwjobs.job SET error = $noise, error_detail = $noise WHERE job_id = $revert");
# the server is stopped meanwhile, and the revert begins again
$gate->quit;
lose('job');
others_are_well('the error', submit_others(2), submit_others(1, 'other'));
is_over('the error', $revert, qr/^revert-failed: /);
is($node->psql('postgres', 'SHOW JOBS'), 0, 'SHOW JOBS works');

# ---- what stays in a row that is to be canceled ----

my $waiting = sql("SELECT kwjobs.submit('SELECT ''' || $noise || '''', description => $noise, run_at => now() + interval '1 hour')");
my $paused = sql("SELECT kwjobs.submit('SELECT ''' || $noise || '''', description => $noise, run_at => now() + interval '1 hour')");
lose('job');
sql("CANCEL JOB $waiting");
wait_for_status($node, $waiting, 'canceled');
sql("PAUSE JOB $paused");
wait_for_status($node, $paused, 'paused');
others_are_well('after CANCEL and PAUSE', submit_others(2), submit_others(1, 'other'));

unlike(slurp_file($node->logfile), qr/TRAP|terminated by signal/, 'no process crashed');
$node->stop;
done_testing();
