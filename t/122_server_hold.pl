# kwjobs.hold_server: no job of any database starts, over restarts, crashes and a promotion, also in
# databases without a coordinator, and in those that come later.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('server_hold', <<'EOC', allows_streaming => 1);
kwjobs.max_workers = 4
kwjobs.coordinator_idle_timeout = 0
kwjobs.worker_idle_timeout = 0
autovacuum = off
EOC

my @databases = qw(postgres one two);
my $coordinators = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'";
my $executions = "SELECT coalesce(sum(total_num_of_ex), 0) FROM kwdb_internal.jobs WHERE job_type = 'SQL' AND description = 'held'";
my $waiting = "SELECT count(*) FROM kwdb_internal.jobs WHERE description = 'held' AND status = 'pending' AND running_status ~ '^held by \\w+ since .* \\(whole server\\): moving\$'";

sub quiet { return "SET client_min_messages = warning; $_[0]" }

# Adds a held job to each database.
sub add_job
{
	my ($server) = @_;
	$server->safe_psql($_, quiet("SELECT kwjobs.submit('SELECT 1', description => 'held')")) for @databases;
	return;
}

# Checks that $n jobs of each database wait for the release.
sub all_wait
{
	my ($server, $n, $name) = @_;
	for my $database (@databases)
	{
		wait_query($server, "SELECT ($waiting) = $n", $database);
		is($server->safe_psql($database, $executions), 0, "$name: nothing has run in $database");
	}
	return;
}

for my $database (qw(one two))
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION kwjobs');
}
wait_query($node, "SELECT ($coordinators) = 0");

# A job that runs goes on; one that is submitted before the commit starts.
my $gate = close_gate($node, 'one');
my $running = $node->safe_psql('one', "SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')");
wait_at_gate($node, $running, 'one');
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
$session->query_safe("SELECT kwjobs.hold_server('moving')");
is($node->safe_psql('two', "CALL kwjobs.run('SELECT 1') \\gset\n\\echo :status"), 'succeeded', 'a hold that is not committed holds nothing');
$session->query_safe('COMMIT');
$session->quit;
is($node->safe_psql('two', 'SELECT everywhere, reason, by_admin FROM kwjobs.holds'), 't|moving|t', 'all databases show the hold');
add_job($node);
all_wait($node, 1, 'in databases with and without a coordinator');
is(job_field($node, $running, 'status', 'one'), 'running', 'a running job goes on');
open_gate($gate);
wait_for_status($node, $running, 'succeeded', 'one');
all_wait($node, 1, 'after a job has ended');

# A restart, a crash.
$node->restart;
add_job($node);
all_wait($node, 2, 'after a restart');
$node->stop('immediate');
$node->start;
all_wait($node, 2, 'after a crash');

# A dump of the server does not have it.
my $dump = $node->basedir . '/dump';
command_ok([ 'pg_dumpall', '-h', $node->host, '-p', $node->port, '-f', $dump ], 'pg_dumpall');
unlike(slurp_file($dump), qr/SECURITY LABEL|moving/, 'a dump has no trace of the hold');

# A standby that is promoted.
{
	my $standby = start_standby($node, 'promoted');
	$node->wait_for_catchup($standby);
	all_wait($standby, 2, 'on a standby');
	my ($rc, $out, $err) = $standby->psql('postgres', 'SELECT kwjobs.release_server()');
	like($err, qr/cannot execute kwjobs\.release_server\(\) during recovery/, 'a standby refuses to release it');
	$standby->promote;
	add_job($standby);
	all_wait($standby, 3, 'after a promotion');
	$standby->safe_psql('two', 'SELECT kwjobs.release_server()');
	wait_query($standby, "SELECT count(*) = 3 FROM kwdb_internal.jobs WHERE description = 'held' AND status = 'succeeded'", $_) for @databases;
	$standby->stop;
}

# A database that comes later; then the release, from whatever database, while no coordinator runs.
$node->safe_psql('postgres', 'CREATE DATABASE later');
$node->safe_psql('later', 'CREATE EXTENSION kwjobs');
push(@databases, 'later');
$node->safe_psql('later', quiet("SELECT kwjobs.submit('SELECT 1', description => 'held'), kwjobs.submit('SELECT 2', description => 'held')"));
all_wait($node, 2, 'with a new database');
wait_query($node, "SELECT ($coordinators) = 0");
# a hold of this database stays when that of the server goes
$node->safe_psql('one', "SELECT kwjobs.hold('SQL', reason => 'here')");
$node->safe_psql('later', 'SELECT kwjobs.release_server()');
wait_query($node, "SELECT count(*) = 2 FROM kwdb_internal.jobs WHERE description = 'held' AND status = 'succeeded'", $_) for qw(postgres two later);
is($node->safe_psql('one', $executions), 0, 'the hold of a database stays');
$node->safe_psql('one', "SELECT kwjobs.release('SQL')");
wait_query($node, "SELECT count(*) = 2 FROM kwdb_internal.jobs WHERE description = 'held' AND status = 'succeeded'", 'one');

is_consistent($node, $_) for @databases;
$node->stop;
done_testing();
