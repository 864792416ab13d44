# Out of memory at any point of a job statement: an error (53200) or the result, and the
# session goes on.
#
# The limit of a session's address space is set from outside, just above what it has, so
# that malloc() fails a little later in each round.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs prlimit of util-linux, and /proc'
  unless -r '/proc/self/status' && `prlimit --version 2>/dev/null` =~ /util-linux/;

my $node = new_node('memory', <<'EOF');
log_min_messages = log
log_statement = none
EOF
add_jobs($node);
$node->safe_psql('postgres', <<'EOF');
CREATE FUNCTION in_plpgsql(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN out_of_memory THEN
    EXECUTE 'PAUSE JOB 1';
    RAISE;
END $$;
EOF

my $ids = join(', ', map { "(($_))" } 1 .. 4000);
my $many = join(', ', (1) x 8_000);
my $text = 'x' x 500_000;
my %large = (
	'a condition' => "SELECT count(*) FROM [SHOW JOBS WHERE job_id IN ($ids)]",
	'a query' => "SELECT count(*) FROM [SHOW JOBS (VALUES $ids)]",
	'a control statement' => "PAUSE JOBS (SELECT v FROM (VALUES $ids) AS v (v) WHERE v = 1)",
	'a long string' => "PAUSE JOB 1 WITH REASON = '$text'",
	'many statements' => join(" \\;\n", ("PAUSE JOB 1 WITH REASON = 'reason'", 'SELECT FROM [SHOW JOB 2] WHERE false') x 150),
	'one at the end' => "SELECT WHERE 1 IN ($many) \\; PAUSE JOB 1",
	'many tables' => 'SELECT FROM ' . join(', ', ('[SHOW JOB 1]') x 30) . ' WHERE false',
	'a dynamic statement' => "SELECT in_plpgsql('SHOW JOBS (VALUES $ids)')",
	'a missing table' => "SELECT in_plpgsql('SELECT FROM nosuch WHERE ''$text'' = ''''')",
	'a syntax error of ours' => "SHOW JOBS WHERE job_id IN ($ids) 1",
	'a syntax error' => "SELECT 'PAUSE JOB 1' AS job \\; PAUSE $ids",
);
# What each of them is answered without a limit.
my %state = ('a missing table' => '42P01', 'a syntax error of ours' => '42601', 'a syntax error' => '42601');

# After each round, without a limit: job statements, plain ones, errors of either, and
# whether the session still gets notices.
my $probe = <<'EOF';
SELECT 'plain';
PAUSE JOB 1;
SELECT status FROM [SHOW JOB 1];
SHOW JOBS \g /dev/null
\echo :SQLSTATE
SELEC 1;
\echo :SQLSTATE :LAST_ERROR_MESSAGE
SHOW JOB 1 2;
\echo :SQLSTATE :LAST_ERROR_MESSAGE
DO $$ BEGIN RAISE NOTICE 'noticed'; END $$;
SELECT count(*) FROM pg_backend_memory_contexts WHERE name ~ 'job statement';
EOF
my $answers = <<'EOF';
plain
paused
00000
42601 syntax error at or near "SELEC"
42601 syntax error at or near "2"
0
EOF

# The address space that the session has, in kB, and some more.
sub limit
{
	my ($headroom) = @_;
	return <<"EOF";
\\set done `prlimit --pid :pid --as=\$(( (\$(sed -n 's/^VmSize:[^0-9]*\\([0-9]*\\) kB\$/\\1/p' /proc/:pid/status) + $headroom) * 1024 )):`
EOF
}

# More rounds where memory is scarce.
my $rounds = 40;
my @headrooms = map { 64 + int((8192 - 64) * ($_ / ($rounds - 1))**2) } 0 .. $rounds - 1;
my $failures = 0;
for my $name (sort keys %large)
{
	my $file = $node->basedir . '/statement.sql';
	unlink($file);
	append_to_file($file, $large{$name});

	# once without a limit: the caches are filled, and the stack is as large as it gets
	my $script = "\\set large `cat $file`\n:large \\g /dev/null\n" . "SELECT pg_backend_pid() AS pid \\gset\n$probe";
	for my $round (1 .. $rounds)
	{
		$script .= limit($headrooms[ $round - 1 ])
		  . ":large \\g /dev/null\n\\echo round $round :SQLSTATE\n"
		  . "\\set done `prlimit --pid :pid --as=unlimited:`\n$probe";
	}
	my ($rc, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0);
	my ($first, @rest) = split /^round \d+ (\w{5}\n)/m, "$out\n";
	my %states;
	my $wrong = '';
	while (my ($code, $after) = splice(@rest, 0, 2))
	{
		chomp($code);
		$states{$code}++;
		$wrong .= $after unless $after eq $answers;
	}
	my $usual = $state{$name} // '00000';
	my $failed = delete $states{'53200'} // 0;
	my $succeeded = delete $states{$usual} // 0;
	note("$name: $failed of $rounds rounds failed");
	$failures += $failed;
	is($succeeded + $failed, $rounds, "$name: $usual or 53200") or diag(explain(\%states));
	is($wrong, '', "$name: the session goes on as usual");
	is(() = $err =~ /NOTICE:  noticed/g, $rounds + 1, "$name: ... with its notices");
	unlike($err, qr/server closed|terminat|PANIC/, "$name: ... without a crash");
}
cmp_ok($failures, '>', 0, 'memory did run out');

# The first job statement of a session, which finds its way on the stack for the first time
my $script = '';
for my $headroom (@headrooms)
{
	$script .= "\\c -\nSELECT pg_backend_pid() AS pid \\gset\n" . limit(int($headroom / 2)) . <<'EOF';
PAUSE JOB 1;
\echo :SQLSTATE
\set done `prlimit --pid :pid --as=unlimited:`
PAUSE JOB 1;
SELECT status FROM [SHOW JOB 1];
EOF
}
my ($rc, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0);
is($out =~ s/^(00000|53200)\npaused$//mgr =~ s/\n//gr, '', 'the first statement of a session: 00000 or 53200');
is(() = $out =~ /^paused$/mg, $rounds, '... and the session goes on');
like($out, qr/53200\n.*00000\n/s, '... where memory ran out, and where it did not');

unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal/, 'no process crashed');
$node->stop;
done_testing();
