# The jobs of all databases of the server in one list: kwjobs.scope = server. The coordinators of the
# other databases answer; a test build stops them at the gate 4926 before they read their jobs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('server_list', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
kwjobs.coordinator_idle_timeout = 0
kwjobs.worker_idle_timeout = 10ms
autovacuum = off
EOF

# Runs statements in a database with kwjobs.scope = server, as a role if one is given. Returns what
# they print; in a list, also the messages.
sub list
{
	my ($db, $sql, $role) = @_;
	my ($out, $err) = ('', '');
	my $set = 'SET kwjobs.scope = server; ' . ($role ? "SET ROLE $role; " : '');
	$node->psql($db, "$set\n$sql", stdout => \$out, stderr => \$err);
	return wantarray ? ($out, $err) : $out;
}

sub database
{
	my ($db, $with) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db " . ($with // ''));
	$node->safe_psql($db, 'CREATE EXTENSION kwjobs');
	return;
}

sub job
{
	my ($db, $description) = @_;
	my $job = $node->safe_psql($db, "SELECT kwjobs.submit('SELECT 1', description => '$description')");
	wait_query($node, "SELECT status = 'succeeded' FROM kwdb_internal.jobs WHERE job_id = $job", $db);
	return $job;
}

sub no_coordinator
{
	wait_query($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'});
	return;
}

my $shown = q{SELECT description FROM [SHOW JOBS] WHERE job_type = 'SQL' ORDER BY 1;};
my $databases = q{SELECT database || ' ' || description FROM pg_catalog.kwjobs_server_jobs(false, NULL) WHERE job_type = 'SQL' ORDER BY 1;};

database($_) for 'one', 'two';
my $here = job('postgres', 'here');
my ($one, $two) = (job('one', 'first'), job('two', 'second'));

# The coordinators have left. They are started for the question.
no_coordinator();
my ($out, $err) = list('postgres', $databases);
is($out, "one first\npostgres here\ntwo second", 'the list has the jobs of all databases');
is($err, '', '... without a warning');
is(list('one', $shown), "first\nhere\nsecond", '... from each of them');

is_consistent($node);
$node->stop;
done_testing();
