# t/lib/KwjGates.pm: what tests of IMPORT share that let records wait at gates. One session of the test does
# everything that is not IMPORT itself. It holds the advisory locks (4711, record), at which a trigger of the
# target lets a part of the import wait, so the test knows where the part is when something happens to it.
# The session ends when the server crashes; crash() connects another one.
package KwjGates;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use KwjCsv;
use KwjTest;

our @EXPORT = qw(begin_session connect_session quit_session run_sql crash wait_until wait_until_over end_of error_of
  close_at open_at at_gate disturb);

my $node;
my $session;

# Connects the session to this server, and creates the procedures of sql/include in its database.
sub begin_session
{
	($node) = @_;
	$node->safe_psql('postgres', "\\i $FindBin::RealBin/../sql/include/procedures.sql");
	connect_session();
	return;
}

sub connect_session
{
	$session = $node->background_psql('postgres');
	$session->set_query_timer_restart();
	run_sql('SET kwjobs.progress_interval = 0; SET client_min_messages = warning');
	return;
}

sub quit_session { $session->quit; return; }

sub run_sql { return $session->query_safe($_[0]); }

# Kills this process, or else the postmaster, and waits until the server is up again. All sessions end; the
# one of the test is connected anew. The end of the test's session opens the gates, so it comes after the kill.
sub crash
{
	my ($pid) = @_;
	if (defined $pid) { kill_process($node, $pid); } else { $node->kill9; }
	quit_session();
	start_when_possible($node) if !defined $pid;
	connect_session();
	return;
}

sub wait_until { run_sql('CALL wait_until($c$' . $_[0] . '$c$)'); return; }

sub wait_until_over { return run_sql("SELECT FROM kwjobs.wait($_[0], '10 minutes')") }

# Returns how the job has ended: its status, and its rows.
sub end_of { return run_sql("SELECT status, rows FROM kwdb_internal.jobs WHERE job_id = $_[0]") }

# Returns the error of the job in the form in which copy_files() returns that of COPY; empty if there is none.
sub error_of { return run_sql(job_error($_[0])) }

# Closes the gates at these records, which are in the table `gates` then.
sub close_at
{
	for my $record (@_)
	{
		run_sql("INSERT INTO gates VALUES ($record) ON CONFLICT DO NOTHING");
		run_sql("SELECT pg_advisory_lock(4711, $record)");
	}
	return;
}

sub open_at { run_sql("SELECT pg_advisory_unlock(4711, $_)") for @_; return; }

# Waits until a process waits at this gate, or the job is over. Returns the process's id, or nothing.
sub at_gate
{
	my ($job, $gate) = @_;
	my $at = "FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = 4711 AND objid = $gate";
	wait_until("EXISTS (SELECT $at) OR (SELECT finished IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job)");
	return run_sql("SELECT pid $at LIMIT 1");
}

# Does something to the part that has come to this gate, or to its job: terminate, pause (and resume),
# cancel, crash. Opens the gate. Returns what it was; nothing if no part comes, because the job is over.
sub disturb
{
	my ($job, $gate, $what) = @_;
	my $pid = at_gate($job, $gate);
	if ($pid eq '')
	{
		open_at($gate);
		return '';
	}
	if ($what eq 'crash')
	{
		crash();
		return $what;
	}
	run_sql("SELECT pg_terminate_backend($pid)") if $what eq 'terminate';
	run_sql("SELECT kwjobs.cancel($job)") if $what eq 'cancel';
	run_sql("SELECT kwjobs.pause($job)") if $what eq 'pause';
	open_at($gate);
	if ($what eq 'pause')
	{
		# Other parts may wait at other gates, so the coordinator interrupts them after a while.
		wait_until("(SELECT status = 'paused' OR finished IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job)");
		run_sql("SELECT kwjobs.resume(job_id) FROM kwdb_internal.jobs WHERE job_id = $job AND status = 'paused'");
	}
	return $what;
}

1;
