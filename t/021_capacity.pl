# Who runs when: limits of roles and types, fairness among roles and databases, priorities
# and ageing, run_at, dependencies.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $workers = 4;
my $node = new_node('capacity', <<"EOF");
kwjobs.max_workers = $workers
autovacuum = off
EOF
my $rows = 2000;
my $csv = write_csv($node, $rows);

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION kwjobs');
$node->safe_psql('postgres', 'CREATE ROLE role1 LOGIN; CREATE ROLE role2 LOGIN');
for my $db ('postgres', 'other')
{
	$node->safe_psql($db, <<'EOF');
CREATE TABLE ran (job bigint, who text, tag text, began timestamptz, ended timestamptz);
GRANT ALL ON ran TO PUBLIC;
CREATE FUNCTION work(tag text, seconds double precision DEFAULT 0, gate integer DEFAULT 0)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    PERFORM pg_sleep(seconds), pg_advisory_xact_lock_shared(gate);
    INSERT INTO ran VALUES (kwjobs.current_job(), current_user, tag, began, clock_timestamp());
END $$;
EOF
}

sub sql
{
	my ($sql, $db) = @_;
	return $node->safe_psql($db // 'postgres', $sql);
}

# Submits a job that calls work() with these arguments. $more: more arguments of kwjobs.submit.
# $role: the role that submits it.
sub submit
{
	my ($work, $more, $role, $db) = @_;
	return sql('SET ROLE ' . ($role // 'postgres') . "; SELECT kwjobs.submit('SELECT work($work)'"
		  . ($more ? ", $more" : '') . ')', $db);
}

sub submit_many
{
	my ($n, $work, $more, $role) = @_;
	sql("SET ROLE $role; SELECT count(kwjobs.submit('SELECT work($work)'"
		  . ($more ? ", $more" : '') . ")) FROM generate_series(1, $n)");
	return;
}

# Changes a setting, and waits until the coordinators use the new value.
sub set_limit
{
	my ($name, $value) = @_;
	configure($node, $name, $value);
	wait_for_pass($node, $_) for 'postgres', 'other';
	return;
}

sub wait_until_over
{
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	return;
}

# Returns how many of these jobs were at work at the same moment, at most.
sub most_at_once
{
	my ($which) = @_;
	return sql(<<"EOF");
WITH chosen AS (SELECT * FROM ran WHERE $which)
SELECT max((SELECT count(*) FROM chosen AS b WHERE b.began <= a.began AND b.ended > a.began)) FROM chosen AS a
EOF
}

# Returns the tags of these jobs in the order in which the jobs began.
sub order_of
{
	my ($which) = @_;
	return sql("SELECT string_agg(tag, ' ' ORDER BY began) FROM ran WHERE $which");
}

sub open_one
{
	my ($session, $gate) = @_;
	$session->query_safe("SELECT pg_advisory_unlock($gate)");
	return;
}

# ---- limit of a role ----

set_limit('kwjobs.max_workers_per_role', '2');
{
	my $gates = close_gates($node, 1);
	submit_many(20, "''limited'', 0.01, 1", undef, $_) for 'role1', 'role2';
	wait_at_gates($node, 4, 'objid = 1');
	open_one($gates, 1);
	$gates->quit;
}
wait_until_over();
is(most_at_once("tag = 'limited' AND who = '$_'"), 2, "two jobs of $_ run at the same time")
  for 'role1', 'role2';

# The limit is raised and lowered while jobs run.
{
	my $gates = close_gates($node, 1);
	submit_many(3, "''first'', 0, 1", 'priority => 9', 'role1');
	wait_at_gates($node, 2, 'objid = 1');
	# A higher limit takes effect at once.
	set_limit('kwjobs.max_workers_per_role', '3');
	wait_at_gates($node, 3, 'objid = 1');

	set_limit('kwjobs.max_workers_per_role', '1');
	submit_many(20, "''later'', 0.02", undef, 'role1');
	sql(q{SET ROLE role2; CALL kwjobs.run('SELECT work(''meanwhile'')')});
	is(sql(q{SELECT count(*) FROM ran WHERE tag IN ('first', 'later')}), 0,
		'no job begins while more run than a lowered limit allows');
	open_one($gates, 1);
	$gates->quit;
	wait_until_over();
	is(most_at_once(q{tag = 'later'}), 1, 'a lowered limit takes effect');
	is( sql(q{SELECT count(*) FROM ran WHERE tag = 'later' AND
			  began < (SELECT max(ended) FROM ran WHERE tag = 'first')}),
		0, '... as soon as jobs that ran are over');
}
set_limit('kwjobs.max_workers_per_role', '0');

# ---- workers that go on by themselves at a limit ----

# Returns how many transactions it takes until all jobs are over. If workers take their next job
# without the coordinator, it is one for each job.
sub transactions
{
	my ($submit) = @_;
	my $before = sql('SELECT pg_current_xact_id()');
	$submit->();
	wait_until_over();
	return sql('SELECT pg_current_xact_id()') - $before;
}

# If more than one group of jobs may have the next place, the coordinator decides. Checks that this
# job got its turn long before the other ones were over.
sub is_soon
{
	my ($which, $others, $name) = @_;
	is(sql("SELECT count(*) > 100 FROM ran WHERE $others AND began > (SELECT began FROM ran WHERE $which)"), 't', $name);
	sql('TRUNCATE ran');
	return;
}

for my $limit ([ 'kwjobs.max_workers_per_role', '2' ], [ 'kwjobs.max_workers_per_type', 'SQL = 2' ])
{
	set_limit(@$limit);
	my $gates = close_gates($node, 1);
	submit_many(2, q{''alone'', 0, 1}, undef, 'role1');
	wait_at_gates($node, 2, 'objid = 1');
	my $alone = sub {
		submit_many(500, q{''alone'', 0.001}, undef, 'role1');
		wait_for_pass($node);
		open_one($gates, 1);
	};
	cmp_ok(transactions($alone), '<', 750, "at the limit of $limit->[0], workers go on by themselves");
	$gates->quit;
	is(most_at_once(q{tag = 'alone'}), 2, '... and the limit is met');
	sql('TRUNCATE ran');
}
{
	set_limit('kwjobs.max_workers_per_role', '0');
	my $gates = close_gates($node, 1);
	submit_many(2, q{''many'', 0, 1}, undef, 'role1');
	wait_at_gates($node, 2, 'objid = 1');
	# without role2, the workers would go on with these jobs
	submit_many(1000, q{''many'', 0.001}, undef, 'role1');
	wait_for_pass($node);
	submit(q{''one''}, undef, 'role2');
	open_one($gates, 1);
	$gates->quit;
	wait_until_over();
	is_soon(q{who = 'role2'}, q{who = 'role1'}, 'another role that wants a place in the same limit gets it');
	set_limit('kwjobs.max_workers_per_type', '');
}
{
	set_limit('kwjobs.max_workers_per_role', '1');
	sql(qq{CREATE TABLE many (n integer, t text); GRANT ALL ON many TO role1; GRANT pg_read_server_files TO role1});
	my $gates = close_gates($node, 1);
	submit(q{''many'', 0, 1}, 'priority => -1', 'role1');
	wait_at_gates($node, 1, 'objid = 1');
	submit_many(1000, q{''many'', 0.001}, 'priority => -1', 'role1');
	wait_for_pass($node);
	my $import = sql("SET ROLE role1; SELECT kwjobs.import('many', ARRAY['$csv'])");
	open_one($gates, 1);
	$gates->quit;
	wait_until_over();
	is( sql("SELECT count(*) > 100 FROM ran WHERE began > (SELECT started FROM kwjobs.job WHERE job_id = $import)"),
		't', 'so does a more urgent job of another type of the role');
	sql('TRUNCATE ran');
	set_limit('kwjobs.max_workers_per_role', '0');
}

# ---- limit of a type ----

for my $bad ('SQL', 'SQL 1', 'SQL = ', 'SQL = -1', 'SQL = 1025', 'SQL = 1.5', 'SQL = x', '= 1', 'SQL = 1,', ',',
	'SQL = 1; IMPORT = 2')
{
	my ($rc, $out, $err) = $node->psql('postgres', "ALTER SYSTEM SET kwjobs.max_workers_per_type = '$bad'");
	like($err, qr/ERROR:  invalid value for parameter "kwjobs.max_workers_per_type": "\Q$bad\E"/,
		"refused: max_workers_per_type = '$bad'");
	like($err, qr/DETAIL:  It must be .*\n.*HINT:  Type for example 'IMPORT = 2, SQL = 8'\./, '... with a hint');
}
for my $misspelt ('IMPROT', 'SCHEMA')
{
	my ($rc, $out, $err) = $node->psql('postgres', "ALTER SYSTEM SET kwjobs.max_workers_per_type = 'sql = 2, $misspelt = 1'");
	like($err, qr/DETAIL:  There is no job type "$misspelt"\. The types are IMPORT, EXPORT, SQL, .*\n.*HINT:  Type for example/,
		"refused: a type that there is not: $misspelt");
}
make_target($node, "target$_", 1000) for 1 .. 3;
{
	set_limit('kwjobs.max_workers_per_type', ' "import"=1 ,sql = 2');
	my $gate = close_gate($node);
	my @imports = map { start_import($node, "target$_", $csv) } 1 .. 3;
	wait_at_gates($node, 1, 'objid = 4711');
	my $gates = close_gates($node, 1);
	submit_many(10, "''typed'', 0.01, 1", undef, $_) for 'role1', 'role2';
	wait_at_gates($node, 2, 'objid = 1');
	open_one($gates, 1);
	$gates->quit;
	wait_query($node, q{SELECT count(*) = 0 FROM kwjobs.job WHERE job_type = 'SQL' AND finished IS NULL});
	is(most_at_once(q{tag = 'typed'}), 2, 'two jobs of type SQL run at the same time, of all roles');
	is(sql(q{SELECT count(*) FROM kwjobs.job WHERE job_type = 'IMPORT' AND status = 'running'}), 1,
		'... and one of type IMPORT');

	# A higher limit takes effect at once.
	set_limit('kwjobs.max_workers_per_type', 'IMPORT = 2');
	wait_at_gates($node, 2, 'objid = 4711');
	set_limit('kwjobs.max_workers_per_type', 'IMPORT = 1');
	sql(q{CALL kwjobs.run('SELECT 1')});
	is(sql(q{SELECT count(*) FROM kwjobs.job WHERE job_type = 'IMPORT' AND status = 'running'}), 2,
		'what runs goes on when the limit is lowered');
	open_gate($gate);
	wait_for_status($node, $_, 'succeeded') for @imports;
	is( sql(<<"EOF"), 't', '... and the next one waits until both are over');
SELECT min(started) FILTER (WHERE job_id = $imports[2]) > max(finished) FILTER (WHERE job_id <> $imports[2])
  FROM kwdb_internal.job_attempts WHERE job_id IN ($imports[0], $imports[1], $imports[2])
EOF
}

# If the file has a bad value, the last good one stays in effect.
{
	my $log = -s $node->logfile;
	$node->append_conf('postgresql.conf', "kwjobs.max_workers_per_type = 'SQL = many'");
	sql('ALTER SYSTEM RESET kwjobs.max_workers_per_type');
	sql('SELECT pg_reload_conf()');
	$node->wait_for_log(qr/invalid value for parameter "kwjobs.max_workers_per_type": "SQL = many"/, $log);
	is(sql('SHOW kwjobs.max_workers_per_type'), 'IMPORT = 1', 'a bad value in the file changes nothing');
	set_limit('kwjobs.max_workers_per_type', '');
}

# ---- fairness ----

# Jobs of one role hold all workers, each at a gate of its own. 2000 more jobs of the role are in
# the queue, and would wait at gate 99. When a worker becomes free, the job of another role or
# database must get it; otherwise that job would wait forever.
for my $case ([ 'another role', 'role2', 'postgres' ], [ 'another database', 'role1', 'other' ])
{
	my ($name, $role, $db) = @$case;
	my $gates = close_gates($node, 1 .. $workers, 99);
	submit("''greedy'', 0, $_", 'priority => 1', 'role1') for 1 .. $workers;
	wait_at_gates($node, $workers, "objid::bigint <= $workers");
	submit_many(2000, "''greedy'', 0, 99", undef, 'role1');
	for my $gate (1 .. $workers)
	{
		my $job = submit("''modest $gate''", undef, $role, $db);
		wait_for_pass($node, $db);
		open_one($gates, $gate);
		wait_for_status($node, $job, 'succeeded', $db);
		wait_at_gates($node, $workers - $gate, "objid::bigint <= $workers");
		wait_at_gates($node, $gate, 'objid = 99');
	}
	is(sql(q{SELECT count(*) FROM ran WHERE tag = 'greedy'}), $workers, "$name is not held up by more than one job");
	open_one($gates, 99);
	$gates->quit;
	wait_until_over();
	is( sql(q{SELECT count(*), count(DISTINCT job) FROM ran WHERE tag = 'greedy'}),
		(2000 + $workers) . '|' . (2000 + $workers), 'and all that had waited ran, once');
	sql(q{DELETE FROM ran WHERE tag = 'greedy'});
}

# ---- priorities ----

set_limit('kwjobs.max_workers_per_role', '1');
{
	my $gates = close_gates($node, 1);
	submit("''gate'', 0, 1", undef, 'role1');
	wait_at_gates($node, 1, 'objid = 1');
	my $n = 0;
	submit("''p$_/" . ++$n . "''", "priority => $_", 'role1') for 0, 5, -1, 5, 0, 1;
	# otherwise the worker may take a job from an older queue
	wait_for_pass($node);
	open_one($gates, 1);
	wait_until_over();
	is(order_of(q{tag LIKE 'p%'}), 'p5/2 p5/4 p1/6 p0/1 p0/5 p-1/3', 'by priority, then by age');

	# A second of waiting is worth as much as a priority higher by one.
	set_limit('kwjobs.priority_ageing', '1');
	$gates->query_safe('SELECT pg_advisory_lock(1)');
	submit("''gate'', 0, 1", undef, 'role1');
	wait_at_gates($node, 1, 'objid = 1');
	submit("''old 0''", undef, 'role1');
	sql('SELECT pg_sleep(1.1)');
	submit("''new 1''", 'priority => 1', 'role1');
	submit("''new 600''", 'priority => 600', 'role1');
	# otherwise the worker may take a job from an older queue
	wait_for_pass($node);
	open_one($gates, 1);
	$gates->quit;
	wait_until_over();
	is(order_of(q{tag ~ '^(old|new)'}), 'new 600 old 0 new 1', 'who waits becomes more urgent');
}
set_limit('kwjobs.priority_ageing', '60');
set_limit('kwjobs.max_workers_per_role', '0');

# ---- run_at ----

{
	my %at = (soon => '1 second', sooner => '0.6 seconds', past => '-1 hour');
	my %job;
	for my $tag (sort keys %at)
	{
		$job{$tag} = submit("''at $tag''", "run_at => now() + interval '$at{$tag}'");
	}
	# in one transaction, so that its time does not come before it is paused
	$job{resumed} = sql(<<'EOF');
BEGIN;
SELECT kwjobs.submit('SELECT work(''at resumed'')', run_at => now() + interval '2 seconds') AS job \gset
PAUSE JOB :job;
COMMIT;
SELECT :job;
EOF
	wait_for_status($node, $job{resumed}, 'paused');
	sql("SELECT kwjobs.resume($job{resumed})");
	my $never = submit("''at never''", "run_at => now() + interval '1 day'");
	wait_for_status($node, $_, 'succeeded') for values %job;
	is( sql(<<'EOF'), '4|0|0', 'jobs start when it is time, not earlier, and not much later');
SELECT count(*), count(*) FILTER (WHERE began < run_at),
       count(*) FILTER (WHERE began > greatest(run_at, created) + interval '20 seconds')
  FROM ran JOIN kwjobs.job ON job = job_id WHERE tag LIKE 'at %'
EOF
	is(job_field($node, $never, 'status'), 'pending', 'one of tomorrow waits');
	sql("SELECT kwjobs.cancel($never)");
	wait_for_status($node, $never, 'canceled');
}

# ---- dependencies ----

sub after { return 'depends_on => ARRAY[' . join(', ', @_) . ']'; }

{
	my $gates = close_gates($node, 1);
	my @chain = (submit("''chain 0'', 0, 1"));
	push @chain, submit("''chain $_''", after($chain[-1]) . ", priority => $_") for 1 .. 4;
	my $top = submit("''diamond top'', 0, 1");
	my $left = submit("''diamond left'', 0.1", after($top));
	my $right = submit("''diamond right'', 0.2", after($top));
	my $bottom = submit("''diamond bottom''", after($left, $right));
	my $paused = submit("''paused''", after($chain[0]));
	sql("SELECT kwjobs.pause($paused)");
	wait_for_status($node, $paused, 'paused');
	wait_at_gates($node, 2, 'objid = 1');
	sql(q{CALL kwjobs.run('SELECT 1')});
	is(sql(q{SELECT count(*) FROM kwjobs.job WHERE status = 'pending'}), 7, 'who depends on others waits');
	open_one($gates, 1);
	$gates->quit;
	wait_for_status($node, $chain[4], 'succeeded');
	wait_for_status($node, $bottom, 'succeeded');
	is(order_of(q{tag LIKE 'chain%'}), 'chain 0 chain 1 chain 2 chain 3 chain 4', 'a chain runs in its order');
	is( sql(<<'EOF'), 't|t|4', 'so does a diamond');
SELECT max(ended) FILTER (WHERE tag <> 'diamond bottom') < min(began) FILTER (WHERE tag = 'diamond bottom'),
       min(ended) FILTER (WHERE tag = 'diamond top') < min(began) FILTER (WHERE tag IN ('diamond left', 'diamond right')),
       count(*) FROM ran WHERE tag LIKE 'diamond%'
EOF
	is(job_field($node, $paused, 'status'), 'paused', 'a paused job stays paused when it could start');
	sql("SELECT kwjobs.resume($paused)");
	wait_for_status($node, $paused, 'succeeded');
	is(sql('SELECT count(*) FROM kwjobs.dependency'), 0, 'what is met is forgotten');

	my $late = submit("''late''", after($top, $bottom));
	wait_for_status($node, $late, 'succeeded');
}

# If a job fails or is canceled, the jobs that depend on it fail, also those that depend indirectly.
for my $how ('failed', 'canceled')
{
	my $gates = close_gates($node, 1);
	my $good = submit("''good''");
	my $bad = sql(q{SELECT kwjobs.submit('SELECT work(''bad'', 0, 1); SELECT 1 / 0')});
	my $next = submit("''behind $how''", after($good, $bad));
	my $paused = submit("''behind $how''", after($bad));
	sql("SELECT kwjobs.pause($paused)");
	my $last = submit("''behind $how''", after($next));
	wait_at_gates($node, 1, 'objid = 1');
	sql("SELECT kwjobs.cancel($bad)") if $how eq 'canceled';
	open_one($gates, 1) if $how eq 'failed';
	wait_for_status($node, $bad, $how);
	wait_for_status($node, $_, 'failed') for $next, $last, $paused;
	$gates->quit;
	is( job_field($node, $next, 'error_code, error, error_hint'),
		"55000|job $bad, on which this job depends, has not succeeded|"
		  . "To see why, type SHOW JOB $bad; to run both again, RETRY JOB $bad.",
		"a dependency that $how: the job fails and says why");
	is(job_field($node, $last, 'error'), "job $next, on which this job depends, has not succeeded",
		'... and the one behind it');
	is( sql("SELECT count(*) FROM kwdb_internal.job_attempts WHERE job_id IN ($next, $last, $paused)"),
		0, '... without an attempt');

	my $late = submit("''behind $how''", after($bad));
	wait_for_status($node, $late, 'failed');
	is(job_field($node, $late, 'error'), "job $bad, on which this job depends, has not succeeded",
		'so does one that comes later');
	is(sql("SELECT count(*) FROM ran WHERE tag = 'behind $how'"), 0, 'none of them ran');
}

# Retention keeps a job on which another one still depends. An uncommitted PAUSE locks the row of
# the dependent job, so that the coordinator cannot act on the dependency.
{
	my $gates = close_gates($node, 1);
	my $old = submit("''old'', 0, 1");
	my $older = submit("''older''");
	my $waits = submit("''waits''", after($old));
	wait_at_gates($node, 1, 'objid = 1');
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; SELECT kwjobs.pause($waits)");
	open_one($gates, 1);
	$gates->quit;
	wait_for_status($node, $old, 'succeeded');
	wait_for_status($node, $older, 'succeeded');
	sql("UPDATE kwjobs.job SET finished = finished - interval '30 days' WHERE job_id IN ($old, $older)");
	set_limit('jobs.retention_time', '20d');
	wait_query($node, "SELECT count(*) = 0 FROM kwjobs.job WHERE job_id = $older");
	is(sql("SELECT status FROM kwjobs.job WHERE job_id = $old"), 'succeeded',
		'retention keeps a job that another one depends on');
	$session->query_safe('ROLLBACK');
	$session->quit;
	wait_for_status($node, $waits, 'succeeded');

	my ($rc, $out, $err) =
	  $node->psql('postgres', "SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[$older])");
	like($err, qr/ERROR:  .*$older.*does not exist/, 'one that is deleted cannot be depended on');
}

is_consistent($node);
is_consistent($node, 'other');
$node->stop;
done_testing();
