# What a hostile database, backup, table or program can do to a BACKUP, a RESTORE and the private server.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use JSON::PP;
use KwjPrograms;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/environ';

my $node = new_node('hostile', <<'EOC');
kwjobs.max_workers = 4
log_statement = none
autovacuum = off
EOC
my $data = abs_path($node->data_dir);
my $bin = $node->config_data('--bindir');
my $place = make_place($node);
my $start = sql('SELECT pg_postmaster_start_time()');

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }
sub error_of { return sql("SELECT error_code || ': ' || error FROM kwdb_internal.jobs WHERE job_id = $_[0]"); }

sub start_job
{
	my ($statement, @options) = @_;
	return sql("$statement WITH " . join(', ', 'detached', "max_attempts = '1'", @options));
}

sub messages
{
	return sql("SELECT array_to_string(messages, ' / ') FROM kwdb_internal.job_attempts WHERE job_id = $_[0]");
}

sql('CREATE ROLE owner LOGIN CREATEDB; CREATE ROLE other LOGIN');
sql('GRANT pg_write_server_files, pg_read_server_files TO owner');

# ---- the settings of the database ----

# The owner of a database may give it a search_path, and operators of his own.
sql('CREATE DATABASE trap OWNER owner');
sql(<<'EOC', 'trap');
SET SESSION AUTHORIZATION owner;
CREATE SCHEMA trap;
CREATE TABLE trap.caught (who name);
GRANT USAGE ON SCHEMA trap TO PUBLIC;
GRANT ALL ON trap.caught TO PUBLIC;
CREATE FUNCTION trap.spring(name, name) RETURNS bool LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO trap.caught VALUES (current_user); RETURN $1 OPERATOR(pg_catalog.=) $2; END $$;
CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = name, FUNCTION = trap.spring);
CREATE TABLE t (n int);
ALTER DATABASE trap SET search_path = trap, pg_catalog;
EOC
sql("BACKUP DATABASE trap TO '$place/trap'");
is(sql('SELECT count(*) FROM trap.caught', 'trap'), 0, 'a BACKUP calls no operator of the database');

# ---- texts in another encoding ----

sql("CREATE DATABASE latin OWNER owner TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
sql(q{DO $$ BEGIN EXECUTE 'CREATE TABLE ' || quote_ident(chr(233)) || ' (n int)'; END $$}, 'latin');
my $job = start_job("BACKUP DATABASE latin TO '$place/latin'", "run_as = 'owner'");
wait_for_status($node, $job, 'failed');
is(sql("SELECT error ~ 'permission denied for table .+', convert_from(convert_to(error || error_detail, 'UTF8'), 'UTF8') IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job"),
	't|t', 'the error of a session in another encoding is a valid text');

# A long error
sql('CREATE DATABASE long OWNER owner');
sql(q{CREATE FUNCTION f(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF pg_catalog.current_database() OPERATOR(pg_catalog.<>) 'long' THEN RAISE EXCEPTION '%', pg_catalog.concat('x', pg_catalog.repeat(pg_catalog.chr(8364), 3000)); END IF; RETURN n; END $$; CREATE TABLE t AS SELECT 1 AS n; CREATE INDEX ON t (f(n))}, 'long');
sql("BACKUP DATABASE long TO '$place/long'");
$job = start_job("RESTORE FROM '$place/long'", "into_db = 'long2'");
wait_for_status($node, $job, 'failed');
is(sql("SELECT error LIKE 'x' || repeat(chr(8364), 100) || '%', length(error) BETWEEN 300 AND 1024, convert_from(convert_to(error, 'UTF8'), 'UTF8') IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job"),
	't|t|t', 'a long error ends with a whole character');

# ---- a session that cannot begin ----

sql("ALTER ROLE owner IN DATABASE trap SET session_preload_libraries = 'nothing'");
$job = start_job("BACKUP DATABASE trap TO '$place/begin'", "run_as = 'owner'");
wait_for_status($node, $job, 'failed');
like(error_of($job), qr/^58P01: could not access file "nothing"/, 'the error that ends a session before it is connected is that of the job');
sql('ALTER ROLE owner IN DATABASE trap RESET session_preload_libraries');
SKIP:
{
	skip 'there are no event triggers for logins before 17', 2 if $node->pg_version < 17;
	$node->safe_psql('trap', q{CREATE FUNCTION public.keep_out() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF session_user <> 'postgres' THEN RAISE EXCEPTION 'not you, %', session_user USING ERRCODE = '28000'; END IF; END $$; CREATE EVENT TRIGGER keep_out ON login EXECUTE FUNCTION public.keep_out()});
	$job = start_job("BACKUP DATABASE trap TO '$place/login'", "run_as = 'owner'");
	wait_for_status($node, $job, 'failed');
	is(error_of($job), '28000: not you, owner', 'so is that of an event trigger for logins');
}

# ---- names ----

foreach my $name ("a=b", "postgresql://x", "li\nne", q{q'"uote}, "per%scent", ' sp ace ', '-d', '\\back', '$(id)')
{
	my $quoted = '"' . ($name =~ s/"/""/gr) . '"';
	my $literal = "'" . ($name =~ s/'/''/gr) . "'";
	my $file = 'n' . unpack('H*', $name);
	sql("CREATE DATABASE $quoted OWNER owner");
	$job = start_job("BACKUP DATABASE $quoted TO '$place/$file'", "run_as = 'owner'");
	wait_for_end_of($job);
	is(sql("SELECT status, error FROM kwdb_internal.jobs WHERE job_id = $job"), 'succeeded|', "BACKUP of a database named $name");
	sql("DROP DATABASE $quoted");
	$job = start_job("RESTORE FROM '$place/$file'", "run_as = 'owner'");
	wait_for_end_of($job);
	is(sql("SELECT status, error FROM kwdb_internal.jobs WHERE job_id = $job"), 'succeeded|', "RESTORE of a database named $name");
	is(sql("SELECT count(*) FROM pg_database WHERE datname = $literal"), 1, 'it has its name');
	sql("DROP DATABASE IF EXISTS $quoted");
}

# How many psql run in the data directory.
sub count_programs
{
	return scalar(grep { (readlink("$_/exe") // '') =~ m{/psql$} && (readlink("$_/cwd") // '') eq $data } glob('/proc/[0-9]*'));
}

sub wait_for_end_of { return wait_query($node, "SELECT count(*) = 1 FROM kwdb_internal.jobs WHERE job_id = $_[0] AND finished IS NOT NULL"); }

foreach my $name ("li\nne", q{q'"uote}, "per%scent", 'a*?.b', '(x|y)', '$', 'A[b]', "\nLOCK", "x\npg_dump: error: fake")
{
	my $quoted = '"' . ($name =~ s/"/""/gr) . '"';
	my $path = "$place/t" . unpack('H*', $name);
	sql("CREATE TABLE $quoted (n int); INSERT INTO $quoted VALUES (7)");
	sql("BACKUP TABLE $quoted TO '$path'");
	sql("DROP TABLE $quoted; RESTORE FROM '$path'");
	is(sql("SELECT n FROM $quoted"), 7, "a table named $name");
	sql("DROP TABLE $quoted");
}

# ---- a hostile manifest ----

my $text = slurp_file("$place/long/manifest.json");
foreach my $change (
	[ 'database', '' ], [ 'database', 'x' x 64 ], [ 'database', 'x' x 1000000 ], [ 'encoding', 'x' x 1025 ],
	[ 'server_version', 'x' x 1025 ], [ 'tables', 'x' x 1025 ])
{
	my ($key, $value) = @$change;
	my $changed = $key eq 'tables' ? $text =~ s/"tables": \[\]/"tables": ["$value"]/r : $text =~ s/("$key": )"[^"]*"/$1"$value"/r;
	isnt($changed, $text, "$key was changed");
	overwrite("$place/long/manifest.json", $changed);
	my ($rc, $out, $err) = $node->psql('postgres', "SELECT kwjobs.restore('$place/long')");
	like($err, qr/the manifest of backup ".*" is damaged/, "a manifest whose $key has " . length($value) . ' bytes');
}
foreach my $change ([ 'encoding', q{UTF8'; DROP TABLE kept; --} ], [ 'lc_collate', q{C' OWNER other --} ], [ 'encoding', "\\n\\\\! id" ])
{
	my ($key, $value) = @$change;
	overwrite("$place/long/manifest.json", $text =~ s/("$key": )"[^"]*"/$1"$value"/r);
	$job = start_job("RESTORE FROM '$place/long'", "into_db = 'fresh'");
	wait_for_status($node, $job, 'failed');
	like(error_of($job), qr/is not a valid encoding name|invalid (LC_COLLATE )?locale name/, "$key is quoted");
}
overwrite("$place/long/manifest.json", $text);

is(sql('SELECT pg_postmaster_start_time()'), $start, 'the server has not crashed');

# ---- background workers ----

# Returns a job whose program wants this many sessions at the same time. Each waits for the gate.
sub start_greedy
{
	my ($n, $owner) = @_;
	$owner //= 'owner';
	my $script = join(' ', map { "$bin/psql -XqAt -c 'SELECT pg_advisory_lock_shared(1)' &" } 1 .. $n) . ' wait; echo done';
	my $text = encode_json({ sessions => $n, argv => [ '/bin/sh', '-c', $script ] });
	return sql("SELECT kwjobs.create_job('TEST_PROGRAM', \$json\$$text\$json\$, max_attempts => 1, run_as => '$owner')");
}

# A launcher, a coordinator, 1 + 1 workers, and room for 3 sessions, which the program keeps.
$node->append_conf('postgresql.conf', <<'EOC');
max_worker_processes = 7
max_logical_replication_workers = 0
kwjobs.max_workers = 1
EOC
$node->restart;
my $gate = $node->background_psql('postgres');
$gate->query_safe('SELECT pg_advisory_lock(1)');
my $greedy = start_greedy(3);
my $waiting = "FROM pg_stat_activity WHERE backend_type = 'kwjobs session' AND wait_event = 'advisory'";
wait_query($node, "SELECT count(*) = 3 $waiting");
ok(comes_true(sub { count_programs() == 3 }), 'sessions take what is left');
$job = sql("SET ROLE other; SELECT kwjobs.submit('SELECT 1')");
wait_for_status($node, $job, 'succeeded');
is(sql("SELECT count(*) $waiting"), 3, 'and leave room for a job of another role');
# The next job that needs a session waits, however often it has to try, and fails nowhere.
$job = start_greedy(1, 'other');
wait_query($node, "SELECT status = 'pending' AND running_status ~ 'waiting for sessions: it needs 1, and 3 of 3 are taken' FROM kwdb_internal.jobs WHERE job_id = $job");
like(sql("SELECT kwjobs.why($job)"), qr/\nIt starts when other jobs with sessions are over\. To have room for more, raise max_worker_processes/, 'and kwjobs.why says what to do');
my $log = slurp_file($node->logfile);
unlike($log, qr/too few background workers for the sessions/, 'the log is not filled with that');
my ($rc, $out, $err) = $node->psql('postgres', "SELECT kwjobs.backup('/tmp/none', options => '{\"thread_concurrency\": 4}')");
like($err, qr/this BACKUP needs background workers for 5 sessions, and can have 3.*Raise max_worker_processes by 5 and restart/s, 'what can never be is refused at once');
$gate->query_safe('SELECT pg_advisory_unlock(1)');
wait_for_status($node, $greedy, 'succeeded');
wait_for_status($node, $job, 'succeeded');
is(sql("SELECT count(*) FROM kwdb_internal.job_attempts WHERE job_id = $job"), 1, 'the places are given back, and the job that waited counts one attempt');
$job = start_greedy(4);
wait_for_status($node, $job, 'failed');
is(sql("SELECT error_code FROM kwdb_internal.jobs WHERE job_id = $job"), '55000', 'also later, if the settings have changed');

# With room for 8 sessions, 3 are not for a role that has all others.
$node->append_conf('postgresql.conf', "max_worker_processes = 14\nkwjobs.max_workers = 3\n");
$node->restart;
$gate = $node->background_psql('postgres');
$gate->query_safe('SELECT pg_advisory_lock(1)');
$greedy = start_greedy(5);
wait_query($node, "SELECT count(*) = 5 $waiting");
$job = start_greedy(1);
wait_query($node, "SELECT status = 'pending' AND running_status ~ 'waiting for sessions: it needs 1, and its role has 5 of at most 5' FROM kwdb_internal.jobs WHERE job_id = $job");
my $others = start_greedy(3, 'other');
wait_query($node, "SELECT count(*) = 8 $waiting");
is(job_field($node, $others, 'status'), 'running', 'one role does not get the places that are left for others');
# What waits can be canceled, and is obeyed at once.
sql("CANCEL JOB $job");
wait_for_status($node, $job, 'canceled');
$gate->query_safe('SELECT pg_advisory_unlock(1)');
wait_for_status($node, $_, 'succeeded') foreach $greedy, $others;

# Close to PostgreSQL's default, there is room for none.
$node->append_conf('postgresql.conf', "max_worker_processes = 7\nmax_logical_replication_workers = 4\nkwjobs.max_workers = 4\n");
$node->restart;
($rc, $out, $err) = $node->psql('postgres', "BACKUP TO '/tmp/none' WITH detached");
like($err, qr/needs background workers for 3 sessions, and can have 0.*Raise max_worker_processes by 4 and restart/s, 'the hint says what to do');
done_testing();
