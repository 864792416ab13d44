# What users are told of a job: its errors and when they happened, that another job has its key; and that ids
# only ever grow.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('told', <<'EOF');
kwjobs.max_workers = 4
autovacuum = off
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub submit
{
	my ($arguments) = @_;
	return sql("SELECT kwjobs.submit($arguments)");
}

# The first column of the result, and the messages.
sub ask
{
	my ($statement) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $statement);
	return ($out, $err);
}

# ---- a revert that fails ----

# Both errors are shown, until the job is reverted after all.
{
	my $job = submit(q{'SELECT 1 / 0', on_revert => 'INSERT INTO nowhere VALUES (1)', max_attempts => 1});
	wait_for_status($node, $job, 'revert-failed');
	is(job_field($node, $job, 'error, error_code'), 'relation "nowhere" does not exist|42P01', 'why the revert has failed');
	is(job_field($node, $job, q{cause ->> 'error', cause ->> 'error_code'}), 'division by zero|22012', '... and why there was one');
	sql("RESUME JOB $job");
	wait_query($node, "SELECT attempts = 3 AND status = 'revert-failed' FROM kwjobs.job WHERE job_id = $job");
	is(job_field($node, $job, q{error, cause ->> 'error'}), 'relation "nowhere" does not exist|division by zero', 'it fails once more: both are still there');
	sql('CREATE TABLE nowhere (n integer)');
	sql("RESUME JOB $job");
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error, error_code, cause'), 'division by zero|22012|', 'reverted: the error is the one that made it revert');
	is(job_field($node, submit(q{'SELECT 1'}), 'cause'), '', 'other jobs have none');
}

# ---- errord ----

# Canceled, whatever they were doing: no error.
{
	my $gate = close_gate($node);
	my $running = submit(q{'SELECT pg_advisory_xact_lock_shared(4711)'});
	wait_at_gate($node, $running);
	my $paused = submit(q{'SELECT pg_advisory_xact_lock_shared(4711)'});
	wait_at_gate($node, $paused);
	sql("PAUSE JOB $paused");
	wait_for_status($node, $paused, 'paused');
	my $waiting = submit(q{'SELECT 1', run_at => now() + interval '1 day'});
	sql("CANCEL JOBS (VALUES ($running), ($paused), ($waiting))");
	for my $job ($running, $paused, $waiting)
	{
		wait_for_status($node, $job, 'canceled');
		is(job_field($node, $job, 'error, errord IS NULL'), 'job canceled by user|t', 'a canceled job has met no error');
	}
	open_gate($gate);
}

# Interrupted: neither an error nor a failure.
{
	my $gate = close_gate($node);
	my $job = submit(q{'SELECT pg_advisory_xact_lock_shared(4711)', max_attempts => 1});
	wait_at_gate($node, $job);
	$gate->quit;
	$node->restart;
	wait_for_status($node, $job, 'succeeded');
	my $last = sql("SELECT string_agg(status, ' ' ORDER BY attempt) FROM kwdb_internal.job_attempts WHERE job_id = $job");
	like($last, qr/^(interrupted )?succeeded$/, 'an attempt that was interrupted');
	is(job_field($node, $job, 'errord IS NULL, total_num_of_fail'), 't|0', '... is no error');
}

# Real ones: also of a job that has succeeded after all, and of one that depends on another.
{
	sql('CREATE SEQUENCE tries');
	my $retried = submit(q{$x$DO $$ BEGIN IF nextval('tries') < 2 THEN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END IF; END $$$x$});
	wait_for_status($node, $retried, 'succeeded');
	is(job_field($node, $retried, 'errord IS NOT NULL, total_num_of_fail'), 't|1', 'a job that was retried has met an error');
	my $failed = submit(q{'SELECT 1 / 0'});
	my $dependent = submit("'SELECT 1', depends_on => ARRAY[$failed]");
	for my $job ($failed, $dependent)
	{
		wait_for_status($node, $job, 'failed');
		is(job_field($node, $job, 'errord = finished'), 't', '... and so has a failed one');
	}
}

# ---- timeouts ----

# An attempt that takes too long would do so again: it is retried only if that is asked for.
{
	my $job = submit(q{'SELECT pg_sleep(600)', timeout => '100 ms', max_attempts => 3});
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error_code, total_num_of_ex'), '57014|1', 'a timeout fails the job');
	$job = submit(q{'SELECT pg_sleep(600)', timeout => '100 ms', max_attempts => 3, on_failure => 'retry', retry_initial_delay => '10 ms'});
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error_code, total_num_of_ex'), '57014|3', '... after all attempts with on_failure => retry');
}

# ---- a key that another job has ----

{
	my $later = q{run_at => '2099-01-01'};
	my $first = submit("'SELECT 1', key => 'tenant', $later");
	my ($id, $err) = ask("SELECT kwjobs.submit('SELECT 1', key => 'tenant', $later)");
	is($id, $first, 'the same once more: the same job');
	is($err, '', '... without a word');
	my $other = submit(q{'SELECT 1', run_at => '2099-01-01'});
	my %differences = (
		"'SELECT 2', $later" => 'statement',
		"'SELECT 1'" => 'run_at',
		"'SELECT 1', run_at => '2098-01-01'" => 'run_at',
		"'SELECT 1', $later, priority => 5" => 'priority',
		"'SELECT 1', $later, max_attempts => 1, retry_initial_delay => '2 s'" => 'max_attempts, retry_initial_delay',
		"'SELECT 1', $later, timeout => '1 h'" => 'timeout',
		"'SELECT 1', $later, on_failure => 'pause', on_revert => 'SELECT 3'" => 'on_failure, on_revert',
		"'SELECT 1', $later, settings => '{\"work_mem\": \"1MB\"}'" => 'settings',
		"'SELECT 1', $later, depends_on => ARRAY[$other]" => 'depends_on',
	);
	for my $arguments (sort keys %differences)
	{
		($id, $err) = ask("SELECT kwjobs.submit($arguments, key => 'tenant')");
		is($id, $first, "the same key: $arguments");
		like($err, qr/^psql:<stdin>:1: NOTICE:  no job was created, as another one with key "tenant" is not over\nDETAIL:  That one, whose ID is returned, differs from what was asked for in: \Q$differences{$arguments}\E\.\nHINT:  To replace it before it starts, give on_conflict => 'replace'; later, use CANCEL JOB, or kwjobs\.cancel for a job of your own, and create this job again when it is over\.$/,
			'... says what will not be done');
	}
	# what was met is no difference
	my $done = submit(q{'SELECT 1'});
	wait_for_status($node, $done, 'succeeded');
	my $dependent = submit("'SELECT 1', key => 'dependent', $later, depends_on => ARRAY[$done, $other]");
	wait_query($node, "SELECT waits_for = ARRAY[$other] FROM kwdb_internal.jobs WHERE job_id = $dependent");
	($id, $err) = ask("SELECT kwjobs.submit('SELECT 1', key => 'dependent', $later, depends_on => ARRAY[$done, $other])");
	is("$id$err", $dependent, 'the same dependencies, of which one is met');
	# a job is told in its messages
	my $teller = submit(qq{'SELECT kwjobs.submit(''SELECT 4'', key => ''tenant'')'});
	wait_for_status($node, $teller, 'succeeded');
	like(sql("SELECT messages FROM kwdb_internal.job_attempts WHERE job_id = $teller"), qr/no job was created, as another one with key/, 'a job is told, too');
	sql("CANCEL JOBS (VALUES ($first), ($other), ($dependent))");
	wait_for_status($node, $first, 'canceled');
	($id, $err) = ask(q{SELECT kwjobs.submit('SELECT 5', key => 'tenant')});
	isnt($id, $first, 'once it is over, the key is free');
	is($err, '', '... and nothing is said');
}

# ---- ids ----

# A clock that was a day ahead before the server was stopped. Another server's ids, or whatever, do not count.
{
	my $id = submit(q{'SELECT 1'});
	wait_for_status($node, $id, 'succeeded');
	my $day = '86400 * 100000::bigint * 32768';
	my $ahead = $id + sql("SELECT $day");
	$node->stop;
	$node->start;
	sql(<<"EOF");
CREATE DATABASE other;
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload, created, modified, finished)
SELECT n, 'SQL', 'x', 10, 'postgres', 'succeeded', now(), 1, '{}', now(), now(), now()
  FROM unnest(ARRAY[$ahead, -5]) AS n
EOF
	$node->safe_psql('other', 'CREATE EXTENSION kwjobs');
	$node->safe_psql('other', <<'EOF');
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload, created, modified, finished)
VALUES (9223372036854775807, 'SQL', 'x', 10, 'postgres', 'succeeded', now(), 1, '{}', now(), now(), now())
EOF
	for my $mode ('fast', 'immediate')
	{
		$node->stop($mode);
		$node->start;
		my $next = submit(q{'SELECT 1'});
		ok(sql("SELECT $next > $ahead AND $next < $ahead + $day") eq 't', "after a restart ($mode), ids go on behind the highest");
		my $in_other = $node->safe_psql('other', q{SELECT kwjobs.submit('SELECT 1')});
		ok(sql("SELECT $in_other BETWEEN 1 AND $ahead + $day") eq 't', '... and an id that is none of ours does not count');
		wait_for_status($node, $next, 'succeeded');
		$ahead = $next;
	}
}
$node->stop;
done_testing();
