# ALTER EXTENSION UPDATE while a job runs and others wait: everything of kwjobs steps aside
# and comes back, and each job is done exactly once, whether the update succeeds or not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('update', "kwjobs.import_batch_size = 1kB\nkwjobs.max_workers = 1\n");
my $rows = 2000;
my $csv = write_csv($node, $rows);

# Made-up next versions, in the installation that is tested.
my $directory = $node->config_data('--sharedir') . '/extension';
if (!-w $directory)
{
	$node->stop;
	plan skip_all => "cannot write to $directory";
}
my %scripts = (
	"$directory/kwjobs--1.0--1.1.sql" => <<'EOF',
ALTER TABLE kwjobs.job ADD COLUMN made_up integer NOT NULL DEFAULT 11;
CREATE FUNCTION kwjobs.made_up() RETURNS bigint LANGUAGE sql
AS 'SELECT sum(made_up) FROM kwjobs.job';
EOF
	"$directory/kwjobs--1.0--1.2.sql" => <<'EOF');
ALTER TABLE kwjobs.job ADD COLUMN made_up integer NOT NULL DEFAULT 12;
SELECT 1 / 0;
EOF
for my $script (keys %scripts)
{
	open(my $fh, '>', $script) or die "$script: $!";
	print $fh $scripts{$script};
	close($fh) or die "$script: $!";
}
END { my $status = $?; unlink keys %scripts if %scripts; $? = $status; }

sub coordinator
{
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'");
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'");
}

# A job in the middle of its work, and three for which there is no worker.
make_target($node, 'running', 1000);
my $gate = close_gate($node);
my $running = start_import($node, 'running', $csv);
wait_at_gate($node, $running);
my @waiting;
for my $n (1 .. 3)
{
	$node->safe_psql('postgres', "CREATE TABLE waiting$n (n integer, t text)");
	push @waiting, start_import($node, "waiting$n", $csv);
}
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT status, ',') FROM kwdb_internal.jobs WHERE job_id <> $running"),
	'pending', 'the others wait');

# An update that fails, and one that is rolled back, change nothing; the job goes on.
for my $update ("ALTER EXTENSION kwjobs UPDATE TO '1.2'",
	"BEGIN; ALTER EXTENSION kwjobs UPDATE TO '1.1'; ROLLBACK")
{
	my $before = coordinator();
	$node->psql('postgres', $update);
	is($node->safe_psql('postgres', "SELECT extversion FROM pg_extension WHERE extname = 'kwjobs'"),
		'1.0', "still version 1.0: $update");
	wait_at_gate($node, $running);
	isnt(coordinator(), $before, 'the coordinator stepped aside and is back');
}

$node->safe_psql('postgres', "ALTER EXTENSION kwjobs UPDATE TO '1.1'");
wait_at_gate($node, $running);
is($node->safe_psql('postgres', 'SELECT kwjobs.made_up()'), '44', 'updated, with all four jobs');

open_gate($gate);
wait_for_status($node, $_, 'succeeded') for $running, @waiting;
is_imported($node, 'running', $rows, 'the job that ran went on from its checkpoint');
is_imported($node, "waiting$_", $rows, "the job that waited ran, number $_") for 1 .. 3;
is( $node->safe_psql('postgres',
		"SELECT string_agg(status, ',' ORDER BY attempt) FROM kwdb_internal.job_attempts WHERE job_id = $running"),
	'interrupted,interrupted,interrupted,succeeded',
	'each update interrupted it, and nothing counts as a failure');
is( $node->safe_psql('postgres', <<"EOF"),
SELECT max(total_num_of_fail), string_agg(DISTINCT a.attempts::text, ',')
  FROM kwdb_internal.jobs AS j,
       LATERAL (SELECT count(*) FROM kwdb_internal.job_attempts AS a WHERE a.job_id = j.job_id) AS a (attempts)
 WHERE j.job_id <> $running
EOF
	'0|1', 'the others ran once');

$node->stop;
done_testing();
