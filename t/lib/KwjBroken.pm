# t/lib/KwjBroken.pm: what the tests of broken jobs share. A broken job is one whose rows in our tables
# cannot be used as they are; it must harm no other.
package KwjBroken;

use strict;
use warnings;
use Exporter 'import';
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(broken_node know_coordinator sql submit_bad submit_others submit_at_gate make_due others_are_well
  is_over among_others $work);

my $node;
my $coordinator;

# What the other jobs do: it is seen whether they have done it once.
our $work = 'INSERT INTO ran SELECT kwjobs.current_job()';

sub sql { return $node->safe_psql('postgres', $_[0]) }

# That of this database. When the server starts, those of other databases come for a moment, too.
my $coordinators = q{FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'};

sub coordinator { return sql("SELECT string_agg(pid::text, ',') $coordinators") }

sub broken_node
{
	my ($name, $conf) = @_;
	$node = new_node($name, "kwjobs.max_workers = 2\nautovacuum = off\n" . ($conf // ''));
	sql('CREATE TABLE ran (job bigint); CREATE ROLE other LOGIN; GRANT ALL ON ran TO PUBLIC');
	know_coordinator();
	return $node;
}

# The coordinator that is to stay from now on.
sub know_coordinator
{
	wait_query($node, "SELECT count(*) = 1 $coordinators");
	$coordinator = coordinator();
	return;
}

# A job that does not start before somebody says so.
sub submit_bad
{
	my ($statement, $more) = @_;
	return sql("SELECT kwjobs.submit(\$\$$statement\$\$, description => 'bad', run_at => now() + interval '1 hour'"
		  . ($more ? ", $more" : '') . ')');
}

# $more: statements of the same transaction, so that the job does not start before they have taken effect. It
# takes the lock of CREATE TRIGGER first, so that it keeps nobody waiting while it waits for this lock.
sub make_due
{
	my ($job, $change, $more) = @_;
	my $update = 'UPDATE kwjobs.job SET due = clock_timestamp()' . ($change ? ", $change" : '') . " WHERE job_id = $job";
	sql($more ? "BEGIN; LOCK TABLE kwjobs.job IN SHARE ROW EXCLUSIVE MODE; $update; $more; COMMIT" : $update);
	return;
}

sub submit_others
{
	my ($n, $role) = @_;
	return split(/\n/,
		sql('SET ROLE ' . ($role // 'postgres') . "; SELECT kwjobs.submit('$work') FROM generate_series(1, $n)"));
}

# Jobs that run until the gate opens.
sub submit_at_gate
{
	my ($n) = @_;
	my @jobs = map { sql("SELECT kwjobs.submit('$work FROM (SELECT pg_advisory_xact_lock_shared(4711)) AS g')") } 1 .. $n;
	wait_at_gate($node, $_) for @jobs;
	return @jobs;
}

# All of these jobs have done their work, once, and the coordinator is still the same.
sub others_are_well
{
	my ($name, @jobs) = @_;
	my $list = join(', ', @jobs);
	ok(becomes_true($node, "SELECT count(*) = 0 FROM kwjobs.job WHERE finished IS NULL AND job_id IN ($list)"),
		"$name: other jobs end");
	is( sql("SELECT string_agg(format('%s: %s', status, error), ', ') FROM kwjobs.job
			  WHERE status <> 'succeeded' AND job_id IN ($list)"),
		'', "$name: other jobs succeed");
	is(sql("SELECT count(*), count(DISTINCT job) FROM ran WHERE job IN ($list)"),
		scalar(@jobs) . '|' . scalar(@jobs), "$name: their work is done, once");
	is(coordinator(), $coordinator, "$name: the coordinator goes on");
	return;
}

# It has ended as it should.
sub is_over
{
	my ($name, $job, $expected) = @_;
	ok(becomes_true($node, "SELECT finished IS NOT NULL FROM kwjobs.job WHERE job_id = $job"),
		"$name: the broken job ends");
	like(sql("SELECT status || ': ' || error FROM kwjobs.job WHERE job_id = $job"), $expected, "$name: how it ends");
	return;
}

# Jobs of one role go from one to the next in their workers: the broken one is in the middle.
sub among_others
{
	my ($name, $bad, $break, $expected) = @_;
	my $gate = close_gate($node);
	my @jobs = (submit_at_gate(2), submit_others(2));
	sql($break) if $break;
	make_due($bad);
	push(@jobs, submit_others(3));
	wait_query($node, "SELECT rank IS NOT NULL OR finished IS NOT NULL FROM kwjobs.job WHERE job_id = $bad");
	open_gate($gate);
	push(@jobs, submit_others(1, 'other'));
	others_are_well($name, @jobs);
	is_over($name, $bad, $expected) if $expected;
	return;
}

1;
