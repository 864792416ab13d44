# Holds: they last over restarts, crashes and a promotion, hold up nobody else, cost nothing while
# jobs wait, and let no job begin after their commit. A release resumes what the hold has paused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('hold', <<'EOC', allows_streaming => 1);
kwjobs.max_workers = 4
kwjobs.coordinator_idle_timeout = -1
kwjobs.worker_idle_timeout = 1s
autovacuum = off
EOC

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Runs statements; returns their notices.
sub notices
{
	my ($statements) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $statements, on_error_die => 1);
	return $err;
}

# The statements of jobs wait at a gate: advisory lock number $n.
sub at_gate { return "SELECT pg_advisory_xact_lock_shared($_[0])" }

sql(<<'EOS');
CREATE ROLE held_role LOGIN;
CREATE ROLE free_role LOGIN;
CREATE TABLE ran (n integer);
GRANT ALL ON ran TO PUBLIC;
EOS

# 1. A session that submits a held job is told so, once in a transaction.
{
	like(notices("SELECT kwjobs.hold(reason => 'maintenance')"), qr/^$/, 'a hold says nothing');
	my $said = notices("BEGIN; SELECT kwjobs.submit('SELECT 1'); SELECT kwjobs.submit('SELECT 2'); COMMIT;");
	like($said, qr/NOTICE:  job \d+ waits until it is released\nDETAIL:  It is held by \w+ since .*: maintenance\.\nHINT:  An administrator may type SELECT kwjobs\.release\(\)\./,
		'a submit says that the job is held, by whom and why');
	is(() = $said =~ /NOTICE/g, 1, '... once');
	like(notices('SELECT kwjobs.hold()'), qr/NOTICE:  all jobs of this database are held already\nDETAIL:  They are held by .*maintenance/,
		'a second hold says that there is one');
	like(sql("SELECT status, running_status FROM kwjobs.wait((SELECT min(job_id) FROM kwjobs.my_jobs), '10ms')"),
		qr/^pending\|held by \w+ since .*: maintenance$/, 'kwjobs.wait says it, too');
}

# 2. It lasts over a restart, a crash, and a promotion.
{
	$node->restart;
	wait_query($node, "SELECT count(*) = 2 FROM kwdb_internal.jobs WHERE running_status LIKE 'held by %: maintenance'");
	$node->stop('immediate');
	$node->start;
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'");
	like(notices("SELECT kwjobs.submit('SELECT 3')"), qr/waits until it is released/, 'held after a crash');

	my $standby = start_standby($node, 'standby');
	$node->wait_for_catchup($standby);
	is($standby->safe_psql('postgres', "SELECT count(*) FROM kwdb_internal.jobs WHERE running_status LIKE 'held by %'"), 3, 'a standby shows it');
	my ($rc, $out, $err) = $standby->psql('postgres', 'SELECT kwjobs.release()');
	like($err, qr/cannot execute kwjobs\.release\(\) during recovery/, '... and does not change it');
	$standby->promote;
	wait_query($standby, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'");
	$standby->safe_psql('postgres', "SELECT kwjobs.submit('SELECT 4')");
	is($standby->safe_psql('postgres', 'SELECT sum(total_num_of_ex) FROM kwdb_internal.jobs WHERE job_type = \'SQL\''), 0, 'nothing runs there after a promotion');
	$standby->safe_psql('postgres', 'SELECT kwjobs.release()');
	wait_query($standby, "SELECT count(*) = 4 FROM kwdb_internal.jobs WHERE job_type = 'SQL' AND status = 'succeeded'");
	$standby->stop;

	is(sql('SELECT sum(total_num_of_ex) FROM kwdb_internal.jobs WHERE job_type = \'SQL\''), 0, 'nothing has run here');
	sql('SELECT kwjobs.release()');
	wait_query($node, "SELECT count(*) = 3 FROM kwdb_internal.jobs WHERE job_type = 'SQL' AND status = 'succeeded'");
}

# 3. Many held jobs of a role hold up nobody else, and cost the coordinator nothing.
{
	sql("SET client_min_messages = warning; SELECT kwjobs.hold(owner => 'held_role')");
	sql("SET SESSION AUTHORIZATION held_role; SET client_min_messages = warning; SELECT kwjobs.submit('SELECT 1') FROM generate_series(1, 5000)");
	for my $i (1 .. 3)
	{
		is(sql("SET SESSION AUTHORIZATION free_role; CALL kwjobs.run('SELECT 1') \\gset\n\\echo :status"), 'succeeded', "a job of another role starts at once ($i)");
	}
	wait_query($node, "SELECT count(*) = 0 FROM kwjobs.running");
	is_once(sub { busy_looks($node, 50) < 3 ? 'idle' : 'busy' }, 'idle', 'the coordinator sleeps');
	is(sql("SELECT jobs, running FROM kwjobs.holds"), '5000|0', 'the hold counts its jobs');
	is(sql("SET SESSION AUTHORIZATION free_role; SELECT count(*) FROM kwjobs.holds"), 0, '... which another role does not see');

	# The coordinator may leave. The release has another one started.
	$node->append_conf('postgresql.conf', "kwjobs.coordinator_idle_timeout = 0\n");
	$node->reload;
	wait_for_no_coordinator($node);
	sql("SELECT kwjobs.release(owner => 'held_role')");
	wait_query($node, "SELECT count(*) = 5000 FROM kwdb_internal.jobs WHERE status = 'succeeded' AND user_name = 'held_role'");
	$node->append_conf('postgresql.conf', "kwjobs.coordinator_idle_timeout = -1\n");
	$node->reload;
}

# 4. Running jobs are paused with the hold. The release resumes those that are still paused by it.
{
	my $gate = close_gates($node, 1, 2, 3);
	my ($a, $b, $c) = map { sql("SELECT kwjobs.submit('" . at_gate($_) . "', description => 'at a gate')") } 1 .. 3;
	wait_at_gate($node, $_) for $a, $b, $c;
	sql("SELECT kwjobs.pause($a, 'before')");
	wait_for_status($node, $a, 'paused');
	sql("SELECT kwjobs.hold('SQL', reason => 'pausing', running => 'pause')");
	wait_for_status($node, $_, 'paused') for $b, $c;
	is(sql("SELECT request_reason FROM kwdb_internal.jobs WHERE job_id = $b"), 'pausing', 'the reason is that of the hold');
	is(sql('SELECT paused FROM kwjobs.holds'), "{$b,$c}", 'the hold knows what it has paused');
	# somebody else controls one of them
	sql("SELECT kwjobs.resume($c)");
	like(job_field($node, $c, "status || ' ' || running_status"), qr/^pending held by/, 'a resumed job is held');
	sql("SELECT kwjobs.pause($c, 'mine')");
	is(sql('SELECT paused FROM kwjobs.holds'), "{$b}", '... and then no more paused by the hold');
	sql("SELECT kwjobs.release('SQL', reason => 'done')");
	wait_at_gate($node, $b);
	is(sql("SELECT string_agg(status || ' ' || request_reason, ', ' ORDER BY job_id) FROM kwdb_internal.jobs WHERE job_id IN ($a, $b, $c)"),
		'paused before, running done, paused mine', 'the release resumes one of them');
	$gate->quit;
	wait_for_status($node, $b, 'succeeded');
	sql("SELECT kwjobs.cancel(job_id) FROM kwdb_internal.jobs WHERE finished IS NULL");
	is(sql("SELECT kwjobs.release_all()"), 0, 'no hold is left');
}

# 5. A job that waits for a held one waits until that is released. Only then it may be a deadlock.
{
	$node->append_conf('postgresql.conf', "kwjobs.max_workers = 1\n");
	$node->restart;
	my $path = write_csv($node, 10);
	make_target($node, 'target', 0);
	sql("SELECT kwjobs.hold('IMPORT')");
	my $import = start_import($node, 'target', $path);
	my $waits = sql("SELECT kwjobs.submit('SELECT status FROM kwjobs.wait($import)', max_attempts => 1)");
	wait_for_status($node, $waits, 'running');
	wait_query($node, "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = (SELECT pid FROM kwdb_internal.jobs WHERE job_id = $waits)");
	sql(q{SELECT kwjobs.submit('SELECT 1') FROM generate_series(1, 3)});
	wait_for_pass($node);
	is(job_field($node, $waits, 'status'), 'running', 'the wait for a held job is no deadlock');
	sql("SELECT kwjobs.release('IMPORT')");
	wait_for_status($node, $waits, 'failed');
	like(job_field($node, $waits, 'error'), qr/cannot get a worker while this job waits for it/, '... until it is released');
	wait_for_status($node, $import, 'succeeded');
	# the same for a queue
	sql("SELECT kwjobs.hold(queue => 'post')");
	my $queued = sql("SET client_min_messages = warning; SELECT kwjobs.submit('SELECT 1', queue => 'post')");
	$waits = sql("SELECT kwjobs.submit('SELECT status FROM kwjobs.wait($queued)', max_attempts => 1)");
	wait_for_status($node, $waits, 'running');
	wait_query($node, "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = (SELECT pid FROM kwdb_internal.jobs WHERE job_id = $waits)");
	sql(q{SELECT kwjobs.submit('SELECT 1') FROM generate_series(1, 3)});
	wait_for_pass($node);
	is(job_field($node, $waits, 'status'), 'running', 'nor is the wait for a job of a held queue');
	sql("SELECT kwjobs.release(queue => 'post')");
	wait_for_status($node, $waits, 'failed');
	wait_for_status($node, $queued, 'succeeded');
	$node->append_conf('postgresql.conf', "kwjobs.max_workers = 4\n");
	$node->restart;
}

# 6. After the commit of a hold, no job begins, while workers claim by themselves.
{
	my $jobs = 3000;
	sql("SELECT kwjobs.hold('SQL')");
	sql("SET client_min_messages = warning; SELECT kwjobs.submit('INSERT INTO ran VALUES (' || n || ')', description => 'many') FROM generate_series(1, $jobs) AS n");
	# begun: as of now. A job that was claimed and not begun goes back to pending.
	my $begun = "SELECT count(*) FROM kwdb_internal.jobs WHERE description = 'many' AND status <> 'pending'";
	my ($rounds, $late, $ran) = (0, 0, 0);
	my $session = $node->background_psql('postgres');
	while ($rounds < 200)
	{
		$rounds++;
		# The hold comes when jobs have run since the release. psql sends all of it at once, because this test could
		# take longer to answer in between than all jobs together.
		$session->query_safe(<<"EOF");
SELECT kwjobs.release('SQL');
DO \$\$ BEGIN WHILE (SELECT count(*) <= $ran FROM ran) LOOP PERFORM pg_sleep(0.001); END LOOP; END \$\$;
SELECT kwjobs.hold('SQL');
EOF
		my $first = $session->query_safe($begun);
		wait_in($session, 'NOT EXISTS (SELECT FROM kwjobs.running)');
		my $then = $session->query_safe($begun);
		$late++ if $then > $first;
		$ran = $session->query_safe('SELECT count(*) FROM ran');
		last if $then == $jobs;
	}
	is($late, 0, "no job has begun after a hold, in $rounds rounds");
	cmp_ok($rounds, '>', 2, '... which were several');
	$session->query_safe("SELECT kwjobs.release('SQL')");
	$session->quit;
	wait_query($node, "SELECT count(*) = $jobs FROM kwdb_internal.jobs WHERE description = 'many' AND status = 'succeeded'");
	is(sql('SELECT count(*), count(DISTINCT n) FROM ran'), "$jobs|$jobs", 'each has run once');
	is(sql("SELECT count(*) FROM kwdb_internal.jobs WHERE description = 'many' AND (total_num_of_ex, total_num_of_fail, crashes) <> (1, 0, 0)"), 0,
		'what was taken back is not counted');
}

# 7. A process that cannot read kwjobs.hold starts no job, and does not let one fail. If holds change
# in another database, processes of this one do not read the table again.
{
	sql("CREATE DATABASE other");
	$node->safe_psql('other', 'CREATE EXTENSION kwjobs');
	my $session = $node->background_psql('postgres');
	# the coordinator, a worker and this session know that there is no hold
	$session->query_safe("CALL kwjobs.run('SELECT 1')");
	my $locker = $node->background_psql('postgres');
	$locker->query_safe('SELECT 1');
	sql('ALTER TABLE kwjobs.hold RENAME COLUMN reason TO gone');
	$node->safe_psql('other', 'SELECT kwjobs.hold()');
	$node->safe_psql('other', 'SELECT kwjobs.release()');
	my $runs = $session->query_safe("SELECT kwjobs.submit('SELECT 1')");
	wait_query($node, "SELECT status = 'succeeded' FROM kwjobs.job WHERE job_id = $runs");

	# The claim is about to be written when the holds change, so that the worker has to read them.
	my $place = -s $node->logfile;
	$locker->query_safe('BEGIN; LOCK TABLE kwjobs.attempt IN SHARE MODE');
	my $stays = $session->query_safe("SELECT kwjobs.submit('SELECT 1')");
	wait_query($node, "SELECT EXISTS (SELECT FROM pg_stat_activity AS a JOIN pg_locks AS l USING (pid) WHERE a.backend_type = 'kwjobs coordinator' AND NOT l.granted AND l.relation = 'kwjobs.attempt'::regclass)");
	$node->safe_psql('other', 'SELECT kwjobs.hold_server()');
	$locker->query_safe('COMMIT');
	$node->wait_for_log(qr/kwjobs worker ERROR:  table kwjobs\.hold has no column "reason"/, $place);
	is(sql("SELECT status FROM kwjobs.job WHERE job_id = $stays AND finished IS NULL") =~ /^(pending|running)$/, 1, 'a job is not failed because the holds cannot be read');
	sql('ALTER TABLE kwjobs.hold RENAME COLUMN gone TO reason');
	wait_query($node, "SELECT status = 'pending' AND running_status ~ '^held by' FROM kwdb_internal.jobs WHERE job_id = $stays");
	is(job_field($node, $stays, "total_num_of_ex || ' ' || total_num_of_fail || ' ' || crashes"), '0 0 0', '... and it has not started');
	$node->safe_psql('other', 'SELECT kwjobs.release_server()');
	wait_for_status($node, $stays, 'succeeded');
	$_->quit for $session, $locker;
	sql('DROP DATABASE other');
}

# 8. A job that starts between the call and the commit of a hold that pauses: the same call again
# pauses it, and the release resumes both.
{
	like(notices("BEGIN; SELECT kwjobs.hold('SQL', running => 'pause'); ROLLBACK;"), qr/^psql:<stdin>:1: NOTICE:  jobs that start before this transaction is committed go on\nHINT:  After the commit/, 'a transaction that holds and pauses is told what goes on');
	my $gate = close_gates($node, 1, 2);
	my $early = sql("SELECT kwjobs.submit('" . at_gate(1) . "')");
	wait_at_gate($node, $early);
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN');
	$session->query_safe("SET client_min_messages = warning; SELECT kwjobs.hold('SQL', reason => 'pausing', running => 'pause')");
	my $late = sql("SELECT kwjobs.submit('" . at_gate(2) . "')");
	wait_at_gate($node, $late);
	$session->query_safe('COMMIT');
	$session->quit;
	wait_for_status($node, $early, 'paused');
	is(sql('SELECT running, paused FROM kwjobs.holds'), "1|{$early}", 'what has started before the commit goes on, and is counted');
	like(notices("SELECT kwjobs.hold('SQL', running => 'pause')"), qr/NOTICE:  jobs of type SQL are held already; 1 that runs is paused now\n/, 'the same call again pauses it');
	wait_for_status($node, $late, 'paused');
	is(sql('SELECT paused, reason FROM kwjobs.holds'), "{$early,$late}|pausing", '... and the hold knows both');
	like(notices("SELECT kwjobs.hold('SQL', running => 'pause')"), qr/NOTICE:  jobs of type SQL are held already\n/, '... until none is left');
	sql("SELECT kwjobs.release('SQL')");
	$gate->quit;
	wait_for_status($node, $_, 'succeeded') for $early, $late;
}

# 9. A role that keeps the row of its own hold locked makes no administrator wait.
{
	my $place = -s $node->logfile;
	my $me = sql('SELECT current_user');
	my $own = $node->background_psql('postgres');
	$own->query_safe("SET SESSION AUTHORIZATION held_role; SET client_min_messages = warning");
	$own->query_safe("SELECT kwjobs.hold(owner => 'held_role', reason => 'mine')");
	$own->query_safe('BEGIN');
	$own->query_safe("SELECT kwjobs.release(owner => 'held_role')");
	sql("SELECT kwjobs.hold('IMPORT', reason => 'disk'), kwjobs.hold('SQL', reason => 'slow')");
	like(notices('SELECT kwjobs.release_all()'),
		qr/NOTICE:  1 hold is left, because another transaction is changing it\nDETAIL:  jobs of role "held_role" are held by held_role since .*: mine\.\n/,
		'release_all releases the others, and says so');
	is(sql('SELECT job_type, owner FROM kwjobs.holds'), '|held_role', '... of which none is left');
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT kwjobs.release(owner => 'held_role')");
	like($err, qr/ERROR:  55P03: jobs of role "held_role" are still held: another transaction is changing that hold/, 'so does release, with an error');
	sql("SELECT kwjobs.hold(owner => 'held_role', reason => 'ours')");
	like(notices("SELECT kwjobs.release(owner => 'held_role', reason => 'over')"), qr/NOTICE:  jobs of role "held_role" are still held/, '... or a NOTICE, if an administrator has held them, too');
	is(sql('SELECT by_admin FROM kwjobs.holds'), 'f', '... whose hold is released');
	$own->query_safe('ROLLBACK');
	$own->quit;
	is(sql("SELECT kwjobs.release_all('end')"), 1, 'after that transaction it can be released');
	sql("SELECT kwjobs.hold_server('moving')");
	sql('SELECT kwjobs.release_server()');
	sql("SET kwjobs.log_control = off; SELECT kwjobs.hold(), kwjobs.release()");
	is(join("\n", map { /LOG:  (.* (?:held|released) by .*)/ ? $1 : () } split(/\n/, slurp_file($node->logfile, $place))), <<"EOL" =~ s/\n$//r, 'the log has a line for each');
jobs of role "held_role" held by held_role: mine
jobs of type IMPORT held by $me: disk
jobs of type SQL held by $me: slow
all holds of this database (2) released by $me
jobs of role "held_role" held by $me: ours
jobs of role "held_role" released by $me: over
all holds of this database (1) released by $me: end
all jobs of the server held by $me: moving
all jobs of the server released by $me
EOL
}

# 10. A queue is held: with a limit or without, jobs that are ready, that run, and that come later.
{
	my $held = "SELECT count(*) FROM kwdb_internal.jobs WHERE status = 'pending' AND total_num_of_ex = 0 AND running_status ~ '^held by \\w+ since .*: provider\$' AND job_id";
	for my $case ([ "SET SESSION AUTHORIZATION free_role; SELECT kwjobs.hold(queue => 'mail')", '42501' ],
		[ "SELECT kwjobs.hold('SQL', queue => 'mail')", '0A000' ],
		[ "SELECT kwjobs.release(owner => 'free_role', queue => 'mail')", '0A000' ],
		[ "SELECT kwjobs.hold(queue => '')", '22023' ],
		[ "SELECT kwjobs.release(queue => 'mail')", '42704' ])
	{
		my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$case->[0]");
		like($err, qr/ERROR:  $case->[1]: /, "$case->[0]: $case->[1]");
	}
	is(sql('SELECT (SELECT count(*) FROM kwjobs.holds), (SELECT count(*) FROM kwjobs.queues WHERE name = \'mail\')'), '0|0', '... which change nothing');

	my $gate = close_gates($node, 1);
	my $running = sql("SELECT kwjobs.submit('" . at_gate(1) . "', queue => 'mail')");
	wait_at_gate($node, $running);
	# jobs that have a place in a queue with a limit, and have not started
	sql("SELECT kwjobs.set_queue('narrow', 2), kwjobs.hold('SQL')");
	my @ready = map { sql("SET client_min_messages = warning; SELECT kwjobs.submit('SELECT $_', queue => 'narrow')") } 1 .. 3;
	wait_query($node, "SELECT count(*) = 2 FROM kwjobs.job WHERE queue = 'narrow' AND rank IS NOT NULL");
	# a job whose transaction does not see the hold
	my $unseen = $node->background_psql('postgres');
	$unseen->query_safe('SET client_min_messages = warning; BEGIN');
	my $blind = $unseen->query_safe("SELECT kwjobs.submit('SELECT 1', queue => 'narrow')");
	my $blind_too = $unseen->query_safe("SELECT kwjobs.submit('SELECT 1', queue => 'mail')");
	sql("SELECT kwjobs.hold(queue => 'narrow', reason => 'provider'), kwjobs.hold(queue => 'mail', reason => 'provider', running => 'pause')");
	sql("SELECT kwjobs.release('SQL')");
	$unseen->query_safe('COMMIT');
	$unseen->quit;
	like(notices("SELECT kwjobs.submit('SELECT 1', queue => 'mail')"),
		qr/waits until it is released\nDETAIL:  It is held by .*: provider\.\nHINT:  An administrator may type SELECT kwjobs\.release\(queue => 'mail'\)/, 'a submit says it');
	my $later = sql("SELECT max(job_id) FROM kwdb_internal.jobs WHERE status = 'pending'");
	is(sql("CALL kwjobs.run('SELECT 1', queue => 'fax') \\gset\n\\echo :status"), 'succeeded', 'jobs of another queue start');
	my $waiting = join(', ', @ready, $blind, $blind_too, $later);
	wait_query($node, "SELECT ($held IN ($waiting)) = 6");
	wait_for_status($node, $running, 'paused');
	is(sql('SELECT queue, jobs, running, paused FROM kwjobs.holds ORDER BY queue'), "mail|2|0|{$running}\nnarrow|4|0|", 'the holds count their jobs');
	is_once(sub { busy_looks($node, 50) < 3 ? 'idle' : 'busy' }, 'idle', 'the coordinator sleeps');
	$node->stop('immediate');
	$node->start;
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'");
	is(sql("CALL kwjobs.run('SELECT 1') \\gset\n\\echo :status"), 'succeeded', 'after a crash, other jobs start');
	is(sql("$held IN ($waiting)"), 6, '... and these do not');
	sql("SELECT kwjobs.release(queue => 'narrow')");
	wait_for_status($node, $_, 'succeeded') for @ready, $blind;
	is(sql("$held IN ($waiting)"), 2, 'the other queue is still held');
	sql("SELECT kwjobs.release(queue => 'mail')");
	wait_for_status($node, $_, 'succeeded') for $running, $blind_too, $later;
}

# ---- several holds; a role that is gone ----
{
	sql('CREATE ROLE gone LOGIN');
	sql("SELECT kwjobs.hold(owner => 'gone'), kwjobs.hold('SQL', owner => 'gone')");
	my $job = sql("SELECT kwjobs.submit('SELECT 1', run_as => 'gone')");
	like(sql("SELECT kwjobs.why($job)"), qr/To let it start, .*release.*It is also held by 1 more: SELECT \* FROM kwjobs\.holds\./,
		'a job that two holds are about: both are told');
	sql('DROP ROLE gone');
	wait_for_status($node, $job, 'failed');
	is(sql('SELECT kwjobs.release_all()'), 2, 'holds on a role that is gone hold nothing, and can be released');
}

is_consistent($node);
$node->stop;
done_testing();
