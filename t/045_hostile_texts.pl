# Texts that are made to keep a session busy: what kwjobs does with a text that the server
# refuses grows as the text does, in time and memory; a session that does it hears cancel,
# terminate and timeouts; and what is too much is refused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('hostile', <<'EOF');
log_statement = none
log_min_error_statement = panic
EOF
add_jobs($node);
$node->safe_psql('postgres', 'CREATE DATABASE bare');

# What a text costs until it is refused, in milliseconds of this process's time on a processor
# (other systems: of time). The system counts in steps of 4 ms, so the text is refused again and
# again. The server reads, logs and sends nothing of it.
my $functions = <<'EOF';
CREATE FUNCTION answer(hostile text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE hostile;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' ', SQLSTATE, left(SQLERRM, 100), nullif(hint, ''));
END $$;
CREATE FUNCTION used() RETURNS double precision LANGUAGE sql AS $$
    SELECT coalesce(split_part(pg_read_file('/proc/' || pg_backend_pid() || '/schedstat', 0, 1000, true), ' ', 1)::double precision / 1e6,
                    extract(epoch FROM clock_timestamp()) * 1e3)
$$;
CREATE FUNCTION cost(hostile text, at_least integer) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    start double precision := used();
    spent double precision := 0;
    runs integer := 0;
BEGIN
    WHILE spent < at_least LOOP
        FOR n IN 1 .. 1 + 10 * (spent = 0 AND runs > 0)::integer LOOP
            BEGIN
                EXECUTE hostile;
            EXCEPTION WHEN OTHERS THEN
                NULL;
            END;
            runs := runs + 1;
        END LOOP;
        spent := used() - start;
    END LOOP;
    RETURN spent / runs;
END $$;
-- with kwjobs.statements on and off by turns
CREATE FUNCTION ratio(hostile text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    with_kwjobs double precision := 0;
    without_kwjobs double precision := 0;
BEGIN
    FOR n IN 1 .. 4 LOOP
        SET kwjobs.statements = on;
        with_kwjobs := with_kwjobs + cost(hostile, 50);
        SET kwjobs.statements = off;
        without_kwjobs := without_kwjobs + cost(hostile, 50);
    END LOOP;
    RETURN with_kwjobs / without_kwjobs;
END $$;
CREATE FUNCTION peak_memory() RETURNS bigint LANGUAGE sql AS $$
    SELECT substring(pg_read_file('/proc/' || pg_backend_pid() || '/status') FROM 'VmHWM:\s+(\d+)')::bigint
$$;
EOF
$node->safe_psql($_, $functions) for 'postgres', 'bare';

# 1. The time grows as the text does: twice as much takes twice as long, not four times.
# In each of them the server's parser stops where kwjobs has to look. Where it stops at once, the texts are so long
# that both are longer than what malloc keeps for the next one.
my %growing = (
	'words that start a statement' => [ q{repeat('create;', n * 100) || '/* import into */'}, 2000 ],
	'... of other kinds' => [ q{repeat('prepare;', n * 100) || 'declare; import into'}, 2000 ],
	'... after a job statement' => [ q{'pause job 1;' || repeat('create;', n * 4) || 'selec'}, 2000 ],
	'... before one' => [ q{repeat('select 1;', n * 4) || 'pause job 1; selec'}, 2000 ],
	'bodies' => [ q{'pause job 1;' || repeat('create begin atomic ', n * 4)}, 2000 ],
	'brackets' => [ q{'select from [show jobs], ' || repeat('[create statistics x on a], ', n)}, 2000 ],
	'open brackets' => [ q{'select from [show jobs], ' || repeat('[create statistics x on a, ', n * 4)}, 2000 ],
	'statements' => [ q{repeat('pause job 1;', n)}, 2000 ],
	'statements with a wrong one' => [ q{repeat('pause job 1;', n) || 'pause job 1 1'}, 2000 ],
	'queries' => [ q{repeat('cancel jobs values (1) with reason = ''x'';', n)}, 1000 ],
	'queries with a wrong one' => [ q{repeat('cancel jobs values (1) with reason = ''x'';', n) || 'cancel jobs values 1'}, 1000 ],
	'options' => [ q{'import into t csv data (''x'') with o=1' || repeat(',o=1', n)}, 4000 ],
	'options with a wrong one' => [ q{'import into t csv data (''x'') with a=1' || repeat(',a=1', n) || ', b = 1 c'}, 4000 ],
	'files' => [ q{'import into t csv data (''x''' || repeat(',''x''', n) || ')'}, 4000 ],
	'tables' => [ q{'select from [show jobs] a' || repeat(',[show jobs] a', n)}, 1500 ],
	'tables with a condition' => [ q{'select from [show jobs where true]' || repeat(',[show jobs where true]', n)}, 1000 ],
	'values of a setting' => [ q{'set cluster setting a = 1' || repeat(', 1', n)}, 4000 ],
	'statistics' => [ q{'create statistics x on a from t with options throttling 1' || repeat(' as of system time 1 throttling 1', n)}, 2000 ],
	'recurring words' => [ q{'export into csv ''d'' from select 1' || repeat(' with ties', n * 16)}, 2000 ],
);
for my $what (sort keys %growing)
{
	my ($text, $n) = @{ $growing{$what} };
	my @tries;
	for (1 .. 5)
	{
		my ($once, $twice) =
		  map { $node->safe_psql('bare', "SELECT cost($text, 50) FROM (VALUES ($_)) AS v (n)") } $n, 2 * $n;
		push(@tries, { once => $once, twice => $twice, good => $twice < 3 * $once });
		last if $tries[-1]{good};
	}
	ok($tries[-1]{good}, "linear: $what") or diag(map { "$_->{once} ms, $_->{twice} ms\n" } @tries);
	note("$what: $tries[-1]{once} ms, $tries[-1]{twice} ms");
}

# 2. What is no job statement costs what it costs without kwjobs, also if it mentions some.
my @refused = (
	q{'select 1 from where ' || repeat('x', 4000000)},
	q{'select 1 from where show jobs ' || repeat('pause job 1;', 300000)},
	q{'select ' || repeat('x, ', 300000) || 'from where'},
	q{'select ' || repeat('x, ', 300000) || '/* import into */ from where'},
	q{repeat(';', 2000000) || 'selec'},
	q{'select ''' || repeat('show jobs ', 400000) || ''' from where'},
	q{'/*' || repeat('show jobs ', 400000) || '*/ selec'},
	q{repeat('select show, jobs from [1];', 100000)},
	q{repeat('insert into t values (1, ''show jobs'');', 50000) || 'selec'},
	q{'insert into t values ' || repeat('(1, ''pause job 1''), ', 50000) || 'selec'},
	q{repeat('create;', 500000)},
);
for my $text (@refused)
{
	my @ratios;
	for (1 .. 5)
	{
		push(@ratios, $node->safe_psql('bare', "SELECT ratio($text)"));
		last if (grep { $_ < 1.2 } @ratios) == 2;
	}
	cmp_ok((grep { $_ < 1.2 } @ratios), '>=', 2, "as fast as without kwjobs: $text")
	  or diag(join(' ', @ratios));
	note(join(' ', map { sprintf('%.3f', $_) } @ratios));
}

# 3. Memory, in kB, of a new session
SKIP:
{
	skip 'needs /proc', 7 unless -r '/proc/self/status';
	my %bound = (
		q{'select 1 from where ' || repeat('x, ', 13000000)} => 8_000,
		q{'select 1 from where ' || repeat(';', 40000000)} => 8_000,
		q{repeat(';', 40000000) || 'pause job 1'} => 8_000,
		q{repeat(';', 8000000) || 'pause job 1'} => 40_000,
		q{'pause job 1; selec ' || repeat('x,', 4000000)} => 280_000,
		q{repeat('pause job 1;', 600000)} => 260_000,
	);
	for my $text (sort keys %bound)
	{
		my ($with, $without) =
		  map { $node->safe_psql('bare', "SET kwjobs.statements = $_; SELECT FROM answer($text); SELECT peak_memory()") } 'on', 'off';
		cmp_ok($with - $without, '<', $bound{$text}, "memory has a bound: $text");
		note("$with kB with kwjobs, $without kB without");
	}
	# The arguments of a job are checked for each of its statements.
	my $memory = $node->safe_psql('postgres', <<'EOF');
SET statement_timeout = '60s';
SELECT FROM kwjobs.submit(repeat('SELECT $1;', 50000), arguments => '[1]', run_at => 'tomorrow');
SELECT peak_memory();
EOF
	$memory =~ s/\s//g;
	cmp_ok($memory, '<', 200_000, 'memory has a bound: statements with arguments');
	note("$memory kB");
}

# 4. A session that works on a long text hears that it shall stop, and goes on afterwards.
my $long = q{repeat('show jobs (select job_id from [', 30) || 'show jobs where true /*' || repeat('x', 7500000)}
  . q{ || '*/' || repeat('])', 30)};
my $probe = <<'EOF';
PAUSE JOB 1;
SELECT status FROM [SHOW JOB 1];
SELEC 1;
\echo :LAST_ERROR_SQLSTATE
EOF

# Returns the answer to a text, and what the session says afterwards. A timeout of a millisecond may cancel RESET,
# too, so the session gets RESET ten times.
sub answers
{
	my ($setting, $text) = @_;
	my $reset = "RESET statement_timeout;\n" x 10;
	my ($rc, $out, $err) = $node->psql('postgres', <<"EOF", on_error_stop => 0);
SELECT $text AS long \\gset
$setting
:long \\g /dev/null
\\echo :LAST_ERROR_SQLSTATE
$reset
$probe
EOF
	return $out;
}
my %places = (
	'a statement' => $long,
	'EXECUTE' => "'DO \$do\$ BEGIN EXECUTE \$long\$' || $long || '\$long\$; END \$do\$;'",
	'an expression of PL/pgSQL' => "'DO \$do\$ BEGIN IF (SELECT count(*) FROM [' || $long || ']) = 0 THEN NULL; END IF; END \$do\$'",
	'a function' => "'CREATE OR REPLACE FUNCTION f() RETURNS bigint LANGUAGE sql AS \$f\$ SELECT job_id FROM [' || $long || '] \$f\$'",
);
for my $place (sort keys %places)
{
	# however far it has come by then
	my $undisturbed = answers('', $places{$place});
	my @answers = map { answers("SET statement_timeout = $_;", $places{$place}) } 1, 20, 50, 80, 100;
	like($undisturbed, qr/^(0A000|42601|42723|00000|)\npaused\n42601$/, "what comes of $place");
	my @canceled = grep { $_ eq "57014\npaused\n42601" } @answers;
	cmp_ok(scalar @canceled, '>', 0, "statement_timeout: $place");
	is_deeply([ grep { $_ ne "57014\npaused\n42601" && $_ ne $undisturbed } @answers ], [], '... or the text is through before');
}

# A function of PostgreSQL's that is called for the session while it does so. How often of five
# times, at most three, the session says what it should.
sub while_it_works
{
	my ($function, $expected) = @_;
	my $count = 0;
	for (1 .. 5)
	{
		my ($script, $answer) = map { $node->basedir . "/$_" } 'long.sql', 'long.out';
		append_to_file($script, "SELECT $long AS long \\gset\n:long \\g /dev/null\n\\echo :LAST_ERROR_SQLSTATE\n$probe");
		my $session = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-f', $script ], '>', $answer, '2>&1');
		$node->poll_query_until('postgres', <<"EOF") or die 'the session does not start';
SELECT count($function(pid)) = 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'show jobs (select%'
EOF
		$session->finish;
		$count++ if slurp_file($answer) =~ $expected;
		unlink($script, $answer);
		last if $count == 3;
	}
	return $count;
}
is(while_it_works('pg_cancel_backend', qr/^57014\npaused\n.*\n42601$/ms), 3, 'a cancel is heard');
is(while_it_works('pg_terminate_backend', qr/terminating connection due to administrator command/), 3, 'a termination is heard');
is($node->safe_psql('postgres', 'SELECT status FROM [SHOW JOB 1]'), 'paused', 'the server goes on');

# 5. What is too much
sub answer
{
	my ($text) = @_;
	return $node->safe_psql('postgres', "SELECT answer($text)");
}
my $nested = q{repeat('show jobs (select job_id from [', %d) || 'show jobs' || repeat('])', %d)};
is(answer(sprintf($nested, 31, 31)), 'accepted', '32 levels');
is(answer(sprintf($nested, 32, 32)),
	'54001 job statements are nested more than 32 levels deep Put the result of the inner ones into a table, or select from kwdb_internal.jobs.',
	'33 levels');
is(answer(sprintf($nested, 50000, 50000)) =~ s/ Put.*//r, '54001 job statements are nested more than 32 levels deep', '50,000 levels');
is(answer(q{repeat('pause job 1;', 10000)}), 'accepted', '10,000 statements');
is(answer(q{repeat('pause job 1;', 10001)}),
	'54000 a text can have at most 10000 job statements Send several texts, or name all jobs in one statement: PAUSE JOBS VALUES (1), (2).',
	'10,001 statements');
is(answer(q{'import into t csv data (''x''' || repeat(',''x''', 100000) || ')'}),
	'54000 the job statements of a text can have at most 100000 expressions Send several texts.', '100,001 expressions');
is(answer(q{'pause job 1 /*' || repeat('x', 8 * 1024 * 1024 - 16) || '*/'}), 'accepted', '8 MB');
is(answer(q{'pause job 1 /*' || repeat('x', 8 * 1024 * 1024) || '*/'}),
	'42601 syntax error at or near "pause" Send a job statement by itself: a text of more than 8 MB is not searched for job statements.',
	'more than 8 MB');
is(answer(q{'selec 1 /*' || repeat('x', 8 * 1024 * 1024) || '*/'}), '42601 syntax error at or near "selec"',
	'... without a job statement');
is(answer(q{'pause /*' || repeat('x', 4000) || '*/ job 1'}), 'accepted', '4 kB between the words');
is(answer(q{'pause /*' || repeat('x', 5000) || '*/ job 1'}), '42601 syntax error at or near "pause"', 'more than 4 kB');
is(answer(q{'pause job /*' || repeat('x', 100000) || '*/ 1'}), 'accepted', '... after them');

# 6. The name of a type is no statement.
for my $name ('pause job 1', 'show job 1', 'show jobs where true', q{backup to 'x'})
{
	my $quoted = $name =~ s/'/''/gr;
	for my $statement ("SELECT to_regtype('$quoted')", "SELECT '$quoted'::regtype", "SELECT FROM pg_get_object_address('type', ARRAY['$quoted'], '{}')",
		"CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS \$\$ DECLARE x $name; BEGIN END \$\$")
	{
		my ($rc, $out, $err) = $node->psql('postgres', $statement);
		like($err, qr/ERROR:  (syntax error at or near|type "\w+" does not exist)/, "no type: $statement");
	}
}

# 7. A job statement is found wherever it stands, also far behind.
is(answer(q{repeat('select 1;', 100000) || 'pause job 1;' || repeat('select 1;', 1000)}), 'accepted', 'after many statements');
is(answer(q{repeat('select 1;', 1000) || 'select (select count(*) from [show jobs])' || repeat(';', 1000) || 'pause job 99'}) =~ s/ SHOW.*//r,
	'42704 job with ID 99 does not exist', 'in several of them');
is(answer(q{'select array[[1],[show]], x form t; pause job 1'}), '42601 syntax error at or near "t"', 'the first error is the one that counts');
is(answer(q{'select * from (show jobs) as j where e''\000'' = 1'}) =~ s/ Put.*//r, '42601 syntax error at or near ")"', '... also before a string of bytes that are none');
is(answer(q{'pause job 1; select e''\000'''}), '22021 invalid byte sequence for encoding "UTF8": 0x00', '... unless a job statement comes first');
is(answer(q{'select array[[1],[backup]] form t'}), '42601 syntax error at or near "t"', 'a column that is called like a statement');

ok(!(grep { /TRAP|PANIC|terminated by signal/ } split(/\n/, slurp_file($node->logfile))), 'no process crashed');
$node->stop;
done_testing();
