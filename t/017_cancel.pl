# A query cancel at any point of a large job statement, alone and in a transaction: an
# error (57014) or the result, and the session goes on. Settings that end with the transaction.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{KWJ_SEED} // 1;
note("seed $seed (KWJ_SEED)");
srand($seed);

my $node = new_node('cancel', <<'EOF');
log_statement = none
log_min_messages = log
EOF
add_jobs($node);

my $ids = join(', ', map { "(($_))" } 1 .. 5000);
my %large = (
	'a condition' => "SELECT count(*) FROM [SHOW JOBS WHERE job_id IN ($ids)]",
	'a query' => "SHOW JOBS (VALUES $ids)",
	'a control statement' => "PAUSE JOBS (SELECT v FROM (VALUES $ids) AS v (v) WHERE v = 1)",
	'many statements' => join(" \\;\n", ('PAUSE JOB 1', 'SELECT FROM [SHOW JOB 2] WHERE false') x 30),
	'many tables' => 'SELECT FROM ' . join(', ', ('[SHOW JOB 1]') x 20) . ' WHERE false',
	'a body of PL/pgSQL' => 'DO $$ BEGIN PERFORM FROM [SHOW JOBS (VALUES ' . $ids . ')]; PAUSE JOB 1; END $$',
);

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
EOF
my $answers = <<'EOF';
plain
paused
00000
42601 syntax error at or near "SELEC"
42601 syntax error at or near "2"
EOF

# Before it, a job is paused; what the savepoint covers is undone.
my $before = "BEGIN;\nPAUSE JOB 1;\nSAVEPOINT s;\nPAUSE JOB 2;\n";
my $after = <<'EOF';
ROLLBACK TO s;
SELECT status FROM [SHOW JOBS] WHERE job_id < 3 ORDER BY job_id;
SAVEPOINT t;
PAUSE JOB 99;
ROLLBACK TO t;
SELECT status FROM [SHOW JOB 2];
ROLLBACK;
EOF

# The statement with a cancel that comes some time after it was sent, but not later: the
# shell waits at the other end of a fifo.
my $fifo = $node->basedir . '/canceled';
mkfifo($fifo, 0600) or die "$fifo: $!";

sub with_cancel
{
	my ($seconds) = @_;
	return <<"EOF";
\\set done `{ sleep $seconds; kill -INT :pid; echo >$fifo; } >/dev/null 2>&1 &`
:large \\g /dev/null
\\set state :SQLSTATE
\\! read line <$fifo
EOF
}

my $rounds = 40;
my $canceled = 0;
for my $name (sort keys %large)
{
	my $file = $node->basedir . '/statement.sql';
	unlink($file);
	append_to_file($file, $large{$name});

	my $script = "\\set large `cat $file`\nSELECT pg_backend_pid() AS pid \\gset\n";
	for my $round (1 .. $rounds)
	{
		my $cancel = with_cancel(sprintf('%.6f', rand(0.02)));
		my $in_transaction = $round % 2;
		$script .= $in_transaction ? "$before$cancel$after" : $cancel;
		$script .= "$probe\\echo round :state\n";
	}
	my ($rc, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0);
	my @rest = split /^round (\w{5})\n/m, "$out\n";
	my %states;
	my $wrong = '';
	for my $round (1 .. $rounds)
	{
		my ($got, $state) = splice(@rest, 0, 2);
		$states{ $state // 'none' }++;
		my $expected = ($round % 2 ? "paused\nrunning\nrunning\n" : '') . $answers;
		$wrong .= "round $round:\n$got" unless defined $got && $got eq $expected;
	}
	is(($states{'00000'} // 0) + ($states{'57014'} // 0), $rounds, "$name: a result or 57014") or diag(explain(\%states));
	is($wrong, '', "$name: the session goes on");
	unlike($err, qr/server closed|terminat|PANIC/, "$name: ... without a crash");
	note("$name: $states{'57014'} of $rounds canceled") if $states{'57014'};
	$canceled += $states{'57014'} // 0;
}
# how many depends on the machine's speed
cmp_ok($canceled, '>', 0, 'statements were canceled');

# A time limit that is over while the text is parsed, in a transaction. It can end the first ROLLBACK TO,
# too. A text that no machine parses in a millisecond.
my $file = $node->basedir . '/statement.sql';
$large{'a query'} = 'SHOW JOBS (VALUES ' . join(', ', map { "(($_))" } 1 .. 100_000) . ')';
for my $name ('a query', 'many tables')
{
	unlink($file);
	append_to_file($file, $large{$name});
	is( ($node->psql('postgres', "\\set large `cat $file`\n" . <<'EOF', on_error_stop => 0))[1],
BEGIN;
SAVEPOINT s;
SET LOCAL statement_timeout = '1ms';
:large \g /dev/null
\echo :SQLSTATE
ROLLBACK TO s;
ROLLBACK TO s;
ROLLBACK TO s;
SHOW statement_timeout;
SELECT status FROM [SHOW JOB 1];
PAUSE JOB 1;
COMMIT;
SHOW statement_timeout;
SHOW JOB 1 2;
\echo :SQLSTATE
EOF
		"57014\n0\npaused\n0\n42601", "statement_timeout = 1ms: $name");
}

# Settings of the transaction around job statements
is( ($node->psql('postgres', <<'EOF', on_error_stop => 0))[1],
CREATE SCHEMA mine;
CREATE TABLE mine.jobs (job_id bigint, status text);
CREATE FUNCTION mine.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz';
CREATE FUNCTION mine.neither(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR mine.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = mine.neither);
PREPARE show_job AS SELECT status FROM [SHOW JOB $1];
BEGIN;
SET LOCAL search_path = mine, pg_catalog;
SELECT count(*) FROM [SHOW JOBS];
EXECUTE show_job(1);
PAUSE JOB 1;
DO $$ BEGIN PAUSE JOB 1; END $$;
SAVEPOINT s;
SET LOCAL search_path = '';
EXECUTE show_job(1);
SHOW JOBS \g /dev/null
\echo :SQLSTATE
SET LOCAL kwjobs.statements = off;
EXECUTE show_job(1);
SHOW JOB 1;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT status FROM [SHOW JOB 1];
SET LOCAL kwjobs.statements = off;
SHOW JOBS;
\echo :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE
COMMIT;
SELECT status FROM [SHOW JOB 1];
SHOW JOBS \g /dev/null
\echo :SQLSTATE
SHOW search_path;
EOF
	<<'EOF' =~ s/\n$//r, 'SET LOCAL');
3
paused
paused
00000
paused
42601
paused
42704 unrecognized configuration parameter "jobs"
paused
00000
"$user", public
EOF

unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal/, 'no process crashed');
$node->stop;
done_testing();
