# What a role without privileges can do to the schedules of others: nothing. And due times that a statement on
# the schedule meets.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjSchedules;
use KwjTest;
use Test::More;

my $node = new_node('attacks', <<'EOF');
timezone = 'UTC'
kwjobs.coordinator_idle_timeout = -1
kwjobs.job_visibility = owner
kwjobs.test_schedule_clock = 1893456000	# 2030-01-01 00:00:00 UTC
EOF
sub sql { my ($query) = @_; return $node->safe_psql('postgres', "SET client_min_messages = warning; $query") }
sub clock { my ($time) = @_; stop_clock($node, $time); return }

sql('CREATE TABLE runs (schedule text, at timestamptz DEFAULT clock_timestamp()); CREATE ROLE weak LOGIN; GRANT ALL ON runs TO weak');

# A transaction that has the key of a job keeps no other schedule waiting.
{
	create_schedule($node, 'other', '0 * * * *');
	sql(q{SET ROLE weak; SELECT kwjobs.create_schedule('keyed', '0 * * * *', 'SELECT 1', options => '{"key": "k"}')});
	my $session = $node->background_psql('postgres');
	$session->query_safe(q{SET ROLE weak; BEGIN; SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1"}', key => 'k')});
	clock('2030-01-01 01:00');
	is(due_times($node, 'other'), '01:00 run', 'the schedule of another role runs');
	is(due_times($node, 'keyed'), '01:00 skipped', '... and the one with the key is skipped');
	like(sql(q{SELECT reason FROM kwdb_internal.due_times WHERE schedule = 'keyed'}), qr/^job \d+ with key "k" is not over$/, '... with the reason');
	is(result_as($node, 'weak', q{SELECT kwjobs.run_schedule('keyed')}), '55000', '... nor does kwjobs.run_schedule wait');
	$session->query_safe('ROLLBACK');
	clock('2030-01-01 02:00');
	wait_for_ends($node);
	is(due_times($node, 'keyed'), "01:00 skipped\n02:00 run", 'then it runs');
	my $job = sql(q{SET ROLE weak; SELECT kwjobs.create_job('SQL', '{"statement": "SELECT 1"}', key => 'k', run_at => now() + interval '1 hour')});
	$session->query_safe("BEGIN; SELECT kwjobs.cancel($job)");
	clock('2030-01-01 03:00');
	is(due_times($node, 'other'), "01:00 run\n02:00 run\n03:00 run", 'the same while a job with the key is canceled');
	$session->query_safe('COMMIT');
	$session->quit;
	wait_for_ends($node);
	sql(q{DROP SCHEDULE keyed; DROP SCHEDULE other});
}

# A job that a SECURITY DEFINER function has created becomes no schedule of its owner.
{
	sql(q{CREATE FUNCTION definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS
		$$ SELECT kwjobs.create_job('SQL', '{"statement": "INSERT INTO runs VALUES (current_user)"}') $$});
	is(result_as($node, 'weak', <<'EOF'), '42501', 'the job of a SECURITY DEFINER function cannot be made a schedule');
BEGIN;
SELECT pg_catalog.kwjobs_for_schedule('stolen', false);
SELECT definer();
CALL pg_catalog.kwjobs_create_schedule_of_job('stolen', 0, '@hourly', NULL, false);
COMMIT;
EOF
	is(sql('SELECT count(*) FROM kwjobs.schedule'), 0, '... and there is none');
}

is_consistent($node);
$node->stop;
done_testing();
