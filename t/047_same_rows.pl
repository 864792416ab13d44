# A job's rows are the same, column by column, whoever has claimed it and whoever has ended it:
# the coordinator or the worker that has done the job before, the worker or the coordinator when
# that worker is gone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use Test::More;

# one worker, so that it goes on with the next job by itself
my $node = new_node('rows', "kwjobs.max_workers = 1\n");
$node->safe_psql('postgres', <<'EOF');
-- What the rows of a job say but for ids, processes and times; of times whether there is one.
CREATE FUNCTION content(job bigint) RETURNS jsonb LANGUAGE sql AS $$
    WITH rows AS (
        SELECT 'job ' || c.key AS name, c.value FROM kwjobs.job AS j, jsonb_each(to_jsonb(j)) AS c WHERE j.job_id = job
        UNION ALL
        SELECT 'attempt ' || a.attempt || ' ' || c.key, c.value FROM kwjobs.attempt AS a, jsonb_each(to_jsonb(a)) AS c WHERE a.job_id = job)
    SELECT jsonb_object_agg(name, CASE WHEN name ~ 'job_id|pid| (created|started|finished|modified|due|errored|time_of_last_success)$'
                                       THEN to_jsonb(value <> 'null')
                                       ELSE replace(value::text, job::text, 'ID')::jsonb END)
      FROM rows
$$;
EOF

# Several jobs that come at once: the first is claimed by the coordinator, the others by the worker.
sub run_together
{
	my ($n, $statement, $more) = @_;
	my @jobs = split(/\n/, $node->safe_psql('postgres', "SELECT kwjobs.submit('$statement'$more) FROM generate_series(1, $n)"));
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	return @jobs;
}

# The columns in which two jobs differ, with both values.
sub differences
{
	my ($a, $b) = @_;
	return split(/\n/, $node->safe_psql('postgres', <<"EOF"));
SELECT concat_ws(': ', coalesce(a.key, b.key), coalesce(a.value::text, 'nothing') || ', ' || coalesce(b.value::text, 'nothing'))
  FROM jsonb_each(content($a)) AS a FULL JOIN jsonb_each(content($b)) AS b USING (key)
 WHERE a.value IS DISTINCT FROM b.value ORDER BY 1
EOF
}

# By whom a job was claimed tells its process: a worker that was started for it, or one that was there.
for my $case (
	[ 'succeeds', 'SELECT 1', q{} ],
	[ 'fails', 'SELECT 1 / 0', q{, max_attempts => 1} ],
	[ 'fails and is tried again', 'SELECT 1 / 0', q{, max_attempts => 2, retry_initial_delay => '1 ms'} ],
	[ 'fails and is reverted', 'CALL fails_later()', q{, max_attempts => 1, on_revert => 'SELECT 2'} ])
{
	my ($what, $statement, $more) = @$case;
	$node->safe_psql('postgres', <<'EOF') if $statement =~ /fails_later/;
CREATE PROCEDURE fails_later() LANGUAGE plpgsql AS $$
BEGIN
    CALL kwjobs.checkpoint(0.5);
    PERFORM 1 / 0;
END $$;
EOF
	my @jobs = run_together(4, $statement, $more);
	is_deeply([ differences($jobs[0], $_) ], [], "a job that $what") for @jobs[1 .. 3];
}

# The same error, seen by the worker and, as the job's worker is gone, by the coordinator.
{
	my $settings = q{, timeout => '100 ms', max_attempts => 1};
	my ($by_worker) = run_together(1, 'SELECT pg_sleep(3600)', $settings);
	my $traps = 'DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN END; END LOOP; END $$';
	my ($by_coordinator) = run_together(1, $traps, $settings);
	is_deeply([ grep { !/error_context|description|statement|payload/ } differences($by_worker, $by_coordinator) ],
		[], 'a timeout that the worker sees, and one that the coordinator finds');
}

# An import and SQL: what differs is what they did.
{
	my $path = write_csv($node, 10);
	$node->safe_psql('postgres', 'CREATE TABLE target (n integer, t text)');
	my ($import) = split(/\n/, $node->safe_psql('postgres', "SELECT kwjobs.import('target', ARRAY['$path'])"));
	wait_for_status($node, $import, 'succeeded');
	my ($sql) = run_together(1, 'SELECT 1', q{});
	is_deeply([ map { s/:.*//sr } differences($import, $sql) ], [ 'attempt 1 rows', 'attempt 1 tags', 'job description', 'job job_type', 'job payload', 'job result', 'job rows' ],
		'an import and an SQL job');
}

is_consistent($node);
$node->stop;
done_testing();
