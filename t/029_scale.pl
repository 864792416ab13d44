# What a job costs does not depend on how many there are: the rows and index entries that
# kwjobs reads for each, of many that go the same way. The sessions' plans are made while the
# tables are empty, and kept.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $jobs = 1500;
my $limit = 100;

my $node = new_node('scale', <<'EOF');
kwjobs.max_workers = 2
kwjobs.worker_idle_timeout = 1h
autovacuum = off
jit = off
EOF
$node->safe_psql('postgres', <<'EOF');
CREATE PROCEDURE checkpoint() LANGUAGE plpgsql AS $$ BEGIN CALL kwjobs.checkpoint(0.5, '1'); END $$;
CREATE PROCEDURE stumble() LANGUAGE plpgsql AS $$
BEGIN
    IF kwjobs.checkpoint_state() IS NULL THEN
        CALL kwjobs.checkpoint(0.5, '1');
        RAISE EXCEPTION 'again' USING ERRCODE = '40001';
    END IF;
END $$;
EOF

# Returns how much kwjobs has read of all its indexes. Without them it reads nothing.
sub count_reads { return index_reads($node) }

sub submit_many
{
	my ($arguments) = @_;
	return "SELECT count(kwjobs.submit($arguments)) FROM generate_series(1, $jobs)";
}

# The statements' effect is $jobs more jobs in this status.
sub is_cheap
{
	my ($what, $sql, $status, $at_most) = @_;
	my $there = "SELECT count(*) FROM kwjobs.job WHERE status = '$status'";
	my $count = $node->safe_psql('postgres', $there);
	my $before = count_reads();
	$node->safe_psql('postgres', $sql);
	# This query uses no index, so it adds nothing to the reads. The test does not wait by wait_query(), because that
	# has a snapshot nearly all the time: PostgreSQL could not mark the index entries of dead rows, and kwjobs would
	# read these again and again.
	ok(comes_true(sub { $node->safe_psql('postgres', $there) >= $count + $jobs }), "$what: there are $jobs jobs");
	my $reads = (count_reads() - $before) / $jobs;
	cmp_ok($reads, '<', $at_most // $limit, "$what: few reads for each ($reads)");
	return;
}

is_cheap('success', submit_many("'SELECT 1'"), 'succeeded');
is_cheap('failure', submit_many("'SELECT 1 / 0'"), 'failed');
is_cheap('checkpoints', submit_many("'CALL checkpoint()'"), 'succeeded');
is_cheap('a second attempt', submit_many("'CALL stumble()'"), 'succeeded');
is_cheap('revert', submit_many("'SELECT 1 / 0', on_revert => 'SELECT 1'"), 'failed');

# A pass reads none of the jobs whose time has not come yet. PostgreSQL made the plans of the
# pass when the statistics said that no job was left, and they have to be good for many jobs, too.
{
	$node->safe_psql('postgres', 'VACUUM ANALYZE kwjobs.job');
	$node->safe_psql('postgres', submit_many("'SELECT 1', run_at => now() + interval '1 day'"));
	wait_for_pass($node);
	my $before = count_reads();
	wait_for_pass($node) for 1 .. 10;
	my $reads = (count_reads() - $before) / 20;
	cmp_ok($reads, '<', $jobs / 4, "few reads for each pass while many jobs wait ($reads)");
	$node->safe_psql('postgres', 'CANCEL ALL JOBS');
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
}

# What it has seen stays in the indexes: the coordinator reads it whenever it looks at everything,
# which a slow machine does more often. If it did so for each job, it would read $jobs entries for
# each.
my $snapshot = $node->background_psql('postgres');
$snapshot->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
is_cheap('success beside an old snapshot', submit_many("'SELECT 1'"), 'succeeded', $jobs / 4) for 1 .. 3;
$snapshot->quit;
$node->stop;
done_testing();
