# SCHEMA CHANGE jobs of sessions that are canceled and terminated at random, and of a server that
# crashes: each statement that was run has exactly one job, and this is "succeeded" exactly if the
# statement has had an effect. KWJ_SEED repeats a run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run qw(start);
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{KWJ_SEED} // time;
srand($seed);
note("KWJ_SEED=$seed");

my $node = new_node('faults', <<'EOF', extra => [ '--no-locale', '--encoding=UTF8' ]);
kwjobs.track = top
autovacuum = off
log_statement = none
deadlock_timeout = 10ms
EOF

sub sql { return $node->safe_psql('postgres', "SET kwjobs.track = none; $_[0]") }

sql('CREATE TABLE shared (a integer); INSERT INTO shared SELECT n FROM generate_series(1, 100) AS n; CREATE TABLE result (name text, code text)');

# ---- what a session does ----

my $n_names = 0;

# A statement that makes something with a new name, and then says how it has ended. Each name is
# used once only, so that it tells which job and which effect belong together.
sub make
{
	my ($what) = @_;
	my $name = 'made_' . ++$n_names;
	return $what =~ s/NAME/$name/r . ";\n\\echo $name :SQLSTATE\n";
}

my @made = (
	'CREATE TABLE NAME (a integer)',
	'CREATE TABLE NAME (a serial PRIMARY KEY)',
	'CREATE TABLE NAME AS SELECT 1 AS a',
	'CREATE TABLE NAME (a no_such_type)',
	'ALTER TABLE shared ADD NAME integer',
	'CREATE INDEX NAME ON shared (a)',
);

sub any { return make($made[ rand(@made) ]) }

my @steps = (
	\&any,
	sub { return make('CREATE INDEX CONCURRENTLY NAME ON shared (a)') },
	sub { return "BEGIN;\n" . any() . any() . "COMMIT;\n" },
	sub { return "BEGIN;\n" . any() . any() . "ROLLBACK;\n" },
	sub { return "BEGIN;\n" . any() . "SAVEPOINT a;\n" . any() . any() . "ROLLBACK TO a;\n" . any() . "COMMIT;\n" },
	sub { return "BEGIN;\nSAVEPOINT a;\n" . any() . "RELEASE a;\n" . any() . "COMMIT;\n" },
	# The second statement in DO fails, and DO catches the error. The job of that statement has no
	# name.
	sub { return make('DO $$ BEGIN CREATE TABLE NAME (); BEGIN CREATE TABLE shared (); EXCEPTION WHEN duplicate_table THEN NULL; END; END $$') },
);

# Starts a session that runs this number of steps.
sub start_session
{
	my ($n_steps) = @_;
	my $file = $node->basedir . '/session_' . $n_names;
	append_to_file("$file.sql", $steps[ rand(@steps) ]->()) for 1 .. $n_steps;
	return { out => "$file.out", run => start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$file.sql" ], '>', "$file.out", '2>', "$file.err") };
}

# Puts what the sessions have said into the table.
sub keep_results
{
	my @rows;
	for my $session (@_)
	{
		$session->{run}->finish;
		my $out = slurp_file($session->{out});
		push(@rows, "('$1', '$2')") while $out =~ /^(made_\d+) (\w{5})$/mg;
	}
	cmp_ok(scalar(@rows), '>', 0, scalar(@rows) . ' statements have said how they ended');
	sql('INSERT INTO result VALUES ' . join(', ', @rows));
	return;
}

# ---- what has to be so ----

# named: the jobs in whose description there is such a name. effect: the names of objects that are
# there.
my $named = <<'EOF';
WITH named AS (SELECT substring(description FROM 'made_\d+') AS name, status, error_code
                 FROM kwdb_internal.jobs WHERE job_type = 'SCHEMA CHANGE' AND description ~ 'made_'),
     effect AS (SELECT relname::text AS name FROM pg_class LEFT JOIN pg_index ON indexrelid = pg_class.oid
                 WHERE relname ~ '^made_\d+$' AND indisvalid IS NOT false
                UNION ALL SELECT attname FROM pg_attribute WHERE attrelid = 'shared'::regclass AND attname ~ '^made_')
EOF

sub check_always
{
	is(sql("$named SELECT name, count(*) FROM named GROUP BY name HAVING count(*) > 1"), '', 'no statement has two jobs');
	is(sql("$named SELECT name, status FROM named WHERE status NOT IN ('succeeded', 'failed', 'canceled')"), '', '... all are over');
	is(sql("$named SELECT name FROM effect EXCEPT SELECT name FROM named WHERE status = 'succeeded'"), '', '... what has had an effect has succeeded');
	is(sql("$named SELECT name FROM named WHERE status = 'succeeded' EXCEPT SELECT name FROM effect"), '', '... and nothing else has');
	return;
}

sub check_results
{
	is(sql("$named SELECT r.name, code FROM result AS r LEFT JOIN named AS n USING (name) WHERE code <> '25P02' AND n.name IS NULL"), '', 'each statement has a job');
	is(sql("$named SELECT r.name FROM result AS r JOIN named AS n USING (name) WHERE code = '25P02'"), '', '... but none that a failed transaction has refused');
	is(sql("$named SELECT name, code, status, error_code FROM result JOIN named USING (name) WHERE code NOT IN ('00000', '25P02') AND (status = 'succeeded' OR error_code <> code)"), '', '... and its error');
	is(sql("$named SELECT name, status, error_code FROM result JOIN named USING (name) WHERE code = '00000' AND status <> 'succeeded' AND error_code <> '40000'"), '', '... or was rolled back');
	is(unrecorded($node), 0, 'each had a place');
	return;
}

# ---- canceled and terminated ----

my @sessions;
my ($canceled, $terminated) = (0, 0);
my $end = time + $PostgreSQL::Test::Utils::timeout_default;

sub is_any_connected
{
	return sql(q(SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())) eq 't';
}

# The sessions may be over before a statement of theirs is canceled and another session is
# terminated. Then more of them start.
while ($canceled == 0 || $terminated == 0)
{
	push(@sessions, map { start_session(60) } 1 .. 4);
	wait_query($node, q(SELECT count(*) > 0 FROM kwjobs.job WHERE job_type = 'SCHEMA CHANGE'));
	while (is_any_connected())
	{
		die "the sessions do not end; $canceled canceled, $terminated terminated" if time > $end;
		$canceled += sql(q{SELECT kwjobs.cancel_jobs(ARRAY(SELECT job_id FROM [SHOW JOBS] WHERE job_type = 'SCHEMA CHANGE' AND status = 'running' ORDER BY random() LIMIT 2))});
		$terminated += sql(q{SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM [SHOW JOBS WHERE job_type = 'SCHEMA CHANGE' AND status = 'running'] JOIN kwdb_internal.jobs USING (job_id) WHERE pid <> 0 LIMIT 1) AS j})
		  if $terminated < 1 && $canceled > 2;
	}
}
note("$canceled statements were canceled, $terminated session terminated");
keep_results(@sessions);
wait_for_session_jobs($node);
check_always();
check_results();

# ---- a crash ----

for my $round (1 .. 2)
{
	my $n = sql('SELECT count(*) FROM kwjobs.job');
	my @some = map { start_session(200) } 1 .. 4;
	wait_query($node, "SELECT count(*) > $n + 100 FROM kwjobs.job");
	$node->stop('immediate');
	$_->{run}->finish for @some;
	$node->start;
	wait_for_session_jobs($node);
	check_always();
	sql('DELETE FROM kwjobs.job WHERE job_type = $$SCHEMA CHANGE$$ AND status <> $$succeeded$$');
}
is_consistent($node);
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal (?!9)/, 'no process crashed by itself');
$node->stop;
done_testing();
