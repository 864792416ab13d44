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

# The statement of a run that is not over until the test opens the gate, or cancels the job.
my $waits = 'SELECT pg_advisory_lock_shared(4711), pg_advisory_unlock_shared(4711)';

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
	# Calls what CREATE SCHEDULE and ALTER SCHEDULE call before and after the job's statement.
	my $call = sub { my ($before, $after) = @_; return result_as($node, 'weak', "BEGIN;\nSELECT pg_catalog.$before;\nSELECT definer();\nCALL pg_catalog.$after;\nCOMMIT;\n") };
	is($call->(q{kwjobs_for_schedule('stolen', false)}, q{kwjobs_create_schedule_of_job('stolen', 0, '@hourly', NULL, false)}),
		'42501', 'the job of a SECURITY DEFINER function cannot be made a schedule');
	is(sql('SELECT count(*) FROM kwjobs.schedule'), 0, '... and there is none');
	# Nor does it get into a schedule of its owner, which a member of the admin role can alter in other ways.
	create_schedule($node, 'of superuser', '0 * * * *');
	configure($node, 'kwjobs.admin_role', 'weak');
	is($call->(q{kwjobs_for_altered_schedule('of superuser', false)}, q{kwjobs_alter_schedule_of_job('of superuser', 0, '@hourly', NULL, false)}),
		'42501', '... nor can a schedule of its owner be made to run it');
	is(schedule_field($node, 'of superuser', 'recurrence || command'), q(0 * * * *INSERT INTO runs VALUES ('of superuser')), '... which stays as it was');
	is(result_as($node, 'weak', q{ALTER SCHEDULE "of superuser" RECURRING '30 * * * *'}), '', '... though it can be altered otherwise');
	configure($node, 'kwjobs.admin_role');
	sql('DROP SCHEDULE "of superuser"');
}

# The jobs of a schedule run by the right of the role that has last said what they do.
{
	sql(q{SELECT kwjobs.create_schedule('by right', 'never', 'SELECT 1', options => '{"run_as": "weak"}'); CREATE ROLE middle LOGIN; GRANT weak TO middle});
	my $run = sub { my ($job) = sql(q{SELECT kwjobs.run_schedule('by right')}); wait_for_end($node, $job); return job_field($node, $job, q(concat_ws(' ', status, error_code))) };
	is(result_as($node, 'middle', q{SET client_min_messages = warning; SET ROLE weak; SELECT kwjobs.alter_schedule('by right', statement => 'SELECT 2')}), 't', 'a member alters it');
	is($run->(), 'succeeded', '... and it runs by its right');
	sql('REVOKE weak FROM middle');
	is($run->(), 'failed 42501', '... which ends with the membership');
	is(result_as($node, 'weak', q{SET client_min_messages = warning; SELECT kwjobs.alter_schedule('by right', options => '{"failure_statement": "SELECT 1"}')}), 't', 'its owner says what runs when it fails');
	is($run->(), 'succeeded', '... and is the one by whose right it runs');
	sql('DROP SCHEDULE "by right"; DROP ROLE middle');
}

# A schedule that REASSIGN OWNED gives to a superuser gets no rights by that before the superuser resumes it.
{
	my $gate = close_gate($node);
	sql(qq{CREATE ROLE heir LOGIN SUPERUSER; SET ROLE weak; SELECT kwjobs.create_schedule('given', 'never', '$waits; SELECT 1/0', options => '{"failure_statement": "ALTER ROLE weak SUPERUSER"}')});
	my $is_weak = sub { my ($name) = @_; return is(sql(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'weak'}), 'f', $name) };
	my $last = q{SELECT concat_ws(' ', user_name, status, error_code) FROM kwdb_internal.jobs WHERE description = 'ALTER ROLE weak SUPERUSER' ORDER BY job_id DESC LIMIT 1};
	my $run = sql(q{SET ROLE weak; SELECT kwjobs.run_schedule('given')});
	wait_for_status($node, $run, 'running');
	sql('REASSIGN OWNED BY weak TO heir');
	open_gate($gate);
	wait_for_ends($node);
	wait_query($node, "$last" =~ s/concat_ws.*error_code\)/finished IS NOT NULL/r);
	is(sql($last), 'heir failed 42501', 'a run of the old owner fails: the failure_statement of the schedule runs without rights');
	$is_weak->('... and has done nothing');
	sql(q{SELECT kwjobs.create_schedule('given too', 'never', 'ALTER ROLE weak SUPERUSER', options => '{"run_as": "weak"}'); REASSIGN OWNED BY weak TO heir});
	configure($node, 'kwjobs.admin_role', 'weak');
	is(result_as($node, 'weak', 'RESUME SCHEDULE "given too"'), '42501', 'the admin role cannot resume it');
	wait_for_end($node, result_as($node, 'weak', q{SELECT kwjobs.run_schedule('given too')}));
	is(sql($last), 'heir failed 42501', '... nor run it by hand');
	$is_weak->('... with other rights than it has');
	like(said($node, 'RESUME SCHEDULE "given too"', 'weak'), qr/HINT:  Look at what it does, and type RESUME SCHEDULE as its owner\./, '... and is told who can');
	configure($node, 'kwjobs.admin_role');
	sql('DROP OWNED BY weak; GRANT ALL ON runs TO weak');
	like(said($node, 'RESUME SCHEDULE "given too"', 'heir'), qr/NOTICE:  schedule "given too" runs by the right of role "heir" from now on/, 'its owner can');
	wait_for_end($node, sql(q{SELECT kwjobs.run_schedule('given too')}));
	is(sql($last), 'heir succeeded', '... and then it runs');
	sql('ALTER ROLE weak NOSUPERUSER; DROP OWNED BY heir; DROP ROLE heir');
}

# Very many due times of one schedule, each with a row, are taken in small steps.
{
	my $gate = close_gate($node);
	configure($node, 'kwjobs.scheduler_enabled', 'off');
	create_schedule($node, 'other', '0 * * * *', undef, $waits);
	sql(qq{SET ROLE weak; SELECT kwjobs.create_schedule('huge', '1 second', '$waits', options => '{"catch_up": "all"}')});
	clock('2030-01-01 04:00');
	configure($node, 'kwjobs.scheduler_enabled');
	wait_query($node, q{SELECT sum(times) = 3600 FROM kwdb_internal.due_times WHERE schedule = 'huge'});
	is(due_times($node, 'other'), '04:00 run', 'the schedule of another role runs');
	cmp_ok(sql(q{SELECT count(*) FROM kwjobs.due_time AS h JOIN kwjobs.schedule AS s USING (schedule_id)
		WHERE s.name = 'huge' AND h.xmin::text::bigint <= (SELECT d.xmin::text::bigint FROM kwjobs.due_time AS d JOIN kwjobs.schedule AS o USING (schedule_id) WHERE o.name = 'other')}),
		'<', 100, '... in between');
	sql(q{SELECT kwjobs.cancel(job_id) FROM kwdb_internal.due_times WHERE job_id IS NOT NULL AND schedule IN ('huge', 'other') AND finished IS NULL; DROP SCHEDULE huge; DROP SCHEDULE other});
	open_gate($gate);
}

# Due times on which nobody has acted yet, of a schedule that is paused or altered.
{
	configure($node, 'kwjobs.scheduler_enabled', 'off');
	create_schedule($node, $_, '0 * * * *') for qw(paused altered kept);
	clock('2030-01-01 06:30');
	sql(q{PAUSE SCHEDULE paused; ALTER SCHEDULE altered RECURRING '15 * * * *'; ALTER SCHEDULE kept WITH SCHEDULE OPTIONS priority = 1});
	is(due_times($node, $_), "05:00 missed\n06:00 missed", "$_: what has passed has rows") for qw(paused altered);
	is(sql(q{SELECT string_agg(DISTINCT schedule || ': ' || reason, ', ') FROM kwdb_internal.due_times WHERE outcome = 'missed' AND due > '2030-01-01 04:30+00'}),
		'altered: the schedule was altered, paused: the schedule was paused', '... with the reason');
	is(schedule_field($node, 'altered', q(concat_ws(' ', last_due, next_due))), '2030-01-01 06:00:00+00 2030-01-01 07:15:00+00', '... and the next one comes');
	configure($node, 'kwjobs.scheduler_enabled');
	wait_for_pass($node);
	wait_for_ends($node);
	is(due_times($node, 'kept'), "05:00 missed\n06:00 run", 'an option that does not change the times leaves them');
	sql('DROP SCHEDULES (SELECT name FROM kwdb_internal.schedules)');
}

# What no job can be created for is refused once, however many due times have passed.
{
	create_schedule($node, 'other', '0 * * * *');
	configure($node, 'kwjobs.scheduler_enabled', 'off');
	sql(q{SET ROLE weak; SELECT kwjobs.create_schedule('refused', '0 * * * *', 'SELECT 1')});
	sql('ALTER ROLE weak NOLOGIN');
	clock('2030-01-01 20:30');
	configure($node, 'kwjobs.scheduler_enabled');
	wait_for_pass($node);
	is(sql(q{SELECT string_agg(n::text || ' ' || outcome, ', ' ORDER BY outcome) FROM (SELECT outcome, sum(times) AS n FROM kwdb_internal.due_times WHERE schedule = 'refused' GROUP BY outcome) AS d}),
		'13 missed, 1 refused', 'of 14 due times that have passed the last one is refused');
	is(schedule_field($node, 'refused', 'schedule_status'), 'ACTIVE', '... and the schedule goes on');
	sql('ALTER ROLE weak LOGIN');
	clock('2030-01-01 21:00');
	wait_for_ends($node);
	like(due_times($node, 'refused'), qr/21:00 run$/, '... when a job can be created');
	sql('DROP SCHEDULES (SELECT name FROM kwdb_internal.schedules)');
}

# A due time writes a row, but not the statement of the schedule.
{
	my $gate = close_gate($node);
	my $statement = q{SELECT string_agg(md5(n::text), '') FROM generate_series(1, 10000) AS n};
	sql(qq{SELECT kwjobs.create_schedule('long', '1 hour', '/*' || ($statement) || '*/ $waits', options => '{"failure_statement": "SELECT 1"}')});
	my $size = q{SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 'kwjobs.schedule'::regclass};
	my $before = sql($size);
	for my $hour (22, 23)
	{
		clock("2030-01-01 $hour:30");
		wait_query($node, qq{SELECT max(due) >= '2030-01-01 $hour:00+00' FROM kwdb_internal.due_times WHERE schedule = 'long'});
	}
	cmp_ok($before, '>', 200000, 'a schedule with a long statement');
	is(sql($size), $before, '... is not written anew when it is due');
	sql(q{SELECT kwjobs.cancel(job_id) FROM kwdb_internal.due_times WHERE job_id IS NOT NULL AND finished IS NULL; DROP SCHEDULE long});
	open_gate($gate);
}

# The history has bounds, also that of runs by hand; and to show it reads few rows of it.
{
	sql(q{CREATE SCHEDULE hand FOR SQL 'SELECT 1' RECURRING NEVER; SELECT count(kwjobs.run_schedule('hand')) FROM generate_series(1, 50)});
	wait_for_ends($node);
	clock('2031-01-01 00:00');
	sql(q{SELECT kwjobs.run_schedule('hand')});
	is(sql('SELECT count(*) FROM kwjobs.due_time'), 1, 'a run by hand deletes old rows');
	wait_for_ends($node);
	sql(q{INSERT INTO kwjobs.due_time (schedule_id, due, kind, outcome, decided, status, finished)
		SELECT schedule_id, now() + n * interval '1 second', 'due', 'run', now(), 'failed', now() FROM kwjobs.schedule, generate_series(1, 20000) AS n;
		ANALYZE kwjobs.due_time});
	cmp_ok(sql(q{BEGIN; SET LOCAL enable_seqscan = off; DO $$ BEGIN PERFORM usual_duration FROM kwdb_internal.schedules; END $$;
		SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'due_time'; COMMIT}), '<', 3000, 'SHOW SCHEDULES reads the last due times only');
	sql('DROP SCHEDULE hand');
}

is_consistent($node);
$node->stop;
done_testing();
