# Job statements that others execute: event triggers, PostgreSQL's own functions through
# SPI, parallel workers, and the apply worker of logical replication.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('callers', undef, allows_streaming => 'logical');
add_jobs($node);
$node->safe_psql('postgres', 'CREATE TABLE seen (n serial, what text)');

# Everything that was seen since the last time.
sub seen
{
	my ($server) = @_;
	return $server->safe_psql('postgres', <<'EOF');
WITH taken AS (DELETE FROM seen RETURNING n, what) SELECT what FROM taken ORDER BY n
EOF
}

# Event triggers, which run in the middle of somebody's DDL
$node->safe_psql('postgres', <<'EOF');
CREATE FUNCTION note_command() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    r record;
    jobs text := '';
BEGIN
    PAUSE JOB 1;
    FOR r IN SHOW JOBS LOOP jobs := jobs || r.job_id; END LOOP;
    INSERT INTO seen (what)
    SELECT concat_ws(' ', tg_event, tg_tag, jobs, status) FROM [SHOW JOB 1];
END $$;
CREATE FUNCTION note_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO seen (what)
    SELECT concat_ws(' ', tg_event, object_identity, status)
      FROM pg_event_trigger_dropped_objects(), [SHOW JOB 3] WHERE object_type IN ('table', 'function')
     ORDER BY object_identity;
END $$;
CREATE EVENT TRIGGER note_end ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE VIEW', 'CREATE TABLE AS', 'DROP FUNCTION')
    EXECUTE FUNCTION note_command();
CREATE EVENT TRIGGER note_start ON ddl_command_start WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION note_command();
CREATE EVENT TRIGGER note_drop ON sql_drop EXECUTE FUNCTION note_drop();
CREATE TABLE made (n integer);
CREATE FUNCTION shows() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM [SHOW JOBS]';
CREATE VIEW shown AS SELECT * FROM [SHOW JOBS];
CREATE TABLE copied AS SHOW JOB 1;
DROP FUNCTION shows;
DROP VIEW shown;
DROP TABLE made, copied;
DROP EVENT TRIGGER note_end;
DROP EVENT TRIGGER note_start;
DROP EVENT TRIGGER note_drop;
EOF
is( seen($node), <<'EOF' =~ s/\n$//r,
ddl_command_end CREATE TABLE 123 paused
ddl_command_end CREATE VIEW 123 paused
ddl_command_end CREATE TABLE AS 123 paused
sql_drop public.shows() canceled
ddl_command_end DROP FUNCTION 123 paused
ddl_command_start DROP TABLE 123 paused
sql_drop public.copied canceled
sql_drop public.made canceled
EOF
	'job statements in event triggers');

# A trigger that refuses
my ($rc, $out, $err) = $node->psql('postgres', <<'EOF', on_error_stop => 0);
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PAUSE JOB 99; END';
CREATE EVENT TRIGGER refuse ON sql_drop EXECUTE FUNCTION refuse();
DROP TABLE seen;
DROP EVENT TRIGGER refuse;
SELECT status FROM [SHOW JOB 1];
EOF
like($err, qr/^psql:<stdin>:3: ERROR:  job with ID 99 does not exist$/m, 'a job statement that fails in one is the error of the DDL');
is($out, 'paused', '... and the session goes on');

# PostgreSQL's own functions that take a query and execute it through SPI
is( $node->safe_psql('postgres', <<'EOF'),
SELECT word, ndoc FROM ts_stat('SELECT status::tsvector FROM [SHOW JOBS]') ORDER BY word;
SELECT ts_rewrite('paused', 'SELECT status::tsquery, user_name::tsquery FROM [SHOW JOB 1]');
EOF
	"canceled|1\npaused|1\nrunning|1\n'postgres'", 'in queries that PostgreSQL\'s functions execute');

# LATERAL
is( $node->safe_psql('postgres', <<'EOF'),
SELECT n, j.status FROM generate_series(1, 3) AS n, LATERAL [SHOW JOB n] AS j;
SELECT j.job_id, k.status FROM [SHOW JOBS] AS j CROSS JOIN LATERAL (SELECT * FROM [SHOW JOB j.job_id]) AS k WHERE j.job_id > 1;
EOF
	"1|paused\n2|running\n3|canceled\n2|running\n3|canceled", 'after LATERAL');

# Parallel workers: a result, or PostgreSQL's own error
sub in_parallel
{
	my ($statement) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', <<"EOF", on_error_stop => 0);
SET client_min_messages = error;
CREATE FUNCTION pg_temp.in_worker() RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS \$\$
DECLARE
    r record;
BEGIN
    EXECUTE '$statement' INTO r;
    RETURN r.status || (pg_backend_pid() <> current_setting('test.leader')::integer);
END \$\$;
SELECT set_config('test.leader', pg_backend_pid()::text, false) \\gset
SET force_parallel_mode = on;
SET debug_parallel_query = on;
SELECT pg_temp.in_worker();
RESET force_parallel_mode;
RESET debug_parallel_query;
SELECT job_id FROM [SHOW JOB 1];
PAUSE JOB 1;
SHOW JOBS \\g /dev/null
SELEC 1;
EOF
	like($out, qr/^1$/m, "the leader goes on: $statement");
	like($err, qr/syntax error at or near "SELEC"/, '... and errors are as usual');
	unlike($err, qr/connection|terminated/, '... in the same session');
	return "$out\n$err";
}
$node->safe_psql('postgres', 'CREATE TABLE numbers AS SELECT n FROM generate_series(1, 10) AS n');
like(in_parallel('SHOW JOB 1'), qr/^pausedtrue$/m, 'SHOW JOB in a parallel worker');
like(in_parallel('SHOW JOBS'), qr/^runningtrue$|^pausedtrue$/m, 'SHOW JOBS in a parallel worker');
like(in_parallel('SELECT status FROM [SHOW JOBS WHERE job_id = 2]'), qr/^runningtrue$/m, 'a table in a parallel worker');
like(in_parallel('PAUSE JOB 1'), qr/ERROR:  cannot execute UPDATE during a parallel operation/,
	'PAUSE JOB is refused there');
like(in_parallel(q{SELECT kwjobs.submit(''SELECT 1'')::text AS status}),
	qr/ERROR:  cannot execute kwjobs.submit during a parallel operation/, '... and so is kwjobs.submit');
like(in_parallel('SHOW JOB 1 2'), qr/ERROR:  syntax error at or near "2"/, 'an error in a parallel worker');

# Logical replication: a trigger on the subscriber's table, in the apply worker
my $subscriber = new_node('subscriber', "wal_retrieve_retry_interval = 100ms\n");
add_jobs($subscriber);
for my $server ($node, $subscriber)
{
	$server->safe_psql('postgres', 'CREATE TABLE replicated (n integer PRIMARY KEY)');
}
$subscriber->safe_psql('postgres', <<'EOF');
CREATE TABLE seen (n serial, what text);
CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    r record;
    jobs text := '';
BEGIN
    BEGIN
        PAUSE JOB 99;
    EXCEPTION WHEN OTHERS THEN
        jobs := 'caught ';
    END;
    EXECUTE 'PAUSE JOB $1' USING NEW.n;
    EXECUTE 'SHOW JOBS' INTO r;
    FOR r IN SHOW JOBS LOOP jobs := jobs || r.job_id; END LOOP;
    INSERT INTO public.seen (what)
    SELECT concat_ws(' ', NEW.n, substring(backend_type FROM '^logical replication'), jobs, status)
      FROM [SHOW JOB 1], pg_stat_activity WHERE pid = pg_backend_pid();
    RETURN NEW;
END $$;
CREATE TRIGGER note AFTER INSERT ON replicated FOR EACH ROW EXECUTE FUNCTION note_row();
ALTER TABLE replicated ENABLE ALWAYS TRIGGER note;
EOF
$node->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE replicated');
my $connstr = $node->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION '$connstr' PUBLICATION p");
$subscriber->wait_for_subscription_sync($node, 's');
$node->safe_psql('postgres', 'INSERT INTO replicated VALUES (1)');
$node->wait_for_catchup('s');
is(seen($subscriber), '1 logical replication caught 123 paused', 'in the apply worker');

# One that fails stops replication, as any error does, until it can go on.
my $from = -s $subscriber->logfile;
$node->safe_psql('postgres', 'INSERT INTO replicated VALUES (77)');
$subscriber->wait_for_log(qr/ERROR:  job with ID 77 does not exist/, $from);
$subscriber->safe_psql('postgres', <<'EOF');
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status,
                        due, max_attempts, payload, created, started, modified)
VALUES (77, 'IMPORT', 'a job', 10, 'postgres', 'paused', 'infinity', 1, '{}', now(), now() - interval '1 hour', now());
EOF
$node->wait_for_catchup('s');
is(seen($subscriber), '77 logical replication caught 12773 paused', '... and goes on after an error');

for my $server ($node, $subscriber)
{
	unlike(slurp_file($server->logfile), qr/TRAP|PANIC|terminated by signal/, 'no process crashed');
}
$subscriber->stop;
$node->stop;
done_testing();
