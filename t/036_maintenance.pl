# Maintenance of the tables of kwjobs, and settings of a job, beside jobs that end: none of it is a
# failure of theirs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $jobs = 4000;

my $node = new_node('maintenance', <<'EOF');
kwjobs.max_workers = 4
EOF

sub all_ended
{
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	return;
}

# Indexes are replaced, and tables written anew, while each job looks into them.
for my $command ('REINDEX INDEX CONCURRENTLY kwjobs.dependency_depends_on',
	'REINDEX TABLE CONCURRENTLY kwjobs.job', 'VACUUM FULL kwjobs.dependency')
{
	$node->safe_psql('postgres',
		"SELECT count(kwjobs.submit('SELECT 1', description => '$command', max_attempts => 1)) FROM generate_series(1, $jobs)");
	my $times = 0;
	do
	{
		$node->safe_psql('postgres', $command);
		$times++;
	  } while ($times < 15
		&& $node->safe_psql('postgres', 'SELECT count(*) > 0 FROM kwjobs.job WHERE finished IS NULL') eq 't');
	note("$command: $times times");
	all_ended();
	is( $node->safe_psql('postgres',
			"SELECT status, count(*) FROM kwjobs.job WHERE description = '$command' GROUP BY status"),
		"succeeded|$jobs", "$command: no job fails");
}

# The lock_timeout of a job is for its statements, not for its end, which waits for a control
# statement that is not committed.
{
	my $gate = close_gate($node);
	my $job = $node->safe_psql('postgres', <<'EOF');
SELECT kwjobs.submit($$SELECT pg_advisory_xact_lock_shared(4711); SET lock_timeout = '10ms'$$, max_attempts => 1)
EOF
	wait_at_gate($node, $job);
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; SELECT kwjobs.pause($job)");
	open_gate($gate);
	# ten times as long as the timeout
	wait_query($node, <<'EOF');
SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype <> 'advisory' AND clock_timestamp() > waitstart + interval '0.1 s'
EOF
	$session->query_safe('ROLLBACK');
	$session->quit;
	wait_for_status($node, $job, 'succeeded');
	is(job_field($node, $job, 'total_num_of_fail'), 0, "a job's lock_timeout does not end the wait for its end");
}

# A job that another one of its own transaction depends on: a trigger fires for a row that is
# written without a plan.
{
	my $log = -s $node->logfile;
	$node->safe_psql('postgres',
		q{SELECT kwjobs.submit($$SELECT kwjobs.submit('SELECT 1', depends_on => ARRAY[kwjobs.current_job()])$$)});
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.dependency');
	all_ended();
	unlike(slurp_file($node->logfile, $log), qr/not closed/, 'what triggers open is closed');
}

is_consistent($node);
$node->stop;
done_testing();
