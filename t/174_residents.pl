# Commands that need a database for themselves, where another extension has processes that leave only when
# its own code sees the command: a maintenance daemon, as that of Citus; a scheduler that is told to start
# again, as that of TimescaleDB.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('residents');
# The path of a background worker's library must be short.
my $dir = PostgreSQL::Test::Utils::tempdir_short();
ok(build_library($node, 'resident', $dir), 'the library is built');
# Citus wants to be the first of the libraries, so that the hook of kwjobs is called before its own.
$node->append_conf('postgresql.conf', "shared_preload_libraries = '$dir/resident, kwjobs'");
$node->restart;

sub start_resident
{
	my ($db) = @_;
	$node->safe_psql($db, "CREATE FUNCTION start(text) RETURNS integer LANGUAGE C AS '$dir/resident', 'resident_start'; SELECT start('$dir/resident')");
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'resident'");
	return;
}

sub database_with_job
{
	my ($db) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, q{CREATE EXTENSION kwjobs; CALL kwjobs.run('SELECT 1')});
	return;
}

# --- a daemon that DROP DATABASE stops -------------------------------------------------------------------
database_with_job('daemon');
start_resident('daemon');
my $own = $node->background_psql('daemon');
$own->query_safe(q{SET application_name = 'citus_internal gpid=10000000001'});
my ($rc, $out, $err) = $node->psql('postgres', 'DROP DATABASE daemon');
is($rc, 0, 'DROP DATABASE: the daemon is stopped, and its session leaves with it') or diag($err);
$own->{run}->kill_kill;

# PostgreSQL refuses a command for whose database there is a process that no hook stops. Jobs run there afterwards.
database_with_job('stays');
start_resident('stays');
($rc, $out, $err) = $node->psql('postgres', 'ALTER DATABASE stays RENAME TO renamed');
like($err, qr/database "stays" is being accessed by other users/, 'ALTER DATABASE RENAME: nothing stops the daemon');
is($node->safe_psql('stays', q{CALL kwjobs.run('SELECT 1') \gset} . "\n\\echo :status"), 'succeeded', '... and jobs run there afterwards');

# --- a process that starts again while the command waits --------------------------------------------------
# Such a process waits, as any new session does, until the command is through.
for my $case (
	[ 'CREATE DATABASE TEMPLATE', 'CREATE DATABASE copy TEMPLATE source', 'source' ],
	[ 'ALTER DATABASE RENAME', 'ALTER DATABASE other RENAME TO elsewhere', 'other' ])
{
	my ($name, $command, $db) = @$case;
	database_with_job($db);
	my $before = $node->background_psql($db);
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_until(qr/begins/, "\\echo begins\n$command;\n");
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '$command%' AND wait_event_type = 'Extension'");
	my $late = IPC::Run::start([ 'psql', '-XAtqd', $node->connstr($db), '-c', 'SELECT 1' ], \undef, \my $late_out, \my $late_err);
	my $waits = comes_true(sub {
		$node->safe_psql('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND NOT granted}) eq 't';
	});
	ok($waits, "$name: who comes now waits");
	$before->quit;
	$late->finish;
	$session->quit;
}

is_consistent($node);
$node->stop;
done_testing();
