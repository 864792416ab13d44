# Schedules where something goes wrong: crashes, promotion, dropped roles, broken rows, copies and dumps, no
# workers. No due time is lost or had twice, and no schedule harms another.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjSchedules;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('schedules', <<'EOF', allows_streaming => 1);
timezone = 'UTC'
kwjobs.coordinator_idle_timeout = -1
kwjobs.test_schedule_clock = 1893456000	# 2030-01-01 00:00:00 UTC
EOF
sub sql { my ($query, $db) = @_; return $node->safe_psql($db // 'postgres', $query) }
sub clock { my ($time) = @_; stop_clock($node, $time); return }

# Stops the clock without waiting for the coordinator.
sub stop_clock_only
{
	my ($time) = @_;
	configure($node, 'kwjobs.test_schedule_clock', sql("SELECT extract(epoch FROM '$time+00'::timestamptz)"));
	return;
}

sub kill_coordinator
{
	my ($session) = @_;
	my $pid = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'});
	kill_process($node, $pid, $session);
	return;
}

# Commits the transaction of the session when another session waits for it in this statement. Returns when
# both sessions have ended.
sub commit_beside
{
	my ($session, $db, $statement) = @_;
	my $other = $node->background_psql($db);
	$other->query_until(qr/begun/, "\\echo begun\n$statement;\n");
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '$statement%' AND wait_event_type = 'Lock'");
	$session->query_safe('COMMIT');
	$_->quit for $session, $other;
	return;
}

sql('CREATE TABLE runs (schedule text, at timestamptz DEFAULT clock_timestamp())');

# A crash before the commit, and after it.
{
	create_schedule($node, 'crash', '0 * * * *');
	my $gate = close_gates($node, 4961);
	stop_clock_only('2030-01-01 01:00');
	wait_at_gates($node, 1);
	is(due_times($node, 'crash'), '', 'the job is created, and not committed');
	kill_coordinator($gate);
	wait_query($node, q{SELECT count(*) = 1 FROM runs});
	wait_for_ends($node);
	is(due_times($node, 'crash'), '01:00 run', 'after a crash before the commit it runs once');

	# Behind the commit, before the pass that would claim the job.
	$gate = close_gates($node, 4903);
	# The reload makes the coordinator begin a pass, in which it comes to this gate.
	sql('SELECT pg_reload_conf()');
	wait_at_gates($node, 1);
	$gate->query_safe('SELECT pg_advisory_lock(4961)');
	$gate->query_safe('SELECT pg_advisory_unlock(4903)');
	stop_clock_only('2030-01-01 02:00');
	wait_at_gates($node, 1);
	$gate->query_safe('SELECT pg_advisory_lock(4903)');
	$gate->query_safe('SELECT pg_advisory_unlock(4961)');
	wait_query($node, q{SELECT count(*) = 2 FROM kwdb_internal.due_times WHERE schedule = 'crash'});
	kill_coordinator($gate);
	wait_query($node, q{SELECT count(*) >= 2 FROM runs});
	wait_for_ends($node);
	wait_for_pass($node);
	is(due_times($node, 'crash'), "01:00 run\n02:00 run", 'after a crash behind the commit it runs once');
	is(sql('SELECT count(*) FROM runs'), 2, '... in all');
	sql('DROP SCHEDULE crash; TRUNCATE runs');
}

# The database is dropped while its coordinator creates a run. (FORCE, because the gate is a session there.)
{
	sql('CREATE DATABASE dropped');
	sql(q{CREATE EXTENSION kwjobs; SET client_min_messages = warning; CREATE SCHEDULE gone FOR SQL 'SELECT 1' RECURRING '15 * * * *'}, 'dropped');
	create_schedule($node, 'stays', '15 * * * *');
	my $gate = close_gates_in($node, 'dropped', 4961);
	stop_clock_only('2030-01-01 02:15');
	wait_in($gate, q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted});
	sql('DROP DATABASE dropped WITH (FORCE)');
	$gate->quit;
	wait_query($node, q{SELECT count(*) = 1 FROM kwdb_internal.due_times WHERE schedule = 'stays' AND status = 'succeeded'});
	note('a database is dropped in the middle of a run, and the schedules of others go on');
	wait_for_ends($node);
	sql('DROP SCHEDULE stays; TRUNCATE runs');
}

# The end of a run is noted once.
{
	create_schedule($node, 'ends', '0 * * * *', undef, 'SELECT 1 / 0');
	my $gate = close_gates($node, 4962);
	stop_clock_only('2030-01-01 03:00');
	wait_at_gates($node, 1);
	kill_coordinator($gate);
	wait_for_ends($node);
	is(schedule_field($node, 'ends', q(concat_ws(' ', runs, failed, failures))), '1 1 1', 'a crash while an end is noted: it is counted once');
	sql('DROP SCHEDULE ends');
}

# The server is stopped.
{
	create_schedule($node, 'down', '0 * * * *');
	$node->stop;
	$node->append_conf('postgresql.auto.conf', 'kwjobs.test_schedule_clock = 1893473000');	# 04:43:20
	$node->start;
	wait_query($node, q{SELECT count(*) = 1 FROM kwdb_internal.due_times WHERE schedule = 'down'});
	wait_for_ends($node);
	is(due_times($node, 'down'), '04:00 run', 'after a stop the last due time that has passed runs');
	$node->stop;
	$node->append_conf('postgresql.auto.conf', 'kwjobs.test_schedule_clock = 1893482000');	# 07:13:20
	$node->start;
	wait_query($node, q{SELECT count(*) = 4 FROM kwdb_internal.due_times WHERE schedule = 'down'});
	is(due_times($node, 'down'), "04:00 run\n05:00 missed\n06:00 missed\n07:00 run", '... and the others are missed');
	like(sql(q{SELECT DISTINCT reason FROM kwdb_internal.due_times WHERE outcome = 'missed'}),
		qr/^the server was down from 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\+00 to 2030-01-01 07:13:20\+00$/, '... with the reason');
	wait_for_ends($node);
	sql('DROP SCHEDULE down');
}

# A role is dropped by a session of another database, or may not log in: refused each time, then paused; others go on.
{
	sql('CREATE ROLE gone LOGIN; GRANT ALL ON runs TO gone');
	sql(q{SET client_min_messages = warning; SET ROLE gone; SELECT kwjobs.create_schedule('of gone', '0 * * * *', 'INSERT INTO runs VALUES (''gone'')')});
	create_schedule($node, 'other', '0 * * * *');
	sql('ALTER ROLE gone NOLOGIN');
	clock('2030-01-01 08:00');
	wait_for_ends($node);
	is(due_times($node, 'of gone') . ' ' . due_times($node, 'other'), '08:00 refused 08:00 run', 'a role that may not log in');
	is(sql(q{SELECT reason FROM kwdb_internal.due_times WHERE schedule = 'of gone'}), 'role "gone" cannot own a job: it is not permitted to log in', '... with the reason');
	sql('ALTER ROLE gone LOGIN');
	clock('2030-01-01 09:00');
	wait_for_ends($node);
	like(due_times($node, 'of gone'), qr/09:00 run$/, '... it goes on when it may');
	sql('REVOKE ALL ON runs FROM gone');
	is(result_as($node, $node->safe_psql('postgres', 'SELECT current_user'), 'DROP ROLE gone'), '2BP01', 'DROP ROLE is refused where the schedule is');
	sql('DROP ROLE gone', 'template1');
	for my $hour (10 .. 20)
	{
		clock("2030-01-01 $hour:00");
		wait_for_ends($node);
	}
	is(sql(q{SELECT count(*) FROM kwdb_internal.due_times WHERE schedule = 'of gone' AND reason LIKE 'role with OID % does not exist'}), 10, 'a role that was dropped: refused ten times');
	like(schedule_field($node, 'of gone', q(concat_ws('|', schedule_status, owner, why_paused))),
		qr/^PAUSED\|gone\|paused: no job could be created 10 times in a row: role with OID \d+ does not exist$/, '... then it is paused');
	is(sql(q{SELECT count(*) FROM kwdb_internal.due_times WHERE schedule = 'other' AND status = 'succeeded'}), 13, '... and the other schedule has run each time');
	like(($node->psql('postgres', q{ALTER SCHEDULE "of gone" FOR SQL 'SELECT 1'}))[2], qr/HINT:  Its owner does not exist any more: create another schedule\./, '... and nobody can say what it is to do instead');
	sql(q{DROP SCHEDULES (SELECT name FROM [SHOW SCHEDULES])});
}

# DROP ROLE, DROP OWNED and REASSIGN OWNED where the tables of kwjobs belong to no superuser, where kwjobs is
# not any more, and while another session drops it.
{
	sql('CREATE DATABASE owned');
	sql('CREATE ROLE owner SUPERUSER LOGIN; CREATE ROLE member LOGIN; CREATE ROLE heir LOGIN', 'owned');
	sql('SET ROLE owner; CREATE EXTENSION kwjobs', 'owned');
	sql(q{SET client_min_messages = warning; SELECT kwjobs.create_schedule('of ' || r, '0 0 1 1 * 2099', 'SELECT 1', options => jsonb_build_object('run_as', r)) FROM unnest('{owner,member}'::text[]) AS r}, 'owned');
	sql('ALTER ROLE owner NOSUPERUSER', 'owned');
	sql('CREATE ROLE idle LOGIN; REASSIGN OWNED BY idle TO heir; DROP OWNED BY idle; DROP ROLE idle', 'owned');
	note('where the tables of kwjobs do not belong to a superuser, nothing keeps a role');
	sql('ALTER ROLE owner SUPERUSER', 'owned');
	sql('DROP OWNED BY owner, member; DROP ROLE owner, member, heir', 'owned');
	is(sql(q{SELECT count(*) FROM pg_extension WHERE extname = 'kwjobs'}, 'owned'), 0, '... DROP OWNED may drop the extension itself');
	sql('CREATE EXTENSION kwjobs; CREATE ROLE idle LOGIN', 'owned');
	my $session = $node->background_psql('owned');
	$session->query_safe('BEGIN; DROP EXTENSION kwjobs');
	commit_beside($session, 'owned', 'DROP ROLE idle');
	is(sql(q{SELECT count(*) FROM pg_roles WHERE rolname = 'idle'}, 'owned'), 0, '... nor does an extension that is dropped meanwhile keep one');
	sql('DROP DATABASE owned');
}

# Jobs that are not over do not keep a role, but DROP ROLE names them.
{
	sql('CREATE ROLE gone LOGIN');
	my @jobs = split /\n/, sql(q{SELECT kwjobs.submit('SELECT 1', run_as => 'gone', run_at => '2099-01-01') FROM generate_series(1, 12)});
	my ($rc, $out, $err) = $node->psql('postgres', 'BEGIN; DROP ROLE gone; ROLLBACK');
	my $first = join ', ', @jobs[0 .. 9];
	like($err, qr/WARNING:  role "gone" has jobs that are not over\nDETAIL:  These and others cannot go on without it, and fail: $first\./, 'DROP ROLE warns of the jobs of a role');
	sql("SELECT kwjobs.cancel_jobs('{" . join(',', @jobs) . "}')");
	wait_for_status($node, $_, 'canceled') for @jobs;
	($rc, $out, $err) = $node->psql('postgres', 'DROP ROLE gone');
	is($err, '', '... of those that are not over');
}

# A session that alters a schedule, and one that drops what its owner has.
{
	sql('CREATE ROLE gone LOGIN');
	sql(q{SET client_min_messages = warning; SELECT kwjobs.create_schedule(n, '0 0 1 1 * 2099', 'SELECT 1', options => '{"run_as": "gone"}') FROM unnest('{a,b}'::text[]) AS n});
	my $session = $node->background_psql('postgres');
	$session->query_safe('SET client_min_messages = warning; BEGIN; ALTER SCHEDULE a WITH SCHEDULE OPTIONS priority = 1; DROP SCHEDULE b');
	commit_beside($session, 'postgres', 'DROP OWNED BY gone');
	is(sql('SELECT count(*) FROM kwjobs.schedule'), 0, 'DROP OWNED waits for who changes a schedule, and drops it then');
	sql('DROP ROLE gone');
}

# The target is gone: each run fails. A right is gone: so it does.
{
	sql('CREATE ROLE weak LOGIN; CREATE TABLE target (n integer); GRANT INSERT ON target TO weak');
	sql(q{SET client_min_messages = warning; SET ROLE weak; SELECT kwjobs.create_schedule('weak', '0 * * * *', 'INSERT INTO target VALUES (1)', options => '{"pause_after": 2}')});
	sql('REVOKE INSERT ON target FROM weak');
	clock('2030-01-01 21:00');
	wait_for_ends($node);
	sql('DROP TABLE target');
	clock('2030-01-01 22:00');
	wait_for_ends($node);
	is(sql(q{SELECT string_agg(error, '; ' ORDER BY job_id) FROM kwdb_internal.jobs WHERE created_by_type = 'schedule' AND user_name = 'weak'}),
		'permission denied for table target; relation "target" does not exist', 'without the right, or the table, each run fails');
	is(schedule_field($node, 'weak', 'schedule_status'), 'PAUSED', '... and the schedule is paused');
	sql('DROP SCHEDULE weak');
}

# Rows that cannot be used.
{
	create_schedule($node, $_, '0 * * * *') for qw(sound broken worse);
	sql(q{UPDATE kwjobs.schedule SET time_zone = 'Mars/Olympus' WHERE name = 'broken'});
	sql(<<'EOF');
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no change of %', NEW.name; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON kwjobs.schedule FOR EACH ROW WHEN (NEW.name = 'worse') EXECUTE FUNCTION refuse();
EOF
	my $log = -s $node->logfile;
	clock('2030-01-01 23:00');
	wait_for_ends($node);
	is(due_times($node, 'sound'), '23:00 run', 'a schedule beside broken ones runs');
	is(schedule_field($node, 'broken', q(concat_ws('|', schedule_status, why_paused))), 'PAUSED|paused: time zone "Mars/Olympus" not recognized', 'one that cannot be read is paused');
	is(due_times($node, 'worse'), '', 'one that cannot be written is left alone');
	$node->wait_for_log(qr/kwjobs leaves schedule \d+ alone for a minute/, $log);
	like(schedule_field($node, 'worse', 'state'), qr/^$|^overdue/, '...');
	is(busy_looks($node, 20) < 20, 1, '... and it does not keep the coordinator busy');
	clock('2030-01-02 00:00');
	wait_for_ends($node);
	like(due_times($node, 'sound'), qr/00:00 run$/, '... the sound one goes on');
	sql('DROP FUNCTION refuse CASCADE; DROP SCHEDULES (SELECT name FROM [SHOW SCHEDULES])');
}

# A dump, and a copy: paused until RESUME; the original goes on.
{
	create_schedule($node, 'dumped', '0 * * * *', 'priority = 5');
	clock('2030-01-02 01:00');
	wait_for_ends($node);
	sql(q{SET client_min_messages = warning; CREATE SCHEDULE stats FOR CREATE STATISTICS s FROM runs RECURRING '@yearly' WITH SCHEDULE OPTIONS first_run = '2030-05-01 12:00'});
	my $file = $node->basedir . '/dump.sql';
	$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $file ], 'pg_dump');
	sql('CREATE DATABASE restored');
	$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $file ], 'restored');
	sql('CREATE DATABASE copied TEMPLATE postgres');
	for my $db (qw(restored copied))
	{
		is(sql('SELECT name, schedule_status, next_run, state, runs FROM kwdb_internal.schedules WHERE job_type = \'SQL\'', $db),
			'dumped|PAUSED||paused: it has come with a dump or a copy of another database|1', "$db: paused");
		is(sql('SELECT count(*) FROM kwdb_internal.due_times', $db), 1, '... with its history');
	}
	stop_clock($node, '2030-01-02 02:00', $_) for qw(restored copied);
	is(sql('SELECT count(*) FROM kwdb_internal.due_times', $_), 1, "$_: nothing runs") for qw(restored copied);
	wait_for_pass($node);
	wait_for_ends($node);
	is(due_times($node, 'dumped'), "01:00 run\n02:00 run", '... but in the original');
	for my $db (qw(restored copied))
	{
		sql('SET client_min_messages = warning; RESUME SCHEDULE dumped', $db);
		is(sql(q(SELECT schedule_status, next_run, job ->> 'priority' FROM kwdb_internal.schedules WHERE job_type = 'SQL'), $db), 'ACTIVE|2030-01-02 03:00:00+00|5', "$db: RESUME");
		my ($rc, $out, $err) = $node->psql($db, q{SELECT kwjobs.run_schedule('stats')});
		like($err, qr/schedule "stats" cannot run yet/, '... not of one that may name other tables, before it was checked');
		sql('SET client_min_messages = warning; RESUME SCHEDULE stats', $db);
		is(sql(q{SELECT (job -> 'payload' ->> 'table')::oid = 'runs'::regclass FROM kwdb_internal.schedules WHERE name = 'stats'}, $db), 't', '... which RESUME does');
		is(sql(q{SELECT next_run FROM [SHOW SCHEDULE stats]}, $db), '2030-05-01 12:00:00+00', '... and keeps the first run');
	}
	clock('2030-01-02 03:00');
	wait_query($node, q{SELECT count(*) = 2 FROM kwdb_internal.due_times}, $_) for qw(restored copied);
	sql('DROP DATABASE restored');
	sql('DROP DATABASE copied');
	wait_for_ends($node);
	sql('DROP SCHEDULES (SELECT name FROM [SHOW SCHEDULES])');
}

# No worker may run: due times have their jobs, which wait.
{
	create_schedule($node, 'waits', '0 * * * *');
	configure($node, 'kwjobs.max_workers', 0);
	stop_clock_only('2030-01-02 04:00');
	wait_query($node, q{SELECT count(*) = 1 FROM kwdb_internal.due_times WHERE schedule = 'waits' AND status = 'pending'});
	stop_clock_only('2030-01-02 05:00');
	wait_query($node, q{SELECT count(*) = 2 FROM kwdb_internal.due_times WHERE schedule = 'waits'});
	is(due_times($node, 'waits'), "04:00 run\n05:00 skipped", 'without workers, jobs wait, and due times are noted');
	configure($node, 'kwjobs.max_workers');
	wait_for_ends($node);
	sql('DROP SCHEDULE waits');
}

# An index of the history is being built when a run ends, so that this cannot be noted. Nobody tells the coordinator
# when the index is there.
{
	my $work = close_gate($node);
	create_schedule($node, 'reindexed', '30 * * * *', 'on_execution_failure = pause',
		'SELECT pg_advisory_lock_shared(4711), pg_advisory_unlock_shared(4711); SELECT 1 / 0');
	clock('2030-01-02 05:30');
	wait_query($node, q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted});
	my $session = $node->background_psql('postgres');
	# REINDEX takes this lock.
	$session->query_safe('BEGIN; LOCK TABLE kwjobs.due_time IN SHARE MODE');
	my $log = -s $node->logfile;
	open_gate($work);
	$node->wait_for_log(qr/canceling statement due to lock timeout/, $log);
	$session->query_safe('COMMIT');
	$session->quit;
	wait_for_schedule($node, 'reindexed', q(schedule_status = 'PAUSED'));
	note('the end of a run that could not be noted is noted later');
	sql('DROP SCHEDULE reindexed');
}

# Many schedules are due meanwhile. Each waits for the lock, and other jobs begin in between.
{
	sql(q{SET client_min_messages = warning; SELECT kwjobs.create_schedule('due ' || i, '45 * * * *', 'SELECT 1') FROM generate_series(1, 40) AS i});
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN; LOCK TABLE kwjobs.due_time IN SHARE MODE');
	my $log = -s $node->logfile;
	stop_clock_only('2030-01-02 05:45');
	$node->wait_for_log(qr/kwjobs leaves schedule \d+ alone for a minute/, $log);
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1')});
	wait_for_status($node, $job, 'succeeded');
	my $n = () = slurp_file($node->logfile, $log) =~ /kwjobs leaves schedule \d+ alone/g;
	cmp_ok($n, '<', 40, 'a job begins before all schedules have waited for the lock of a table');
	$session->query_safe('COMMIT');
	$session->quit;
	sql('DROP SCHEDULES (SELECT name FROM [SHOW SCHEDULES])');
}

# A standby is promoted while a schedule is due: it runs once.
{
	create_schedule($node, 'promoted', '0 * * * *');
	clock('2030-01-02 06:00');
	wait_for_ends($node);
	my $standby = start_standby($node, 'standby');
	$node->wait_for_catchup($standby);
	is($standby->safe_psql('postgres', q{SELECT name, schedule_status FROM [SHOW SCHEDULES]}), 'promoted|ACTIVE', 'a standby shows the schedules');
	$node->stop('immediate');
	$standby->append_conf('postgresql.auto.conf', 'kwjobs.test_schedule_clock = 1893571300');	# 08:01:40
	$standby->reload;
	wait_query($standby, q{SELECT state = 'overdue: this server is a standby' FROM [SHOW SCHEDULE promoted]});
	note('a standby whose primary is gone says that the schedule is overdue, and why');
	$standby->promote;
	wait_query($standby, q{SELECT count(*) = 3 FROM kwdb_internal.due_times WHERE schedule = 'promoted'});
	wait_for_ends($standby);
	is(due_times($standby, 'promoted'), "06:00 run\n07:00 missed\n08:00 run", 'a promoted standby runs the last due time that has passed');
	is($standby->safe_psql('postgres', q{SELECT count(*) FROM runs WHERE schedule = 'promoted'}), 2, '... once');
	is_consistent($standby);
	$standby->stop;
}

done_testing();
