# Control statements for jobs of other databases, where one of the databases does not play along:
# the others are served all the same, and what is kept in shared memory stays small.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjServer;
use KwjTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('server_bounds', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
kwjobs.test_haste = 4
kwjobs.coordinator_idle_timeout = 0
kwjobs.worker_idle_timeout = 10ms
kwjobs.scope = server
# A session gives up when no database has answered for a second. A slow machine may need longer, so
# the sessions of this test wait for a minute.
kwjobs.test_silence = 1min
max_connections = 60
autovacuum = off
dynamic_shared_memory_type = mmap
EOF

sub at_gate { my ($gate) = @_; wait_at_gates($node, 1, "objid = $gate"); return }

my $segments = segments($node);
create_database($node, $_) for 'one', 'two', 'three';
my %job = map { $_ => waiting_job($node, $_) } 'one', 'two', 'three';

# ---- a table of the other database is locked ----

# The coordinator of "one" has taken the errands, and would wait for the table.
my $gate = close_gates_in($node, 'postgres', 4927);
$node->safe_psql('postgres', "PAUSE JOB $job{one}");
at_gate(4927);
my $blocker = $node->background_psql('one');
$blocker->query_safe('BEGIN; LOCK TABLE kwjobs.errand_done IN ACCESS EXCLUSIVE MODE');
$gate->quit;
wait_query($node, "SELECT count(*) = 1 FROM kwjobs.errands WHERE job_id = $job{one} AND tries > 0");
$node->safe_psql('postgres', "PAUSE JOB $job{two}");
wait_for_status($node, $job{two}, 'paused', 'two');
note('a lock on a table of one database does not hold up errands for another');
$blocker->quit;
wait_for_status($node, $job{one}, 'paused', 'one');
errands_end($node);

# ---- an errand waits for one before it ----

# The one before it has to wait for its time, because a session keeps the job locked. Meanwhile the
# coordinator sleeps.
$blocker = $node->background_psql('one');
$blocker->query_safe("BEGIN; RESUME JOB $job{one}");
$node->safe_psql('postgres', "RESUME JOB $job{one}");
wait_query($node, "SELECT count(*) = 1 FROM kwjobs.errand WHERE job_id = $job{one} AND tries >= 5");
$node->safe_psql('postgres', "PAUSE JOB $job{one}");
is_once(sub { busy_looks($node, 20) <= 10 ? 'sleeps' : 'busy' }, 'sleeps', 'the coordinator sleeps while an errand waits for one before it');
$blocker->quit;
wait_for_status($node, $job{one}, 'paused', 'one');
errands_end($node);

# ---- a coordinator does not take its mail ----

# More errands than a mail has, and behind them one for another database.
my @many = split(/\n/, $node->safe_psql('one', q{SELECT kwjobs.submit('SELECT 1', run_at => 'tomorrow') FROM generate_series(1, 120)}));
my $many = join(', ', @many);
$gate = close_gates_in($node, 'postgres', 4927);
$node->safe_psql('postgres', "BEGIN; SELECT kwjobs.pause_jobs(ARRAY[$many]); RESUME JOB $job{two}; COMMIT");
at_gate(4927);
$blocker = $node->background_psql('one');
$blocker->query_safe('BEGIN; LOCK TABLE kwjobs.job IN ACCESS EXCLUSIVE MODE');
$gate->quit;
wait_for_status($node, $job{two}, 'pending', 'two');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kwjobs.errand WHERE tries > 0'), '50',
	'a database that does not take its mail holds up the others for one mail only');
$blocker->quit;
errands_end($node);
is($node->safe_psql('one', "SELECT string_agg(DISTINCT status, ' ') FROM kwdb_internal.jobs WHERE job_id IN ($many)"), 'paused', '... and gets its errands later');

# ---- long reasons ----

$gate = close_gates_in($node, 'one', 4929);
$node->safe_psql('postgres', join('', 'BEGIN;', map { "$_ JOB $job{one} WITH REASON = '" . 'x' x 200_000 . "';" } ('RESUME', 'PAUSE') x 10) . 'COMMIT;');
at_gate(4929);
cmp_ok((sort { $b <=> $a } map { -s } segments($node))[0], '<=', 1024 * 1024, 'long reasons do not make a large mail');
$gate->quit;
errands_end($node);
is($node->safe_psql('one', "SELECT count(*) FROM kwdb_internal.job_events WHERE job_id = $job{one} AND event IN ('resume', 'pause') AND reason LIKE 'xxxx%'"),
	'20', '... they arrive in several');

# ---- an errand that was done, of which the source has not taken note ----

$gate = close_gates_in($node, 'postgres', 4928);
$node->safe_psql('postgres', "CANCEL JOB $job{two}");
at_gate(4928);
wait_for_status($node, $job{two}, 'canceled', 'two');
$node->safe_psql('two', "RETRY JOB $job{two}");
is($node->psql('postgres', "PAUSE JOB $job{two}"), 0, 'a statement is not checked behind an errand that has had its effect');
$gate->quit;
wait_for_status($node, $job{two}, 'paused', 'two');
errands_end($node);

# ---- a database that does not answer ----

# The session would wait an hour for the next answer; there is an end to it although others answer. These have
# their coordinators already, so that they need no more time than an answer takes.
configure($node, 'kwjobs.coordinator_idle_timeout', '-1');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT database, ' ') FROM kwjobs.show() WHERE database IN ('one', 'three')}), 'one three', 'the others answer');
$gate = close_gates_in($node, 'two', 4926);
my ($stdout, $stderr) = ('', '');
is($node->psql('postgres', "SET kwjobs.test_silence = '1h'; SET kwjobs.test_longest_ask = '3s'; SELECT DISTINCT database FROM kwjobs.show() WHERE database IN ('one', 'three') ORDER BY 1",
	stdout => \$stdout, stderr => \$stderr), 0, 'a list has an end');
is($stdout, "one\nthree", '... with the jobs of those that answer');
like($stderr, qr/WARNING:  the jobs of database "two" are left out: its coordinator did not answer in time/, '... and a warning of the others');
$gate->quit;
configure($node, 'kwjobs.coordinator_idle_timeout', '0');

# ---- the source loses kwjobs while its errand is being done ----

$gate = close_gates_in($node, 'one', 4929);
$node->safe_psql('two', "RESUME JOB $job{one}");
at_gate(4929);
$node->safe_psql('two', 'DROP EXTENSION kwjobs');
$gate->quit;
wait_for_status($node, $job{one}, 'pending', 'one');
wait_for_no_coordinator($node);
ok(comes_true(sub { segments($node) == $segments }), 'DROP EXTENSION in the source: its mail is not kept');

# ---- a copy sends its own errands ----

# As if a session had controlled a job before the first pass of the coordinator in a copy.
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE three');
wait_query($node, q{SELECT h.database = d.oid FROM kwjobs.home AS h, pg_database AS d WHERE datname = 'copy'}, 'copy');
$gate = close_gates_in($node, 'copy', 4927);
$node->safe_psql('copy', "PAUSE JOB $job{one}");
at_gate(4927);
$node->safe_psql('copy', 'UPDATE kwjobs.home SET database = 1');
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(pid) FROM pg_locks WHERE objid = 4927 AND NOT granted');
$gate->quit;
wait_for_status($node, $job{one}, 'paused', 'one');
errands_end($node, 'copy');

# ---- many sessions wait ----

# There are 32 places for questions. A session that waits and finds none tries again. So does the
# script until it has found out which database has the job. It sleeps a little before that, because
# nothing tells a session that a place has become free.
my $script = $node->basedir . '/wait.sql';
my $three = waiting_job($node, 'three');
append_to_file($script, <<"EOF");
SET kwjobs.test_silence = '1s';
DO \$\$ -- waiting
BEGIN
    LOOP
        BEGIN
            PERFORM kwjobs.wait($three, '0');
            EXIT;
        EXCEPTION WHEN OTHERS THEN
            PERFORM pg_sleep(0.1);
        END;
    END LOOP;
    ASSERT (SELECT status FROM kwjobs.wait($three)) = 'canceled';
END \$\$;
EOF
my ($out, $err) = ('', '');
my $waits = IPC::Run::start([ 'pgbench', '-n', '-c', '40', '-t', '1', '-f', $script, $node->connstr('postgres') ], '<', \undef, '>', \$out, '2>', \$err);
wait_query($node, q{SELECT count(*) = 40 FROM pg_stat_activity WHERE query LIKE '%-- waiting%' AND wait_event_type = 'Extension'});
$gate = close_gates_in($node, 'three', 4926);
$node->safe_psql('three', "PAUSE JOB $three");
ok(comes_true(sub { segments($node) >= $segments + 32 }), 'the coordinator answers nobody, and as many ask as may');
$gate->quit;
wait_for_status($node, $three, 'paused', 'three');
$node->safe_psql('three', "CANCEL JOB $three");
$waits->finish;
unlike($err, qr/ERROR/, 'more sessions wait for a job than there are places for questions');
like($out, qr{number of transactions actually processed: 40/40}, '... all of them to its end');

is_consistent($node, $_) for 'postgres', 'one', 'three';
$node->stop;
done_testing();
