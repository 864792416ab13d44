# While an index on kwjobs.job is built, a coordinator can write nothing. It waits for that, but goes on to
# answer sessions of other databases, and takes their errands.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjServer;
use KwjTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('blocked_pass', <<'EOF');
kwjobs.scope = server
kwjobs.worker_idle_timeout = 10ms
# A session gives up when no database has answered for a second. A slow machine may need longer, so
# the sessions of this test wait for a minute.
kwjobs.test_silence = 1min
autovacuum = off
EOF
create_database($node, $_) for 'one', 'two';
my $here = waiting_job($node, 'one');
my $there = waiting_job($node, 'two');

# CREATE INDEX takes this lock, and keeps it until it is done. Here it comes while a new coordinator is in its
# first pass, and gets the lock when that is over. What the coordinator does after the pass, such as the looks for
# old jobs and stale statistics, meets the lock, too.
my $gate = close_gates_in($node, 'one', 4904);
$node->safe_psql('one', "SELECT pg_terminate_backend(pid, 600000) FROM pg_stat_activity WHERE datname = 'one' AND backend_type = 'kwjobs coordinator'");
wait_at_gates($node, 1, 'objid = 4904');
my $builder = $node->background_psql('one');
$builder->query_until(qr/builds/, "\\echo builds\nBEGIN;\nLOCK TABLE kwjobs.job IN SHARE MODE;\n");
wait_query($node, q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'kwjobs.job'::regclass AND mode = 'ShareLock' AND NOT granted}, 'one');
$gate->quit;
my $pid = $builder->query_safe('SELECT pg_backend_pid()') =~ s/\D//gr;
my $log = -s $node->logfile;
# The errand wakes the coordinator of "one".
$node->safe_psql('postgres', "SELECT kwjobs.pause_jobs(ARRAY[$here, $there])");
wait_for_status($node, $there, 'paused', 'two');
wait_query($node, "SELECT count(*) = 1 FROM kwjobs.errands WHERE job_id = $here AND tries > 1 AND NOT refused");
note('errands for the blocked database are tried again, and those for others are done');
$node->wait_for_log(qr/kwjobs coordinator LOG:  process \d+ still waiting for RowExclusiveLock on relation \d+ of database \d+ after .* ms.*\n.*DETAIL:  Process(es)? holding the lock: .*\b$pid\b/, $log);
for my $round (1 .. 2)
{
	my ($out, $err) = ('', '');
	$node->psql('postgres', "SELECT status FROM [SHOW JOB $here]; SELECT kwjobs.why($here); SELECT count(*) > 1 FROM [SHOW JOBS]", stdout => \$out, stderr => \$err);
	like($out, qr/^pending\nThis is a job of database "one"\.\nJob $here .*\nt$/s, 'sessions of other databases see its jobs');
	unlike($err, qr/left out/, '... and are not told that it does not answer');
}
cmp_ok(scalar(() = slurp_file($node->logfile, $log) =~ /still waiting for RowExclusiveLock/g), '<', 10, 'the log names the process that has the lock, but not all the time');

# The coordinator of another database that begins while the lock is there waits in its first pass.
is($node->safe_psql('one', 'SELECT pg_terminate_backend(pid, 600000) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = $$kwjobs coordinator$$'),
	't', 'the coordinator is gone');
my ($out, $err) = ('', '');
$node->psql('postgres', "SELECT status FROM [SHOW JOB $here]", stdout => \$out, stderr => \$err);
is("$out$err", 'pending', 'its successor answers as well');

$builder->query_safe('COMMIT');
$builder->quit;
wait_for_status($node, $here, 'paused', 'one');
errands_end($node);
my $job = $node->safe_psql('one', q{SELECT kwjobs.submit('SELECT 1')});
wait_for_status($node, $job, 'succeeded', 'one');
note('once the lock is gone, all goes on');
is_consistent($node, $_) for 'one', 'two';
$node->stop;
done_testing();
