# Who did what to a job: events through crashes, dumps and of jobs of sessions; lines in the log.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('events', "log_statement = none\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Returns the events of a job, each as event, attempt, status, actor and reason.
sub events
{
	my ($job, $db) = @_;
	return $node->safe_psql($db // 'postgres', <<"EOF");
SELECT concat_ws(' ', event, attempt, status, 'by ' || actor, '(' || reason || ')')
  FROM kwdb_internal.job_events WHERE job_id = $job ORDER BY at, seq
EOF
}

# Returns the lines that kwjobs has logged for control behind this place in the log.
sub logged
{
	my ($place) = @_;
	return join("\n", map { /LOG:  ((?:job \d+ \(|the same).*)/ ? $1 : () } split(/\n/, slurp_file($node->logfile, $place)));
}

my $me = sql('SELECT current_user');
sql('CREATE ROLE alice LOGIN; CREATE ROLE admin; GRANT admin TO alice');

# ---- the log ----
{
	my $place = -s $node->logfile;
	my ($a, $b) = map { sql("SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow', run_as => 'alice')") } 1 .. 2;
	sql("PAUSE JOB $a WITH REASON = 'wait'");
	is(logged($place), "job $a (SQL) pause requested by $me: wait", 'a line tells who has paused which job, and why');

	wait_for_status($node, $a, 'paused');
	$place = -s $node->logfile;
	sql("BEGIN; CANCEL JOB $a; ROLLBACK");
	sql("BEGIN; SAVEPOINT s; CANCEL JOB $a; ROLLBACK TO s; SELECT kwjobs.alter($b, priority => 3); COMMIT");
	is(logged($place), qq{job $b (SQL) altered {"priority": [0, 3]} by $me}, '... but not what was rolled back');

	$place = -s $node->logfile;
	$node->psql('postgres', "BEGIN; CANCEL JOB $b; SELECT 1 / 0; COMMIT");
	is(logged($place), '', '... or what has failed');

	$place = -s $node->logfile;
	$node->psql('postgres', "SET client_min_messages = debug5; SET ROLE alice; SELECT kwjobs.resume($a), kwjobs.run_now($b)", stderr => \my $said);
	is(logged($place), "job $a (SQL) resumed by alice (session user $me)\njob $b (SQL) told to run now by alice (session user $me)",
		'the line names both users');
	unlike($said, qr/LOG:  job/, '... and does not go to the client');
	wait_for_end($node, $b);

	$place = -s $node->logfile;
	sql("SET kwjobs.log_control = off; CANCEL JOB $a");
	is(logged($place), '', 'kwjobs.log_control turns the lines off');
	wait_for_end($node, $a);

	$place = -s $node->logfile;
	sql("SELECT kwjobs.retry($a); SELECT kwjobs.delete($b)");
	is(logged($place), "job $a (SQL) retried by $me\njob $b (SQL) deleted by $me", 'RETRY and a deletion are logged, too');

	sql("SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow', tags => '{many}') FROM generate_series(1, 250)");
	$place = -s $node->logfile;
	sql("PAUSE JOBS (SELECT job_id FROM kwdb_internal.jobs WHERE 'many' = ANY (tags))");
	my @lines = split(/\n/, logged($place));
	is(scalar @lines, 201, 'a transaction that asks for very many things logs only some of them');
	is($lines[200], 'the same transaction has asked for up to 50 more things of jobs', '... and how many others there are');
	is(sql("SELECT count(*) FROM kwdb_internal.job_events JOIN kwdb_internal.jobs USING (job_id) WHERE event = 'pause' AND tags = '{many}'"),
		'250', '... but all of them are events');

	my $long = sql("SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow')");
	$place = -s $node->logfile;
	sql("SELECT kwjobs.cancel($long, E'one\\ntwo' || repeat(' very', 300))");
	like(logged($place), qr/^job $long \(SQL\) cancel requested by $me: one$/, 'a reason of several lines');
	like(slurp_file($node->logfile, $place), qr/\n\ttwo very[ very]+ \.\.\.\n/, '... makes no line of its own, and is clipped');
}

# ---- crashes ----
{
	my $gate = close_gates($node, 7);
	my $job = sql("SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(7)')");
	wait_at_gate($node, $job);
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; PAUSE JOB $job WITH REASON = 'lost'");
	$node->kill9;
	start_when_possible($node);
	wait_for_end($node, $job);
	is(events($job), <<"EOF" =~ s/\n$//r, 'a crash of the server is seen in the attempts; what was not committed is no event');
submit by $me
attempt_start 1
attempt_end 1 crashed
attempt_start 2
attempt_end 2 succeeded
end succeeded
EOF
	$_->quit for $gate, $session;

	$job = sql("SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow')");
	sql("PAUSE JOB $job WITH REASON = 'kept'");
	$node->stop('immediate');
	$node->start;
	wait_for_status($node, $job, 'paused');
	is(events($job), "submit by $me\npause pause-requested by $me (kept)", 'what was committed is there after a crash');

	# Two sessions at the same time: the second one waits, and its event comes after.
	$session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; RESUME JOB $job WITH REASON = 'first'");
	my $second = $node->background_psql('postgres');
	$second->query_until(qr/waits/, "\\echo waits\nSELECT kwjobs.alter($job, priority => 1);\n");
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%alter($job%' AND wait_event_type = 'Lock'");
	$session->query_safe('COMMIT');
	$second->query_safe('SELECT 1');
	is(sql("SELECT string_agg(event, ',' ORDER BY at, seq) FROM kwdb_internal.job_events WHERE job_id = $job"),
		'submit,pause,resume,alter', 'the order of events is that of the transactions');
	$_->quit for $session, $second;

	# A transaction with an older snapshot does not count the events anew.
	$session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	sql("SELECT kwjobs.alter($job, priority => 2)");
	$session->query("SELECT kwjobs.alter($job, priority => 3)");
	like($session->{stderr}, qr/could not serialize access due to concurrent update/, 'an old snapshot is an error, as for each UPDATE');
	$session->{stderr} = '';
	$session->query_safe('ROLLBACK');
	$session->quit;
	sql("CANCEL JOB $job");
	wait_for_end($node, $job);
}

# ---- jobs that control jobs ----
{
	my $other = sql("SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow', run_as => 'alice')");
	my $job = sql("SELECT kwjobs.submit('SELECT kwjobs.cancel($other, ''by a job'')', run_as => 'alice')");
	wait_for_end($node, $job, $other);
	is(events($other), "submit by $me\ncancel cancel-requested by alice (by a job)\nend canceled", 'a job asks as its owner');
}

# ---- jobs that sessions do themselves ----
{
	sql(q{CREATE FUNCTION kwjobs_test_begin(text) RETURNS bigint LANGUAGE c AS '$libdir/kwjobs'});
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe('BEGIN');
	my $job = $session->query_safe("SELECT kwjobs_test_begin('live')");
	is(events($job), "submit by $me", 'a job of a session that has no row yet');
	my $place = -s $node->logfile;
	sql("CANCEL JOB $job WITH REASON = 'stop it'");
	is(logged($place), "job $job (TEST_SESSION) cancel requested by $me: stop it", '... is canceled: a line in the log');
	is(events($job), "submit by $me\ncancel cancel-requested by $me (stop it)", '... and an event');
	$session->query('ROLLBACK');
	$session->quit;
	wait_query($node, "SELECT count(*) = 1 FROM kwjobs.job WHERE job_id = $job");
	is(events($job), "submit by $me\ncancel cancel-requested by $me (stop it)\nend canceled", '... also when its row is there');
}

# ---- a hold pauses, and somebody else does ----
{
	sql('CREATE DATABASE held');
	my $job = $node->safe_psql('held', q{CREATE EXTENSION kwjobs; SELECT kwjobs.submit('SELECT pg_sleep(600)')}) =~ s/\D//gr;
	wait_query($node, "SELECT pid IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job", 'held');
	my $other = $node->safe_psql('held', q{SELECT kwjobs.submit('SELECT pg_sleep(600)')});
	wait_query($node, "SELECT pid IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $other", 'held');
	$node->safe_psql('held', q{SELECT kwjobs.hold(running => 'pause', reason => 'copying')});
	wait_for_status($node, $_, 'paused', 'held') for $job, $other;
	# in a copy, a release resumes nothing, whether the coordinator has looked or not
	$node->safe_psql('postgres', 'CREATE DATABASE held_copy TEMPLATE held');
	$node->safe_psql('held_copy', 'SELECT kwjobs.release()');
	is($node->safe_psql('held_copy', 'SELECT DISTINCT status FROM kwdb_internal.jobs'), 'paused',
		'in a copy of the database, the release of the hold resumes no job');
	$node->safe_psql('held', "PAUSE JOB $job WITH REASON = 'for good'");
	is(job_field($node, $job, 'running_status', 'held'), "paused by $me: for good", 'a PAUSE takes over what a hold has paused');
	like(events($job, 'held'), qr/\npause paused by $me \(for good\)$/, '... which is an event')
	  or diag(events($job, 'held'));
	$node->safe_psql('held', 'SELECT kwjobs.release()');
	wait_query($node, "SELECT pid IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $other", 'held');
	is(job_field($node, $job, 'status', 'held'), 'paused', '... and the release does not resume it');
	$node->safe_psql('held', "SELECT kwjobs.cancel(job_id) FROM kwdb_internal.jobs WHERE finished IS NULL");
	wait_query($node, 'SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE finished IS NULL', 'held');
}

# ---- dump and restore ----
{
	my $done = sql("SELECT kwjobs.submit('SELECT 1 / 0')");
	wait_for_end($node, $done);
	sql("RETRY JOB $done WITH REASON = 'again'");
	wait_for_end($node, $done);
	my $waits = sql("SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow')");
	sql("PAUSE JOB $waits");
	my $dump = $node->basedir . '/events.sql';
	$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'dump');
	sql('CREATE DATABASE restored');
	$node->command_ok([ 'psql', '-Xqf', $dump, $node->connstr('restored') ], 'restore');
	is(events($done, 'restored'), events($done), 'events of a job that is over are in a dump, in the same order');
	like(events($done, 'restored'), qr/\nretry pending by $me \(again\)\n/, '... among them requests');
	is($node->safe_psql('restored', "SELECT count(*) FROM kwjobs.event WHERE job_id = $waits"), '0', '... but not those of others');
	is_consistent($node, 'restored');
}

# ---- retention ----
{
	$node->append_conf('postgresql.conf', "jobs.retention_time = 0\n");
	$node->reload;
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NOT NULL');
	is(sql('SELECT count(*) FROM kwjobs.event AS e WHERE NOT EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = e.job_id)'),
		'0', 'retention deletes the events with their jobs');
	cmp_ok(sql('SELECT count(*) FROM kwjobs.event'), '>', 0, '... and no others');
	is_consistent($node);
}

done_testing();
