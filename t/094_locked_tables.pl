# A member of pg_write_all_data may lock the tables of kwjobs, which stops all jobs of the database
# until the lock is gone. The log, and sessions that wait for a job, name the process with the lock.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('locked', "kwjobs.max_workers = 1\nkwjobs.progress_interval = 100ms\n");
$node->safe_psql('postgres', 'CREATE ROLE writer LOGIN IN ROLE pg_write_all_data; CREATE DATABASE locked');
$node->safe_psql('locked', 'CREATE EXTENSION kwjobs');

# The only worker is busy in another database.
my $gate = close_gate($node);
my $first = $node->safe_psql('postgres', q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')});
wait_at_gate($node, $first);
my $waiting = $node->background_psql('locked', on_error_stop => 0);
$waiting->query_until(qr/started/, "\\echo started\nSET kwjobs.progress_interval = '200ms';\nCALL kwjobs.run('SELECT 1');\n");
wait_query($node, 'SELECT count(*) = 1 FROM kwjobs.job WHERE rank IS NOT NULL', 'locked');
my $job = $node->safe_psql('locked', q{SELECT max(job_id) FROM kwdb_internal.jobs WHERE job_type = 'SQL'});
my $writer = $node->background_psql('locked', extra_params => [ '-U', 'writer' ]);
$writer->query_safe('BEGIN; LOCK TABLE kwjobs.job IN SHARE MODE');
my $pid = $writer->query_safe('SELECT pg_backend_pid()') =~ s/\D//gr;
my $log = -s $node->logfile;
open_gate($gate);

wait_query($node, "SELECT running_status LIKE 'waiting for the coordinator (PID %), which waits for a lock on the tables of kwjobs that process $pid has' FROM [SHOW JOB $job]", 'locked');
$node->wait_for_log(qr/kwjobs coordinator LOG:  process \d+ still waiting for RowExclusiveLock on relation \d+ of database \d+ after .* ms.*\n.*DETAIL:  Process(es)? holding the lock: .*\b$pid\b/, $log);
note('the log names the process');
IPC::Run::pump $waiting->{run} until $waiting->{stderr} =~ /NOTICE:  job $job does not run: waiting for the coordinator .* that process $pid has/;
note('so is who waits for the job');
$writer->query_safe('COMMIT');
$writer->quit;
wait_for_status($node, $job, 'succeeded', 'locked');
$waiting->query(q{SELECT 'done'});
$waiting->quit;
is($node->safe_psql('locked', "SELECT running_status IS NULL FROM [SHOW JOB $job]"), 't', 'once the lock is gone, nothing is said');

$node->stop;
done_testing();
