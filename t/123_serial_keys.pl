# Jobs with the same serial key run one at a time and in order: while processes are killed, while
# other transactions hold their rows, and where the end of a job cannot pass the turn on itself.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_node('serial', <<'EOF');
log_statement = none
kwjobs.max_workers = 6
max_worker_processes = 16
kwjobs.max_crashes = 1000
EOF

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub submit { return sql("SELECT kwjobs.submit($_[0])") }

# No turn was lost, and none was given twice. n: how many jobs have done their work.
sub check_turns
{
	my ($n, $what) = @_;
	wait_query($node, 'SELECT NOT EXISTS (SELECT FROM kwjobs.job WHERE finished IS NULL)');
	is(sql('SELECT count(*), count(DISTINCT job) FROM turn'), "$n|$n", "$what: each job has run once");
	is(sql(<<'EOF'), '', '... of those with the same key one at a time');
SELECT a.job, b.job FROM turn AS a JOIN turn AS b ON a.key = b.key AND a.job < b.job
 WHERE a.began < b.ended AND b.began < a.ended
EOF
	is(sql(<<'EOF'), '', '... and in order');
SELECT job FROM (SELECT job, lag(job) OVER (PARTITION BY key ORDER BY began) AS before FROM turn) AS t
 WHERE before > job
EOF
	wait_query($node, <<'EOF');
SELECT NOT EXISTS (SELECT FROM kwjobs.job WHERE line IS NOT NULL) AND NOT EXISTS (SELECT FROM kwjobs.left_line)
EOF
	sql('TRUNCATE turn');
	return;
}

sql(<<'EOF');
CREATE TABLE turn (job bigint, key text, began timestamptz, ended timestamptz);
CREATE FUNCTION work(key text, seconds float DEFAULT 0) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    PERFORM pg_sleep(seconds);
    INSERT INTO turn VALUES (kwjobs.current_job(), work.key, began, clock_timestamp());
END $$;
-- each job in a transaction of its own
CREATE PROCEDURE submit_singly(jobs integer, keys integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 1..jobs LOOP
        PERFORM kwjobs.submit(format('SELECT work(%L)', n % keys), serial_key => (n % keys)::text);
        COMMIT;
    END LOOP;
END $$;
EOF

# When a job enters the line of its serial key, the coordinator does not read the jobs of other
# keys. The keys are long, because then the planner would take the index of all jobs that are due
# for cheaper than that of the keys.
{
	my $n_read = "SELECT sum(idx_tup_read) FROM pg_stat_all_indexes WHERE relid = 'kwjobs.job'::regclass";
	my $all_over = 'SELECT NOT EXISTS (SELECT FROM kwjobs.job WHERE finished IS NULL)';
	sql("SELECT count(kwjobs.submit('SELECT 1')) FROM generate_series(1, 300)");
	wait_query($node, $all_over);
	my $before = sql($n_read);
	sql("SELECT count(kwjobs.submit('SELECT 1', serial_key => repeat('k', 100) || n % 1000)) FROM generate_series(1, 3000) AS n");
	wait_query($node, $all_over);
	# The processes that ran the jobs report what they have read at the latest when they exit.
	$node->restart;
	cmp_ok(sql($n_read) - $before, '<', 100 * 3000, 'each job reads few others');
}

# The worker that ends a job offers the next one in line to the workers, so the coordinator need not
# run a pass for each. Each of its full passes looks into the index of left_line.
{
	my $n_looks = "SELECT coalesce(sum(idx_scan), 0) FROM pg_stat_all_indexes WHERE relid = 'kwjobs.left_line'::regclass";
	my $gate = close_gate($node);
	my $first = submit(q{'SELECT pg_advisory_xact_lock_shared(4711)', serial_key => 'offered'});
	wait_at_gate($node, $first);
	sql(q{SELECT count(kwjobs.submit('SELECT 1', serial_key => 'offered')) FROM generate_series(1, 500)});
	wait_query($node, q{SELECT count(*) = 500 FROM kwjobs.job WHERE serial_key = 'offered' AND due = 'infinity'});
	my $before = sql($n_looks);
	open_gate($gate);
	wait_query($node, 'SELECT NOT EXISTS (SELECT FROM kwjobs.job WHERE finished IS NULL)');
	$node->restart;
	my $n = sql($n_looks) - $before;
	cmp_ok($n, '<', 250, 'not each turn that is passed on costs a full pass');
	note("$n looks");
}

# ---- the end of a job against the entry of the next ----
sql('CALL submit_singly(300, 1)');
check_turns(300, 'one key');
sql('CALL submit_singly(300, 7)');
check_turns(300, 'seven keys');
sql(q{SELECT kwjobs.submit(format('SELECT work(%L)', n % 3), serial_key => (n % 3)::text) FROM generate_series(1, 300) AS n});
check_turns(300, 'in one transaction');

# ---- processes are killed ----

# Ends such a process, if there is one. Returns how many it has ended.
sub kill_one
{
	my ($signal, $process) = @_;
	my $pid = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs $process' ORDER BY random() LIMIT 1");
	return 0 if $pid eq '';
	kill $signal, $pid;
	# A killed process is gone when the postmaster has reaped it. From then on the postmaster takes no connections
	# until it has ended all other processes and has started again.
	wait_until_gone($pid) or die "process $pid does not end";
	wait_query($node, 'SELECT true');
	return 1;
}

sql(q{SELECT kwjobs.submit(format('SELECT work(%L, 0.01)', n % 10), serial_key => (n % 10)::text, max_attempts => 1000) FROM generate_series(1, 400) AS n});
my ($workers, $coordinators) = (0, 0);
for my $round (1 .. 3)
{
	$workers += kill_one('KILL', 'worker');
	$coordinators += kill_one('TERM', 'coordinator');
	$coordinators += kill_one('KILL', 'coordinator');
	$workers += kill_one('TERM', 'worker');
	usleep(200_000);
}
cmp_ok($workers, '>', 0, 'workers were killed');
cmp_ok($coordinators, '>', 0, '... and coordinators');
$node->stop('immediate');
$node->start;
$node->restart;
check_turns(400, 'after kills');
is(sql("SELECT DISTINCT status FROM kwjobs.job WHERE job_type = 'SQL'"), 'succeeded', '... and all have succeeded');

# ---- rows that other transactions hold ----

my $gated = q{'SELECT pg_advisory_xact_lock_shared(4711); SELECT work(''k'')', serial_key => 'k'};
my $plain = q{'SELECT work(''k'')', serial_key => 'k'};

sub is_parked { return "SELECT due = 'infinity' AND line IS NOT NULL FROM kwjobs.job WHERE job_id = $_[0]" }

{
	my $gate = close_gate($node);
	my $first = submit($gated);
	wait_at_gate($node, $first);
	my ($second, $third) = (submit($plain), submit($plain));
	wait_query($node, is_parked($third));
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; SELECT kwjobs.pause($second)");
	open_gate($gate);
	wait_for_status($node, $first, 'succeeded');
	is(sql("SELECT line IS NOT NULL FROM kwjobs.job WHERE job_id = $first"), 't', 'the next in line is locked: the turn is not passed on');
	is(job_field($node, $third, 'status'), 'pending', '... and not to another one');
	$session->query_safe('ROLLBACK');
	check_turns(3, 'the next in line was locked');
	$session->quit;
}
{
	my $gate = close_gate($node);
	my $first = submit($gated);
	wait_at_gate($node, $first);
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; SELECT kwjobs.pause($first)");
	my $second = submit($plain);
	my $other = submit(q{'SELECT work(''l'')', serial_key => 'l'});
	wait_for_status($node, $other, 'succeeded');
	is(sql("SELECT line FROM kwjobs.job WHERE job_id = $second"), '', 'the first in line is locked: nobody enters the line');
	$session->query_safe('ROLLBACK');
	wait_query($node, is_parked($second));
	open_gate($gate);
	$session->quit;
	check_turns(3, 'the first in line was locked');
}

# ---- the end of a job cannot pass the turn on itself ----
sql(q{SELECT kwjobs.submit('SELECT work(''s'')', serial_key => 's', settings => '{"default_transaction_isolation": "serializable"}') FROM generate_series(1, 20)});
check_turns(20, 'serializable');
sql('CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$');
sql('CREATE TRIGGER nothing BEFORE UPDATE ON kwjobs.job FOR EACH ROW EXECUTE FUNCTION nothing()');
sql(q{SELECT kwjobs.submit('SELECT work(''t'')', serial_key => 't') FROM generate_series(1, 20)});
check_turns(20, 'a trigger on our table');
sql('DROP TRIGGER nothing ON kwjobs.job');
sql(q{SELECT kwjobs.submit('SELECT work(''d'')', serial_key => 'd', depends_on => f.job) FROM (SELECT kwjobs.submit('SELECT 1 / 0', serial_key => 'd') AS job) AS f});
sql(q{SELECT kwjobs.submit('SELECT work(''d'')', serial_key => 'd')});
check_turns(1, 'a job that failed for another one was not in line');

# ---- a job that waits for one that stands behind it ----
{
	my $job = submit(q{$job$CALL kwjobs.run('SELECT 1', serial_key => 'self', job_id => NULL, status => NULL, rows => NULL, tags => NULL)$job$, serial_key => 'self', max_attempts => 1});
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error_code'), '40P01', 'a job cannot wait for one behind it in line');
	check_turns(0, 'that one ran afterwards');
}

# ---- a queue with a limit: no more run at the same time, whoever owns them ----

sub check_queue
{
	my ($n, $limit, $what) = @_;
	wait_query($node, 'SELECT NOT EXISTS (SELECT FROM kwjobs.job WHERE finished IS NULL)');
	is(sql('SELECT count(*), count(DISTINCT job) FROM turn'), "$n|$n", "$what: each job has run once");
	is(sql(<<"EOF"), '', "... at most $limit at the same time");
SELECT a.job FROM turn AS a WHERE (SELECT count(*) FROM turn AS b WHERE b.began <= a.began AND b.ended > a.began) > $limit
EOF
	sql('TRUNCATE turn');
	return;
}

sql("SELECT kwjobs.set_queue('q', 2)");
sql('CREATE ROLE somebody LOGIN');
sql('GRANT ALL ON turn TO somebody');
sql(q{SELECT kwjobs.submit('SELECT public.work(''q'', 0.01)', queue => 'q', max_attempts => 1000,
    run_as => CASE WHEN n % 2 = 0 THEN 'somebody' ELSE session_user::text END) FROM generate_series(1, 120) AS n});
($workers, $coordinators) = (0, 0);
for my $round (1 .. 2)
{
	$workers += kill_one('KILL', 'worker');
	$coordinators += kill_one('TERM', 'coordinator');
	$coordinators += kill_one('KILL', 'coordinator');
}
cmp_ok($workers, '>', 0, 'workers were killed');
cmp_ok($coordinators, '>', 0, '... and coordinators');
$node->restart;
check_queue(120, 2, 'a queue, after kills');
sql("SELECT kwjobs.set_queue('q', 1)");
{
	my $job = submit(q{$job$CALL kwjobs.run('SELECT 1', queue => 'q', job_id => NULL, status => NULL, rows => NULL, tags => NULL)$job$, queue => 'q', max_attempts => 1});
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error_code'), '40P01', 'a job cannot wait for one that waits for its place');
	check_queue(0, 1, 'that one ran afterwards');
}

# ---- two places in a queue: a job waits in vain only if none of the jobs that have one can end ----

# Returns the SQL statement for a job that submits another job and waits for its end.
sub run_job
{
	my ($statement, $queue, $serial_key) = @_;
	return "\$run\$CALL kwjobs.run(\$job\$$statement\$job\$, queue => $queue, serial_key => $serial_key,"
	  . ' job_id => NULL, status => NULL, rows => NULL, tags => NULL)$run$';
}

# Waits until the coordinator has looked for deadlocks among all jobs. There is no event for that.
# So this function creates one more deadlock, and waits until the coordinator has ended it twice:
# the job waits for another job with the same serial key, and the coordinator fails each of its two
# attempts. Of several deadlocks, the coordinator first ends the one whose job has had the fewest
# attempts. So when the second attempt has failed, every deadlock whose job was in its first attempt
# has been ended.
sub wait_for_look
{
	my $job = submit(run_job('SELECT 1', 'NULL', "'self'")
		  . q{, serial_key => 'self', max_attempts => 2, retry_initial_delay => '10ms'});
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error_code'), '40P01', 'the coordinator ends a deadlock');
	return;
}

sql("SELECT kwjobs.set_queue('q', 2)");
# One place has a job that waits for its child, and the child waits for a place. The other place has
# a job of another role, with a higher OID, which can end: it waits for no job, or for a job that
# runs.
my $lock = 'SELECT pg_advisory_xact_lock_shared(4711)';
for my $second ("\$job\$$lock\$job\$", run_job($lock, 'NULL', 'NULL'))
{
	my $gate = close_gate($node);
	my $other = submit("$second, queue => 'q', max_attempts => 1, run_as => 'somebody'");
	wait_at_gates($node, 1);
	my $first = submit(run_job('SELECT 1', "'q'", 'NULL') . ", queue => 'q', max_attempts => 1");
	wait_query($node, "SELECT count(*) = 1 FROM kwjobs.job WHERE queue = 'q' AND due = 'infinity'");
	wait_for_look();
	is(job_field($node, $first, 'status'), 'running', 'a job waits for one that gets its place from another');
	open_gate($gate);
	wait_for_status($node, $_, 'succeeded') for $other, $first;
	check_queue(0, 2, 'all of them');
}
# Both places have jobs whose children wait for a place: one of these jobs fails, the other goes on.
{
	sql("SELECT kwjobs.set_queue('q', 0)");
	my @jobs = map { submit(run_job('SELECT 1', "'q'", 'NULL') . ", queue => 'q', max_attempts => 1") } 1 .. 2;
	my $both = "FROM kwjobs.job WHERE job_id IN ($jobs[0], $jobs[1])";
	wait_query($node, "SELECT bool_and(due = 'infinity') $both");
	sql("SELECT kwjobs.set_queue('q', 2)");
	wait_query($node, "SELECT bool_and(finished IS NOT NULL) $both");
	is(sql("SELECT string_agg(coalesce(error_code, status), ' ' ORDER BY status) $both"),
		'40P01 succeeded', 'all places are taken by jobs that wait for one');
	check_queue(0, 2, 'their children have run');
}
sql("SELECT kwjobs.set_queue('q', 1)");
# the next one is locked, so another one gets the place
{
	my $gate = close_gate($node);
	my $first = submit(q{'SELECT pg_advisory_xact_lock_shared(4711); SELECT work(''q'')', queue => 'q'});
	wait_at_gate($node, $first);
	my $second = submit(q{'SELECT work(''q'')', queue => 'q'});
	my $third = submit(q{'SELECT work(''q'')', queue => 'q'});
	wait_query($node, "SELECT due = 'infinity' FROM kwjobs.job WHERE job_id = $third");
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; SELECT kwjobs.pause($second)");
	open_gate($gate);
	wait_for_status($node, $third, 'succeeded');
	is(job_field($node, $second, 'status'), 'pending', 'a job that is locked keeps no other from its place');
	$session->query_safe('ROLLBACK');
	$session->quit;
	check_queue(3, 1, 'all three');
}

# More owners wait in a queue than one look of the coordinator is at. The job of the last of them has waited longest,
# so it has the first place or, if the first look was at other owners, the second.
{
	sql("SELECT kwjobs.hold(); SELECT kwjobs.set_queue('crowded', 0)");
	sql(q{DO $$ BEGIN FOR i IN 1 .. 1011 LOOP EXECUTE format('CREATE ROLE many%s LOGIN', i); END LOOP; END $$});
	my $last = submit(q{'SELECT 1', queue => 'crowded', run_as => 'many1011'});
	sql(q{SELECT count(kwjobs.submit('SELECT 1', queue => 'crowded', run_as => 'many' || i)) FROM generate_series(1, 1010) AS i});
	my $placed = q{FROM kwjobs.job WHERE queue = 'crowded' AND rank IS NOT NULL};
	wait_query($node, q{SELECT count(*) = 1011 FROM kwjobs.job WHERE queue = 'crowded' AND queued IS NOT NULL});
	sql("SELECT kwjobs.set_queue('crowded', 1)");
	my @had = map {
		wait_query($node, "SELECT count(*) = 1 $placed");
		my $job = sql("SELECT job_id $placed");
		sql("SELECT kwjobs.cancel($job)");
		wait_for_status($node, $job, 'canceled');
		$job
	} 1 .. 2;
	ok((grep { $_ == $last } @had), 'the owner behind a thousand others has its turn');

	# ... and each other one has, too.
	sql("SELECT kwjobs.set_queue('crowded', 2000)");
	wait_query($node, "SELECT count(*) = 1009 $placed");
	sql("SELECT kwjobs.cancel_jobs(ARRAY(SELECT job_id $placed))");
	wait_query($node, q{SELECT bool_and(finished IS NOT NULL) FROM kwjobs.job WHERE queue = 'crowded'});
	sql('SELECT kwjobs.release()');
}

# A lower limit counts for jobs that have a place, and have not begun, as all workers are busy.
{
	sql("SELECT kwjobs.set_queue('narrow', 5)");
	my $gate = close_gate($node);
	my @busy = map { submit(q{'SELECT pg_advisory_xact_lock_shared(4711)'}) } 1 .. 6;
	wait_at_gate($node, $_) for @busy;
	my @placed = map { submit(q{'SELECT work(''narrow'')', queue => 'narrow'}) } 1 .. 3;
	wait_query($node, "SELECT count(*) = 3 FROM kwjobs.job WHERE queue = 'narrow' AND rank IS NOT NULL");
	sql("SELECT kwjobs.set_queue('narrow', 0)");
	open_gate($gate);
	my $last = submit(q{'SELECT 1'});
	wait_for_status($node, $_, 'succeeded') for @busy, $last;
	is(sql("SELECT count(*) FROM kwjobs.job WHERE queue = 'narrow' AND attempts = 0"), 3, 'a limit of 0 counts for jobs that had a place');
	sql("SELECT kwjobs.set_queue('narrow', NULL)");
	wait_for_status($node, $_, 'succeeded') for @placed;
}

# A session submits a job and does not see the limit of the job's queue, so the job gets a rank. The
# coordinator takes the rank back in a full pass. No job runs then; kwjobs.set_queue in the same
# transaction makes the coordinator run that pass.
{
	wait_query($node, 'SELECT NOT EXISTS (SELECT FROM kwjobs.job WHERE finished IS NULL)');
	my $session = $node->background_psql('postgres');
	my $blind = $session->query_safe("BEGIN; SELECT kwjobs.submit('SELECT work(''late'')', queue => 'late')");
	$session->query_safe("SELECT kwjobs.set_queue('later', 1)");
	sql("SELECT kwjobs.set_queue('late', 1)");
	$session->query_safe('COMMIT');
	$session->quit;
	wait_for_status($node, $blind, 'succeeded');
	isnt(sql("SELECT queued FROM kwjobs.job WHERE job_id = $blind"), '', 'a job whose rank was taken back waits for a place');
}

is_consistent($node);
done_testing();
