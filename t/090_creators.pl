# Who has created a job is recorded, and its right to act as the job's owner is looked at when an
# attempt begins. Names are those of now, also after a dump.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('creators', "kwjobs.max_workers = 2\nkwjobs.job_visibility = 'owner'\n");
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE ROLE dba SUPERUSER LOGIN;
CREATE ROLE middle LOGIN;
CREATE ROLE temp LOGIN;
CREATE ROLE other LOGIN;
CREATE TABLE done (what text, by name DEFAULT current_user);
GRANT ALL ON done TO PUBLIC;
EOF_SQL

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A job that waits for its time; its id.
sub submit
{
	my ($role, $arguments, $before) = @_;
	$before //= '';
	return result_as($node, $role, "${before}SELECT kwjobs.submit($arguments, run_at => now() + interval '1 day')");
}

# Its time has come.
sub run_now
{
	my (@jobs) = @_;
	my $ids = join(',', @jobs);
	# in one transaction, so that it does not start before it is paused
	sql("BEGIN; UPDATE kwjobs.job SET due = now(), run_at = NULL WHERE job_id IN ($ids); SELECT kwjobs.pause($jobs[0]); COMMIT");
	wait_for_status($node, $jobs[0], 'paused');
	sql("SELECT kwjobs.resume($jobs[0])");
	return;
}

sub fails
{
	my ($job, $name, $pattern) = @_;
	run_now($job);
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error_code'), '42501', $name);
	like(job_field($node, $job, "concat_ws('|', error, error_detail, error_hint)"), $pattern, '... says why and what to do') if $pattern;
	return;
}

my $text = "insert into done values (''%s'')";

# 1. run_as, REVOKE before it runs.
sql('GRANT dba TO temp');
my $job = submit('temp', "'alter role temp superuser', run_as => 'dba'");
is(job_field($node, $job, 'user_name, created_by, created_by_session'), 'dba|temp|temp', 'who created it is shown');
my $kept = submit('temp', "'insert into done values (''kept'')', run_as => 'dba'");
my $set = submit('temp', "'alter role temp superuser'", 'SET ROLE dba; ');
is(job_field($node, $set, 'user_name, created_by, created_by_session'), 'dba|dba|temp', 'after SET ROLE: the session user, too');
my $retry = submit('temp', "'alter role temp superuser', run_as => 'dba', on_failure => 'retry', max_attempts => 2, retry_initial_delay => '1 ms'");
my $pause = submit('temp', "'insert into done values (''resumed'')', run_as => 'dba', on_failure => 'pause'");
my $parent = submit('temp', q{$$SELECT kwjobs.submit('alter role temp superuser', key => 'child', run_at => now() + interval '1 day')$$, run_as => 'dba'});
run_now($kept);
wait_for_status($node, $kept, 'succeeded');
is(sql('SELECT what, by FROM done'), 'kept|dba', 'while it may, it runs');
run_now($parent);
wait_for_status($node, $parent, 'succeeded');
my $child = sql("SELECT job_id FROM kwdb_internal.jobs WHERE key = 'child'");
is(job_field($node, $child, 'user_name, created_by, created_by_session'), 'dba|dba|dba', 'a job that a job has created');
sql('REVOKE dba FROM temp');
fails($job, 'run_as: the right was revoked',
	qr/^role "temp" may not act as role "dba" any more\|By its right job $job was created to run as role "dba"\.\|Create the job again as another role, or after GRANT dba TO temp\.$/);
fails($set, 'after SET ROLE');
fails($child, 'created by a job of a job', qr/role "temp" may not act as role "dba" any more/);
fails($retry, "on_failure => 'retry'");
run_now($pause);
wait_for_status($node, $pause, 'paused');
wait_query($node, "SELECT error_code = '42501' FROM kwdb_internal.jobs WHERE job_id = $pause");
sql('GRANT dba TO temp');
sql("SELECT kwjobs.resume($pause)");
wait_for_status($node, $pause, 'succeeded');
is(sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'temp'"), 'f', 'nothing has run without the right');
sql('REVOKE dba FROM temp');

# 2. The worker's own claim of the next job, and of many.
sql('GRANT middle TO temp; ALTER SYSTEM SET kwjobs.max_workers_per_role = 1; SELECT pg_reload_conf()');
{
	my $gate = close_gate($node);
	my $first = result_as($node, 'temp', "SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)', run_as => 'middle')");
	wait_at_gate($node, $first);
	my $jobs = result_as($node, 'temp', "SELECT string_agg(kwjobs.submit('insert into done values (''many'')', run_as => 'middle')::text, ',') FROM generate_series(1, 50)");
	my $own = result_as($node, 'middle', "SELECT kwjobs.submit('insert into done values (''own'')')");
	sql('REVOKE middle FROM temp');
	open_gate($gate);
	wait_query($node, "SELECT count(*) = 50 FROM kwdb_internal.jobs WHERE job_id IN ($jobs) AND status = 'failed' AND error_code = '42501'");
	wait_for_status($node, $own, 'succeeded');
	is(job_field($node, $first, 'status'), 'succeeded', 'what runs already goes on');
	is(sql("SELECT count(*) FROM done WHERE what = 'many'"), '0', 'a worker that goes on to the next job looks, too');
}
sql('ALTER SYSTEM RESET kwjobs.max_workers_per_role; SELECT pg_reload_conf()');

# 3. Creators that are gone; superusers that are none any more.
sql('CREATE ROLE gone LOGIN; GRANT middle TO gone');
$job = submit('gone', "'SELECT 1', run_as => 'middle'");
my $oid = sql("SELECT oid FROM pg_roles WHERE rolname = 'gone'");
sql('DROP ROLE gone');
fails($job, 'the creator is gone', qr/^the role with OID $oid, by whose right job $job runs as role "middle", does not exist any more\|Create the job again, as a role that may act as "middle"\.$/);
is(job_field($node, $job, 'created_by'), "unknown (OID=$oid)", '... and is shown as such');
sql('CREATE ROLE boss SUPERUSER LOGIN');
$job = submit('boss', "'SELECT 1', run_as => 'other'");
$kept = submit('boss', "'SELECT 1', run_as => 'other'");
run_now($kept);
wait_for_status($node, $kept, 'succeeded');
sql('ALTER ROLE boss NOSUPERUSER');
fails($job, 'a creator that is no superuser any more', qr/^role "boss" may not act as role "other" any more/);

# By way of a superuser: each step counts, not whether the first role could take it by itself.
sql('GRANT dba TO temp');
$job = submit('temp', "'insert into done values (''steps'')', run_as => 'other'", 'SET ROLE dba; ');
is(job_field($node, $job, 'user_name, created_by, created_by_session'), 'other|dba|temp', 'SET ROLE and run_as');
run_now($job);
wait_for_status($node, $job, 'succeeded');
$job = submit('temp', "'SELECT 1', run_as => 'other'", 'SET ROLE dba; ');
sql('REVOKE dba FROM temp');
fails($job, 'the first step is not allowed any more', qr/^role "temp" may not act as role "dba" any more\|By its right job $job was created to run as role "other"/);

# 4. A SECURITY DEFINER function submits by its owner's right.
sql(<<'EOF_SQL');
CREATE FUNCTION for_all() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS
    $$ SELECT kwjobs.submit('insert into done values (''definer'')', run_at => now() + interval '1 day') $$;
ALTER FUNCTION for_all() OWNER TO middle;
EOF_SQL
$job = result_as($node, 'temp', 'SELECT for_all()');
is(job_field($node, $job, 'user_name, created_by, created_by_session'), 'middle|middle|temp', 'SECURITY DEFINER: both are shown');
run_now($job);
wait_for_status($node, $job, 'succeeded');

# 5. What is reverted: the user's statement only with the right.
sql('GRANT middle TO temp');
$job = result_as($node, 'temp', <<'EOF_SQL');
SELECT kwjobs.submit('SELECT pg_advisory_lock_shared(4711), pg_advisory_unlock_shared(4711); SELECT 1/0', run_as => 'middle',
    on_revert => 'insert into done values (''reverted'')', on_failure => 'pause')
EOF_SQL
wait_for_status($node, $job, 'paused');
sql('REVOKE middle FROM temp');
sql("SELECT kwjobs.cancel($job)");
wait_for_status($node, $job, 'revert-failed');
is(job_field($node, $job, 'error_code'), '42501', 'on_revert needs the right, too');
is(sql("SELECT count(*) FROM done WHERE what = 'reverted'"), '0', '... and has not run');
sql('GRANT middle TO temp');
sql("SELECT kwjobs.resume($job)");
wait_for_status($node, $job, 'canceled');
is(sql("SELECT count(*) FROM done WHERE what = 'reverted'"), '1', '... RESUME reverts once it may');

# 6. IMPORT after SET ROLE; its revert is no statement of anybody's.
my $csv = write_csv($node, 1000);
sql('GRANT pg_read_server_files TO middle');
make_target($node, 'target', 500);
sql('GRANT ALL ON target TO middle; ALTER SYSTEM SET kwjobs.import_batch_size = \'1kB\'; SELECT pg_reload_conf()');
my $gate = close_gate($node);
$job = result_as($node, 'temp', "SET ROLE middle; SELECT kwjobs.import('target', ARRAY['$csv'])");
wait_at_gate($node, $job);
sql("SELECT kwjobs.pause($job)");
wait_for_status($node, $job, 'paused');
open_gate($gate);
cmp_ok(sql('SELECT count(*) FROM target'), '>', 0, 'IMPORT: some rows are there');
sql('REVOKE middle FROM temp');
sql("SELECT kwjobs.resume($job)");
wait_for_status($node, $job, 'failed');
is(job_field($node, $job, 'error_code'), '42501', '... it does not go on');
is(sql('SELECT count(*) FROM target'), '0', '... and its rows are removed');

# 7. Names are those of now.
sql('CREATE ROLE eve LOGIN');
$job = submit('eve', "'SELECT 1'");
sql("SELECT kwjobs.pause($job)");
wait_for_status($node, $job, 'paused');
sql('ALTER ROLE eve RENAME TO eve2; CREATE ROLE eve SUPERUSER LOGIN');
my $shown = "user_name, created_by, created_by_session";
is(job_field($node, $job, $shown), 'eve2|eve2|eve2', 'renamed: the name of now');
is(sql("SELECT count(*) FROM [SHOW JOBS] WHERE user_name = 'eve'"), '0', '... in filters');
is(sql("SELECT job_id FROM [SHOW JOBS WHERE user_name = 'eve2']"), $job, '... of all forms');
is(sql("SELECT user_name FROM kwjobs.show() WHERE user_name = 'eve2'"), 'eve2', '... and functions');
is(result_as($node, 'eve2', "SELECT user_name FROM [SHOW JOB $job]"), 'eve2', '... for its owner');
is(result_as($node, 'eve2', "CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE user_name = 'eve'); SELECT status FROM [SHOW JOB $job]"), 'paused', 'control by name');
is(result_as($node, 'eve2', "PAUSE JOB $job; SELECT request_user FROM kwdb_internal.jobs WHERE job_id = $job"), 'postgres', 'who asked last');
result_as($node, 'eve2', "RESUME JOB $job WITH REASON = 'mine'");
sql('ALTER ROLE eve2 RENAME TO eve3');
is(job_field($node, $job, 'request_user'), 'eve3', '... by its name of now');
sql("SELECT kwjobs.cancel($job)");
wait_for_status($node, $job, 'canceled');
sql('DROP ROLE eve3');
is(job_field($node, $job, 'user_name'), 'eve', 'a role that is gone: the name that it had');

is_consistent($node);
$node->stop;
done_testing();
