# t/lib/KwjTest.pm: what the TAP tests share: a server with kwjobs, files to
# import, a gate that stops an import in the middle, waiting for facts.
package KwjTest;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node write_csv make_target close_gate open_gate
  start_import wait_at_gate wait_for_status wait_query job_field is_imported
  $jobs add_jobs);

# A started server with kwjobs; extra lines for postgresql.conf.
sub new_node
{
	my ($name, $conf, %init) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(%init);
	$node->append_conf('postgresql.conf', <<"EOF");
shared_preload_libraries = 'kwjobs'
max_worker_processes = 32
restart_after_crash = on
log_line_prefix = '%m [%p] %b '
EOF
	$node->append_conf('postgresql.conf', $conf) if defined $conf;
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION kwjobs');
	return $node;
}

# A file of rows (n, 'row n'), readable by the server; returns its path.
sub write_csv
{
	my ($node, $rows) = @_;
	my $path = abs_path($node->basedir) . "/rows$rows.csv";
	open(my $fh, '>', $path) or die "$path: $!";
	print $fh "$_,row $_\n" for 1 .. $rows;
	close($fh) or die "$path: $!";
	return $path;
}

# A table for it. Row number $gate waits at a gate: advisory lock 4711.
sub make_target
{
	my ($node, $table, $gate, $db) = @_;
	$node->safe_psql($db // 'postgres', <<"EOF");
CREATE TABLE $table (n integer, t text);
CREATE FUNCTION ${table}_gate() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(4711);
    RETURN NEW;
END \$\$;
CREATE TRIGGER gate BEFORE INSERT ON $table FOR EACH ROW
    WHEN (NEW.n = $gate) EXECUTE FUNCTION ${table}_gate();
EOF
	return;
}

# A session that keeps the gate closed; pass it to open_gate.
sub close_gate
{
	my ($node, $db) = @_;
	my $session = $node->background_psql($db // 'postgres');
	$session->query_safe('SELECT pg_advisory_lock(4711)');
	return $session;
}

sub open_gate
{
	my ($session) = @_;
	$session->query_safe('SELECT pg_advisory_unlock(4711)');
	$session->quit;
	return;
}

# Create an import job with batches of 1 kB; returns its id.
sub start_import
{
	my ($node, $table, $path, $db) = @_;
	return $node->safe_psql($db // 'postgres',
		"SELECT kwjobs.import('$table', ARRAY['$path'])");
}

# Jobs that nobody runs, in statuses in which a control statement is legal time and again:
# 1 to pause, 2 to resume, 3 to cancel. SHOW JOBS has them in this order.
our $jobs = <<'EOF';
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status,
                        due, max_attempts, payload, created, started, finished, modified)
SELECT n, 'IMPORT', 'a job', 10, 'postgres', status, 'infinity', 1, '{}',
       now(), now() - n * interval '1 minute', finished, now()
  FROM (VALUES (1, 'paused', NULL), (2, 'running', NULL), (3, 'canceled', now()))
       AS job (n, status, finished);
EOF

sub add_jobs
{
	my ($node, $db) = @_;
	$node->safe_psql($db // 'postgres', $jobs);
	return;
}

# Until a query is true; survives restarts of the server meanwhile.
sub wait_query
{
	my ($node, $query, $db) = @_;
	ok($node->poll_query_until($db // 'postgres', $query), "reached: $query")
	  or diag($node->safe_psql($db // 'postgres',
			'SELECT job_id, status, running_status, error FROM kwdb_internal.jobs'));
	return;
}

sub wait_at_gate
{
	my ($node, $job, $db) = @_;
	wait_query($node, <<"EOF", $db);
SELECT count(*) = 1 FROM pg_locks AS l JOIN kwdb_internal.jobs AS j USING (pid)
 WHERE l.locktype = 'advisory' AND NOT l.granted AND j.job_id = $job
EOF
	return;
}

sub wait_for_status
{
	my ($node, $job, $status, $db) = @_;
	wait_query($node,
		"SELECT status = '$status' FROM kwdb_internal.jobs WHERE job_id = $job", $db);
	return;
}

sub job_field
{
	my ($node, $job, $field, $db) = @_;
	return $node->safe_psql($db // 'postgres',
		"SELECT $field FROM kwdb_internal.jobs WHERE job_id = $job");
}

# The table has exactly the file's rows, none twice.
sub is_imported
{
	my ($node, $table, $rows, $name, $db) = @_;
	is( $node->safe_psql($db // 'postgres',
			"SELECT count(*), count(DISTINCT n), min(n), max(n) FROM $table"),
		"$rows|$rows|1|$rows",
		$name);
	return;
}

1;
