# doc/users/tasks.md: the SQL of each task is taken out of the document and run, and does what the
# document says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $document = "$FindBin::RealBin/../doc/users/tasks.md";
# This number in the document stands for the id of the job that a task is about.
my $example_id = '1231606206046011393';
my $example_file = '/data/orders.csv';

# The tasks of the document by their titles, and the titles in order: each task is its SQL.
my (%tasks, @titles);
for my $section (split(/^## /m, slurp_file($document)))
{
	my ($title) = $section =~ /^\d+\. (.*)\n/ or next;
	my @blocks = $section =~ /^```sql\n(.*?)^```/msg;
	is(scalar @blocks, 1, "'$title' has its SQL");
	my $lines = () = $blocks[0] =~ /\n/g;
	cmp_ok($lines, '<=', 3, '... in three lines at most');
	push(@titles, $title);
	$tasks{$title} = $blocks[0];
}
cmp_ok(scalar @titles, '>=', 25, 'there are 25 tasks at least');

my $node = new_node('tasks', "kwjobs.max_workers = 2\nmax_connections = 30\n");
my $csv = $node->basedir . '/orders.csv';

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub write_orders
{
	my ($bad) = @_;
	open(my $fh, '>', $csv) or die "$csv: $!";
	print $fh "$_,ann,t\n" for 1 .. 100;
	print $fh "$bad,bob,t\n";
	close($fh) or die "$csv: $!";
	return;
}

sql(<<'EOT');
CREATE ROLE admin;
CREATE ROLE stone LOGIN;
CREATE TABLE orders (id bigint, customer text, closed boolean);
INSERT INTO orders SELECT n, 'c' || n % 3, true FROM generate_series(1, 30) AS n;
CREATE TABLE report (customer text, n bigint);
GRANT ALL ON orders, report TO stone;
CREATE PROCEDURE purge() LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM orders WHERE id <= 10;
    CALL kwjobs.checkpoint(0.5);
    DELETE FROM orders WHERE id <= 20;
END $$;
EOT

# Runs the task that begins with these words, about this job. Returns what it prints.
my %is_done;

sub task
{
	my ($title, $job, $role) = @_;
	my $sql = $tasks{$title};
	return fail("there is no task '$title'") if !defined $sql;
	$is_done{$title} = 1;
	like($sql, qr/\Q$example_id\E/, "'$title' is about a job") if defined $job;
	$sql =~ s/\Q$example_id\E/$job/g if defined $job;
	$sql =~ s/\Q$example_file\E/$csv/g;
	my ($stdout, $stderr);
	my $rc = $node->psql('postgres', $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 1,
		extra_params => ['-U', $role // getpwuid($<)]);
	is($rc, 0, "'$title' works") or diag($stderr);
	return $stdout;
}

# The statements of a task.
sub steps { return split(/(?<=;\n)/, $tasks{$_[0]}) }

# Runs one statement of the task only: something has to happen before the next one.
sub step
{
	my ($title, $n, $job, $role) = @_;
	local $tasks{$title} = (steps($title))[$n];
	return task($title, $job, $role);
}

sub wait_for_all
{
	wait_query($node, 'SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE finished IS NULL');
	return;
}

# A job that runs until the gate is opened.
my $waiting = q{SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')};

sub start_waiting
{
	my $job = sql($waiting);
	wait_at_gate($node, $job);
	return $job;
}

{
	my $job = task('Run something tonight');
	is(job_field($node, $job, q{status, run_at = 'tomorrow 03:00'}), 'pending|t', '... at its time');
	is(task('Run something tonight'), $job, '... once');
	task('Change a job that waits', $job);
	wait_for_status($node, $job, 'succeeded');
	is(job_field($node, $job, 'priority'), 10, '... with its new priority');
}

{
	my $job = task('Delete a lot, in batches');
	wait_for_status($node, $job, 'succeeded');
	is(sql('SELECT min(id) FROM orders'), 21, '... does so');
}

# The file is mended before the third step.
{
	write_orders('wrong');
	is(scalar steps('Import a big file'), 3, 'the import has three steps');
	my ($job) = step('Import a big file', 0) =~ /^(\d+)/;
	wait_for_status($node, $job, 'failed');
	like(step('Import a big file', 1, $job), qr/^invalid input syntax for type bigint: "wrong"\|.*orders\.csv\|101$/,
		'... which says where the error is');
	write_orders(101);
	step('Import a big file', 2, $job);
	wait_for_status($node, $job, 'succeeded');
	is(sql('SELECT count(*) FROM orders'), 111, '... and imports the file once it is right');
}

{
	my $gate = close_gate($node);
	my $job = start_waiting();
	step('Make room at peak hours', 0);
	wait_for_status($node, $job, 'paused');
	step('Make room at peak hours', 1);
	wait_at_gate($node, $job);
	like(task('See how far a job is', $job), qr/^\|waiting for an advisory lock: pid \d+ /, '... whom it waits for; how far it is, is not known');
	my $next = sql("SELECT kwjobs.submit('SELECT 1', depends_on => $job)");
	wait_query($node, "SELECT running_status IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $next");
	like(task('Find out why a job does not run', $next), qr/^pending\|.*$job.*\n.*$job/, '... but for which job it waits');
	sql("SELECT kwjobs.cancel($next, 'a mistake')");
	like(task('Find out who canceled it', $next), qr/\|cancel\|\w+\|a mistake\|/, '... and why, and when');
	like(task('Watch the newest jobs'), qr/$job/, '... shows it');
	open_gate($gate);
	wait_for_status($node, $job, 'succeeded');
}

{
	my $job = sql(q{SELECT kwjobs.submit('SELECT 1 FROM later')});
	wait_for_status($node, $job, 'failed');
	like(task('List what failed last week'), qr/$job.*relation "later" does not exist/, '... with the error');
	sql('CREATE TABLE later ()');
	task('Run a failed job again', $job);
	wait_for_status($node, $job, 'succeeded');
	wait_for_all();
	is(sql(q{SELECT max_attempts FROM kwdb_internal.jobs ORDER BY created DESC LIMIT 1}), 10, '... with more attempts');
}

{
	my $job = task('Run one job after another');
	wait_for_status($node, $job, 'succeeded');
	$job = step('Get a result', 0);
	like(step('Get a result', 1, $job), qr/^succeeded\|.*"customer": "ann"/, '... which whoever waits gets');
	$job = step('Pass values to a job', 0);
	wait_for_status($node, $job, 'succeeded');
	is(sql('SELECT customer FROM report WHERE n = 7'), q{O'Hara}, '... as they are');
	$job = step('Pass values to a job', 1);
	wait_for_status($node, $job, 'succeeded');
	is(sql('SELECT count(*) FROM report WHERE n = 7'), 0, '... also by name');
	task('Build an index beside everything else');
	is(sql(q{SELECT count(*) FROM pg_index WHERE indrelid = 'orders'::regclass AND indisvalid}), 1, '... which is valid');
}

{
	my $gate = close_gate($node);
	$node->safe_psql('postgres', $waiting, extra_params => ['-U', 'stone']);
	sql($waiting);
	task('Cancel all jobs of one user');
	wait_query($node, q{SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE user_name = 'stone' AND status = 'canceled'});
	is(sql('SELECT count(*) FROM kwdb_internal.jobs WHERE finished IS NULL'), 1, '... and no other');
	my $job = $node->safe_psql('postgres', $waiting, extra_params => ['-U', 'stone']);
	$tasks{"Follow one's own jobs without special rights"} =~ s/10 seconds/10 milliseconds/;
	my $out = task("Follow one's own jobs without special rights", $job, 'stone');
	like($out, qr/^$job\|/m, '... shows them');
	unlike($out, qr/pg_advisory/, '... only those');
	wait_for_status($node, $job, 'canceled');
	open_gate($gate);
	wait_for_all();
}

{
	task('Limit how many run at once');
	is(sql(q{SELECT setting FROM pg_settings WHERE name = 'kwjobs.max_workers_per_type'}), 'IMPORT = 1', '... from now on');
	my $job = sql(q{SELECT kwjobs.submit($$DO 'BEGIN RAISE NOTICE ''half of it''; END'$$)});
	wait_for_status($node, $job, 'succeeded');
	like(task('Read what a job has said', $job), qr/^1\|[^|]+\|NOTICE\|half of it$/m, '... is all there');
	my ($tagged) = task('Group jobs, and find them again') =~ /^(\d+)/;
	wait_for_end($node, $tagged);
}

{
	step('Hold what comes', 0);
	my $held = sql(q{SELECT kwjobs.submit('SELECT 26')});
	wait_query($node, "SELECT running_status ~ 'the disk is full' FROM kwdb_internal.jobs WHERE job_id = $held");
	step('Hold what comes', 1);
	wait_for_status($node, $held, 'succeeded');
	# One session runs the task and waits, so that it gets the notification with the answer.
	(my $told = $tasks{'Be told when a job is over'}) =~ s/^SELECT (kwjobs\.submit.*);/SELECT $1 AS told \\gset/m;
	like(sql($told . 'SELECT status FROM kwjobs.wait(:told); SELECT 1'),
		qr/Asynchronous notification "jobs" with payload.*succeeded/s, 'who listens is told');
	task('Be told when a job is over');
	wait_for_all();
	my $later = sql(q{SELECT kwjobs.submit('SELECT 4712', run_at => '2100-01-01')});
	like(task('Dump a database that has jobs'), qr/SELECT 4712\|2100-01-01.*\|SELECT 4712/, '... what waits');
	sql("SELECT kwjobs.cancel($later)");
	my ($job) = task('Make jobs from an application') =~ /^(\d+)/m;
	wait_for_status($node, $job, 'succeeded');
	wait_for_all();
	$node->restart;
	wait_query($node, q{SELECT count(*) > 0 FROM kwdb_internal.jobs WHERE job_type = 'RESTART' AND status = 'succeeded'});
	like(task('See what a restart has done'), qr/Start PostgreSQL SERVICE/, '... which is a job');
	task('Clean up');
	is(sql(q{SELECT count(*) FROM kwdb_internal.jobs WHERE status IN ('succeeded', 'canceled')}), 0, '... nothing is left');
	like(task('Import at night only'), qr/^\d+\n.* 22:00:00\+00|^\d+\n.* 06:00:00\+00/, 'it has a window');
	sql(q{SELECT kwjobs.cancel_all()});
	wait_for_all();
	wait_for_status($node, task('Do it every night'), 'succeeded');
	is(sql(q{SELECT to_char(next_run AT TIME ZONE 'Europe/Berlin', 'HH24:MI') FROM [SHOW SCHEDULE purge]}), '03:30', '... at its time');
	wait_for_all();
	like(task('See whether schedules are well'), qr/^00:00:00\|0\|0\|(?:runs|starts when something is due)\n.*\|run\|succeeded\|$/, '... which they are');
	task('Remove kwjobs');
	is(sql(q{SELECT count(*) FROM pg_extension WHERE extname = 'kwjobs'}), 0, '... and it is gone');
}

is_deeply([grep { !$is_done{$_} } @titles], [], 'each task of the document was tried');
$node->stop;
done_testing();
