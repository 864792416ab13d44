# Programs that a worker runs: which environment, files and signals they start with, what happens to
# their output, how PAUSE and CANCEL reach them, and that no process of them is left, whichever
# process dies.
#
# Each program of a shell script gets an environment variable KWJ_MARK with a unique value. By this
# value the test finds the program, and all processes that it has started, in /proc.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use JSON::PP;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/environ';

my $node = new_node('children', <<'EOF');
kwjobs.max_workers = 4
log_statement = none
# a low limit, so that a worker that leaves a file open for each program fails
max_files_per_process = 64
EOF
my $directory = abs_path($node->basedir);
my $marks = 0;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Creates a job that fails at its first error, and returns its id. $options: more arguments of
# kwjobs.create_job.
sub create
{
	my ($arguments, $options) = @_;
	my $text = encode_json($arguments);
	return sql("SELECT kwjobs.create_job('TEST_PROGRAM', \$json\$$text\$json\$, max_attempts => 1" .
		  ($options ? ", $options" : '') . ')');
}

# Creates a job that runs a shell script with a KWJ_MARK. Returns the job's id and the mark.
sub create_script
{
	my ($script, $options, %more) = @_;
	my $mark = "mark$$-" . ++$marks;
	my $job = create({
			argv => ['/bin/sh', '-c', $script],
			environment => ["KWJ_MARK=$mark", 'PATH=/usr/bin:/bin'],
			%more }, $options);
	return ($job, $mark);
}

# Runs a program and waits until its job has this status. Returns the job's id.
sub run_program
{
	my ($arguments, $status, $options) = @_;
	my $job = create($arguments, $options);
	wait_for_status($node, $job, $status);
	return $job;
}

sub run_script
{
	my ($script, $status, %more) = @_;
	my ($job) = create_script($script, undef, %more);
	wait_for_status($node, $job, $status);
	return $job;
}

sub attempt { return sql("SELECT $_[1] FROM kwdb_internal.job_attempts WHERE job_id = $_[0]"); }
sub messages { return attempt($_[0], q{array_to_string(messages, ' / ')}); }

# The lines of stdout and the lines of stderr have no order between them, so sort all messages.
sub sorted_messages
{
	return attempt($_[0], q{(SELECT string_agg(m, ' / ' ORDER BY m COLLATE "C") FROM unnest(messages) AS m)});
}

# Waits until this is the last line that the running program has written.
sub wait_for_line
{
	my ($job, $line) = @_;
	wait_query($node, "SELECT running_status = '$line' FROM kwdb_internal.jobs WHERE job_id = $job");
	return;
}

# ---- processes ----

sub read_proc
{
	my ($pid, $file) = @_;
	open(my $fh, '<', "/proc/$pid/$file") or return '';
	local $/ = undef;
	my $text = <$fh> // '';
	close($fh);
	return $text;
}

sub processes { return map { m{(\d+)$} } glob('/proc/[0-9]*'); }

# Returns the processes that have the mark. A zombie is not among them, as it has no environment.
sub marked
{
	my ($mark) = @_;
	return grep { read_proc($_, 'environ') =~ /(^|\0)KWJ_MARK=$mark(\0|$)/ } processes();
}

sub guardians
{
	my $data = abs_path($node->data_dir);
	return grep { read_proc($_, 'cmdline') =~ /guardian/ && (readlink("/proc/$_/cwd") // '') eq $data } processes();
}

# Returns the state, the parent and the process group of a process.
sub stat_of { return read_proc($_[0], 'stat') =~ /^\d+ \(.*\) (\S) (\d+) (\d+)/s ? ($1, $2, $3) : ('', 0, 0); }
sub state_of { return (stat_of($_[0]))[0]; }
sub parent_of { return (stat_of($_[0]))[1]; }
sub group_of { return (stat_of($_[0]))[2]; }
sub worker_of { return job_field($node, $_[0], 'pid'); }

# Polls, because no event tells this script that a process which is not its child has died.
sub wait_until { return ok(comes_true($_[0]), $_[1]); }

sub wait_until_none_left
{
	my ($mark, $name) = @_;
	return wait_until(sub { return !marked($mark) && !guardians() }, $name);
}

sub is_gone
{
	my ($mark, $name) = @_;
	return is(scalar(marked($mark)), 0, $name);
}

# ---- the end of a program, and what it has written ----

{
	my $job = run_script('echo to stdout; echo to stderr >&2; printf "%s" "no newline"', 'succeeded');
	is(sorted_messages($job), 'no newline / to stderr / to stdout', 'what a program writes is in the transcript');
	is(job_field($node, $job, 'description'), '/bin/sh', 'the job is described by its program');

	$job = run_script('echo first >&2; echo the reason >&2; echo "detail: more" >&2; echo " " >&2; exit 3', 'failed');
	is( attempt($job, q{error_code, error, error_detail, error_hint}),
		'38000|the reason|Program "/bin/sh" exited with status 3.|' .
		  'What the program wrote is in kwdb_internal.job_attempts, column messages.',
		'the last line of stderr, unless it is blank or the type says no, is the error');
	is(messages($job), 'first / the reason / detail: more /  ', '... and all lines are kept');

	$job = run_script('echo "drop: this" >&2; echo kept; exit 1', 'failed');
	is(messages($job), 'kept', 'the type may drop lines');
	is(job_field($node, $job, 'error'), 'program "/bin/sh" failed', 'a program that does not say why has failed, too');

	$job = run_script('exec >&- 2>&-; sleep 0.1; exit 4', 'failed');
	is(attempt($job, 'error_detail'), 'Program "/bin/sh" exited with status 4.', 'a program may close its stdout and stderr');

	$job = run_script('kill -KILL $$', 'failed');
	is(attempt($job, 'error_detail'), 'Program "/bin/sh" was ended by signal 9 (Killed).', 'a signal is named');
}

# ---- what cannot be started ----

{
	append_to_file("$directory/no_program", "text\n");
	append_to_file("$directory/no_interpreter", "#!/nonexistent/interpreter\n");
	chmod(0644, "$directory/no_program") or die "chmod: $!";
	chmod(0755, "$directory/no_interpreter") or die "chmod: $!";

	my $job = run_program({ argv => ['/nonexistent/program'] }, 'failed');
	is( attempt($job, 'error_code, error'),
		'58P01|could not execute program "/nonexistent/program": No such file or directory', 'a missing program');
	like(attempt($job, 'error_hint'), qr/absolute path of a program/, '... with a hint');
	$job = run_program({ argv => ["$directory/no_program"] }, 'failed');
	is( attempt($job, 'error_code, error'),
		qq{42501|could not execute program "$directory/no_program": Permission denied}, 'a file that is not executable');
	$job = run_program({ argv => ["$directory/no_interpreter"] }, 'failed');
	is(attempt($job, 'error_code'), '58P01', 'a script without an interpreter');
	$job = run_program({ argv => ['/bin/true'], directory => '/nonexistent' }, 'failed');
	is( attempt($job, 'error_code, error'),
		'58P01|could not change to directory "/nonexistent" for program "/bin/true": No such file or directory',
		'a missing directory');
	$job = run_program({ argv => ['/bin/true'], files => ['/nonexistent'] }, 'failed');
	is(attempt($job, 'error_code'), '58P01', 'a missing file');
}

# ---- arguments and rights ----

sub refusal
{
	my ($arguments, $role) = @_;
	my ($rc, $out, $err) = $node->psql('postgres',
		'\set VERBOSITY verbose' . "\n" . ($role ? "SET ROLE $role;\n" : '') .
		  "SELECT kwjobs.create_job('TEST_PROGRAM', '$arguments')");
	return $err;
}

like(refusal('{}'), qr/22004: argument "argv".*\nHINT/, 'no argv');
like(refusal('{"argv": []}'), qr/22023: .*absolute path\nHINT/, 'an empty argv');
like(refusal('{"argv": ["sh"]}'), qr/22023: .*absolute path\nHINT/, 'a relative path');
like(refusal('{"argv": "/bin/sh"}'), qr/22023: .*array of texts\nHINT/, 'a text as argv');
like(refusal('{"argv": [["/bin/sh"]]}'), qr/22023: .*array of texts\nHINT/, 'an array in argv');
like(refusal('{"argv": ["/bin/sh"], "shell": 1}'), qr/22023: .*no argument "shell"\nHINT/, 'an unknown argument');
like(refusal('{"argv": ["/bin/sh"], "on_pause": "go"}'), qr/22023: .*"on_pause".*\nHINT/, 'an unknown way to pause');
sql('CREATE ROLE plain LOGIN');
like(refusal('{"argv": ["/bin/sh"]}', 'plain'), qr/42501: role "plain" may not run programs\nHINT/, 'only superusers run programs');
{
	my $argv = encode_json({ argv => [ '/bin/sh', '-c', "echo ran >$directory/ran" ] });
	my $job = sql(<<"EOF");
BEGIN;
ALTER ROLE plain SUPERUSER;
SELECT kwjobs.create_job('TEST_PROGRAM', '$argv', run_as => 'plain');
ALTER ROLE plain NOSUPERUSER;
COMMIT;
EOF
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error_code'), '42501', '... also when the job runs');
	ok(!-e "$directory/ran", '... and the program is not started');
}

# ---- what a program has ----

{
	my $job = run_program({ argv => ['/usr/bin/env'], environment => [ 'B=2 3', 'A=1' ] }, 'succeeded');
	is(messages($job), 'B=2 3 / A=1', 'the environment is what was given, and nothing else');
	$job = run_program({ argv => ['/usr/bin/env'] }, 'succeeded');
	is(messages($job), '', '... and may be empty');

	$job = run_program({ argv => [ '/bin/ls', '-1', '/proc/self/fd' ] }, 'succeeded');
	is(messages($job), '0 / 1 / 2 / 3', 'the only files are the standard ones (and the directory that is listed)');
	append_to_file("$directory/$_", "text of $_\n") for qw(one two);
	$job = run_script('cat <&3; cat <&4; ls /proc/self/fd', 'succeeded', files => [ "$directory/one", "$directory/two" ]);
	is(messages($job), 'text of one / text of two / 0 / 1 / 2 / 3 / 4 / 5', '... and those that it was given');

	$job = run_program({ argv => [ '/bin/readlink', '/proc/self/fd/0', '/proc/self/cwd' ] }, 'succeeded');
	is(messages($job), '/dev/null / /', 'stdin is empty, and the directory is the root');
	$job = run_program({ argv => [ '/bin/readlink', '/proc/self/cwd' ], directory => $directory }, 'succeeded');
	is(messages($job), $directory, '... or the one that was given');

	$job = run_program({ argv => [ '/bin/cat', '/proc/self/status' ] }, 'succeeded');
	# Signals 1 to 31. The next two belong to the C library, and are left as they are in the server.
	my %signals = messages($job) =~ /Sig(Pnd|Blk|Ign|Cgt):\t([0-9a-f]+)/g;
	is(join(' ', map { "$_ " . (hex(substr($signals{$_}, -8)) & 0x7fffffff) } sort(keys(%signals))),
		'Blk 0 Cgt 0 Ign 0 Pnd 0', 'no signal is pending, blocked, ignored or handled');
}

# The guardian keeps no file and no shared memory of the server.
{
	my ($job, $mark) = create_script('echo ready; exec sleep 1000');
	wait_for_line($job, 'ready');
	my ($program) = marked($mark);
	my ($guardian) = guardians();
	my $worker = worker_of($job);
	is(parent_of($program), $guardian, 'the program is a child of the guardian');
	is(parent_of($guardian), $worker, '... which is a child of the worker');
	is(group_of($program), $program, 'the program leads a process group');
	isnt(group_of($guardian), group_of($worker), 'the guardian is not in that of the worker');
	my @files = map { readlink($_) =~ s/:.*//r } sort(glob("/proc/$guardian/fd/*"));
	is("@files", '/dev/null /dev/null /dev/null socket', 'the guardian has its socket, and no other file');
	my $shared = qr{/SYSV|/dev/zero};
	unlike(read_proc($guardian, 'maps'), $shared, '... and no shared memory');
	like(read_proc($worker, 'maps'), $shared, '... which the worker has');
	sql("SELECT pg_cancel_backend($worker)");
	wait_for_status($node, $job, 'failed');
	is(job_field($node, $job, 'error_code'), '57014', 'a worker that is interrupted ends its job');
	is_gone($mark, '... and its program');
}

# ---- strange text, and much of it ----

{
	my $job = run_script('printf "a\377b\000c\303\n\303\244\303\n\r\n"; printf "e\200\n" >&2; exit 1', 'failed');
	is(sorted_messages($job), " / a?b?c? / e? / \xc3\xa4?", 'bytes that are no text are replaced');
	is(job_field($node, $job, 'error'), 'e?', '... in the error, too');

	$job = run_script(q{head -c 1000000 /dev/zero | tr '\000' x; echo; echo next}, 'succeeded');
	is(messages($job), ('x' x 4096) . '... / next', 'a line that is too long is cut off');
	$job = run_script(q{printf '%4095s\303\244%s\n' x y}, 'succeeded');
	is(messages($job), (' ' x 4094) . 'x...', '... before a character that does not fit');
}
{
	system_or_bail('mkfifo', "$directory/go1", "$directory/go2");
	my ($job) = create_script(<<"EOF");
echo ready
read line <$directory/go1
yes 0123456789012345678901234567890123456789012345678 | head -c 50000000
head -c 50000000 /dev/zero | tr '\\000' y
echo
echo all
read line <$directory/go2
EOF
	wait_for_line($job, 'ready');
	my $worker = worker_of($job);
	my $memory = sub { return read_proc($worker, 'status') =~ /RssAnon:\s+(\d+)/ ? $1 : die 'no RssAnon' };
	my $before = $memory->();
	append_to_file("$directory/go1", "\n");
	wait_for_line($job, 'all');
	cmp_ok($memory->(), '<', $before + 2000, 'to read 100 MB takes next to no memory (kB)');
	append_to_file("$directory/go2", "\n");
	wait_for_status($node, $job, 'succeeded');
	is( attempt($job, q{array_to_string(messages, E'\n') ~ '\n\.\.\. \d+ more messages\n', octet_length(messages::text) BETWEEN 40000 AND 80000}),
		't|t', '... of which the transcript has what its bound allows');
}

# ---- CANCEL and PAUSE ----

# Cancels a job. Returns whether it was over within the interval, and then how many of its processes
# are left, as in 't0'.
sub cancel_within
{
	my ($job, $mark, $interval) = @_;
	my $asked = sql("SELECT clock_timestamp() FROM kwjobs.cancel($job)");
	wait_for_status($node, $job, 'canceled');
	return attempt($job, "finished - '$asked' < '$interval'") . scalar(marked($mark));
}

my $stubborn = 'trap "" TERM HUP INT; echo ready; while :; do sleep 1000; done';
{
	my $at_once = sub {
		my ($job, $mark) = create_script('echo ready; exec sleep 1000');
		wait_for_line($job, 'ready');
		return cancel_within($job, $mark, '0.5 seconds');
	};
	is_once($at_once, 't0', 'CANCEL ends a program at once');

	my ($job, $mark) = create_script('trap "echo cleaned up >&2; exit 0" TERM; echo ready; while :; do sleep 1000 & wait; done');
	wait_for_line($job, 'ready');
	sql("SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'canceled');
	is(messages($job), 'ready / cleaned up', 'a program may clean up, and its last words are kept');
	is_gone($mark, '... and nothing of it is left');

	my $after_grace = sub {
		my ($job, $mark) = create_script($stubborn, undef, grace => 300);
		wait_for_line($job, 'ready');
		return cancel_within($job, $mark, '1.2 seconds');
	};
	is_once($after_grace, 't0', 'one that ignores SIGTERM ends after its grace');

	($job, $mark) = create_script($stubborn);
	wait_for_line($job, 'ready');
	my $worker = worker_of($job);
	sql("SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'canceled');
	is_gone($mark, '... by default as well');
	is(sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $worker"), 1, '... before the worker is terminated for it');
}

# Runs a program that PAUSE stops (on_pause) and that ends by itself once a file exists. Pauses and
# resumes the job. Returns the program's state after PAUSE, and how the job ended.
sub stop_in_place
{
	my $enough = "$directory/enough" . ++$marks;
	my ($job) = create_script(qq{echo \$\$; while [ ! -e $enough ]; do sleep 0.01; done}, undef, on_pause => 'stop');
	wait_query($node, "SELECT running_status ~ '^[0-9]+\$' FROM kwdb_internal.jobs WHERE job_id = $job");
	my $pid = job_field($node, $job, 'running_status');
	my $session = $node->background_psql('postgres');
	$session->query_safe("SELECT kwjobs.pause($job)");
	wait_in($session, "EXISTS (SELECT FROM kwdb_internal.jobs WHERE job_id = $job AND (running_status = 'stopped' OR status = 'paused'))");
	# the guardian was told to stop the program, but may not have done so yet
	my $tries = 20;
	select(undef, undef, undef, 0.005) while state_of($pid) ne 'T' && --$tries > 0;
	my $state = state_of($pid);
	$session->query_safe("SELECT kwjobs.resume($job)");
	$session->quit;
	append_to_file($enough, '');
	wait_for_end($node, $job);
	return join(' ', $state, job_field($node, $job, 'status, total_num_of_ex'));
}

{
	my ($job, $mark) = create_script("echo began >>$directory/begun; echo ready; exec sleep 1000");
	wait_for_line($job, 'ready');
	sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	is_gone($mark, 'PAUSE ends a program');
	sql("SELECT kwjobs.resume($job)");
	wait_for_line($job, 'ready');
	is(scalar(marked($mark)), 1, '... and RESUME starts it anew');
	is(slurp_file("$directory/begun"), "began\nbegan\n", '... once');
	sql("SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'canceled');

	is_once(\&stop_in_place, 'T succeeded|1', 'a program may be stopped, and go on');

	($job, $mark) = create_script('echo ready; exec sleep 1000', undef, on_pause => 'stop');
	wait_for_line($job, 'ready');
	sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	is_gone($mark, 'one that stays stopped ends when the coordinator interrupts the attempt');
	sql("SELECT kwjobs.cancel($job)");

	($job, $mark) = create_script('exec sleep 1000', q{timeout => '300 ms'});
	wait_for_status($node, $job, 'failed');
	like(job_field($node, $job, 'error'), qr/longer than the job's timeout/, "the job's timeout ends a program");
	is_gone($mark, '... of which nothing is left');
}

# ---- what a program starts ----

# The program starts four processes, which ignore these signals, too: one in its own process group,
# one in a new session, and two in the session of a daemon whose parent has exited.
my $family = <<'EOF';
trap "" TERM HUP INT QUIT
sleep 1000 &
setsid sleep 1000 &
(setsid sh -c "sleep 1000 & sleep 1000 &" &)
echo ready
EOF

sub start_family
{
	my ($job, $mark) = create_script($family . 'wait', undef, grace => 300);
	wait_for_line($job, 'ready');
	wait_until(sub { return grep({ read_proc($_, 'cmdline') =~ /^sleep/ } marked($mark)) == 4 },
		'a program and all that it has started run');
	return ($job, $mark);
}

{
	my ($job, $mark) = create_script("${family}while [ ! -e $directory/go_on ]; do sleep 0.01; done");
	wait_until(sub { return grep({ read_proc($_, 'cmdline') =~ /^sleep\0001000/ } marked($mark)) == 4 },
		'a program has started others');
	append_to_file("$directory/go_on", '');
	wait_for_status($node, $job, 'succeeded');
	is_gone($mark, 'of a program that has succeeded nothing is left');

	($job, $mark) = start_family();
	sql("SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'canceled');
	is_gone($mark, '... nor of one that was canceled');
}

# ---- no leak ----

# Runs programs that end in several ways. Returns the worker that ran them, and how many open files
# and children it has afterwards.
sub possessions
{
	my $job = run_script('exit 1', 'failed');
	run_program({ argv => ['/nonexistent/program'] }, 'failed');
	run_program({ argv => ['/bin/sleep', '1000'] }, 'failed', q{timeout => '100 ms'});
	run_script('exit 0', 'succeeded');
	my $worker = attempt($job, 'pid');
	my @files = glob("/proc/$worker/fd/*");
	my @children = grep { parent_of($_) == $worker } processes();
	return "worker $worker: " . @files . ' files, ' . @children . ' children';
}

{
	possessions() for 1 .. 2;
	my $before = possessions();
	like($before, qr/ 0 children/, 'a worker has reaped its guardians');
	possessions() for 1 .. 3;
	is(possessions(), $before, '... and has not more files than before');
}

# ---- who dies ----

# Waits until the attempt is settled after this event, and checks that programs run as before.
sub is_well_after
{
	my ($job, $what) = @_;
	wait_for_end($node, $job);
	is(messages(run_script('echo works', 'succeeded')), 'works', "programs run after $what");
	return;
}

{
	my ($job, $mark) = create_script("trap 'echo cleaned up >$directory/cleaned; exit' TERM; echo ready; while :; do sleep 1000 & wait; done");
	wait_for_line($job, 'ready');
	sql("SELECT pg_terminate_backend(pid) FROM kwdb_internal.jobs WHERE job_id = $job");
	wait_for_end($node, $job);
	ok(-e "$directory/cleaned", 'a worker that is terminated lets its program clean up');

	($job, $mark) = start_family();
	sql("SELECT pg_terminate_backend(pid) FROM kwdb_internal.jobs WHERE job_id = $job");
	wait_for_end($node, $job);
	is_gone($mark, 'a worker that is terminated ends its program before the job is over');

	($job, $mark) = start_family();
	my $worker = worker_of($job);
	my ($guardian) = guardians();
	kill('KILL', $guardian) == 1 or die "kill: $!";
	wait_for_end($node, $job);
	is( attempt($job, 'error_code, error'), '58000|the process that guards program "/bin/sh" was killed',
		'without a guardian the attempt fails');
	wait_until(sub { return marked($mark) == 3 }, '... and nothing is left in the process group');
	# only the guardian finds the processes that have left the group
	is(kill('KILL', marked($mark)), 3, '... but what has left it is');
	is(scalar(grep { parent_of($_) == $worker } processes()), 0, '... and the worker, which goes on, has no child left');
	is_well_after($job, 'the death of a guardian');
}

# The worker is stopped, so it cannot end the program when the guardian dies.
{
	my ($job, $mark) = create_script('echo ready; exec sleep 1000');
	wait_for_line($job, 'ready');
	my $worker = worker_of($job);
	my ($guardian) = guardians();
	kill('STOP', $worker) == 1 or die "kill: $!";
	kill('KILL', $guardian) == 1 or die "kill: $!";
	wait_until(sub { return !marked($mark) }, 'a program ends with its guardian');
	kill('CONT', $worker) == 1 or die "kill: $!";
	is_well_after($job, 'that');
}

# The guardian is stopped and does not answer, as if the kernel could not kill a process.
{
	my ($job, $mark) = start_family();
	my $worker = worker_of($job);
	my ($guardian) = guardians();
	kill('STOP', $guardian) == 1 or die "kill: $!";
	sql("SELECT kwjobs.cancel($job)");
	wait_for_status($node, $job, 'canceled');
	like(slurp_file($node->logfile), qr/WARNING:  process \d+, which a job has started, does not end/,
		'a process that does not end is given up');
	wait_until(sub { return marked($mark) == 3 }, '... though its group is killed');
	kill('CONT', $guardian) == 1 or die "kill: $!";
	wait_until_none_left($mark, '... and the guardian kills the rest when it can');
	# Another worker may get a job that comes before this one is idle.
	ok(comes_true(sub { attempt(run_script('exit 0', 'succeeded'), 'pid') == $worker }), '... while the worker goes on');
	is(scalar(grep { parent_of($_) == $worker } processes()), 0, '... and has reaped the guardian');
}

{
	my ($job, $mark) = start_family();
	kill('KILL', worker_of($job)) == 1 or die "kill: $!";
	wait_until_none_left($mark, 'a worker that is killed takes all that it has started with it');
	wait_query($node, 'SELECT true');
	is_well_after($job, 'the death of a worker');

	($job, $mark) = start_family();
	$node->stop('immediate');
	wait_until_none_left($mark, 'an immediate shutdown leaves nothing');
	$node->start;
	is_well_after($job, 'an immediate shutdown');

	($job, $mark) = start_family();
	$node->stop('fast');
	is_gone($mark, 'a fast shutdown waits until nothing is left');
	$node->start;
	# the job does not fail because of the shutdown, but begins again
	wait_for_line($job, 'ready');
	sql("SELECT kwjobs.cancel($job)");
	is_well_after($job, 'a fast shutdown');

	($job, $mark) = start_family();
	$node->kill9;
	wait_until_none_left($mark, 'the death of the postmaster leaves nothing');
	start_when_possible($node);
	is_well_after($job, 'the death of the postmaster');
}

is_consistent($node);
$node->stop;
done_testing();
