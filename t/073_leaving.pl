# How processes of kwjobs exit. They log nothing when they exit because the server stops in an
# ordinary way, or because of a command on a database. A command that is refused interrupts no job.
# Which processes others wait for when there are few background worker slots.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use POSIX qw(SIGUSR1);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_node('leaving', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
max_logical_replication_workers = 0
kwjobs.import_batch_size = 1kB
EOF
my $csv = write_csv($node, 2000);

sub sql
{
	my ($sql, $db) = @_;
	return $node->safe_psql($db // 'postgres', $sql);
}

# Returns the lines of the log since then that an administrator would look at. Sessions of this test
# may still be there when the server stops, so their FATAL messages do not count.
sub complaints
{
	my ($since) = @_;
	return join("\n", grep { /FATAL|PANIC|exited with exit code|terminated by signal/ && !/ client backend FATAL:  terminating connection/ }
		  split(/\n/, slurp_file($node->logfile, $since)));
}

my $busy = q{DO $$ BEGIN LOOP PERFORM 1; EXIT WHEN EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = 'over'); END LOOP; END $$};

# Starts a coordinator and three workers: one whose job is busy, one whose job sleeps, and one in
# the middle of an import, which would take minutes.
sub fill
{
	my ($db) = @_;
	sql(<<"EOF", $db);
DROP TABLE IF EXISTS over;
CREATE TABLE IF NOT EXISTS target (n integer, t text);
CREATE OR REPLACE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END';
DROP TRIGGER IF EXISTS slowly ON target;
CREATE TRIGGER slowly BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION slowly();
EOF
	sql(q{CALL kwjobs.run('SELECT 1')}, $db);
	sql("SELECT kwjobs.submit(\$job\$$busy\$job\$)", $db);
	sql(q{SELECT kwjobs.submit('SELECT pg_sleep(3600)')}, $db);
	start_import($node, 'target', $csv, $db);
	wait_query($node, 'SELECT count(*) = 3 FROM kwdb_internal.jobs WHERE pid IS NOT NULL', $db);
	return;
}

# Ends these jobs. The busy one may end by itself before it is canceled.
sub end_jobs
{
	sql('CREATE TABLE over ()');
	sql(q{SELECT kwjobs.cancel_jobs(array_agg(job_id)) FROM kwdb_internal.jobs WHERE finished IS NULL AND status <> 'reverting'});
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	return;
}

# ---- the server ----

for my $mode ('fast', 'smart')
{
	fill('postgres');
	my $log = -s $node->logfile;
	$node->stop($mode);
	is(complaints($log), '', "a $mode stop of the server logs nothing of our processes");
	$log = -s $node->logfile;
	$node->start;
	wait_query($node, 'SELECT count(*) = 3 FROM kwdb_internal.jobs WHERE pid IS NOT NULL');
	is(sql(q{SELECT count(*) FROM kwdb_internal.job_attempts WHERE status = 'crashed'}), 0, '... and the jobs go on, interrupted and not failed');
	is(complaints($log), '', '... nor does the start log anything');
	end_jobs();
}

# ---- databases and extension ----

{
	my $log = -s $node->logfile;
	sql('CREATE DATABASE db');
	sql('CREATE EXTENSION kwjobs', 'db');
	fill('db');
	sql('CREATE DATABASE copy TEMPLATE db');
	sql('ALTER DATABASE db RENAME TO renamed');
	wait_query($node, 'SELECT count(*) = 3 FROM kwdb_internal.jobs WHERE pid IS NOT NULL', 'renamed');
	sql('ALTER EXTENSION kwjobs UPDATE', 'renamed');
	wait_query($node, 'SELECT count(*) = 3 FROM kwdb_internal.jobs WHERE pid IS NOT NULL', 'renamed');
	sql('DROP EXTENSION kwjobs', 'renamed');
	sql('CREATE EXTENSION kwjobs', 'renamed');
	fill('renamed');
	sql('DROP DATABASE renamed');
	sql('DROP DATABASE copy');
	sql("CREATE DATABASE d$_") for 1 .. 5;
	sql("DROP DATABASE d$_") for 1 .. 5;
	is(complaints($log), '', 'nor do CREATE, ALTER and DROP of databases and of the extension');
}

# If a user terminates a process, the log says so, and the server starts a new one.
{
	fill('postgres');
	for my $what ('worker', 'coordinator', 'launcher')
	{
		my $log = -s $node->logfile;
		my $pid = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs $what' LIMIT 1");
		sql("SELECT pg_terminate_backend($pid, 60000)");
		like(slurp_file($node->logfile, $log), qr/FATAL:  terminating background worker "kwjobs $what"/, "the end of a $what that somebody has terminated is in the log");
		wait_query($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'kwjobs $what' AND pid <> $pid");
	}
	wait_query($node, 'SELECT count(*) = 3 FROM kwdb_internal.jobs WHERE pid IS NOT NULL');
}

# ---- commands that are refused ----

{
	sql('CREATE DATABASE held');
	sql('CREATE EXTENSION kwjobs', 'held');
	sql('CREATE TABLE over_there ()', 'held');
	my $job = sql("SELECT kwjobs.submit('SELECT pg_sleep(3600)')", 'held');
	wait_query($node, "SELECT pid IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job", 'held');
	my $others = $node->background_psql('held');
	# a command waits for other sessions to leave for half a second, instead of five
	configure($node, 'kwjobs.test_haste', 10);
	for my $command ('DROP DATABASE held', 'ALTER DATABASE held RENAME TO other', 'ALTER DATABASE held SET TABLESPACE pg_default',
		'CREATE DATABASE other TEMPLATE held')
	{
		my ($rc, $out, $err) = $node->psql('postgres', $command, on_error_stop => 0);
		like($err, qr/ERROR:  (source )?database "held" is being accessed by other users\n.*DETAIL:  There is 1 other session using the database\./,
			"refused because of another session: $command");
	}
	configure($node, 'kwjobs.test_haste', undef);
	for my $command ("BEGIN; DROP DATABASE held", 'BEGIN; CREATE DATABASE other TEMPLATE held', 'CREATE DATABASE postgres TEMPLATE held',
		'ALTER DATABASE held RENAME TO postgres', 'BEGIN; ALTER DATABASE held SET TABLESPACE pg_default')
	{
		my ($rc, $out, $err) = $node->psql('postgres', $command, on_error_stop => 0);
		like($err, qr/ERROR:  /, "refused: $command");
	}
	$others->quit;
	for my $command ('DROP DATABASE held', 'ALTER DATABASE held RENAME TO other')
	{
		my ($rc, $out, $err) = $node->psql('held', $command, on_error_stop => 0);
		like($err, qr/ERROR:  .*(currently open|current) database/, "refused in the database itself: $command");
	}
	is(job_field($node, $job, 'status, total_num_of_ex', 'held'), 'running|1', 'none of them has interrupted the job');

	# like PostgreSQL, the command waits for a session that leaves soon
	$others = $node->background_psql('held');
	$others->query_until(qr/soon/, "\\echo soon\nSELECT pg_sleep(1);\n\\q\n");
	sql('ALTER DATABASE held RENAME TO other');
	note('a session that leaves within seconds is no obstacle');
	$others->{run}->finish;
	my $forced = $node->background_psql('other');
	sql('DROP DATABASE other WITH (FORCE)');
	is(sql(q{SELECT count(*) FROM pg_database WHERE datname = 'other'}), 0, 'nor is any for DROP DATABASE WITH (FORCE)');
	eval { $forced->quit };
}
end_jobs();
is_consistent($node);
$node->stop;

# ---- a coordinator that never comes to life ----

# A command waits for a coordinator. The launcher that asked for the coordinator is gone when the
# postmaster cannot start it.
{
	# No other process may wake the command by its exit: neither a coordinator without work, nor a
	# coordinator in a database without the extension.
	$node->append_conf('postgresql.conf', "kwjobs.coordinator_idle_timeout = -1\nautovacuum = off\n");
	$node->start;
	sql('ALTER DATABASE template1 ALLOW_CONNECTIONS false');
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)$/m;
	my $launcher = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs launcher'};
	sql('CREATE DATABASE stillborn');
	wait_query($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'stillborn'});
	wait_query($node, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'});
	my ($watcher, $dropper) = map { $node->background_psql('postgres') } 1 .. 2;
	my $maker = $node->background_psql('stillborn');
	my $log = -s $node->logfile;

	# the launcher asks for a coordinator, but the postmaster is stopped
	kill 'STOP', $postmaster;
	$maker->query_safe('CREATE EXTENSION kwjobs');
	# SIGUSR1, which the launcher has sent, stays pending in the postmaster
	my $is_pending = sub { hex((slurp_file("/proc/$postmaster/status") =~ /^ShdPnd:\s+([0-9a-f]+)/m)[0]) & 1 << SIGUSR1 - 1 };
	my $patient_until = time() + $PostgreSQL::Test::Utils::timeout_default;
	while (!$is_pending->())
	{
		die 'the launcher asks for no coordinator' if time() > $patient_until;
		usleep(1000);
	}
	$maker->quit;
	wait_in($watcher, q{NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'stillborn')});
	$dropper->query_until(qr/drops/, "\\echo drops\nDROP DATABASE stillborn;\n");
	wait_in($watcher, q{EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DROP%' AND wait_event_type = 'Extension')});
	my $old = $watcher->query_safe($launcher);
	$watcher->query_safe("SELECT pg_terminate_backend($old)");
	wait_in($watcher, "NOT EXISTS ($launcher)");
	my ($processes) = slurp_file("/proc/$postmaster/limits") =~ /^Max processes +(\S+)/m;
	system_or_bail('prlimit', '--pid', $postmaster, '--nproc=1:');
	kill 'CONT', $postmaster;
	$node->wait_for_log(qr/could not fork .*process/, $log);
	system_or_bail('prlimit', '--pid', $postmaster, "--nproc=$processes:");
	$dropper->query_safe('SELECT 1');
	is(sql(q{SELECT count(*) FROM pg_database WHERE datname = 'stillborn'}), 0, 'a command does not wait for a coordinator that never comes to life');
	$dropper->quit;

	# The postmaster cannot fork a worker, either. The coordinator frees the worker's slot, and the
	# job runs in another slot.
	my $creator = $node->background_psql('postgres');
	sql(q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'});
	$log = -s $node->logfile;
	kill 'STOP', $postmaster;
	my $job = $creator->query_safe(q{SELECT kwjobs.submit('SELECT 1')});
	wait_in($watcher, "EXISTS (SELECT FROM kwjobs.job WHERE job_id = $job AND status = 'running')");
	ok(comes_true($is_pending), 'the coordinator asks for a worker');
	system_or_bail('prlimit', '--pid', $postmaster, '--nproc=1:');
	kill 'CONT', $postmaster;
	$node->wait_for_log(qr/could not fork .*process/, $log);
	system_or_bail('prlimit', '--pid', $postmaster, "--nproc=$processes:");
	wait_for_status($node, $job, 'succeeded');
	is(job_field($node, $job, 'total_num_of_ex'), 1, 'a job whose worker never comes to life runs in another one');
	$_->quit for $watcher, $creator;
	$node->stop;
}

# ---- a background worker that is there for good ----

# A job that waits for a job which can get no worker makes way, although another process never
# exits, which has a background worker slot or is an auxiliary process.
SKIP:
{
	my $library = $node->config_data('--pkglibdir') . '/pg_cron.so';
	my $cron = -e $library;
	skip 'neither pg_cron, whose launcher stays, nor a walsummarizer can be had', 4 unless $cron || $node->pg_version >= 17;
	my $conf = $cron ? "shared_preload_libraries = 'kwjobs, pg_cron'\nmax_worker_processes = 5\n" :
	  "wal_level = replica\nsummarize_wal = on\nmax_worker_processes = 4\n";
	my $small = new_node('small', $conf . <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
max_logical_replication_workers = 0
kwjobs.max_workers = 4
kwjobs.test_haste = 5
autovacuum = off
EOF
	my $other = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type IN ('pg_cron launcher', 'walsummarizer')};
	wait_query($small, $other);
	# There is room for the launcher, the coordinator, the other process and two workers. Each of
	# the two waits for a job that needs a third worker.
	my @jobs = map { $small->safe_psql('postgres', q{SELECT kwjobs.submit('CALL kwjobs.run(''SELECT 1'')', max_attempts => 20)}) } 1 .. 2;
	wait_for_status($small, $_, 'succeeded') for @jobs;
	is($small->safe_psql('postgres', $other), 't', 'jobs that wait for jobs get through though another process stays');
	$small->stop;
}

# ---- background workers that leave soon ----

# There is room for the launcher, the coordinator, and three more. One of them is a parallel worker,
# so the jobs for which the two other ones wait get no worker as long as its statement runs.
{
	my $small = new_node('soon', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
max_worker_processes = 5
max_logical_replication_workers = 0
kwjobs.max_workers = 4
kwjobs.test_haste = 5
autovacuum = off
EOF
	my $small_sql = sub { return $small->safe_psql('postgres', $_[0]) };
	$small_sql->(<<'EOF');
CREATE FUNCTION stop() RETURNS boolean LANGUAGE plpgsql PARALLEL SAFE AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN true; END $$;
EOF
	my $gate = close_gates($small, 1);
	my $parallel = $small->background_psql('postgres');
	my $force = $small->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';
	$parallel->query_until(qr/begins/, "SET $force = on;\n\\echo begins\nSELECT stop();\n");
	wait_at_gates($small, 1, q(backend_type = 'parallel worker'));
	my @children = map { $small_sql->(q(SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day'))) } 1 .. 2;
	my @jobs = map { $small_sql->("SELECT kwjobs.submit('SELECT kwjobs.wait($_)')") } @children;
	wait_for_status($small, $_, 'running') for @jobs;
	my $log = -s $small->logfile;
	$small_sql->("SELECT kwjobs.run_now($_)") for @children;
	$small->wait_for_log(qr/cannot start a worker: out of background worker slots/, $log);
	wait_for_pass($small);
	$gate->quit;
	ends_as($small, $_, 'succeeded', 'a job waits until a parallel worker has left') for @jobs;
	is($small_sql->('SELECT max(attempts) FROM kwjobs.job'), 1, '... and none has made way');

	# Here three jobs keep the slots, and wait for one whose time comes in a few seconds. Another one
	# wants a slot, so one of the three makes way.
	my $later = $small_sql->(q(SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')));
	@jobs = map { $small_sql->("SELECT kwjobs.submit('SELECT kwjobs.wait($later)', max_attempts => 100)") } 1 .. 3;
	wait_for_status($small, $_, 'running') for @jobs;
	$log = -s $small->logfile;
	push(@jobs, $small_sql->(q(SELECT kwjobs.submit('SELECT 1'))));
	$small->wait_for_log(qr/cannot start a worker: out of background worker slots/, $log);
	$small_sql->("SELECT kwjobs.alter($later, run_at => now() + interval '2 s')");
	wait_for_status($small, $later, 'succeeded');
	is($small_sql->("SELECT started >= run_at FROM kwjobs.job WHERE job_id = $later"), 't', 'the job for which others wait starts when its time has come');
	ends_as($small, $_, 'succeeded', '... and the others go on') for @jobs;
	$small->stop;
}
done_testing();
