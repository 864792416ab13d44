# What is not as usual: the library is not preloaded, a database without the
# extension, one that nobody can connect to, schemas that are there already, dump and restore.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('setup', '');
my $csv = write_csv($node, 100);

# Statement in a database => error, SQLSTATE, hint
sub refused
{
	my ($server, $db, $statement, $code, $message, $hint) = @_;
	my ($rc, $out, $err) = $server->psql($db, "\\set VERBOSITY verbose\n$statement");
	isnt($rc, 0, "refused: $statement");
	like($err, qr/ERROR:  $code: $message/, '... with the reason');
	like($err, qr/HINT:  $hint/, '... and what to do');
	return;
}

# Without the extension
$node->safe_psql('postgres', 'CREATE DATABASE without');
my $hint = 'Run CREATE EXTENSION kwjobs in this database\.';
refused($node, 'without', 'SHOW JOBS', '42704',
	'unrecognized configuration parameter "jobs"',
	'To list jobs, run CREATE EXTENSION kwjobs in this database\.');
refused($node, 'without', 'SHOW JOB 1', '3F000', '.*kwjobs', $hint);
refused($node, 'without', 'SELECT * FROM [SHOW JOBS]', '42P01', '.*kwdb_internal', $hint);
refused($node, 'without', 'PAUSE JOB 1', '(42P01|42883|3F000)', '.*kwjobs', $hint);
refused($node, 'without', "IMPORT INTO pg_class CSV DATA ('/x')", '(42883|3F000)', '.*kwjobs', $hint);

# A schema that somebody made is not adopted.
for my $schema (qw(kwjobs kwdb_internal))
{
	my ($rc, $out, $err) = $node->psql('without',
		"CREATE SCHEMA $schema; CREATE EXTENSION kwjobs");
	like($err, qr/schema "$schema" already exists/, "a schema $schema is in the way");
	$node->safe_psql('without', "DROP SCHEMA $schema");
}

# A database that nobody can connect to gets no coordinator, and no message a minute;
# it gets one when that changes.
my $log = -s $node->logfile;
$node->safe_psql('without', 'CREATE EXTENSION kwjobs');
wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'without' AND backend_type = 'kwjobs coordinator'");
$node->safe_psql('postgres', 'CREATE DATABASE closed TEMPLATE without ALLOW_CONNECTIONS false');
$node->safe_psql('postgres', 'CREATE DATABASE open TEMPLATE without');
wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'open' AND backend_type = 'kwjobs coordinator'");
unlike(slurp_file($node->logfile, $log), qr/"closed" is not currently accepting connections/,
	'nobody tries to connect to a closed database');
$node->safe_psql('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS true');
wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'closed' AND backend_type = 'kwjobs coordinator'");

# Dump and restore: the history comes along, what is not over does not run twice.
$node->safe_psql('open', 'CREATE TABLE target (n integer, t text)');
my $done = start_import($node, 'target', $csv, 'open');
wait_for_status($node, $done, 'succeeded', 'open');
make_target($node, 'gated', 50, 'open');
my $gate = close_gate($node, 'open');
my $running = start_import($node, 'gated', $csv, 'open');
wait_at_gate($node, $running, 'open');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('open'), '-f', $dump ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ],
	'restore');
wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'restored' AND backend_type = 'kwjobs coordinator'");
is($node->safe_psql('restored', 'SELECT job_id, status, rows FROM kwdb_internal.jobs'),
	"$done|succeeded|100", 'the restored database has the history only');
is($node->safe_psql('restored', 'SELECT count(*) FROM kwdb_internal.job_attempts'),
	'1', '... with its attempts');
open_gate($gate);
wait_for_status($node, $running, 'succeeded', 'open');

# Not preloaded: clear errors instead of a crash.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
$hint = 'Add kwjobs to shared_preload_libraries in postgresql.conf and restart the server\.';
refused($node, 'postgres', 'SELECT * FROM kwdb_internal.jobs', '55000', 'kwjobs is not loaded by the server', $hint);
refused($node, 'postgres', "SELECT kwjobs.pause(1)", '55000', 'kwjobs is not loaded by the server', $hint);
refused($node, 'postgres', 'LOAD \'kwjobs\'', '55000', 'kwjobs is not loaded by the server', $hint);
$node->safe_psql('postgres', 'DROP EXTENSION kwjobs');
refused($node, 'postgres', 'CREATE EXTENSION kwjobs', '55000', 'kwjobs is not loaded by the server', $hint);
# Loaded by sessions instead: nobody gets in, and the error says where that is set.
$node->safe_psql('postgres', "ALTER DATABASE open SET session_preload_libraries = 'kwjobs'");
my ($rc, $out, $err) = $node->psql('open', 'SELECT 1');
like($err, qr/FATAL:  kwjobs is not loaded by the server\nDETAIL:  Each session loads it, by session_preload_libraries of .*the database.*\nHINT:  $hint/,
	'session_preload_libraries will not do');
$node->safe_psql('postgres', 'ALTER DATABASE open RESET session_preload_libraries');
is($node->safe_psql('open', 'SELECT 1'), '1', '... until it is reset');
($rc, $out, $err) = $node->psql('postgres', 'PAUSE JOB 1');
like($err, qr/^psql:<stdin>:1: ERROR:  syntax error at or near "PAUSE"/, 'and PostgreSQL itself knows no job statements');

# Statements off: the functions work.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'kwjobs'\nkwjobs.statements = off");
$node->restart;
$node->safe_psql('postgres', 'CREATE EXTENSION kwjobs');
($rc, $out, $err) = $node->psql('postgres', 'SHOW JOB 1');
like($err, qr/ERROR:  syntax error at or near "1"/, 'kwjobs.statements = off: a syntax error');
is($node->safe_psql('postgres', 'SELECT count(*) FROM kwjobs.show()'), '0', '... and the functions work');

$node->stop;
done_testing();
