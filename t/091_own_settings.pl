# The coordinator of a database uses only the settings of the server, whatever ALTER DATABASE and
# ALTER ROLE say. The workers, which run jobs, also use the settings of the database and the role.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('own_settings', "kwjobs.max_workers = 2\nlog_min_messages = warning\n");
$node->safe_psql('postgres', <<'EOF_SQL');
CREATE ROLE mallory LOGIN;
CREATE ROLE bob LOGIN;
CREATE DATABASE owned OWNER mallory;
EOF_SQL
$node->safe_psql('owned', 'CREATE EXTENSION kwjobs; CREATE TABLE done (who text, tz text); GRANT ALL ON done TO PUBLIC');

my $coordinator = q{backend_type = 'kwjobs coordinator' AND datname = 'owned'};

# The sessions of this test must not use these settings of the database and the role, either.
$ENV{PGOPTIONS} = '-c statement_timeout=0 -c lock_timeout=0 -c default_transaction_read_only=off -c log_min_messages=warning';

# Restarts the server, and waits until the database has a new coordinator.
sub restart
{
	my $log = -s $node->logfile;
	$node->restart;
	wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE $coordinator");
	# when this job is over, the coordinator has run a pass
	$node->safe_psql('owned', q{SET SESSION AUTHORIZATION bob; CALL kwjobs.run('insert into done values (current_user, current_setting(''TimeZone''))')});
	return $log;
}

# Settings that the owner of a database may set for it, and settings that only a superuser may set.
my @of_owner = (
	"session_authorization = 'mallory'", "role = 'mallory'", "search_path = 'public'", "DateStyle = 'SQL, DMY'", "TimeZone = 'Pacific/Chatham'",
	"client_encoding = 'sjis'", "row_security = off", "statement_timeout = '1ms'", "lock_timeout = '1ms'", "enable_indexscan = off",
	"default_transaction_read_only = on", "default_transaction_isolation = 'serializable'", "transform_null_equals = on",
	"standard_conforming_strings = off", "IntervalStyle = 'sql_standard'", "plan_cache_mode = 'force_custom_plan'", "work_mem = '64kB'");
my @of_superuser = ("log_min_messages = 'debug5'", "session_replication_role = 'replica'", "made.up = 'x'", "track_activities = off");
for my $setting (@of_owner)
{
	$node->safe_psql('postgres', "SET SESSION AUTHORIZATION mallory; ALTER DATABASE owned SET $setting");
}
$node->safe_psql('postgres', "ALTER DATABASE owned SET $_") for @of_superuser;
for my $setting (@of_owner, @of_superuser)
{
	next if $setting =~ /^(session_authorization|role|statement_timeout|lock_timeout|default_transaction_read_only)/;
	$node->safe_psql('postgres', "ALTER ROLE postgres SET $setting; ALTER ROLE postgres IN DATABASE owned SET $setting; ALTER ROLE ALL SET $setting");
}
my $log = restart();
is($node->safe_psql('postgres', "SELECT usename, application_name, query FROM pg_stat_activity WHERE $coordinator"),
	'postgres|kwjobs coordinator|', 'the coordinator is the bootstrap superuser');
is($node->safe_psql('owned', 'SELECT who, tz FROM done'), 'bob|Pacific/Chatham', 'jobs have the settings of the database');
like(slurp_file($node->logfile, $log), qr/kwjobs worker DEBUG:/, 'what the test looks for is there');
unlike(slurp_file($node->logfile, $log), qr/kwjobs (coordinator|launcher) (DEBUG|WARNING|ERROR):/, 'the coordinator logs what the server says');

# The coordinator obeys changes of the configuration file.
$log = -s $node->logfile;
$node->append_conf('postgresql.conf', "log_min_messages = debug5\n");
$node->reload;
$node->wait_for_log(qr/kwjobs coordinator DEBUG:/, $log);
note('a reload changes what it logs');

# mallory, who owns the database, sees no more of the coordinator than of any superuser's process.
is($node->safe_psql('owned', "SET SESSION AUTHORIZATION mallory; SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator'"),
	'0', 'nor is it one of the owner of the database');

# The coordinator turns compilation off for the queries of its passes, because it would take longer
# than to run them. A process that is to compile a query looks for LLVM's library and logs that it
# does, also where there is none.
$node->append_conf('postgresql.conf', "log_min_messages = debug1\njit = on\njit_above_cost = 0\n");
$log = restart();
my $compiles = qr/DEBUG:  probing availability of JIT provider/;
like(slurp_file($node->logfile, $log), qr/kwjobs worker $compiles/, 'a worker compiles the queries of its jobs');
unlike(slurp_file($node->logfile, $log), qr/kwjobs coordinator $compiles/, '... and the coordinator does not');

$node->stop;
done_testing();
