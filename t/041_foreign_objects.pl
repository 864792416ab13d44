# Job statements, functions and processes reach nothing but the extension's own objects: not those
# that somebody has made with their names, where the extension is not, or not any more, or beside it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IO::Socket::UNIX;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs unix sockets' unless $PostgreSQL::Test::Utils::use_unix_sockets;

my $node = new_node('foreign_objects');
my $csv = write_csv($node, 3);
$node->safe_psql('postgres', 'CREATE ROLE dbo LOGIN; CREATE DATABASE trap OWNER dbo');

# What runs when something is reached says so, whatever becomes of its transaction, and takes what it can get.
my $trap = <<'EOF';
CREATE FUNCTION public.trap(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING 'REACHED % as %', what, current_user;
    BEGIN
        EXECUTE 'ALTER ROLE dbo SUPERUSER';
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    RETURN true;
END $$;
EOF

my @show_columns = qw(job_id job_type description statement user_name status running_status created started finished modified
  errord fraction_completed error coordinator_id total_num_of_ex total_num_of_success total_num_of_fail time_of_last_success);
my @types = ('bigint', ('text') x 6, ('timestamptz') x 5, 'float8', 'text', ('bigint') x 4, 'timestamptz');

# Functions of these names, arguments and results; a trap each.
my @functions = (
	[ 'installed', '', 'boolean', 'true' ],
	[ 'show_window', '', 'interval', q('1 hour'::interval) ],
	[ 'may_show', '', 'boolean', 'true' ],
	(map { [ 'requested_id', $_, 'bigint', '1' ] } qw(integer bigint text numeric)),
	(map { [ 'job_id', $_, 'bigint', '1' ] } qw(integer bigint text numeric)),
	(map { [ 'may_control', $_, 'boolean', 'true' ] } qw(text varchar)),
	[ 'control', 'bigint, text, text', 'text', q('x') ],
	[ 'control', 'integer, text, text', 'text', q('x') ],
	(map { [ 'when_complete', $_, 'SETOF kwdb_internal.jobs', undef ] } 'bigint[]', 'integer[]'),
	[ 'import', 'regclass, text[], text[], jsonb', 'bigint', '1' ],
	[ 'cluster_setting', 'text', 'text', q('x') ],
	[ 'submit', 'text', 'bigint', '1' ]);

sub make_functions
{
	my ($schema, $prefix, @made) = @_;
	my $sql = '';
	for my $function (@made)
	{
		my ($name, $args, $type, $value) = @$function;
		my $result = defined $value ? "$value WHERE public.trap('$schema.$name')" : "j.* FROM kwdb_internal.jobs AS j WHERE public.trap('$schema.$name')";
		$sql .= "CREATE FUNCTION $schema.$prefix$name($args) RETURNS $type LANGUAGE sql AS \$\$SELECT $result\$\$;\n";
	}
	return $sql;
}

sub make_procedures
{
	my ($schema, $prefix) = @_;
	my $out = join(', ', map { "OUT $show_columns[$_] $types[$_]" } 0 .. $#show_columns);
	my $import = 'regclass, text[], text[], jsonb, OUT a bigint, OUT b text, OUT c float8, OUT d bigint, OUT e text, OUT f text, OUT g text';
	my $body = 'LANGUAGE plpgsql AS $$BEGIN PERFORM public.trap($x$procedure$x$); END$$';
	return <<"EOF";
CREATE PROCEDURE $schema.${prefix}show_jobs($out) $body;
CREATE PROCEDURE $schema.${prefix}import_and_wait($import) $body;
CREATE PROCEDURE $schema.${prefix}set_cluster_setting(text, text) $body;
CREATE PROCEDURE $schema.${prefix}set_cluster_setting(text, VARIADIC text[]) $body;
CREATE PROCEDURE $schema.${prefix}reset_cluster_setting(text) $body;
EOF
}

# Everything that the statements and the library name, as far as it is not in pg_catalog
my %values = (bigint => '1', float8 => '1', text => "'x'", timestamptz => 'now()');
my $columns = join(', ', map { "$values{$types[$_]}::$types[$_] AS $show_columns[$_]" } 0 .. $#show_columns);
my $relations = <<"EOF";
CREATE SCHEMA kwjobs;
CREATE SCHEMA kwdb_internal;
GRANT USAGE ON SCHEMA kwjobs, kwdb_internal TO PUBLIC;
CREATE VIEW kwdb_internal.jobs AS SELECT $columns WHERE public.trap('kwdb_internal.jobs');
CREATE TABLE kwjobs.job_control (job_id bigint, verb text, reason text);
INSERT INTO kwjobs.job_control VALUES (1);
CREATE FUNCTION kwjobs.on_change() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN PERFORM public.trap('job_control'); RETURN NEW; END\$\$;
CREATE TRIGGER on_change BEFORE UPDATE ON kwjobs.job_control FOR EACH STATEMENT EXECUTE FUNCTION kwjobs.on_change();
CREATE TABLE kwjobs.job (job_id bigint PRIMARY KEY, CHECK (public.trap('job')));
CREATE TABLE kwjobs.checkpoint (job_id bigint PRIMARY KEY, CHECK (public.trap('checkpoint')));
EOF
my $objects = $trap . $relations . make_functions('kwjobs', '', @functions) . make_procedures('kwjobs', '')
  . "CREATE SCHEMA decoy; GRANT USAGE ON SCHEMA decoy TO PUBLIC;" . make_functions('decoy', 'kwjobs_', @functions) . make_procedures('decoy', 'kwjobs_');

# All statements, each in all places where it can stand. Some need a transaction.
my @queries = ('SHOW JOBS', 'SHOW AUTOMATIC JOBS', "SHOW JOBS WHERE status = 'failed'", 'SHOW JOB 1', "SHOW JOB '1'",
	'SHOW JOBS (SELECT 1)', 'SHOW JOBS SELECT 1::bigint', 'SHOW JOB WHEN COMPLETE 3', 'SHOW JOB 3 WHEN COMPLETE',
	'SHOW JOBS WHEN COMPLETE (SELECT 3)', 'SHOW CLUSTER SETTING work_mem');
my @commands = ((map { ("$_ JOB 1", "$_ JOB 1 WITH REASON = 'x'", "$_ JOBS (SELECT 1)") } qw(PAUSE RESUME CANCEL)),
	"IMPORT INTO public.target CSV DATA ('$csv') WITH detached");
my @calls = ("IMPORT INTO public.target CSV DATA ('$csv')", "SET CLUSTER SETTING work_mem = '5MB'", 'RESET CLUSTER SETTING work_mem');
my @forms = (@calls, map { ($_, "EXPLAIN $_", "EXPLAIN ANALYZE $_", "PREPARE p AS $_; EXECUTE p", "DO \$x\$BEGIN EXECUTE \$y\$$_\$y\$; END\$x\$") } @queries, @commands);
push @forms, map {
	("SELECT count(*) FROM [$_]", "SELECT * FROM pg_class, LATERAL [$_] AS j LIMIT 1", "EXPLAIN SELECT * FROM [$_]", "CREATE TABLE made AS $_",
		"SELECT * INTO made FROM [$_]", "CREATE MATERIALIZED VIEW made AS SELECT * FROM [$_]", "CREATE VIEW made AS SELECT * FROM [$_]; TABLE made",
		"COPY ($_) TO STDOUT", "BEGIN; DECLARE c CURSOR FOR $_; FETCH c", "INSERT INTO public.target SELECT 1 FROM [$_]",
		"DO \$x\$DECLARE n bigint := (SELECT count(*) FROM [$_]); BEGIN END\$x\$",
		"CREATE FUNCTION made() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM [$_]; END; SELECT made()",
		"CREATE FUNCTION made() RETURNS bigint LANGUAGE sql AS \$x\$SELECT count(*) FROM [$_]\$x\$; SELECT made()",
		"CREATE POLICY made ON public.target USING (EXISTS (SELECT FROM [$_]))",
		"CREATE RULE made AS ON INSERT TO public.target DO ALSO INSERT INTO public.target SELECT 1 FROM [$_]")
} @queries;

# Statements in one session: a list of what each has written to stderr.
sub errors_of
{
	my ($db, @statements) = @_;
	my ($rc, $out, $err) = $node->psql($db, join('', map { "\\warn NEXT\n$_;\nROLLBACK;\n" } @statements), on_error_stop => 0);
	my ($before, @errors) = split(/^NEXT\n/m, $err);
	return map { s/^.*there is no transaction in progress\n//mr } @errors;
}

# Every statement, as a superuser: nothing is reached, and the error says what to do.
sub reaches_nothing
{
	my ($db, $name) = @_;
	my (@reached, @silent);
	my @errors = errors_of($db, @forms);
	is(scalar @errors, scalar @forms, "$name: " . scalar(@forms) . ' statements');
	for my $n (0 .. $#forms)
	{
		push @reached, "$forms[$n]: $errors[$n]" if $errors[$n] =~ /REACHED/;
		push @silent, "$forms[$n]: $errors[$n]" if $errors[$n] !~ /HINT:  (To list jobs, r|R)un CREATE EXTENSION kwjobs in this database\./;
	}
	is(join("\n", @reached), '', '... reach nothing');
	is(join("\n", @silent), '', '... and say what to do');
	return;
}

# A database in which the extension never was, with functions and tables of its names
my $as_dbo = $node->connstr('trap') . ' user=dbo';
$node->safe_psql('trap', 'ALTER DATABASE trap SET search_path = decoy, pg_catalog, public', connstr => $as_dbo);
$node->safe_psql('trap', 'GRANT CREATE ON SCHEMA public TO dbo; CREATE TABLE public.target (n integer, t text)');
$node->safe_psql('trap', $objects, connstr => $as_dbo);
reaches_nothing('trap', 'functions');

# ... with types, which a call with one argument may be taken for; with tables of other columns
$node->safe_psql('trap', 'DROP SCHEMA kwjobs, kwdb_internal CASCADE', connstr => $as_dbo);
my $typed = join('', map { "CREATE DOMAIN kwjobs.$_->[0] AS $_->[1] CHECK (public.trap('$_->[0]'));\n" }
	  [ 'requested_id', 'integer' ], [ 'job_id', 'integer' ], [ 'may_control', 'text' ], [ 'cluster_setting', 'text' ], [ 'when_complete', 'integer[]' ]);
$node->safe_psql('trap', "$relations $typed DROP VIEW kwdb_internal.jobs; CREATE TABLE kwdb_internal.jobs (n integer)", connstr => $as_dbo);
reaches_nothing('trap', 'types');

# ... and with nothing
$node->safe_psql('trap', 'DROP SCHEMA kwjobs, kwdb_internal CASCADE', connstr => $as_dbo);
reaches_nothing('trap', 'nothing');

# The extension is dropped, and made by somebody else, under what is prepared already.
my $client = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die $!;
$client->autoflush(1);

sub message { my ($type, $body) = @_; return $type . pack('N', 4 + length $body) . $body; }

# What the server answers until it is ready: errors and notices whole
sub answer
{
	my $answer = '';
	while (1)
	{
		my ($head, $body) = ('', '');
		while (length $head < 5) { $client->read($head, 5 - length $head, length $head) or die 'the server closed the connection'; }
		my ($type, $length) = unpack('aN', $head);
		while (length $body < $length - 4) { $client->read($body, $length - 4 - length $body, length $body) or die 'the server closed the connection'; }
		last if $type eq 'Z';
		$answer .= "$body " if $type eq 'E' || $type eq 'N';
	}
	return $answer =~ s/\0/ /gr;
}

my $startup = pack('N', 196608) . join("\0", 'user', (getpwuid($<))[0], 'database', 'trap', '', '');
print $client pack('N', 4 + length $startup) . $startup;
answer();

sub prepared
{
	my ($n) = @_;
	print $client message('B', "\0s$n\0" . pack('nnn', 0, 0, 0)) . message('E', "\0" . pack('N', 0)) . message('S', '');
	return answer();
}

$node->safe_psql('trap', 'DROP SCHEMA decoy CASCADE; DROP FUNCTION public.trap', connstr => $as_dbo);
$node->safe_psql('trap', "CREATE EXTENSION kwjobs; $jobs");
my @prepared = (@queries, (grep { !/^(RESUME|PAUSE|CANCEL) JOBS? .*REASON/ } @commands), @calls);
my @functions_of_mine = (
	q(CREATE FUNCTION mine1() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM [SHOW JOBS]); END'),
	q(CREATE FUNCTION mine2() RETURNS text LANGUAGE sql STABLE AS 'SHOW CLUSTER SETTING work_mem'),
	q(CREATE FUNCTION mine3() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM [SHOW JOBS]'),
	q(CREATE FUNCTION mine4() RETURNS SETOF bigint LANGUAGE sql STABLE AS 'SELECT job_id FROM [SHOW JOB 1]'),
	q(CREATE FUNCTION mine5() RETURNS void LANGUAGE plpgsql AS 'BEGIN PAUSE JOB 1; END'),
	qq(CREATE FUNCTION mine6() RETURNS bigint LANGUAGE sql AS \$\$IMPORT INTO public.target CSV DATA ('$csv') WITH detached\$\$),
	q(CREATE FUNCTION mine7() RETURNS void LANGUAGE plpgsql AS 'DECLARE r record; BEGIN FOR r IN SHOW JOBS LOOP END LOOP; END'),
	q(CREATE FUNCTION mine8() RETURNS void LANGUAGE sql AS 'PAUSE JOB 1'));
for my $n (0 .. $#prepared)
{
	print $client message('P', "s$n\0$prepared[$n]\0" . pack('n', 0)) . message('S', '');
	is(answer(), '', "prepared: $prepared[$n]");
	prepared($n) for 1 .. 6;
}
my $session = $node->background_psql('trap', on_error_stop => 0);
$session->query_safe($_) for @functions_of_mine;
my $call_mine = join('; ', map { "SELECT mine$_()" } 1 .. @functions_of_mine);
$session->query($_) for (split(/; /, $call_mine)) x 2;

# ... in the middle of a query that calls a function of ours, too, with an id that it finds while it runs
my $gate = close_gate($node, 'trap');
my $waits = $node->background_psql('trap', on_error_stop => 0);
$waits->query_until(qr/^waiting$/m, <<'EOF');
\echo waiting
SELECT count(*) FROM (SELECT pg_advisory_lock_shared(4711), 3 AS id OFFSET 0) AS gate, LATERAL kwjobs.when_complete(ARRAY[gate.id]) AS j;
EOF
wait_query($node, q(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted));

$node->safe_psql('trap', 'DROP EXTENSION kwjobs');
$node->safe_psql('trap', $objects, connstr => $as_dbo);

my (@reached, @silent);
for my $n (0 .. $#prepared)
{
	my $answer = prepared($n);
	push @reached, "$prepared[$n]: $answer" if $answer =~ /REACHED/;
	push @silent, "$prepared[$n]: $answer" if $answer !~ /un CREATE EXTENSION kwjobs in this database\./;
}
for my $call (split(/; /, $call_mine))
{
	$session->{stderr} = '';
	$session->query($call);
	push @reached, "$call: $session->{stderr}" if $session->{stderr} =~ /REACHED/;
	push @silent, "$call: $session->{stderr}" if $session->{stderr} !~ /un CREATE EXTENSION kwjobs in this database\./;
}
is(join("\n", @reached), '', 'what was prepared before DROP EXTENSION reaches nothing');
is(join("\n", @silent), '', '... and says what to do');
$waits->{stderr} = '';
open_gate($gate);
$waits->query('SELECT 1');
like($waits->{stderr}, qr/ERROR:  extension "kwjobs" is not installed in this database/, 'a function that was being called says it, too');
unlike($waits->{stderr}, qr/REACHED/, '... and reaches nothing');
$_->quit for $session, $waits;
reaches_nothing('trap', 'after DROP EXTENSION');

# The processes: one that is sent there leaves.
$node->safe_psql('postgres', 'ALTER DATABASE trap CONNECTION LIMIT 50');
$node->restart;
wait_query($node, q(SELECT string_agg(datname, ',') = 'postgres' FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'));
note('no coordinator stays in a database that has but the names');
is($node->safe_psql('postgres', q(SELECT rolsuper FROM pg_roles WHERE rolname = 'dbo')), 'f', 'nobody has become superuser');
unlike(slurp_file($node->logfile), qr/WARNING:  REACHED/, 'nothing was reached at all');

# Beside the extension: somebody may create in its schemas. Other functions of the same names, whose
# arguments fit as well or better, with defaults or none.
$node->safe_psql('postgres', <<"EOF");
$trap
GRANT CREATE, USAGE ON SCHEMA kwjobs, kwdb_internal TO dbo;
CREATE TABLE public.target (n integer, t text);
$jobs
EOF
my @overloads = (
	(map { my $name = $_; map { [ $name, $_, 'bigint', '1' ] } qw(integer smallint numeric text), 'bigint, integer DEFAULT 1' } qw(requested_id job_id)),
	[ 'show_window', 'integer DEFAULT 1', 'interval', q('1 hour'::interval) ],
	[ 'may_control', 'varchar', 'boolean', 'true' ], [ 'may_control', 'text, integer DEFAULT 1', 'boolean', 'true' ],
	[ 'refusal', 'oid, integer DEFAULT 1', 'text', q('x') ],
	[ 'control', 'bigint, varchar, varchar', 'text', q('x') ], [ 'control', 'bigint, text, text, integer DEFAULT 1', 'text', q('x') ],
	(map { [ 'when_complete', $_, 'SETOF kwdb_internal.jobs', undef ] } 'integer[]', 'bigint[], integer DEFAULT 1'),
	[ 'import', 'regclass, text[], text[], jsonb, integer DEFAULT 1', 'bigint', '1' ],
	[ 'cluster_setting', 'varchar', 'text', q('x') ], [ 'cluster_setting', 'text, integer DEFAULT 1', 'text', q('x') ]);
my $overload = make_functions('kwjobs', '', @overloads) . make_functions('kwjobs', 'kwjobs_', @overloads)
  . "CREATE PROCEDURE kwjobs.set_cluster_setting(text, text) LANGUAGE plpgsql AS 'BEGIN PERFORM public.trap(\$\$set\$\$); END';"
  . "CREATE DOMAIN kwdb_internal.job_id AS integer CHECK (public.trap('job_id'));";
$node->safe_psql('postgres', $overload, connstr => $node->connstr('postgres') . ' user=dbo');
my $err = join("\n", errors_of('postgres', @calls, (map { ($_, "EXPLAIN $_") } @queries),
		'PAUSE JOB 1', "RESUME JOB 2 WITH REASON = 'x'", 'CANCEL JOBS (SELECT 3)', $commands[-1]));
unlike($err, qr/REACHED/, 'functions beside those of the extension are not reached');
unlike($err, qr/ERROR/, '... and its own are');
for my $schema ('kwjobs', 'kwdb_internal')
{
	($err) = errors_of('postgres', "ALTER SCHEMA $schema RENAME TO other");
	like($err, qr/ERROR:  schema "$schema" cannot be renamed.*HINT:  To have the name for something else, run DROP EXTENSION kwjobs\./s,
		"schema $schema keeps its name");
}
$node->safe_psql('postgres', 'DROP SCHEMA IF EXISTS other; CREATE SCHEMA other; ALTER SCHEMA other RENAME TO another');
is($node->safe_psql('postgres', q(SELECT rolsuper FROM pg_roles WHERE rolname = 'dbo')), 'f', 'nobody has become superuser');
unlike(slurp_file($node->logfile), qr/TRAP:|PANIC|terminated by signal/, 'no process crashed');

$node->stop;
done_testing();
