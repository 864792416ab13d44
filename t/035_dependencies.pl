# Dependencies hold nobody up: not those that another transaction is about to mark, and not
# those of a job that has very many.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('dependencies', <<'EOF');
kwjobs.max_workers = 2
autovacuum = off
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub submit
{
	my ($arguments) = @_;
	return sql("SELECT kwjobs.submit($arguments)");
}

my $later = q{'SELECT 1', run_at => now() + interval '1 day'};
my $next_coordinator = q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'};

# A transaction that has marked one of two that depend on a job, and is going to mark the other.
# Whoever waits for it, with the other row locked, is in its way in turn.
{
	my $needed = submit($later);
	my @dependents = map { submit("'SELECT $_', depends_on => ARRAY[$needed]") } 1 .. 2;
	wait_query($node, "SELECT count(*) = 2 FROM kwjobs.dependency WHERE depends_on = $needed AND NOT fresh");
	sql("UPDATE kwjobs.dependency SET fresh = true WHERE depends_on = $needed");
	my $teller = $node->background_psql('postgres');
	$teller->query_safe("BEGIN; UPDATE kwjobs.dependency SET fresh = false, status = 'succeeded' WHERE job_id = $dependents[1]");
	sql($next_coordinator);
	my $job = submit(q{'SELECT 1'});
	wait_for_status($node, $job, 'succeeded');
	$teller->query_safe("UPDATE kwjobs.dependency SET fresh = false, status = 'succeeded' WHERE job_id = $dependents[0]; COMMIT");
	$teller->quit;
	submit(q{'SELECT 2'});
	wait_for_status($node, $_, 'succeeded') for @dependents;
}

# What a pass reads does not depend on how many dependencies a job has. This job has, with the 20 that
# end, as many as a job may have.
my $many = 9980;
sql(<<"EOF");
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload, created, modified)
SELECT n, 'SQL', 'waits', 10, 'postgres', 'paused', 'infinity', 1, '{}', now(), now() FROM generate_series(1, $many) AS n;
EOF
my $ending = sql(q{SELECT array_agg(kwjobs.submit('SELECT 1', run_at => now() + interval '1 day')) FROM generate_series(1, 20)});
my $waiting = submit("'SELECT 1', depends_on => '$ending'::bigint[] || ARRAY(SELECT job_id FROM kwjobs.job WHERE job_id <= $many)");
wait_query($node, "SELECT NOT EXISTS (SELECT FROM kwjobs.dependency WHERE fresh)");
# what is read now is what is there, not the versions of before
sql('VACUUM kwjobs.dependency');
my $before = index_reads($node, 'dependency');
sql("UPDATE kwjobs.job SET due = now(), run_at = NULL WHERE job_id = ANY ('$ending')");
submit(q{'SELECT 1'});
wait_query($node, "SELECT count(*) = $many FROM kwjobs.dependency");
my $each = (index_reads($node, 'dependency') - $before) / 20;
# their end, and the passes that see it
cmp_ok($each, '<', 500, "one of $many dependencies that is met: few reads ($each)");
is(job_field($node, $waiting, 'status'), 'pending', 'the job waits for the others');

# At last it starts, or fails because of one among many.
my $again = submit("'SELECT 1', depends_on => ARRAY(SELECT job_id FROM kwjobs.job WHERE job_id <= $many)");
wait_query($node, "SELECT NOT EXISTS (SELECT FROM kwjobs.dependency WHERE fresh)");
sql("DELETE FROM kwjobs.dependency WHERE job_id = $waiting AND depends_on > 2");
sql('SELECT kwjobs.cancel(1)');
wait_for_status($node, $_, 'failed') for $waiting, $again;
is(job_field($node, $again, 'error_code, error'), '55000|job 1, on which this job depends, has not succeeded', 'one that did not succeed');
is(sql('SELECT count(*) FROM kwjobs.dependency'), '0', 'nothing is left of what the failed jobs depended on');
# A job is over, and nobody has told the one that depends on it; what the server knew of that is gone
# with a restart. The first coordinator after that finds it.
{
	my ($first, $second) = split(/\|/, $node->safe_psql('postgres', <<'EOF'));
WITH first AS MATERIALIZED (SELECT kwjobs.submit('SELECT 1', run_at => now() + interval '1 year') AS id)
SELECT id, kwjobs.submit('SELECT 2', depends_on => id) FROM first
EOF
	wait_query($node, "SELECT NOT fresh FROM kwjobs.dependency WHERE job_id = $second");
	$node->safe_psql('postgres', "UPDATE kwjobs.job SET status = 'succeeded', rank = NULL, started = now(), attempts = 1, total_num_of_ex = 1, total_num_of_success = 1, time_of_last_success = now(), finished = now() WHERE job_id = $first; INSERT INTO kwjobs.attempt (job_id, attempt, reverting, status, started, finished, node_id) VALUES ($first, 1, false, 'succeeded', now(), now(), 1)");
	$node->restart;
	wait_for_status($node, $second, 'succeeded');
}

$node->stop;
done_testing();
