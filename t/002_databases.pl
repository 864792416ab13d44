# Commands that need a database, or the extension, for themselves work at once
# while a coordinator and a running job are there; and the job goes on afterwards.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 2000;
# coordinators stay, however long a busy machine takes
my $node = new_node('databases', "kwjobs.import_batch_size = 1kB\nkwjobs.coordinator_idle_timeout = -1\n");
my $csv = write_csv($node, $rows);

# A database with a job in the middle of its work. The gate is an advisory lock,
# which belongs to a database: another session there would be in the way of the
# commands under test. So the job waits for a row lock of a prepared transaction.
sub database_with_job
{
	my ($db) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, <<'EOF');
CREATE EXTENSION kwjobs;
CREATE TABLE gate (n integer);
INSERT INTO gate VALUES (1);
CREATE TABLE target (n integer, t text);
CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM public.gate FOR UPDATE;
    RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE INSERT ON target FOR EACH ROW
    WHEN (NEW.n = 1000) EXECUTE FUNCTION pass_gate();
EOF
	my $gate = $node->background_psql($db);
	$gate->query_safe('BEGIN; SELECT FROM gate FOR UPDATE');
	my $job = start_import($node, 'target', $csv, $db);
	wait_query($node, <<"EOF", $db);
SELECT a.wait_event_type = 'Lock' FROM pg_stat_activity AS a
  JOIN kwdb_internal.jobs AS j USING (pid) WHERE j.job_id = $job
EOF
	return ($job, $gate);
}

# The same, but what keeps the job busy is no session: a slow row.
sub database_with_busy_job
{
	my ($db) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, <<'EOF');
CREATE EXTENSION kwjobs;
CREATE TABLE target (n integer, t text);
CREATE TABLE open_gate ();
CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        PERFORM FROM pg_catalog.pg_class WHERE relname = 'open_gate';
        EXIT WHEN NOT FOUND;
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE INSERT ON target FOR EACH ROW
    WHEN (NEW.n = 1000) EXECUTE FUNCTION pass_gate();
EOF
	my $job = start_import($node, 'target', $csv, $db);
	wait_query($node, 'SELECT count(*) > 0 FROM target', $db);
	wait_query($node, "SELECT rows >= 0 AND pid IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job", $db);
	return $job;
}

sub processes_of
{
	my ($db) = @_;
	return $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE datname = '$db'");
}

# Statements that must work at once, and what the database is called then.
sub goes_on
{
	my ($name, $db, $command, $then) = @_;
	my $job = database_with_busy_job($db);
	my ($rc, $out, $err) = $node->psql('postgres', $command);
	is($rc, 0, "$name works with a running job") or diag($err);
	$node->safe_psql($then, 'DROP TABLE open_gate');
	wait_for_status($node, $job, 'succeeded', $then);
	is_imported($node, 'target', $rows, "$name: the job went on", $then);
	is( $node->safe_psql($then,
			"SELECT bool_or(status = 'interrupted'), bool_or(status IN ('failed', 'crashed')) FROM kwdb_internal.job_attempts"),
		't|f',
		"$name: an interruption is no failure");
	is(job_field($node, $job, 'total_num_of_fail', $then), '0', "$name: nor counted as one");
	return;
}

# Two databases at once, the second without a restart.
my ($job_one, $gate_one) = database_with_job('one');
my ($job_two, $gate_two) = database_with_job('two');
# each database has its coordinator, and no other has one
wait_query($node,
	"SELECT string_agg(datname, ',' ORDER BY datname) = 'one,postgres,two' FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'");
is($node->safe_psql('one', 'SELECT count(*) FROM kwdb_internal.jobs'),
	'1', 'each database lists its own jobs');
$_->query_safe('COMMIT') for $gate_one, $gate_two;
$_->quit for $gate_one, $gate_two;
wait_for_status($node, $job_one, 'succeeded', 'one');
wait_for_status($node, $job_two, 'succeeded', 'two');
is_imported($node, 'target', $rows, 'first database', 'one');
is_imported($node, 'target', $rows, 'second database', 'two');

# DROP DATABASE
database_with_busy_job('dropped');
my $job;
my ($rc, $out, $err) = $node->psql('postgres', 'DROP DATABASE dropped');
is($rc, 0, 'DROP DATABASE works with a running job') or diag($err);
is($node->safe_psql('postgres', 'SELECT pid IS NOT NULL FROM kwdb_internal.live()'),
	'', 'its worker is gone');

# RENAME, SET TABLESPACE, TEMPLATE
goes_on('ALTER DATABASE RENAME', 'old_name',
	'ALTER DATABASE old_name RENAME TO new_name', 'new_name');

my $directory = $node->basedir . '/space';
mkdir($directory) or die $!;
$directory = Cwd::abs_path($directory);
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$directory'");
goes_on('ALTER DATABASE SET TABLESPACE', 'moved',
	'ALTER DATABASE moved SET TABLESPACE space', 'moved');

# CREATE DATABASE TEMPLATE: jobs of all kinds go on in the original, and in the copy they are paused,
# until somebody there lets them run, too.
$node->safe_psql('postgres', 'CREATE DATABASE original');
$node->safe_psql('original', 'CREATE EXTENSION kwjobs; CREATE TABLE effect (what text)');
my $run_later = "run_at => now() + interval '1 hour'";
my %copied = map { $_->[0] => $node->safe_psql('original', "SELECT kwjobs.submit($_->[1])") } (
	[ later => "'INSERT INTO effect VALUES (''later'')', $run_later" ],
	[ paused => "'INSERT INTO effect VALUES (''paused'')', $run_later" ],
	[ canceled => "'INSERT INTO effect VALUES (''canceled'')', $run_later" ],
	[ running => "'DO \$\$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = ''open'') LOOP NULL; END LOOP; END \$\$; INSERT INTO effect VALUES (''running'')'" ],
	[ reverting => "'SELECT 1 / 0', on_revert => 'DO \$\$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = ''open'') LOOP NULL; END LOOP; END \$\$; INSERT INTO effect VALUES (''reverting'')'" ]);
$copied{dependent} = $node->safe_psql('original', "SELECT kwjobs.submit('INSERT INTO effect VALUES (''dependent'')', depends_on => ARRAY[$copied{running}])");
$node->safe_psql('original', "SELECT kwjobs.pause($copied{paused}), kwjobs.cancel($copied{canceled})");
wait_for_status($node, $copied{paused}, 'paused', 'original');
wait_for_status($node, $copied{canceled}, 'canceled', 'original');
wait_query($node, "SELECT status = '$_' AND pid IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $copied{$_}", 'original') for qw(running reverting);
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE original');
# submitted before or after the coordinator of the copy has looked: it runs in any case
my $own = $node->safe_psql('copy', "SELECT kwjobs.submit('INSERT INTO effect VALUES (''own'')')");
wait_for_status($node, $own, 'succeeded', 'copy');
$node->safe_psql($_, 'CREATE TABLE open ()') for qw(copy original);
wait_for_status($node, $copied{$_}, 'succeeded', 'original') for qw(running dependent);
wait_for_status($node, $copied{reverting}, 'failed', 'original');
$node->safe_psql('original', "UPDATE kwjobs.job SET due = now(), run_at = NULL WHERE job_id = $copied{later}; SELECT kwjobs.submit('SELECT 1')");
wait_for_status($node, $copied{later}, 'succeeded', 'original');
is($node->safe_psql('original', 'SELECT string_agg(what, \' \' ORDER BY what) FROM effect'),
	'dependent later reverting running', 'CREATE DATABASE TEMPLATE: jobs go on in the original');
is($node->safe_psql('copy', 'SELECT string_agg(what, \' \' ORDER BY what) FROM effect'), 'own', '... and do not in the copy');
is(job_field($node, $copied{$_}, 'status', 'copy'), $_ eq 'canceled' ? 'canceled' : 'paused', "... $_: how it is")
  for sort keys %copied;
is(job_field($node, $copied{running}, 'error_code, error', 'copy'),
	'55000|this database is a copy of another one, where the job goes on', '... and why');
is(job_field($node, $copied{paused}, 'error_code IS NULL', 'copy'), 't', '... one that was paused before is as it was');
is(job_field($node, $copied{reverting}, 'error_code', 'copy'), '22012', '... one that reverts keeps its error');
ok($node->log_contains(qr/4 jobs are paused because this database is a copy of another one/), '... the log says so');
is_consistent($node, 'copy');

# In the copy they can go on, or be given up; the next coordinator does not pause them again.
$node->safe_psql('copy', join(';', map { "SELECT kwjobs.resume($copied{$_})" } qw(reverting running dependent)));
$node->safe_psql('copy', "SELECT kwjobs.cancel($copied{later})");
wait_for_status($node, $copied{$_}, 'succeeded', 'copy') for qw(running dependent);
wait_for_status($node, $copied{reverting}, 'failed', 'copy');
wait_for_status($node, $copied{later}, 'canceled', 'copy');
$own = $node->safe_psql('copy', "SELECT kwjobs.submit('SELECT 1', $run_later)");
$node->restart;
wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'copy' AND backend_type = 'kwjobs coordinator'");
$job = $node->safe_psql('copy', "SELECT kwjobs.submit('SELECT 1')");
wait_for_status($node, $job, 'succeeded', 'copy');
is(job_field($node, $own, 'status', 'copy'), 'pending', 'what a copy has of its own is not paused');

# DROP EXTENSION: at once; the session that runs it sees no error.
database_with_busy_job('without');
($rc, $out, $err) = $node->psql('without', 'DROP EXTENSION kwjobs');
is($rc, 0, 'DROP EXTENSION works with a running job') or diag($err);
wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'without' AND backend_type LIKE 'kwjobs%'");

# ... and rolled back, it never happened.
$job = database_with_busy_job('rolled_back');
$node->safe_psql('rolled_back', 'BEGIN; DROP EXTENSION kwjobs; ROLLBACK; DROP TABLE open_gate');
wait_for_status($node, $job, 'succeeded', 'rolled_back');
is_imported($node, 'target', $rows, 'DROP EXTENSION rolled back: the job went on', 'rolled_back');

# ... and created again, it works again.
$node->safe_psql('without', 'CREATE EXTENSION kwjobs; DROP TABLE open_gate; TRUNCATE target');
$job = start_import($node, 'target', $csv, 'without');
wait_for_status($node, $job, 'succeeded', 'without');
is_imported($node, 'target', $rows, 'CREATE EXTENSION after DROP EXTENSION', 'without');

# A hold that its command did not need is released: DROP DATABASE fails because of
# another session, and the coordinator comes back.
$node->safe_psql('postgres', 'CREATE DATABASE busy');
$node->safe_psql('busy', 'CREATE EXTENSION kwjobs');
wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'busy' AND backend_type = 'kwjobs coordinator'");
my $other = $node->background_psql('busy');
($rc, $out, $err) = $node->psql('postgres', 'ALTER DATABASE busy RENAME TO idle');
isnt($rc, 0, 'ALTER DATABASE RENAME fails because of another session');
like($err, qr/being accessed by other users/, '... and says so');
wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'busy' AND backend_type = 'kwjobs coordinator'");
$other->quit;

# A user without the right to do it disturbs nobody.
$node->safe_psql('postgres', 'CREATE ROLE nobody LOGIN');
my $coordinator = $node->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE datname = 'busy' AND backend_type = 'kwjobs coordinator'");
($rc) = $node->psql('postgres', 'DROP DATABASE busy', extra_params => [ '-U', 'nobody' ]);
isnt($rc, 0, 'DROP DATABASE of somebody else fails');
is( $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE datname = 'busy' AND backend_type = 'kwjobs coordinator'"),
	$coordinator,
	'... and its coordinator noticed nothing');

$node->safe_psql('postgres', 'CREATE ROLE creator LOGIN CREATEDB');
($rc) = $node->psql('postgres', 'CREATE DATABASE copied TEMPLATE busy', extra_params => [ '-U', 'creator' ]);
isnt($rc, 0, 'CREATE DATABASE from that of somebody else fails');
is( $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE datname = 'busy' AND backend_type = 'kwjobs coordinator'"),
	$coordinator,
	'... and its coordinator noticed nothing');

# Several at once, and what PostgreSQL does not let one connect to.
for my $n (1 .. 6)
{
	$node->safe_psql('postgres', "CREATE DATABASE many$n");
}
$node->safe_psql('postgres',
	join('', 'BEGIN;', (map { "ALTER DATABASE many$_ RENAME TO renamed$_;" } 1 .. 6), 'COMMIT'));
is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname LIKE 'renamed%'"),
	'6', 'many databases in one transaction');

# A transaction that names a database twice, and a session that is terminated while its command waits
# for a worker, leave no lockout behind: jobs run there afterwards.
$node->safe_psql('postgres',
	'BEGIN; ALTER DATABASE busy RENAME TO busy2; ALTER DATABASE busy2 RENAME TO busy; COMMIT');
{
	my $before = $node->safe_psql('busy', q{SELECT kwjobs.submit('SELECT 1')});
	wait_for_status($node, $before, 'succeeded', 'busy');
	note('one transaction may lock a database out twice');
	my $worker = $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE datname = 'busy' AND backend_type = 'kwjobs worker'");
	my $waiting = q{FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE busy%' AND wait_event_type = 'Extension'};
	kill 'STOP', $worker;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_until(qr/renames/, "\\echo renames\nALTER DATABASE busy RENAME TO renamed;\n");
	wait_query($node, "SELECT count(*) = 1 $waiting");
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 60000) $waiting");
	kill 'CONT', $worker;
	wait_until_gone($worker);
	eval { $session->quit };
	my $after = $node->safe_psql('busy', q{SELECT kwjobs.submit('SELECT 1')});
	wait_for_status($node, $after, 'succeeded', 'busy');
	note('a session that is terminated in a command leaves no lockout behind');
}
$node->safe_psql('postgres', "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'renamed1'");
my $log = -s $node->logfile;
$node->restart;
wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'busy' AND backend_type = 'kwjobs coordinator'");
ok(!$node->log_contains(qr/invalid database/, $log), 'no coordinator for an invalid database');

$node->stop;
done_testing();
