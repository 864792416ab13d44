# What one role may submit has bounds, which errors name; nothing of a job's is in the server's log that
# log_min_messages keeps out.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('bounds', <<'EOF_CONF');
kwjobs.max_workers = 2
log_min_messages = warning
max_parallel_workers = 8
EOF_CONF
sub sql { return $node->safe_psql('postgres', $_[0]); }
sql('CREATE ROLE mallory LOGIN; CREATE TABLE big AS SELECT n, repeat(\'x\', 100) AS x FROM generate_series(1, 20000) AS n; ALTER TABLE big OWNER TO mallory; ANALYZE big');
sql('GRANT CREATE ON SCHEMA public TO mallory');

# As mallory; the result, or the error with its code, detail and hint in one line.
sub mallory
{
	my ($sql, $db) = @_;
	my ($rc, $out, $err) = $node->psql($db // 'postgres', "\\set VERBOSITY verbose\n$sql", extra_params => [ '-U', 'mallory' ]);
	return $out if $rc == 0;
	$err =~ s/^LOCATION:.*\n?//mg;
	$err =~ s/^(LINE|CONTEXT|STATEMENT|  ).*\n?//mg;
	return $err =~ s/^psql:[^ ]* //mgr =~ s/\n/ /gr =~ s/ +/ /gr;
}

# 1. Settings: number and size.
my $settings = q{(SELECT jsonb_object_agg('c.b' || n, %s) FROM generate_series(1, %s) AS n)};
like(mallory("SELECT kwjobs.submit('SELECT 1', settings => " . sprintf($settings, 'n', 101) . ')'),
	qr/^ERROR: 54000: too many settings for a job: 101 DETAIL: A job has at most 100\. HINT: Have the statement set the others, or a role that has them: ALTER ROLE \.\.\. SET\. $/, 'too many settings');
like(mallory("SELECT kwjobs.submit('SELECT 1', settings => " . sprintf($settings, q{repeat('x', 1000)}, 100) . ')'),
	qr/^ERROR: 54000: the settings of a job are too large: \d+ bytes DETAIL: They have at most 65536 bytes\. HINT: Write large values into a table that the statement reads\. $/, 'too large settings');
like(mallory("SET statement_timeout = '5s'; SELECT kwjobs.submit('SELECT 1', settings => " . sprintf($settings, 'n', 50000) . ')'), qr/54000/, '... at once');
is(mallory('SELECT ' . sprintf($settings, 'n', 100) . q{ AS settings \gset
CALL kwjobs.run('DO $$ BEGIN ASSERT current_setting(''c.b100'') = ''100''; END $$', settings => :'settings')}) =~ s/^\d+//r,
	'|succeeded|0|{DO}|', 'as many as are allowed');

# A worker that has gathered many settings which the server does not know makes way for a new one.
my %pids;
for my $part (1 .. 11)
{
	my $id = mallory("SELECT kwjobs.submit('SELECT 1', settings => (SELECT jsonb_object_agg('c.p$part' || '_' || n, n) FROM generate_series(1, 100) AS n))");
	wait_for_status($node, $id, 'succeeded');
	# until its worker can take the next one
	wait_query($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kwjobs worker' AND state IS DISTINCT FROM 'idle'});
	$pids{ sql("SELECT pid FROM kwdb_internal.job_attempts WHERE job_id = $id") } = 1;
}
is(scalar(keys %pids), 2, 'settings do not pile up in a worker');

# 2. Parallel workers of a job log what the server's log has; the job has its messages.
my $debug = '{"client_min_messages": "debug5", "min_parallel_table_scan_size": 0, "parallel_setup_cost": 0, "parallel_tuple_cost": 0, "max_parallel_workers_per_gather": 2}';
my $log = -s $node->logfile;
my $job = mallory(<<"EOF_SQL");
SELECT kwjobs.submit('SHOW log_min_messages; SELECT count(*) FROM big; CREATE INDEX ON big (n); DO \$\$ BEGIN RAISE DEBUG ''told''; IF current_setting(''log_min_messages'') <> ''warning'' THEN RAISE ''lowered''; END IF; RAISE WARNING ''warned''; END \$\$', settings => '$debug')
EOF_SQL
wait_for_status($node, $job, 'succeeded');
my $text = slurp_file($node->logfile, $log);
unlike($text, qr/(parallel worker|kwjobs worker) (DEBUG|NOTICE|INFO)/, 'no DEBUG message in the log, of parallel workers neither');
like($text, qr/kwjobs worker WARNING:  warned/, 'what the log is to have it has');
my $messages = sql("SELECT array_to_string(messages, '|') FROM kwdb_internal.job_attempts WHERE job_id = $job");
like($messages, qr/DEBUG:  told/, 'the job has its messages');
$job = sql("SELECT kwjobs.submit('SELECT count(*) FROM big', settings => '$debug')");
my $plan = sql(q{SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; EXPLAIN SELECT count(*) FROM big});
like($plan, qr/Workers Planned: 2/, 'the test has parallel workers');
wait_for_status($node, $job, 'succeeded');

# A superuser's statement may set the level of the log, for itself or for its transaction.
$log = -s $node->logfile;
sql(q{CALL kwjobs.run('DO $$ BEGIN SET LOCAL log_min_messages = debug1; RAISE DEBUG ''of its own''; END $$; SELECT 1')});
sql(q{CALL kwjobs.run('DO $$ BEGIN RAISE DEBUG ''not this''; END $$')});
like(slurp_file($node->logfile, $log), qr/kwjobs worker DEBUG:  of its own/, 'a level that a statement sets counts at once');
unlike(slurp_file($node->logfile, $log), qr/DEBUG:  not this/, '... as long as it lasts');

# 3. The state of a checkpoint.
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE PROCEDURE keep(n integer) LANGUAGE plpgsql AS $$ BEGIN CALL kwjobs.checkpoint(0.5, to_jsonb(repeat('x', n))); END $$;
EOF_SQL
like(mallory("CALL kwjobs.run('CALL keep(1048576)')"),
	qr/^ERROR: 54000: the state of the checkpoint is too long: \d+ bytes DETAIL: It has at most 1048576 bytes\. HINT: Write large things into a table, and their keys into the state\. /, 'too large a state');
like(mallory("CALL kwjobs.run('CALL keep(1000000)')"), qr/succeeded/, '... and one that is not');

# 4. Jobs that are not over: how many, and how large.
sub settings
{
	my ($settings) = @_;
	$node->append_conf('postgresql.conf', $settings);
	$node->reload;
	wait_query($node, "SELECT current_setting('kwjobs.max_jobs_per_role') = '$1'") if $settings =~ /max_jobs_per_role = (\w+)/;
	wait_query($node, "SELECT current_setting('kwjobs.max_bytes_per_role') = '$1'") if $settings =~ /max_bytes_per_role = (\w+)/;
	return;
}
my $later = "run_at => now() + interval '1 day'";
settings("kwjobs.max_jobs_per_role = 5\n");
mallory("SELECT kwjobs.submit('SELECT 1', $later) FROM generate_series(1, 4)");
like(mallory("SELECT kwjobs.submit('SELECT 1', $later); SELECT kwjobs.submit('SELECT 2', $later)"),
	qr/ERROR: 53400: role "mallory" has too many jobs in this database that are not over DETAIL: It has more than the 5 that kwjobs\.max_jobs_per_role allows\. HINT: Wait until some are over, or cancel some, or have an administrator run SET CLUSTER SETTING kwjobs\.max_jobs_per_role\. $/,
	'more jobs than a role may have');
is(sql("SELECT count(*) FROM kwdb_internal.jobs WHERE user_name = 'mallory' AND finished IS NULL"), '5', '... as many are there');
like(mallory("BEGIN; SELECT kwjobs.cancel(job_id) FROM kwdb_internal.jobs"), qr/^ERROR: 42501/, 'mallory sees none');
like(sql("GRANT mallory TO CURRENT_USER; SELECT kwjobs.submit('SELECT 1', $later)"), qr/^\d+$/, 'superusers have no limit');
like(mallory("SELECT count(kwjobs.submit('SELECT 1', $later)) FROM generate_series(1, 1000000)"), qr/53400/, 'in one statement');
my ($rc, $out, $err) = $node->psql('postgres', "SELECT kwjobs.submit('SELECT 1', $later, run_as => 'mallory')");
like($err, qr/too many jobs/, '... nor as somebody else');
is(mallory("SELECT kwjobs.submit('SELECT 1', $later, key => 'k')") =~ /53400/, 1, 'with a key');
is(sql("SELECT count(kwjobs.cancel(job_id)) FROM kwdb_internal.jobs WHERE user_name = 'mallory' AND finished IS NULL"), '5', 'once they are over');
wait_query($node, "SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE user_name = 'mallory' AND finished IS NULL");
like(mallory("CALL kwjobs.run('SELECT 1')"), qr/succeeded/, '... there is room again');
like(mallory("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(kwjobs.submit('SELECT 1', $later)) FROM generate_series(1, 6)"), qr/53400/, 'in a serializable transaction');

settings("kwjobs.max_jobs_per_role = 0\nkwjobs.max_bytes_per_role = 1MB\n");
# rows that compress badly
my $noise = q{(SELECT string_agg(md5(n::text || random()::text), '') FROM generate_series(1, 10000) AS n)};
like(mallory("SELECT kwjobs.submit('SELECT 1', description => $noise, $later) FROM generate_series(1, 20)"),
	qr/ERROR: 53400: the jobs of role "mallory" in this database that are not over are too large DETAIL: They have more than the 1024 kB that kwjobs\.max_bytes_per_role allows\. HINT: Wait/, 'larger jobs than a role may have');
like(mallory("SELECT kwjobs.submit('SELECT 1', description => $noise, $later)"), qr/^\d+$/, '... fewer are allowed');

# What jobs depend on counts, too.
settings("kwjobs.max_jobs_per_role = 1000\nkwjobs.max_bytes_per_role = 3MB\n");
my @needed = split(/\n/, mallory("SELECT kwjobs.submit('SELECT 1', $later) FROM generate_series(1, 500)"));
my $needed = 'ARRAY[' . join(', ', @needed) . ']';
like(mallory("SELECT count(kwjobs.submit('SELECT 1', depends_on => $needed)) FROM generate_series(1, 20)"), qr/^20$/, 'jobs with some dependencies');
like(mallory("SELECT count(kwjobs.submit('SELECT 1', depends_on => $needed)) FROM generate_series(1, 100)"), qr/53400: the jobs of role "mallory" .* are too large/, '... with too many, all together');
is(sql('SELECT count(*) FROM kwjobs.dependency'), 20 * 500, '... of which none is there');
like(mallory("SELECT kwjobs.submit('SELECT 1', depends_on => array_fill($needed[0], ARRAY[10001]))"),
	qr/^ERROR: 54000: a job depends on too many others: 10001 DETAIL: It may depend on at most 10000\. HINT: Submit a job for each part of them, such as kwjobs\.submit\('SELECT 1', depends_on => \.\.\.\), and have this job depend on those\. $/,
	'more dependencies than one job may have');
my $most = mallory("SELECT kwjobs.submit('SELECT 1', depends_on => array_fill($needed[0], ARRAY[10000]))");
like($most, qr/^\d+$/, '... as many as it may');
is(sql("SELECT count(*) FROM kwjobs.dependency WHERE job_id = $most"), 1, '... each once');
sql("SELECT count(kwjobs.cancel_jobs(ARRAY(SELECT job_id FROM kwdb_internal.jobs WHERE user_name = 'mallory' AND finished IS NULL)))");
wait_query($node, "SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE user_name = 'mallory' AND finished IS NULL");

# Many jobs go by without a count of them all, and yet not more than a part of what is left.
settings("kwjobs.max_jobs_per_role = 10000\nkwjobs.max_bytes_per_role = 0\n");
like(mallory("SELECT count(kwjobs.submit('SELECT 1', $later)) FROM generate_series(1, 10700)"), qr/53400/, 'a limit of many');
like(mallory("SELECT count(kwjobs.submit('SELECT 1', $later)) FROM generate_series(1, 9000)"), qr/^9000$/, '... is not reached before');

# SHOW JOBS shows all of it at once.
cmp_ok(length(sql('SELECT * FROM [SHOW JOBS]')), '<', 9100 * 2000, 'SHOW JOBS shows what is small');

is_consistent($node);
$node->stop;
done_testing();
