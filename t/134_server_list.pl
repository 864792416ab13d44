# The jobs of all databases of the server in one list: kwjobs.scope = server. The coordinators of
# the other databases answer; a test build stops them at the gate 4926 before they read their jobs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjServer;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('server_list', <<'EOF', extra => ['--no-locale', '--encoding=UTF8']);
kwjobs.test_haste = 4
kwjobs.coordinator_idle_timeout = 0
kwjobs.worker_idle_timeout = 10ms
autovacuum = off
# A session gives up when no database has answered for a second. A slow machine may need longer, so
# the sessions of this test wait for a minute.
kwjobs.test_silence = 1min
# Segments of dynamic shared memory are files in the data directory.
dynamic_shared_memory_type = mmap
EOF

# Runs statements in a database with kwjobs.scope = server, as a role if one is given. Returns what
# they print; in a list, also the messages.
sub list
{
	my ($db, $sql, $role) = @_;
	my ($out, $err) = ('', '');
	my $set = 'SET kwjobs.scope = server; ' . ($role ? "SET ROLE $role; " : '');
	$node->psql($db, "$set\n$sql", stdout => \$out, stderr => \$err, on_error_stop => 0);
	return wantarray ? ($out, $err) : $out;
}

sub job
{
	my ($db, $description) = @_;
	my $job = $node->safe_psql($db, "SELECT kwjobs.submit('SELECT 1', description => '$description')");
	wait_for_status($node, $job, 'succeeded', $db);
	return $job;
}

my $shown = q{SELECT description FROM [SHOW JOBS] WHERE job_type = 'SQL' ORDER BY 1;};
my $databases = q{SELECT database || ' ' || description FROM pg_catalog.kwjobs_server_jobs(false, NULL) WHERE job_type = 'SQL' ORDER BY 1;};

create_database($node, $_) for 'one', 'two';
my $here = job('postgres', 'here');
my ($one, $two) = (job('one', 'first'), job('two', 'second'));

# The coordinators have left. When a session asks, the launcher starts those of the other databases
# again.
wait_for_no_coordinator($node);
my ($out, $err) = list('postgres', $databases);
is($out, "one first\npostgres here\ntwo second", 'the list has the jobs of all databases');
is($err, '', '... without a warning');
is(list('one', $shown), "first\nhere\nsecond", '... from each of them');

# Each of the statements finds the jobs of other databases.
like(list('postgres', 'SHOW JOBS'), qr/^$_\|SQL\|/m, 'SHOW JOBS has each of them') for $here, $one, $two;
is(scalar(() = list('postgres', "SHOW JOB $one") =~ /\|/g), 18, '... SHOW JOB has its 19 columns');
like(list('postgres', "SHOW JOB $one"), qr/^$one\|SQL\|first\|/, '... for a job of another database');
is(list('postgres', "SELECT description FROM [SHOW JOBS (SELECT unnest(ARRAY[$one, $here, $two, 4711, NULL]))] ORDER BY 1"),
	"first\nhere\nsecond", 'SHOW JOBS with ids finds jobs of all databases');
is(list('postgres', q{SELECT description FROM [SHOW JOBS WHERE database = 'two']}), 'second', 'WHERE can name the database');
is(list('postgres', 'SELECT count(*) FROM [SHOW JOBS LIMIT 2]'), '2', 'LIMIT');
like(list('postgres', "PREPARE p (bigint) AS SHOW JOB \$1; EXECUTE p($two)"), qr/^$two\|SQL\|second\|/, 'a prepared statement');
is(list('postgres', "BEGIN READ ONLY; $shown"), "first\nhere\nsecond", 'in a READ ONLY transaction');
is(list('postgres', "SET kwjobs.scope = database; $shown"), 'here', 'with kwjobs.scope = database, only those of the database');
is(list('postgres', "PREPARE p AS $shown SET kwjobs.scope = database; EXECUTE p"), 'here', '... also if the statement was prepared before');
$node->safe_psql('two', "UPDATE kwjobs.job SET job_type = 'AUTO_CREATE_STATS' WHERE job_id = $two");
is(list('postgres', 'SELECT description FROM [SHOW AUTOMATIC JOBS]'), 'second', 'SHOW AUTOMATIC JOBS');
unlike(list('postgres', 'SHOW JOBS'), qr/second/, '... SHOW JOBS has no automatic jobs');
$node->safe_psql('two', "UPDATE kwjobs.job SET job_type = 'SQL' WHERE job_id = $two");
is(list('postgres', "SELECT j.database || ' ' || j.rows || ' ' || (j.started <= j.finished) FROM pg_catalog.kwjobs_server_jobs(false, ARRAY[$one]) AS j"),
	'one 1 true', 'other columns come, too');

# A job waits for jobs of its own database only. t/135 and t/143 have the functions that reach others.
($out, $err) = list('postgres', "SELECT kwjobs.submit('SELECT 1', depends_on => $one)");
like($err, qr/ERROR:  job with ID $one is a job of database "one"\nHINT:  Connect to database "one" and type the statement there\./,
	'a job that is to wait for one of another database: the error names that database');
($out, $err) = list('postgres', 'PAUSE JOB 4711');
like($err, qr/ERROR:  job with ID 4711 does not exist\nHINT:  SHOW JOBS lists/, '... unless no database has the job');
($out, $err) = list('postgres', "SET kwjobs.scope = database; PAUSE JOB $one");
like($err, qr/ERROR:  job with ID $one does not exist\n/, '... or kwjobs.scope is database');

# Which roles see the jobs of other databases. Role owner has a job in two databases.
$node->safe_psql('postgres', <<'EOF');
CREATE ROLE admin;
CREATE ROLE chief IN ROLE admin;
CREATE ROLE owner LOGIN;
CREATE ROLE local_admin;
CREATE ROLE local_chief IN ROLE local_admin;
ALTER DATABASE postgres SET kwjobs.job_visibility = owner;
EOF
is(list('postgres', $shown, 'chief'), "first\nhere\nsecond", 'a member of the admin role sees the jobs of all databases');
my %own = map { $_ => $node->safe_psql($_, "SET ROLE owner; SELECT kwjobs.submit('SELECT 1', description => 'own of $_')") } qw(postgres one);
wait_for_status($node, $own{$_}, 'succeeded', $_) for sort keys %own;
is(join('|', list('postgres', $shown, 'owner')), 'own of postgres|', 'another role sees its own jobs only, of this database');
is(join('|', list('postgres', "SHOW JOB $own{one}", 'owner')), '|', '... also by their ids');
$node->safe_psql($_, 'SELECT kwjobs.delete(' . $own{$_} . ')') for sort keys %own;
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET kwjobs.admin_role = local_admin');
($out, $err) = list('postgres', $shown, 'local_chief');
is($out, 'here', 'a role that is an admin only in its database sees the jobs there');
like($err, qr/WARNING:  the jobs of database "$_" are left out: role "local_chief" does not have the admin role of the server/,
	"... and is told so about database $_") for 'one', 'two';
$node->safe_psql('postgres', "ALTER DATABASE postgres RESET $_") for 'kwjobs.admin_role', 'kwjobs.job_visibility';
($out, $err) = list('one', $shown, 'owner');
like($err, qr/only users with the admin role are allowed to SHOW JOBS/, 'a role without rights gets the error of SHOW JOBS');

# A database in which nothing has happened since its coordinator left is not asked for jobs that
# ended before that. The log says which coordinators are started.
sub started_for
{
	my ($sql) = @_;
	wait_for_no_coordinator($node);
	my $log = -s $node->logfile;
	my $out = list('postgres', $sql);
	my $started = () = slurp_file($node->logfile, $log) =~ /starting background worker process "kwjobs coordinator"/g;
	return "$started: $out";
}

# Has the coordinators of the other databases answer for an id, and leave again. So one that a statement has woken
# before is not still about to come.
sub answer_and_leave
{
	list('postgres', "SHOW JOB $one");
	wait_for_no_coordinator($node);
	return;
}

# Makes all jobs of these databases an hour older. A coordinator notes when it leaves how old they are.
sub make_old
{
	my $hour = join(', ', map { "$_ = $_ - interval '1 hour'" } 'created', 'started', 'finished', 'modified');
	$node->safe_psql($_, "UPDATE kwjobs.job SET $hour") for @_;
	answer_and_leave();
	return;
}
configure($node, 'log_min_messages', 'debug1');
make_old('postgres', 'one', 'two');
my $lately = 'SET kwjobs.show_window = 1800';
my $recent = "$lately; $shown";
is(started_for($recent), '0: ', 'quiet databases are not asked for what has ended lately');
is(started_for($shown), "2: first\nhere\nsecond", '... but for what has ended within the window');
is(started_for("$lately; SELECT description FROM [SHOW JOB $two]"), '2: second', '... and by ids');
my $waits = $node->safe_psql('two', q{SELECT kwjobs.submit('SELECT 1', description => 'waits', run_at => 'tomorrow')});
answer_and_leave();
is(started_for($recent), '1: waits', 'a database with a job that waits is asked');
$node->safe_psql('two', "SELECT kwjobs.cancel($waits)");
wait_for_status($node, $waits, 'canceled', 'two');
make_old('two');
$node->safe_psql('two', "SELECT kwjobs.delete($waits)");
answer_and_leave();
is(started_for($recent), '0: ', '... and not any more when that is over');
{
	my $session = $node->background_psql('one');
	$session->query_safe(q{SET kwjobs.track = top; BEGIN; CREATE TABLE tracked ()});
	is(started_for("$lately; SELECT description FROM [SHOW JOBS]"), '1: CREATE TABLE tracked ()',
		'a database in which a session does a job is asked');
	$session->query_safe('COMMIT');
	is(list('postgres', "$lately; SELECT count(*) FROM [SHOW JOBS] WHERE description LIKE 'CREATE TABLE tracked%'"), '1', '... also when it has committed');
	$session->quit;
	$node->safe_psql('one', q{DROP TABLE tracked; DELETE FROM kwjobs.job WHERE job_type = 'SCHEMA CHANGE'});
}
{
	# The coordinator of "two" has answered for an id, and leaves. When it has looked at its jobs, a session does one.
	configure($node, 'kwjobs.coordinator_idle_timeout', '1min');
	list('postgres', "SHOW JOB $two");
	my $gate = close_gates_in($node, 'two', 4936);
	configure($node, 'kwjobs.coordinator_idle_timeout', '0');
	wait_at_gates($node, 1, 'objid = 4936');
	$node->safe_psql('two', 'SET kwjobs.track = top; CREATE TABLE tracked ()');
	$gate->quit;
	is(started_for("$lately; SELECT description FROM [SHOW JOBS]"), '1: CREATE TABLE tracked ()', '... also if it did it while the coordinator left');
	$node->safe_psql('two', q{DROP TABLE tracked; DELETE FROM kwjobs.job WHERE job_type = 'SCHEMA CHANGE'});
}
configure($node, 'log_min_messages');

# What a member of the admin role sees of other sessions needs pg_read_all_stats there, too.
{
	$node->safe_psql('two', 'CREATE TABLE locked ()');
	my $blocker = $node->background_psql('two');
	$blocker->query_safe('BEGIN; LOCK TABLE locked');
	my $blocked = $node->safe_psql('two', q{SELECT kwjobs.submit('TABLE locked', description => 'blocked')});
	my $running_status = "SELECT running_status FROM [SHOW JOB $blocked];";
	ok(comes_true(sub { list('postgres', $running_status) =~ /waiting for lock on public\.locked: pid \d+.*, idle in transaction/ }),
		'a superuser sees in which state a blocking session of another database is');
	like(list('postgres', $running_status, 'chief'), qr/^waiting for lock on public\.locked: pid \d+( \([^)]*\))?$/,
		'... a member of the admin role without pg_read_all_stats does not');
	$blocker->query_safe('COMMIT');
	$blocker->quit;
	wait_for_status($node, $blocked, 'succeeded', 'two');
	$node->safe_psql('two', "SELECT kwjobs.delete($blocked); DROP TABLE locked");
}

# A database without the extension, with it, and without it again.
$node->safe_psql('postgres', 'CREATE DATABASE bare');
($out, $err) = list('postgres', $shown);
is("$out$err", "first\nhere\nsecond", 'a database without the extension is left out without a word');

# The log says how many coordinators are started: those of the databases one and two.
wait_for_no_coordinator($node);
my $log = -s $node->logfile;
configure($node, 'log_min_messages', 'debug1');
list('postgres', $shown);
configure($node, 'log_min_messages');
my $started = () = slurp_file($node->logfile, $log) =~ /starting background worker process "kwjobs coordinator"/g;
is($started, 2, 'a database without the extension is not asked again');
$node->safe_psql('bare', 'CREATE EXTENSION kwjobs');
job('bare', 'not bare');
is(list('postgres', $shown), "first\nhere\nnot bare\nsecond", '... until it has the extension');
$node->safe_psql('bare', 'DROP EXTENSION kwjobs');
($out, $err) = list('postgres', $shown);
is("$out$err", "first\nhere\nsecond", '... and when it is dropped');

# CREATE DATABASE ... TEMPLATE copies the jobs, too, so two databases have jobs with the same ids.
wait_for_no_coordinator($node);
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE one');
is(list('postgres', $databases), "copy first\none first\npostgres here\ntwo second", 'a copy of a database shows its copies');
is(list('postgres', "SELECT count(*) FROM [SHOW JOB $one]"), '2', '... an id finds both');
is(list('one', "SELECT count(*) FROM [SHOW JOB $one]"), '1', '... but only that of the own database, if there is one');
$node->safe_psql('postgres', 'DROP DATABASE copy');
is(list('postgres', $databases), "one first\npostgres here\ntwo second", '... it is gone with the database');

# Another encoding.
create_database($node, 'latin', q{TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'});
job('latin', 'cheese');
$node->safe_psql('latin', q{UPDATE kwjobs.job SET description = convert_from('\x4be47365', 'LATIN1') WHERE job_type = 'SQL'});
is(list('postgres', q{SELECT description = U&'K\00E4se' FROM [SHOW JOBS WHERE database = 'latin'] WHERE job_type = 'SQL'}),
	't', 'a text of a database in another encoding');
$node->safe_psql('two', qq{UPDATE kwjobs.job SET description = U&'a\\20ACb' WHERE job_id = $two});
is(list('latin', "SELECT description FROM [SHOW JOB $two]"), 'a?b', '... and one that cannot be converted');
$node->safe_psql('two', "UPDATE kwjobs.job SET description = 'second' WHERE job_id = $two");
$node->safe_psql('postgres', 'DROP DATABASE latin');

# ---- a database that does not answer ----

my $left_out = qr/WARNING:  the jobs of database "two" are left out: its coordinator did not answer in time\nHINT:/;

sub gate_in { my ($db) = @_; return close_gates_in($node, $db, 4926) }
sub at_gate { wait_at_gates($node, 1, 'objid = 4926'); return }

# A session that lists the jobs in the background, and its process.
sub start_list
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe('SET kwjobs.scope = server');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	$session->query_until(qr/listing/, "\\echo listing\n$shown\n");
	return ($session, $pid);
}

wait_for_no_coordinator($node);
my $segments = segments($node);
# The coordinators stay, so that those which can answer need no more time than that takes.
configure($node, 'kwjobs.coordinator_idle_timeout', '-1');
list('postgres', $shown);
my $gate = gate_in('two');
my $began = time();
my $patience = q{SET kwjobs.test_silence = '3s'};
($out, $err) = list('postgres', "$patience; $shown");
is($out, "first\nhere", 'the jobs of a database that does not answer are left out');
like($err, $left_out, '... with a warning that names it');
cmp_ok(time() - $began, '<', 15, '... soon');
$gate->quit;
is(list('postgres', $shown), "first\nhere\nsecond", '... and are there when it answers again');

# A coordinator that stands still.
{
	job('two', 'third');
	# It has come to rest: stopped in its work, it might have a lock that others need.
	wait_query($node, q{SELECT count(*) = 1 AND bool_and(backend_type = 'kwjobs coordinator' AND wait_event_type = 'Extension')
		FROM pg_stat_activity WHERE datname = 'two' AND backend_type ~ '^kwjobs'});
	my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'two'});
	kill('STOP', $pid) == 1 or die "no process $pid";
	($out, $err) = list('postgres', "$patience; $shown");
	kill('CONT', $pid);
	is($out, "first\nhere", 'a coordinator that stands still holds up none of the others');
	like($err, $left_out, '... and there is the warning');
	is(list('postgres', $shown), "first\nhere\nsecond\nthird", '... it goes on');
	configure($node, 'kwjobs.coordinator_idle_timeout', '0');
}

# The query of one coordinator fails, because this test has renamed a function that it calls.
$node->safe_psql('two', 'ALTER FUNCTION pg_catalog.kwjobs_first(bigint, bigint) RENAME TO kwjobs_foremost');
($out, $err) = list('postgres', $shown);
is($out, "first\nhere", 'an error in one database leaves out its jobs only');
like($err, qr/WARNING:  the jobs of database "two" are left out: function kwjobs_first\(bigint, integer\) does not exist\n/, '... and the warning says it');
$node->safe_psql('two', 'ALTER FUNCTION pg_catalog.kwjobs_foremost(bigint, bigint) RENAME TO kwjobs_first');
is(list('postgres', $shown), "first\nhere\nsecond\nthird", '... the coordinator goes on');

# There are 32 places for questions. If sessions that are canceled while they wait did not free their
# places, 40 of them would take all.
$gate = gate_in('two');
($out, $err) = list('postgres', "SET statement_timeout = '30ms';\n" . "$shown\n" x 40);
is(scalar(() = $err =~ /canceling statement due to statement timeout/g), 40, 'sessions are canceled while they wait');
my ($session, $pid) = start_list();
at_gate();
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
$session->{run}->finish;
$gate->quit;
($out, $err) = list('postgres', $shown);
is("$out$err", "first\nhere\nsecond\nthird", '... and give their places free');

# A coordinator is terminated while it answers.
$gate = gate_in('two');
($session) = start_list();
at_gate();
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'two'});
is($session->query('SELECT 4711'), "first\nhere\n4711", 'a coordinator is terminated while it answers');
like($session->{stderr}, $left_out, '... and there is the warning');
$session->quit;
$gate->quit;
job('two', 'fourth');
is(list('postgres', $shown), "first\nfourth\nhere\nsecond\nthird", '... the next one answers');

# A database is dropped while it is asked.
create_database($node, 'three');
job('three', 'away');
wait_for_no_coordinator($node);
$gate = gate_in('three');
($session) = start_list();
at_gate();
$node->safe_psql('postgres', 'DROP DATABASE three WITH (FORCE)');
is($session->query('SELECT 4711'), "first\nfourth\nhere\nsecond\nthird\n4711", 'a database is dropped while it is asked');
$session->quit;
($out, $err) = list('postgres', $shown);
is("$out$err", "first\nfourth\nhere\nsecond\nthird", '... and is not asked again');

# There is room for one coordinator only: they take turns to answer.
$node->append_conf('postgresql.conf', 'kwjobs.max_databases = 1');
$node->restart;
($out, $err) = list('postgres', $shown);
is("$out$err", "first\nfourth\nhere\nsecond\nthird", 'coordinators take turns to answer');

# More jobs than an answer may have.
$node->safe_psql('two', <<'EOF');
INSERT INTO kwjobs.job (job_id, job_type, description, owner, user_name, status, due, max_attempts, payload, created, started, finished, modified)
SELECT n, 'SQL', 'many', 10, 'postgres', 'canceled', 'infinity', 1, '{}', now(), now(), now(), now() FROM generate_series(1, 1100) AS n
EOF
($out, $err) = list('postgres', q{SELECT count(*) FROM [SHOW JOBS WHERE database = 'two']});
is($out, '1000', 'an answer has a limit');
like($err, qr/WARNING:  only the first 1000 jobs of database "two" are shown/, '... and says so');

# A session stands still before it reads an answer that is too large for the queue. The coordinator
# has nothing else to do. It tries to send the rest for 5 s (SEND_MS), and does not leave before.
# Then it drops the answer and leaves.
wait_for_no_coordinator($node);
$gate = gate_in('two');
($session, $pid) = start_list();
at_gate();
my $coordinator = $node->safe_psql('postgres', 'SELECT pid FROM pg_locks WHERE objid = 4926 AND NOT granted');
kill('STOP', $pid) == 1 or die "no process $pid";
$gate->quit;
ok(!wait_until_gone($coordinator, 1.5), 'a coordinator stays as long as it sends');
ok(wait_until_gone($coordinator), '... but not for long');
kill('CONT', $pid);
is($session->query('SELECT 4711'), "first\nhere\n4711", '... and the session goes on without the answer');
like($session->{stderr}, $left_out, '... with the warning');
$session->quit;

wait_for_no_coordinator($node);
is(scalar(segments($node)), $segments, 'no segment of shared memory is left');
is_consistent($node);
$node->stop;
done_testing();
