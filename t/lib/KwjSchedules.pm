# t/lib/KwjSchedules.pm: what the tests of schedules share: the clock of a test build, and what has become
# of due times.
package KwjSchedules;
use strict;
use warnings;
use Exporter 'import';
use KwjTest;
use Test::More;

our @EXPORT = qw(stop_clock create_schedule due_times sum_of_times wait_for_ends schedule_field wait_for_schedule);

# Stops the clock by which schedules are due at this instant (UTC), or lets it go with the server's again.
# The coordinator has acted on all that is due when this returns. If that takes longer than a tenth of a second, it
# does so in several transactions, with passes in between, and does not sleep before the last of them.
sub stop_clock
{
	my ($node, $time, $db) = @_;
	$db //= 'postgres';
	my $seconds = defined $time ? $node->safe_psql($db, "SELECT extract(epoch FROM '$time+00'::timestamptz)") : undef;
	configure($node, 'kwjobs.test_schedule_clock', $seconds);
	wait_for_pass($node, $db);
	wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = '$db' AND wait_event_type IS DISTINCT FROM 'Extension'");
	return;
}

# Creates a schedule that inserts a row into table runs, unless a statement is given.
sub create_schedule
{
	my ($node, $name, $cron, $options, $statement) = @_;
	$statement //= "INSERT INTO runs VALUES (''$name'')";
	$options = $options ? "WITH SCHEDULE OPTIONS $options" : '';
	$node->safe_psql('postgres', "SET client_min_messages = warning; CREATE SCHEDULE '$name' FOR SQL '$statement' RECURRING '$cron' $options");
	return;
}

# Returns the due times of a schedule: hour:minute outcome, one a line.
sub due_times
{
	my ($node, $name, $format) = @_;
	$format //= 'HH24:MI';
	return $node->safe_psql('postgres', <<"EOF");
SELECT concat_ws(' ', to_char(due AT TIME ZONE 'UTC', '$format'), nullif(kind, 'due'), outcome) FROM kwdb_internal.due_times
 WHERE schedule = '$name' ORDER BY due, decided, job_id
EOF
}

sub sum_of_times
{
	my ($node, $name) = @_;
	return $node->safe_psql('postgres', "SELECT coalesce(sum(times), 0) FROM kwdb_internal.due_times WHERE schedule = '$name'");
}

# Waits until all runs are over, and the coordinator has noted that.
sub wait_for_ends
{
	my ($node, $db) = @_;
	wait_query($node, 'SELECT count(*) = 0 FROM kwjobs.due_time WHERE job_id IS NOT NULL AND finished IS NULL', $db);
	return;
}

sub schedule_field
{
	my ($node, $name, $field) = @_;
	return $node->safe_psql('postgres', "SELECT $field FROM kwdb_internal.schedules WHERE name = '$name'");
}

sub wait_for_schedule
{
	my ($node, $name, $condition) = @_;
	wait_query($node, "SELECT $condition FROM kwdb_internal.schedules WHERE name = '$name'");
	return;
}

1;
