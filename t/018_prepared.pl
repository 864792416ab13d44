# Job statements that drivers or functions have prepared keep working, or fail cleanly, when the
# session or the extension changes. Which job statements BEGIN ATOMIC takes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IO::Socket::UNIX;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs unix sockets' unless $PostgreSQL::Test::Utils::use_unix_sockets;

my $node = new_node('prepared', "shared_preload_libraries = 'kwjobs,pg_stat_statements'\n");
$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements');
add_jobs($node);

# A client that speaks the protocol itself, because psql prepares nothing in version 15.
my $client = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die $!;
$client->autoflush(1);

sub message
{
	my ($type, $body) = @_;
	return $type . pack('N', 4 + length $body) . $body;
}

sub receive
{
	my ($length) = @_;
	my $bytes = '';
	while (length $bytes < $length)
	{
		$client->read($bytes, $length - length $bytes, length $bytes) or die 'the server closed the connection';
	}
	return $bytes;
}

# Returns what the server answers until it is ready, as one string: rows, tags, SQLSTATEs.
sub answer
{
	my @answers;
	while (1)
	{
		my ($type, $length) = unpack('aN', receive(5));
		my $body = receive($length - 4);
		if ($type eq 'Z') { last; }
		elsif ($type eq 'E') { push @answers, $body =~ /\0C(\w{5})\0/ ? $1 : '?'; }
		elsif ($type eq 'C') { push @answers, $body =~ s/\0//r; }
		elsif ($type eq 's') { push @answers, 'suspended'; }
		elsif ($type eq 'T') { push @answers, unpack('n', $body) . ' columns'; }
		elsif ($type eq 'D') { push @answers, unpack('x2 N/a', $body); }
	}
	return join(' ', @answers);
}

sub ask
{
	my ($messages) = @_;
	print $client $messages . message('S', '');
	return answer();
}

sub parse { my ($name, $text) = @_; return message('P', "$name\0$text\0" . pack('n', 0)); }

# Bind, Describe, Execute: the first columns of the rows
sub execute
{
	my ($name, $limit, @params) = @_;
	return message('B', "\0$name\0" . pack('nn', 0, scalar @params) . join('', map { pack('N/a', $_) } @params) . pack('n', 0))
	  . message('D', "P\0") . message('E', "\0" . pack('N', $limit));
}

sub simple { my ($text) = @_; print $client message('Q', "$text\0"); return answer(); }

my $body = pack('N', 196608) . join("\0", 'user', (getpwuid($<))[0], 'database', 'postgres', '', '');
print $client pack('N', 4 + length $body) . $body;
answer();

my @statements = (
	[ 'SHOW JOBS', '19 columns 1 2 3 SHOW' ],
	[ 'SHOW AUTOMATIC JOBS', '19 columns SELECT 0' ],
	[ 'SHOW JOB $1', '19 columns 1 SELECT 1', 1 ],
	[ 'SHOW JOBS WHERE job_id = $1', '19 columns 1 SELECT 1', 1 ],
	[ 'SHOW JOBS WHERE job_id > $1 ORDER BY job_id DESC LIMIT $2', '19 columns 3 2 SELECT 2', 1, 2 ],
	[ 'SHOW JOBS WHERE job_id < 4 ORDER BY job_id OFFSET $1 LIMIT $2', '19 columns 2 SELECT 1', 1, 1 ],
	[ 'SHOW JOBS SELECT $1::bigint', '19 columns 2 SELECT 1', 2 ],
	[ 'SHOW JOB WHEN COMPLETE $1', '19 columns 3 SELECT 1', 3 ],
	[ 'SELECT status FROM [SHOW JOBS] WHERE job_id = $1', '1 columns paused SELECT 1', 1 ],
	[ 'PAUSE JOB $1', 'UPDATE 1', 1 ],
	[ 'CANCEL JOBS (SELECT $1::bigint) WITH REASON = $2', 'UPDATE 0', 3, 'a reason' ]);

sub prepare_all
{
	my ($name) = @_;
	is(ask(join('', map { parse("s$_", $statements[$_][0]) } 0 .. $#statements)), '', "prepared $name");
	return;
}

# Executes each prepared statement, and checks that its answer is the expected one, or is one of the
# SQLSTATEs in $states.
sub execute_all
{
	my ($name, $states) = @_;
	my @wrong;
	for my $n (0 .. $#statements)
	{
		my ($text, $expected, @params) = @{ $statements[$n] };
		my $got = ask(execute("s$n", 0, @params));
		push @wrong, "$text: $got" unless defined $states ? $got =~ /^($states)$/ : $got eq $expected;
	}
	is(join("\n", @wrong), '', "executed $name");
	return;
}

prepare_all('at first');
execute_all('at first');
execute_all('again') for 1 .. 6;

# The search_path has no effect on prepared statements.
simple('CREATE SCHEMA mine; CREATE TABLE mine.jobs (job_id bigint); CREATE TABLE mine.job_control (job_id bigint)');
for my $path ('mine, pg_catalog', '\'\'', 'kwdb_internal, kwjobs')
{
	simple("SET search_path = $path");
	execute_all("with search_path = $path");
}
simple('RESET search_path');

# With kwjobs.statements = off, statements that are prepared already still work.
simple('SET kwjobs.statements = off');
execute_all('with kwjobs.statements = off');
is(ask(parse('t', 'SHOW JOB 1')), '42601', '... where nothing more can be prepared');
simple('RESET kwjobs.statements');

# Portals that are fetched from in pieces; errors in the middle of a pipeline
simple('BEGIN');
is(ask(execute('s0', 2) . message('E', "\0" . pack('N', 2))), '19 columns 1 2 suspended 3 SHOW', 'SHOW JOBS in pieces');
simple('COMMIT');
is(ask(parse('', 'SHOW JOBS') . execute('', 0)), '19 columns 1 2 3 SHOW', 'unnamed');
is( ask(parse('', 'PAUSE JOB 1') . execute('', 0) . parse('', 'PAUSE JOB') . execute('', 0) . parse('', 'PAUSE JOB 2') . execute('', 0)),
	'UPDATE 1 42601', 'a pipeline ends where an error is');
is(ask(parse('u', 'SHOW JOB 1 2')), '42601', 'a syntax error');
is(ask(execute('u', 0)), '26000', '... prepares nothing');
is(simple('SELECT status FROM [SHOW JOB 2]; PAUSE JOB 1; SELEC 1'), '42601', 'the simple protocol in between');
is(simple('SELECT status FROM [SHOW JOB 2]; PAUSE JOB 1'), '1 columns running SELECT 1 UPDATE 1', '... and without an error');

# In a transaction that has failed
simple('BEGIN');
ask(parse('', 'PAUSE JOB 99') . execute('', 0));
execute_all('in a failed transaction', '25P02');
simple('ROLLBACK');
execute_all('after it');

# DISCARD ALL removes prepared statements, and they can be prepared again.
simple('DISCARD ALL');
execute_all('after DISCARD ALL', '26000');
prepare_all('after DISCARD ALL');
execute_all('after DISCARD ALL and Parse');

# A procedure rolls back, and deallocates the statement that called it. Then the server has freed
# that statement.
simple(<<'EOF');
CREATE PROCEDURE rolls_back() LANGUAGE plpgsql AS $$
BEGIN
    ROLLBACK;
    EXECUTE 'DEALLOCATE ALL';
    PERFORM repeat('x', n) FROM generate_series(1, 1000) AS n;
END $$;
CREATE PROCEDURE rolls_back_and_returns(INOUT n integer) LANGUAGE plpgsql AS $$
BEGIN
    CALL rolls_back();
    n := n + 1;
END $$
EOF
for my $call ([ 'CALL rolls_back()', 'CALL' ], [ 'CALL rolls_back_and_returns($1)', '1 columns 2 CALL', 1 ])
{
	my ($text, $expected, @params) = @$call;
	is(ask(parse('c', $text)), '', "prepared: $text");
	is(ask(execute('c', 0, @params)), $expected, '... and executed');
	is(ask(execute('c', 0, @params)), '26000', '... which has deallocated it');
}
prepare_all('after DEALLOCATE ALL');

# The extension is dropped, and made again: other tables, functions and procedures
simple('DROP EXTENSION kwjobs');
execute_all('without the extension', '42P01|42883|3F000');
simple('CREATE EXTENSION kwjobs');
add_jobs($node);
execute_all('with a new extension');
simple('SELECT pg_stat_statements_reset()');
for my $asked (simple('SHOW JOBS'), ask(parse('', 'SHOW JOBS') . execute('', 0)))
{
	is($asked, '19 columns 1 2 3 SHOW', 'SHOW JOBS in either protocol');
}
is(simple(q(SELECT sum(calls) || ' ' || count(*) FROM pg_stat_statements WHERE query = 'SHOW JOBS')),
	'1 columns 2 1 SELECT 1', 'pg_stat_statements has one entry for it');
$client->close;

# In functions, within one session
my $functions = <<'EOF';
SELECT in_sql(1), show_in_sql(2), (SELECT count(*) FROM rows_in_sql()), control_in_sql(1);
SELECT in_plpgsql(), show_in_plpgsql(), control_in_plpgsql(), atomic();
EOF
my $results = "1|running|3|\n3|123||3";
my ($rc, $out, $err) = $node->psql('postgres', <<"EOF", on_error_stop => 0);
CREATE TABLE shape AS SHOW JOB 1;
CREATE FUNCTION in_sql(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT job_id FROM [SHOW JOB \$1]';
CREATE FUNCTION show_in_sql(bigint) RETURNS text LANGUAGE sql AS 'SHOW JOBS; SELECT status FROM [SHOW JOB \$1]';
CREATE FUNCTION rows_in_sql() RETURNS SETOF shape LANGUAGE sql AS 'SHOW JOBS';
CREATE FUNCTION control_in_sql(bigint) RETURNS void LANGUAGE sql AS 'PAUSE JOB \$1';
CREATE FUNCTION in_plpgsql() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM [SHOW JOBS]); END';
CREATE FUNCTION show_in_plpgsql() RETURNS text STABLE LANGUAGE plpgsql AS \$\$
DECLARE
    r record;
    ids text := '';
BEGIN
    FOR r IN SHOW JOBS LOOP ids := ids || r.job_id; END LOOP;
    RETURN ids;
END \$\$;
CREATE FUNCTION control_in_plpgsql() RETURNS void LANGUAGE plpgsql AS 'BEGIN PAUSE JOB 1; END';
CREATE FUNCTION atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM [SHOW JOBS]; END;
$functions
$functions
DROP FUNCTION atomic;
DROP EXTENSION kwjobs;
SELECT in_sql(1);
SELECT show_in_sql(1);
SELECT count(*) FROM rows_in_sql();
SELECT control_in_sql(1);
SELECT in_plpgsql();
SELECT show_in_plpgsql();
SELECT control_in_plpgsql();
SET client_min_messages = error;
CREATE EXTENSION kwjobs;
CREATE FUNCTION atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM [SHOW JOBS]; END;
$jobs
$functions
$functions
EOF
is($out, join("\n", ($results) x 4), 'functions, before and after the extension is made anew');
is(() = $err =~ /ERROR:  (relation "kwdb_internal.jobs" does not exist|unrecognized configuration parameter "jobs"|extension "kwjobs" is not installed in this database)$/mg,
	7, '... and errors while it is not there')
  or diag($err);
unlike($err, qr/cache lookup|OID/, '... that are clear');

# BEGIN ATOMIC takes SHOW statements in brackets, and control statements. It takes no bare SHOW
# JOBS, which PostgreSQL parses as the SHOW of a setting.
($rc, $out, $err) = $node->psql('postgres', <<'EOF', on_error_stop => 0);
CREATE FUNCTION takes(id bigint) RETURNS text LANGUAGE sql BEGIN ATOMIC
    PAUSE JOB id WITH REASON = 'atomic';
    SELECT string_agg(job_id::text, ',') FROM [SHOW JOBS];
    SELECT status FROM [SHOW JOB id];
END;
CREATE FUNCTION returns() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM [SHOW JOBS]);
SELECT takes(1), returns();
CREATE PROCEDURE shows() LANGUAGE sql BEGIN ATOMIC SHOW JOBS; END;
CREATE PROCEDURE shows() LANGUAGE sql BEGIN ATOMIC PAUSE JOB 1; SHOW JOBS; END;
CREATE PROCEDURE shows() LANGUAGE sql BEGIN ATOMIC PAUSE JOB; END;
SELECT takes(1);
DROP EXTENSION kwjobs;
EOF
is($out, "paused|3\npaused", 'BEGIN ATOMIC');
is(() = $err =~ /^psql:<stdin>:[89]: ERROR:  SHOW is not yet supported in unquoted SQL function body$/mg,
	2, '... without a bare SHOW JOBS')
  or diag($err);
like($err, qr/^psql:<stdin>:10: ERROR:  syntax error at or near ";"\n.*\n *\^\nDETAIL:  One job ID must stand here\.$/m,
	'... or one that is not complete');
like($err, qr/cannot drop extension kwjobs because other objects depend on it\nDETAIL:.*function atomic\(\) depends on view kwdb_internal\.jobs/s,
	'such functions depend on the extension');

unlike(slurp_file($node->logfile), qr/TRAP|PANIC|terminated by signal/, 'no process crashed');
$node->stop;
done_testing();
