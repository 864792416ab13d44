# Thousands of small jobs while everything that can fail does: every one ends, those that
# succeeded have done their work exactly once, those that did not not at all.
#
# KWJ_SEED repeats a run as far as timing allows; KWJ_FAULT_SECONDS is how long it lasts. A long run
# is one of many rounds: after each all jobs end, everything is looked at, and what it left
# (tables, log) goes away, so that the next one takes neither more time nor more space.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjErrandFaults;
use KwjFaults;
use KwjServer;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $seed = $ENV{KWJ_SEED} // int(rand(2**31));
my $seconds = $ENV{KWJ_FAULT_SECONDS} // 30;
diag("KWJ_SEED=$seed repeats this run");
srand($seed);

# A round ends after this number of seconds or jobs. Retention keeps more jobs than one has, and deletes
# those of the rounds before.
my $round_seconds = 60;
my $round_jobs = 8000;
my $history = 10000;
# No more is submitted while this number of jobs could run: some seconds of work.
my $enough = 250;
my $workers = 6;

# The launcher, the coordinator and the workers, and a session for each of two backups: just enough
# background worker slots.
my $slots = $workers + 4;
my $node = new_node('faults', <<"EOF", extra => ['--no-locale', '--encoding=UTF8']);
kwjobs.max_workers = $workers
max_worker_processes = $slots
max_parallel_workers = $slots
max_logical_replication_workers = 0
max_connections = 40
max_wal_size = 256MB
client_connection_check_interval = 1s
log_statement = none
kwjobs.worker_idle_timeout = 2s
kwjobs.max_workers_per_role = 4
kwjobs.retention_rows = $history
kwjobs.automatic_collection_enabled = on
kwjobs.automatic_collection_min_stale_rows = 10
autovacuum_naptime = 1s
kwjobs.import_batch_size = 4kB
EOF
init_faults($node);

# Files for imports: of the second one, the last piece has an error.
my $records = 3000;
my $directory = abs_path($node->basedir);
for my $name ('good', 'bad')
{
	append_to_file("$directory/$name.csv", join('', map { "$_,row $_\n" } 1 .. $records - ($name eq 'bad')));
	append_to_file("$directory/$name.csv", "x,row\n") if $name eq 'bad';
}

# Imports write the records that they leave out into files of this directory.
mkdir "$directory/rejected" or die $!;

# Backups are made in this directory.
my $place = abs_path($node->basedir) . '/backups';
mkdir $place or die "$place: $!";
my $backups = 0;

$node->safe_psql('postgres', <<'EOF');
CREATE ROLE admin;
CREATE ROLE worker1 LOGIN IN ROLE admin, pg_read_server_files;
CREATE ROLE worker2 LOGIN IN ROLE admin, pg_read_server_files;
-- job: once for each; step: of those that checkpoint; reverted: what on_revert did
CREATE TABLE ledger (job bigint, kind text);
CREATE TABLE step (job bigint, n integer);
CREATE TABLE reverted (job bigint);
-- turn: when a job with a serial key was at work
CREATE TABLE turn (job bigint, began timestamptz, ended timestamptz);
-- what imports have brought
CREATE TABLE loaded (n integer, t text, job bigint DEFAULT kwjobs.current_job());
-- and what they have left out
CREATE TABLE left_out (job_id bigint, file text, line bigint, column_name text, sqlstate text, reason text, record text);
-- tables that imports create, each with a number in its name
CREATE SCHEMA made;
CREATE SEQUENCE made_names;
CREATE FUNCTION made_rows(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text := 'no table';
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        EXECUTE format('SELECT concat_ws('' '', count(*), count(DISTINCT n)) FROM %s', name) INTO found;
    END IF;
    RETURN found;
END $$;
GRANT ALL ON ledger, step, reverted, turn, loaded, left_out TO PUBLIC;
-- Of this table jobs collect statistics: those of the collector, as its rows change, and CREATE_STATS.
CREATE TABLE parted (n integer) PARTITION BY HASH (n);
CREATE TABLE parted0 PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE parted2 PARTITION OF parted FOR VALUES WITH (MODULUS 3, REMAINDER 2);
GRANT INSERT ON parted TO PUBLIC;
-- for parallel queries: several pages
CREATE TABLE wide WITH (parallel_workers = 8) AS
    SELECT n, repeat(md5(n::text), 60) AS t FROM generate_series(1, 100) AS n;

-- The last job, and the number of jobs, that the rounds before had.
CREATE TABLE before (job bigint, jobs bigint);
INSERT INTO before VALUES (0, 0);
CREATE VIEW all_jobs AS
    SELECT * FROM kwjobs.job WHERE job_id > (SELECT job FROM before);
CREATE VIEW jobs AS SELECT * FROM all_jobs WHERE job_type = 'SQL';
CREATE VIEW imports AS SELECT * FROM all_jobs WHERE job_type = 'IMPORT' AND NOT payload ? 'definition';
CREATE VIEW makers AS SELECT *, payload->>'table' AS made FROM all_jobs WHERE job_type = 'IMPORT' AND payload ? 'definition';
-- how many there have ever been
CREATE VIEW jobs_ever AS
    SELECT (SELECT coalesce(sum(jobs), 0) FROM kwjobs.history) + (SELECT count(*) FROM kwjobs.job) AS n;

-- Ten steps, each committed with the state that says so.
CREATE PROCEDURE ten_steps() LANGUAGE plpgsql AS $$
DECLARE
    done integer := coalesce((kwjobs.checkpoint_state())::integer, 0);
BEGIN
    WHILE done < 10 LOOP
        done := done + 1;
        INSERT INTO step VALUES (kwjobs.current_job(), done);
        CALL kwjobs.checkpoint(done / 10.0, to_jsonb(done));
    END LOOP;
    INSERT INTO ledger VALUES (kwjobs.current_job(), 'steps');
END $$;

-- Controls a job, by the statement or by the function. What has changed the job, and only that, has
-- left its reason there; it has to be an event, too.
CREATE TABLE asked (job bigint, event text, reason text);
CREATE FUNCTION ask(job bigint, verb text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    why text := gen_random_uuid();
BEGIN
    EXECUTE format(CASE WHEN random() < 0.5 THEN '%s JOB %s WITH REASON = %L' ELSE 'SELECT kwjobs.%s(%s, %L)' END,
                   verb, job, why);
    IF (SELECT j.request_reason = why FROM kwjobs.job AS j WHERE j.job_id = ask.job) THEN
        INSERT INTO asked VALUES (job, verb, why);
    END IF;
END $$;

SELECT kwjobs.set_queue('narrow', 3);
CREATE FUNCTION submit_one(kind integer) RETURNS bigint LANGUAGE plpgsql AS $body$
BEGIN
    CASE kind
    WHEN 0 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'plain')$sql$,
                             max_attempts => 1000);
    WHEN 1 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'slow');
                                  SELECT pg_sleep(random() * 0.2)$sql$,
                             max_attempts => 1000, priority => 1, queue => CASE WHEN random() < 0.5 THEN 'narrow' END);
    WHEN 2 THEN
        RETURN kwjobs.submit('CALL ten_steps()', max_attempts => 1000);
    WHEN 3 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'failing');
                                  SELECT 1 / 0$sql$, max_attempts => 1000);
    WHEN 4 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'reverting');
                                  SELECT pg_sleep(random() * 0.1), 1 / (random() * 2)::integer$sql$,
                             max_attempts => 1000,
                             on_revert => 'INSERT INTO reverted VALUES (kwjobs.current_job())');
    WHEN 5 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'dependent')$sql$,
                             max_attempts => 1000,
                             depends_on => (SELECT array_agg(job_id) FROM
                                            (SELECT job_id FROM kwdb_internal.jobs ORDER BY job_id DESC LIMIT 2) AS j));
    WHEN 6 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'deadlocking');
                                  DO $do$ BEGIN IF random() < 0.3 THEN
                                      RAISE EXCEPTION 'again' USING ERRCODE = '40P01'; END IF; END $do$$sql$,
                             max_attempts => 1000, retry_initial_delay => '10 ms');
    WHEN 7 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'keyed');
                                  SELECT pg_sleep(random() * 0.02)$sql$,
                             max_attempts => 1000, key => 'shared' || floor(random() * 3));
    WHEN 8 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'timed');
                                  SELECT pg_sleep(CASE WHEN random() < 0.3 THEN 60 ELSE 0 END)$sql$,
                             max_attempts => 1000, retry_initial_delay => '10 ms',
                             timeout => '200 ms', on_failure => 'retry');
    WHEN 9 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'serializable');
                                  SELECT count(*) FROM step$sql$,
                             max_attempts => 1000, retry_initial_delay => '10 ms',
                             settings => '{"default_transaction_isolation": "serializable"}');
    WHEN 10 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'pausing');
                                  SELECT 1 / (random() * 2)::integer$sql$,
                             max_attempts => 1000, on_failure => 'pause');
    WHEN 11 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'later')$sql$,
                             max_attempts => 1000, run_at => clock_timestamp() + random() * interval '1 s');
    WHEN 12 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'serial');
                                  INSERT INTO turn VALUES (kwjobs.current_job(), clock_timestamp());
                                  SELECT pg_sleep(random() * 0.02), 1 / (random() * 4)::integer;
                                  UPDATE turn SET ended = clock_timestamp() WHERE job = kwjobs.current_job()$sql$,
                             max_attempts => 1000, serial_key => 'one of ' || floor(random() * 3),
                             on_failure => CASE WHEN random() < 0.5 THEN 'retry' ELSE 'fail' END, retry_initial_delay => '10 ms');
    WHEN 13 THEN
        -- only the owner of the table may collect its statistics
        IF current_user = 'postgres' THEN
            RETURN kwjobs.create_job('CREATE_STATS', '{"name": "all", "table": "parted", "throttling": 0.1}', max_attempts => 1000);
        END IF;
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'changing');
                                  INSERT INTO parted SELECT generate_series(1, 100)$sql$, max_attempts => 1000);
    WHEN 14 THEN
        -- The others may not write files, and may be dropped.
        RETURN CASE WHEN current_user = 'postgres' THEN submit_export() ELSE submit_one(0) END;
    WHEN 15 THEN
        -- Into a table that the job creates. The others may not, and may be dropped.
        IF current_user = 'postgres' AND random() < 0.5 THEN
            RETURN kwjobs.import_table(format('CREATE TABLE made.t%s (n integer UNIQUE, t text); CREATE INDEX ON made.t%1$s (t)', nextval('made_names')),
                                       ARRAY[(SELECT directory FROM files) || CASE WHEN random() < 0.7 THEN '/good.csv' ELSE '/bad.csv' END],
                                       jsonb_build_object('thread_concurrency', 1 + floor(random() * 4), 'max_attempts', 1000, 'retry_initial_delay', '10 ms'));
        END IF;
        -- by one worker or by several
        RETURN kwjobs.import('loaded', ARRAY[(SELECT directory FROM files) || CASE WHEN random() < 0.7 THEN '/good.csv' ELSE '/bad.csv' END],
                             ARRAY['n', 't'], jsonb_build_object('thread_concurrency', 1 + floor(random() * 4),
                                                                 'max_attempts', 1000, 'retry_initial_delay', '10 ms')
                             || CASE WHEN random() < 0.4 THEN '{"on_error": "skip", "reject_table": "left_out"}' ELSE '{}' END::jsonb
                             || CASE WHEN random() < 0.7 AND current_user = 'postgres'
                                     THEN jsonb_build_object('on_error', 'skip', 'reject_table', 'left_out', 'reject_file',
                                                             (SELECT directory FROM files) || '/rejected/' || nextval('made_names')) ELSE '{}' END);
    WHEN 16 THEN
        RETURN submit_in_window();
    END CASE;
END $body$;
-- every other minute, for a while; a window opens and closes in most rounds
CREATE FUNCTION some_window() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(to_char(t, 'HH24:MI') || '-' || to_char(t + interval '1 minute', 'HH24:MI'), ',' ORDER BY t) || ' UTC'
      FROM (SELECT date_trunc('minute', clock_timestamp() AT TIME ZONE 'UTC') + floor(random() * 2) * interval '1 minute') AS s (t0),
           generate_series(t0, t0 + interval '24 minutes', '2 minutes') AS t
$$;
CREATE FUNCTION submit_in_window() RETURNS bigint LANGUAGE plpgsql AS $body$
BEGIN
    CASE floor(random() * 4)::integer
    WHEN 0 THEN
        RETURN kwjobs.submit('CALL ten_steps()', max_attempts => 1000, "window" => some_window(), window_end => 'stop');
    WHEN 1 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'windowed'); SELECT pg_sleep(random())$sql$,
                             max_attempts => 1000, "window" => some_window(), window_end => 'stop',
                             serial_key => CASE WHEN random() < 0.3 THEN 'one of ' || floor(random() * 3) END);
    WHEN 2 THEN
        RETURN kwjobs.submit($sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'windowed')$sql$, max_attempts => 1000,
                             queue => CASE WHEN random() < 0.5 THEN 'narrow' END, "window" => some_window(), window_end => 'finish');
    WHEN 3 THEN
        RETURN kwjobs.import('loaded', ARRAY[(SELECT directory FROM files) || '/good.csv'], ARRAY['n', 't'],
                             jsonb_build_object('thread_concurrency', 1 + floor(random() * 2), 'max_attempts', 1000,
                                                'retry_initial_delay', '10 ms', 'window', some_window()));
    END CASE;
END $body$;
CREATE TABLE files (directory text);
GRANT SELECT ON files TO PUBLIC;
EOF
$node->safe_psql('postgres', "INSERT INTO files VALUES ('$directory')");

# Where jobs of type EXPORT write, each into a directory of its own.
my $exports = PostgreSQL::Test::Utils::tempdir();
$node->safe_psql('postgres', <<"EOF");
CREATE TABLE exported AS SELECT n, repeat(md5(n::text), 60) AS t FROM generate_series(1, 600) AS n;
CREATE FUNCTION submit_export() RETURNS bigint LANGUAGE sql AS \$\$
    SELECT kwjobs.create_job('EXPORT', jsonb_build_object('directory', '$exports/' || gen_random_uuid(), 'table', 'exported', 'options',
                             jsonb_build_object('chunk_rows', 50, 'data_only', true, 'thread_concurrency', 1 + floor(random() * 2))),
                             max_attempts => 1000, retry_initial_delay => '10 ms')
\$\$;
EOF

# Schedules that are due each second, from the beginning of a round on.
sub create_schedules
{
	my $create = q{SELECT kwjobs.create_schedule('%s', '1 second', $sql$INSERT INTO ledger VALUES (kwjobs.current_job(), 'scheduled'); %s$sql$, options => '{"run_as": "%s", "max_attempts": 1000, %s}')};
	$node->safe_psql('postgres', join(";\n", 'SET client_min_messages = warning',
		sprintf($create, 'skip', 'SELECT pg_sleep(random() * 3)', 'postgres', '"on_previous_running": "skip"'),
		sprintf($create, 'start', 'SELECT 1', 'worker1', '"on_previous_running": "start", "catch_up": "all"'),
		sprintf($create, 'wait', 'SELECT pg_sleep(random())', 'worker2', '"on_previous_running": "wait", "catch_up": "none"'),
		sprintf($create, 'retry', 'SELECT 1 / (random() * 2)::integer', 'worker1', '"on_execution_failure": "retry"')));
	return;
}

init_errands($node);
create_schedules();

my @roles = ('postgres', 'worker1', 'worker2');

# Returns how many it were.
sub submit_some
{
	my $role = $roles[ int(rand(@roles)) ];
	my $n = 20 + int(rand(150));
	my $out = try_sql(<<"EOF");
SELECT least($n, greatest(0, $enough - count(*))) AS n FROM kwjobs.job
 WHERE finished IS NULL AND status <> 'paused' AND due < clock_timestamp() + interval '2 s' \\gset
SET ROLE $role;
SELECT count(submit_one(floor(random() * 17)::integer)) FROM generate_series(1, :n);
EOF
	return $out || 0;
}

# Submits a backup about every third time. check_backups() looks at what has become of it.
sub submit_backup
{
	$backups++;
	try_sql("SELECT kwjobs.create_job('BACKUP', '{\"directory\": \"$place/$backups\", \"tables\": [\"wide\"], " .
		  "\"options\": {\"thread_concurrency\": 1}}', max_attempts => 1000, retry_initial_delay => '10 ms')")
	  if rand() < 0.3;
	return;
}

# Returns what went wrong, and how often.
sub let_faults_happen
{
	my ($end) = @_;
	my %done;
	my $jobs = 0;
	while (time < $end && $jobs < $round_jobs)
	{
		$jobs += submit_some();
		submit_backup();
		$done{ next_fault() }++;
		wait_until_up();
	}
	note("$_: $done{$_}") for sort keys %done;
	return %done;
}

# The dust settles: we wait as long as some job ends now and then.
sub let_jobs_end
{
	my $patience = 10 * $PostgreSQL::Test::Utils::timeout_default;
	my $tries = $patience;
	my $fewest = 'inf';
	release_everything();
	$node->safe_psql('postgres', 'SELECT kwjobs.pause_schedule(name) FROM kwjobs.schedule');
	while (my $n = $node->safe_psql('postgres', 'SELECT count(*) FROM kwjobs.job WHERE finished IS NULL'))
	{
		$node->safe_psql('postgres', q{SELECT kwjobs.resume(job_id) FROM kwjobs.job WHERE status = 'paused'});
		($tries, $fewest) = ($patience, $n) if $n < $fewest;
		last if --$tries < 0;
		usleep(100_000);
	}
	is( $node->safe_psql('postgres', <<'EOF'), '', 'every job has ended');
SELECT job_id, status, attempts, due, running_status FROM kwjobs.job WHERE finished IS NULL
EOF
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.due_time WHERE job_id IS NOT NULL AND finished IS NULL');
	ok(sessions_end(), 'no session waits any more');
	errands_end($node);
	note($node->safe_psql('postgres',
			'SELECT status, count(*), sum(attempts) FROM jobs GROUP BY status ORDER BY status'));
	return;
}

# Whatever faults there were, the collector comes to a new table. It may have been to no other: a table whose
# job has failed is left alone for an hour.
sub let_collector_work
{
	$node->safe_psql('postgres', <<'EOF');
DROP TABLE IF EXISTS new_rows;
CREATE TABLE new_rows WITH (autovacuum_enabled = off) AS SELECT generate_series(1, 1000) AS n;
EOF
	wait_query($node, q{SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'new_rows'});
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	return;
}

# What each query finds is wrong.
my @rules = (
	'what succeeded is in the ledger exactly once' => <<'EOF',
SELECT job_id FROM jobs LEFT JOIN (SELECT job, count(*) AS n FROM ledger GROUP BY job) AS l ON job = job_id
 WHERE status = 'succeeded' AND n IS DISTINCT FROM 1
EOF
	'what did not is not' => <<'EOF',
SELECT job, kind FROM ledger LEFT JOIN jobs ON job_id = job WHERE status IS DISTINCT FROM 'succeeded'
EOF
	'no step between two checkpoints was done twice' =>
	  'SELECT job, n FROM step GROUP BY job, n HAVING count(*) > 1',
	'all steps of what succeeded were done' => <<'EOF',
SELECT l.job FROM ledger AS l LEFT JOIN step AS s ON s.job = l.job WHERE l.kind = 'steps'
 GROUP BY l.job HAVING count(s.n) <> 10
EOF
	'on_revert ran exactly once for each job that had started and did not succeed' => <<'EOF',
SELECT job_id, status, n FROM jobs LEFT JOIN (SELECT job, count(*) AS n FROM reverted GROUP BY job) AS r ON job = job_id
 WHERE coalesce(n, 0) <> (has_revert AND started IS NOT NULL AND status IN ('failed', 'canceled'))::integer
EOF
	'nothing failed but what had to' => <<'EOF',
SELECT job_id, status, error_code, error FROM jobs
 WHERE status IN ('failed', 'revert-failed') AND error_code NOT IN ('22012', '55000', '57014')
   AND owner IN (SELECT oid FROM pg_roles)
EOF
	'no EXPORT failed but what was interrupted' => <<'EOF',
SELECT job_id, status, error_code, error FROM kwjobs.job WHERE job_type = 'EXPORT' AND job_id > (SELECT job FROM before)
   AND status IN ('failed', 'revert-failed') AND error_code <> '57014'
EOF
	'no job failed for another one but those that depend on some' => <<'EOF',
SELECT job_id FROM jobs WHERE error_code = '55000' AND description NOT LIKE '%dependent%'
EOF
	'jobs of sessions that ended before their commit do not exist' =>
	  "SELECT job_id FROM jobs WHERE description LIKE '%doomed%'",
	'a key has one job' =>
	  "SELECT key FROM jobs WHERE key LIKE 'once%' GROUP BY key HAVING count(*) > 1",
	'of the jobs with a serial key one ran at a time' => <<'EOF',
SELECT a.job, b.job FROM turn AS a JOIN jobs AS j ON j.job_id = a.job
  JOIN jobs AS k ON k.owner = j.owner AND k.serial_key = j.serial_key AND k.job_id > j.job_id
  JOIN turn AS b ON b.job = k.job_id
 WHERE a.began < b.ended AND b.began < a.ended
EOF
	'no attempt began outside the window of its job' => <<'EOF',
SELECT a.job_id, a.attempt, a.started, j.window FROM kwjobs.attempt AS a JOIN all_jobs AS j USING (job_id)
 WHERE j.window IS NOT NULL AND NOT a.reverting
   AND NOT EXISTS (SELECT FROM kwjobs.next_windows(j.window, 1, a.started - interval '5 s') WHERE opens <= a.started)
EOF
	'jobs that were deleted are in the history' => <<'EOF',
SELECT n, expected FROM jobs_ever, (SELECT b.jobs + (SELECT count(*) FROM kwjobs.job WHERE job_id > b.job) AS expected
                                      FROM before AS b) AS e WHERE n <> expected
EOF
	'as many attempts are shown as the jobs say' => <<'EOF',
SELECT job_id, total_num_of_ex, n FROM kwdb_internal.jobs FULL JOIN
    (SELECT job_id, count(*) FILTER (WHERE NOT reverting) AS n FROM kwdb_internal.job_attempts GROUP BY job_id) AS a
    USING (job_id)
 WHERE job_type IS DISTINCT FROM 'RESTART' AND created_by_type IS DISTINCT FROM 'schedule' AND coalesce(n, 0) IS DISTINCT FROM total_num_of_ex
EOF
	'what was asked of jobs is an event, once' => <<'EOF',
SELECT job_id, event, reason, a.job FROM (SELECT * FROM kwdb_internal.job_events WHERE reason IS NOT NULL) AS e
  JOIN all_jobs USING (job_id) FULL JOIN asked AS a USING (event, reason) WHERE e.job_id IS DISTINCT FROM a.job
EOF
	'each job has one event for its submit, and one for its end' => <<'EOF',
SELECT job_id FROM all_jobs LEFT JOIN kwdb_internal.job_events AS e USING (job_id)
 WHERE job_type <> 'RESTART' GROUP BY job_id HAVING count(*) FILTER (WHERE e.event = 'submit') <> 1 OR count(*) FILTER (WHERE e.event = 'end') <> 1
EOF
	'jobs that collect statistics did not fail but for an interruption or a lock' => <<'EOF',
SELECT job_id, job_type, status, error_code, error FROM all_jobs
 WHERE job_type LIKE '%CREATE_STATS' AND status LIKE '%failed' AND error_code NOT IN ('57014', '55P03', '55000')
EOF
	'what the collector has collected is noted with the end of the job' => <<'EOF',
SELECT job_id FROM (SELECT *, row_number() OVER (PARTITION BY payload->>'table' ORDER BY finished DESC) AS nth
                      FROM all_jobs WHERE job_type = 'AUTO_CREATE_STATS' AND status = 'succeeded') AS j
 WHERE nth <= 4 AND NOT EXISTS (SELECT FROM kwjobs.collected AS c, unnest(c.times) AS t (at)
                                 WHERE c.relid = (j.payload->>'table')::oid AND t.at BETWEEN j.started AND j.finished)
EOF
	'the collector had one job at a time' => <<'EOF',
SELECT a.job_id, b.job_id FROM all_jobs AS a JOIN all_jobs AS b ON b.job_id > a.job_id AND b.created < a.finished
 WHERE a.job_type = 'AUTO_CREATE_STATS' AND b.job_type = 'AUTO_CREATE_STATS'
EOF
	'an import that has succeeded has brought each row of its file once' => <<"EOF",
SELECT job_id, n, bad FROM imports LEFT JOIN (SELECT job, count(*) AS n, count(DISTINCT n) AS d FROM loaded GROUP BY job) AS l ON job = job_id,
       LATERAL (SELECT count(*) AS bad FROM left_out AS o WHERE o.job_id = imports.job_id AND (line, sqlstate, record) = ($records, '22P02', 'x,row')) AS o
 WHERE status = 'succeeded' AND ((n, d) IS DISTINCT FROM ($records - bad, $records - bad) OR bad > 1
                                 OR bad <> coalesce((result->>'rejected')::bigint, 0))
EOF
	'nothing is left out twice, or of an import that has none of its rows' => <<'EOF',
SELECT job_id, count(*) FROM left_out LEFT JOIN imports USING (job_id)
 WHERE (status, error_code) IS DISTINCT FROM ('revert-failed', '57014') GROUP BY job_id, status
HAVING count(*) > 1 OR status IS DISTINCT FROM 'succeeded'
EOF
	'an import that has succeeded has the file of what it has left out, and no other one has' => <<'EOF',
SELECT f.*, i.job_id, status FROM (SELECT name, (regexp_match(content, '^[^\n]*\n(\d+),[^\n]*\n$'))[1]::bigint AS job
    FROM files, pg_ls_dir(directory || '/rejected') AS name, LATERAL pg_read_file(directory || '/rejected/' || name) AS content) AS f
  FULL JOIN (SELECT *, regexp_replace(payload->>'reject_file', '.*/', '') AS name FROM imports
                  WHERE result->>'rejected' = '1' AND payload ? 'reject_file') AS i ON f.job = i.job_id
 WHERE (f.job IS NULL OR f.job > (SELECT job FROM before)) AND (status, f.name) IS DISTINCT FROM ('succeeded', i.name)
   AND NOT EXISTS (SELECT FROM imports AS r WHERE r.job_id = f.job AND (r.status, r.error_code) = ('revert-failed', '57014'))
EOF
	'no import that is over keeps rejected records, unless its revert was interrupted' => <<'EOF',
SELECT job_id, line FROM kwjobs.rejected AS r
 WHERE NOT EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = r.job_id AND (status, error_code) = ('revert-failed', '57014'))
EOF
	# A revert that was interrupted has not done all of its work, and keeps what it needs to go on.
	'an import that has not succeeded has brought no row' => <<'EOF',
SELECT job, count(*) FROM loaded LEFT JOIN imports ON job_id = job
 WHERE status IS DISTINCT FROM 'succeeded' AND (status, error_code) IS DISTINCT FROM ('revert-failed', '57014') GROUP BY job
EOF
	'an import that has created its table has it, with each row once' => <<"EOF",
SELECT job_id, made, made_rows(made) FROM makers WHERE status = 'succeeded' AND made_rows(made) IS DISTINCT FROM '$records $records'
EOF
	'another one has dropped it' => <<'EOF',
SELECT relname FROM pg_class AS c WHERE relnamespace = 'made'::regnamespace AND relkind = 'r'
   AND NOT EXISTS (SELECT FROM makers WHERE made = 'made.' || relname AND (status = 'succeeded' OR (status, error_code) = ('revert-failed', '57014')))
EOF
	'imports fail in the line that is wrong' => <<"EOF",
SELECT job_id, status, error_code, error_line, error FROM (SELECT job_id, status, error_code, error_line, error_column, error FROM imports
                                                           UNION ALL SELECT job_id, status, error_code, error_line, error_column, error FROM makers) AS i
 WHERE status LIKE '%failed' AND (status, error_code, error_line, error_column) IS DISTINCT FROM ('failed', '22P02', $records, 'n')
   AND error_code IS DISTINCT FROM '57014'
EOF
	'no piece of the work is left' => <<'EOF',
SELECT job_id, piece FROM kwjobs.piece AS p
 WHERE NOT EXISTS (SELECT FROM kwjobs.job AS j WHERE j.job_id = p.job_id AND (status, error_code) = ('revert-failed', '57014'))
EOF
	'each due time of a schedule has one row' => <<'EOF',
SELECT s.name, d.n, extract(epoch FROM s.last_due - s.anchor) FROM kwjobs.schedule AS s
  LEFT JOIN (SELECT schedule_id, sum(times) AS n, count(*) - count(DISTINCT due) AS doubled FROM kwjobs.due_time
              WHERE kind = 'due' GROUP BY schedule_id) AS d USING (schedule_id)
 WHERE d.n IS DISTINCT FROM extract(epoch FROM s.last_due - s.anchor)::bigint OR d.doubled <> 0
EOF
	'each run of a schedule has one job, and each job of a schedule is a run' => <<'EOF',
SELECT d.schedule_id, d.due, j.job_id FROM (SELECT * FROM kwjobs.due_time WHERE outcome = 'run') AS d
  FULL JOIN (SELECT * FROM all_jobs WHERE created_by_type = 'schedule') AS j ON j.job_id = d.job_id
 WHERE d.schedule_id IS DISTINCT FROM j.created_by_id OR d.status IS DISTINCT FROM j.status
EOF
	'a schedule has counted its runs' => <<'EOF',
SELECT s.name, s.runs, s.succeeded, s.failed FROM kwjobs.schedule AS s
 WHERE ROW (s.runs, s.succeeded, s.failed) IS DISTINCT FROM (SELECT ROW (count(*), count(*) FILTER (WHERE d.status = 'succeeded'),
        count(*) FILTER (WHERE d.status LIKE '%failed')) FROM kwjobs.due_time AS d WHERE d.schedule_id = s.schedule_id AND d.outcome = 'run')
EOF
	'no schedule was paused but at the end' => q{SELECT name, pause_reason FROM kwjobs.schedule WHERE pause_reason IS NOT NULL},
	'no prepared transaction is left' => 'SELECT gid FROM pg_prepared_xacts',
	'no temporary file is left' => 'SELECT name FROM pg_ls_tmpdir()',
	'no temporary table is left' => "SELECT relname FROM pg_class WHERE relpersistence = 't'",
);

sub check_jobs
{
	my (%done) = @_;
	# the rules join what has just been written
	$node->safe_psql('postgres', 'ANALYZE');
	for (my $i = 0; $i < @rules; $i += 2)
	{
		is($node->safe_psql('postgres', $rules[ $i + 1 ]), '', $rules[$i]);
	}
	cmp_ok( $node->safe_psql('postgres', q{SELECT count(*) FROM jobs WHERE error_code = '57014' AND status LIKE '%failed'}),
		'<=', $done{'a worker is interrupted'} // 0, 'what was not interrupted did not end by it');
	check_exports();
	is(late_starts(), 0, 'no attempt has begun while all jobs were held');
	is(looks_cut_off(), 0, '... as each time somebody has looked');
	is_consistent($node);
	return;
}

# Each EXPORT has either all of its rows, or left nothing behind, apart from an empty directory if it
# crashed when it had just created that.
sub check_exports
{
	my ($good, @bad) = (0);
	my $jobs = $node->safe_psql('postgres', <<'EOF');
SELECT job_id, status, payload ->> 'directory' FROM kwjobs.job WHERE job_type = 'EXPORT' AND job_id > (SELECT job FROM before)
EOF
	for (split(/\n/, $jobs))
	{
		my ($job, $status, $dir) = split(/\|/);
		my @files = map { s/.*\///r } glob("$dir/* $dir/.kwjobs*");
		my $rows = 0;
		$rows += () = slurp_file($_) =~ /\n/g for glob("$dir/n1.*.csv");
		my $is_right = $status eq 'succeeded' ? -e "$dir/manifest.json" && $rows == 600 && !grep({ /kwjobs|files/ } @files) : !@files;
		push(@bad, "$job, $status: $rows rows, @files") unless $is_right;
		$good++ if $status eq 'succeeded';
		unlink(glob("$dir/*"));
	}
	is(join("\n", @bad), '', 'what each EXPORT has written is complete, or gone');
	note("$good exports have succeeded");
	return;
}

# A backup is there if and only if its job has succeeded, and it is whole.
sub check_backups
{
	my $made = $node->safe_psql('postgres', "SELECT payload ->> 'directory' FROM kwjobs.job WHERE job_type = 'BACKUP' AND status = 'succeeded' AND job_id > (SELECT job FROM before)");
	my @made = sort split(/\n/, $made);
	is(join(' ', sort glob("$place/*")), join(' ', @made), 'of the backups, those that have succeeded are there, and nothing else');
	is($node->safe_psql('postgres', "SELECT problem FROM kwjobs.show_backup('$_')"), '', 'a backup is whole') foreach @made;
	is($node->safe_psql('postgres', "SELECT job_id, error_code, error FROM kwjobs.job WHERE job_type = 'BACKUP' AND status LIKE '%failed' AND error_code <> '57014'"),
		'', 'no backup failed but those that were interrupted');
	system('rm', '-rf', @made) == 0 or die 'rm' if @made;
	note(scalar(@made) . ' backups');
	return;
}

# Nothing is held, and as many jobs as there may be run at the same time.
sub check_processes
{
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.running');
	wait_query($node, <<'EOF');
SELECT count(*) = 0 FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
 WHERE backend_type IS DISTINCT FROM 'autovacuum worker' AND pid IS DISTINCT FROM pg_backend_pid()
EOF
	my $gate = close_gate($node);
	$node->safe_psql('postgres', <<"EOF");
SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)', run_as => ('worker' || 1 + n % 2)::regrole)
  FROM generate_series(1, $workers) AS n
EOF
	wait_query($node,
		"SELECT count(*) = $workers FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM kwjobs.running'), $workers, 'no worker is lost');
	open_gate($gate);
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL');
	return;
}

sub check_stop
{
	$node->stop;
	ok(comes_true(sub { !server_processes($node) }), 'no process is left when the server has stopped');
	my $log = slurp_file($node->logfile);
	my @bad = grep { /PANIC|TRAP:|terminated by signal (4|6|7|8|11):|statement timeout|WARNING:.*leak/ } split(/\n/, $log);
	# If the postmaster is killed while a process has workers of PostgreSQL's own (EXPORT, a parallel query), that process
	# raises this error while it rolls back, and then an assertion of PostgreSQL does not hold.
	my %orphans = map { $_ => 1 } $log =~ /\[(\d+)\] .*FATAL:  postmaster exited during a parallel transaction/g;
	@bad = grep { !(/^TRAP: .*!IsTransactionOrTransactionBlock\(\).*pgstat\.c.*PID: (\d+)/ && $orphans{$1}) } @bad;
	is(join("\n", @bad), '', 'no process crashed by itself, no statement hung');
	return;
}

# Starts the server again, with empty tables, for another round.
sub clean_up
{
	truncate($node->logfile, 0) or die 'truncate ' . $node->logfile . ": $!";
	$node->start;
	$node->safe_psql('postgres', <<'EOF');
TRUNCATE ledger, step, reverted, turn, asked, loaded, left_out;
DROP SCHEMA made CASCADE;
CREATE SCHEMA made;
DROP SCHEDULES (SELECT name FROM kwjobs.schedule);
UPDATE before SET job = (SELECT max(job_id) FROM kwjobs.job), jobs = n FROM jobs_ever;
EOF
	new_far_jobs();
	create_schedules();
	return;
}

my $end = time + $seconds;
my $many = 0;
my $collected = 0;
my $runs = 0;
my $errands = 0;
# What shows a fault stays: no round after one in which something failed.
for (my $rounds = 0; $rounds == 0 || (time < $end && Test::More->builder->is_passing); $rounds++)
{
	clean_up() if $rounds > 0;
	# not a short one at the end
	my %done = let_faults_happen($end - time < 1.5 * $round_seconds ? $end : time + $round_seconds);
	let_jobs_end();
	let_collector_work();
	$many += $node->safe_psql('postgres', 'SELECT count(*) FROM jobs');
	$runs += $node->safe_psql('postgres', q{SELECT sum(succeeded) FROM kwjobs.schedule});
	$collected += $node->safe_psql('postgres', q{SELECT count(*) FROM all_jobs WHERE created_by_type = 'collector' AND status = 'succeeded'});
	check_jobs(%done);
	$errands += check_errands();
	check_backups();
	check_processes();
	check_stop();
}
note("$many jobs, $collected of them the collector's");
cmp_ok($errands, '>', 0, "there were errands: $errands");
cmp_ok($collected, '>', 0, 'the collector was at work');
cmp_ok($runs, '>', 0, "schedules have run: $runs");
cmp_ok($many, '>', 5 * $seconds, 'there were many jobs') if Test::More->builder->is_passing;
done_testing();
