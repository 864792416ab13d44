# What is seen of an import while it runs: a row of SHOW JOBS is of one moment. And what its
# worker keeps when it has failed: nothing.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('progress', "kwjobs.max_workers = 1\nfsync = off\n");

sub run_sql { return $node->safe_psql('postgres', $_[0]); }

# Looks at a job as often as it can until that is over, in all ways that show progress. If the session keeps a gate
# closed, it opens the gate right before the first look.
run_sql(<<'EOF_SQL');
CREATE TABLE looks (source text, fraction double precision, rows bigint, status text);
CREATE PROCEDURE look_until_end(job bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_unlock_all();
    LOOP
        INSERT INTO looks SELECT 'show', fraction_completed, rows, running_status
          FROM kwdb_internal.jobs WHERE job_id = job AND status = 'running' AND running_status IS NOT NULL;
        INSERT INTO looks SELECT 'running', fraction_completed, rows, running_status
          FROM kwjobs.running WHERE job_id = job AND running_status IS NOT NULL;
        COMMIT;
        EXIT WHEN EXISTS (SELECT FROM kwdb_internal.jobs WHERE job_id = job AND finished IS NOT NULL);
    END LOOP;
END $$;
EOF_SQL

{
	my $csv = write_csv($node, 1_000_000);
	my $size = (-s $csv) / 1e6;
	run_sql('CREATE UNLOGGED TABLE target (n integer, t text)');
	my $job = start_import($node, 'target', $csv);
	run_sql("CALL look_until_end($job)");
	is(job_field($node, $job, 'status, rows'), 'succeeded|1000000', 'rows come in while others look');
	cmp_ok(run_sql('SELECT count(DISTINCT rows) FROM looks WHERE rows > 0'), '>', 5, 'they see the number of rows grow');
	for my $source ('show', 'running')
	{
		is( run_sql("SELECT rows, status FROM looks WHERE source = '$source' AND substring(status FROM 'imported (\\d+) rows')::bigint IS DISTINCT FROM rows LIMIT 5"),
			'', "$source: the text tells as many rows as the column");
		is( run_sql("SELECT fraction, status FROM looks WHERE source = '$source' AND floor(round(fraction * $size * 1e6) / 1e6) IS DISTINCT FROM substring(status FROM '(\\d+) MB of')::double precision LIMIT 5"),
			'', '... and is about as many bytes');
	}
}

# The same of a job of SQL that tells both.
{
	run_sql('TRUNCATE looks');
	my $looker = close_gate($node);
	my $job = run_sql(<<'EOF_SQL');
SELECT kwjobs.submit($job$DO $$ BEGIN
    PERFORM pg_advisory_xact_lock_shared(4711);
    FOR i IN 1 .. 200000 LOOP PERFORM kwjobs.progress(i / 200000.0, 'at ' || i); END LOOP;
END $$$job$)
EOF_SQL
	wait_at_gate($node, $job);
	$looker->query_safe("CALL look_until_end($job)");
	$looker->quit;
	cmp_ok(run_sql('SELECT count(DISTINCT status) FROM looks'), '>', 5, 'others see a job of SQL go on');
	is( run_sql("SELECT fraction, status FROM looks WHERE abs(substring(status FROM 'at (\\d+)')::integer / 200000.0 - fraction) > 0.000002 LIMIT 5"),
		'', 'its fraction and its text are of one moment');
}

# An error's place is not kept after its attempt.
{
	my $directory = abs_path($node->basedir) . '/' . 'long' x 50;
	mkdir($directory) or die "$directory: $!";
	my $path = "$directory/bad.csv";
	append_to_file($path, "1,x\nbad,x\n");
	my $memory = sub {
		run_sql(q{CALL kwjobs.run('DROP TABLE IF EXISTS used; CREATE TABLE used AS SELECT pg_backend_pid() AS pid, used_bytes FROM pg_backend_memory_contexts WHERE name = ''TopMemoryContext''')});
		return split(/\|/, run_sql('SELECT pid, used_bytes FROM used'));
	};
	my $fail = sub {
		my ($times) = @_;
		my $jobs = run_sql("SELECT array_agg(kwjobs.import('target', ARRAY['$path'])) FROM generate_series(1, $times)");
		is(run_sql("SELECT count(*) FROM kwjobs.when_complete('$jobs') WHERE status = 'failed' AND error_file = '$path'"), $times, "$times imports fail");
	};
	$fail->(50);
	my ($pid, $before) = $memory->();
	$fail->(300);
	my ($same, $after) = $memory->();
	is($same, $pid, 'in one worker');
	cmp_ok($after - $before, '<', 30000, "which keeps nothing of them ($before, $after bytes)");
}

is_consistent($node);
$node->stop;
done_testing();
