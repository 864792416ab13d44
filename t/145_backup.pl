# BACKUP: what a backup holds, what becomes of one that fails, who may make one, PAUSE, CANCEL, and
# that no process and no file is left, whichever process dies.

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

my $node = new_node('backup', <<'EOC');
kwjobs.max_workers = 4
log_statement = none
autovacuum = off
EOC
my $data = abs_path($node->data_dir);
my $bin = $node->config_data('--bindir');
my $place = make_place($node);

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]); }

sub fails_with
{
	my ($statement, $message, $name) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $statement);
	return like($err, $message, $name // "refused: $statement");
}

sub error_of { return sql("SELECT error_code || ': ' || error FROM kwdb_internal.jobs WHERE job_id = $_[0]"); }

# Creates a BACKUP that fails at its first error; returns its id.
sub create
{
	my ($statement, @options) = @_;
	return sql("$statement WITH " . join(', ', 'detached', "run_as = 'saver'", "max_attempts = '1'", @options));
}

sub state_of
{
	open(my $fh, '<', "/proc/$_[0]/stat") or return '';
	return (<$fh> // '') =~ /^\d+ \(.*\) (\S)/ ? $1 : '';
}

sql(<<'EOC');
CREATE ROLE saver LOGIN;
CREATE ROLE reader LOGIN;
CREATE ROLE nobody LOGIN;
GRANT pg_write_server_files, pg_read_server_files TO saver;
GRANT pg_write_server_files TO reader;
CREATE DATABASE shop OWNER saver;
CREATE TABLE mine (n int);
INSERT INTO mine SELECT generate_series(1, 1000);
CREATE TABLE "odd ""name*" (n int);
CREATE TABLE secret (n int);
GRANT SELECT ON mine, "odd ""name*" TO saver;
EOC
sql(<<'EOC', 'shop');
SET SESSION AUTHORIZATION saver;
CREATE SCHEMA own;
CREATE TABLE own.orders (id int PRIMARY KEY, note text);
INSERT INTO own.orders SELECT n, md5(n::text) FROM generate_series(1, 20000) AS n;
CREATE TABLE own."a ""b""" (n int);
INSERT INTO own."a ""b""" VALUES (1), (2);
CREATE VIEW own.v AS SELECT count(*) FROM own.orders;
SELECT lo_from_bytea(4711, 'a large object');
EOC

# nobody but the test's superuser can connect
unlink("$data/pg_hba.conf") or die;
append_to_file("$data/pg_hba.conf", "local all postgres trust\nlocal all all reject\n");
$node->reload;

# ---- a backup ----

my ($job) = sql("BACKUP DATABASE shop TO '$place/one' WITH run_as = 'saver'") =~ /^(\d+)\|succeeded\|1\|\d+$/;
ok($job, 'BACKUP waits and returns its result');
is(sprintf('%o', (stat("$place/one"))[2] & 07777), '700', 'nobody else may read the directory');
is(join(' ', map { sprintf('%o', (stat($_))[2] & 077) } glob("$place/one/*")), join(' ', map { 0 } glob("$place/one/*")), 'nor the files');
my $manifest = decode_json(slurp_file("$place/one/manifest.json"));
is("$manifest->{kind} $manifest->{database} $manifest->{job_id}", "logical shop $job", 'the manifest says what it is');
is(scalar(@{$manifest->{files}}) + 1, scalar(my @files = glob("$place/one/*")), 'and names all files');
like(sql("SHOW BACKUP '$place/one'"), qr/^shop\|\|[^|]+\|[^|]+\|\d+\|\d+\|t\|\|read$/, 'SHOW BACKUP says that it is right');
is(sql("SELECT checksums_right FROM [SHOW BACKUP '$place/one']"), 't', 'also in a query');
is(sql("SELECT status, fraction_completed, description, (result ->> 'bytes')::bigint > 0 FROM kwdb_internal.jobs WHERE job_id = $job"),
	"succeeded|1|BACKUP DATABASE shop TO '$place/one'|t", 'the job');
# The name of the program is not looked at: two processes of pg_dump may write it one right after the other.
like(sql("SELECT array_to_string(messages, ' / ') FROM kwdb_internal.job_attempts WHERE job_id = $job"),
	qr/dumping contents of table "own\.orders"/, 'the messages of pg_dump are in the transcript');
sql('CREATE DATABASE again');
system("$bin/pg_restore", '-d', $node->connstr('again') . ' user=postgres', '--exit-on-error', "$place/one") == 0
  or fail('pg_restore');
is(sql('SELECT count(*), min(note), max(note) FROM own.orders', 'again'), sql('SELECT count(*), min(note), max(note) FROM own.orders', 'shop'), 'pg_restore reads it');
is(sql('SELECT sum(n) FROM own."a ""b"""', 'again') . ' ' . sql('SELECT lo_get(4711)', 'again') . ' ' . sql('TABLE own.v', 'again'), '3 \x61206c61726765206f626a656374 20000', 'with all that is in it');
wait_until_clean($node, 'nothing is left of the programs');

sql("BACKUP TABLE mine, \"odd \"\"name*\" TO '$place/two' WITH run_as = 'saver', thread_concurrency = '1', compress = '0'");
is(sql("SELECT tables FROM [SHOW BACKUP '$place/two']"), '{public.mine,"public.\"odd \"\"name*\""}', 'tables');
is(scalar(grep { /\.gz$/ } glob("$place/two/*.dat*")), 0, 'compress = 0');
is(sql("SELECT kwjobs.create_job('BACKUP', '{\"directory\": \"$place/three\", \"tables\": [\"mine\"], \"options\": {\"schema_only\": true}}') > 0"), 't', 'by kwjobs.create_job');
wait_query($node, "SELECT count(*) = 0 FROM kwdb_internal.jobs WHERE finished IS NULL");
like(slurp_file("$place/three/manifest.json"), qr/"schema_only": true/, 'the schema only');
mkdir "$place/empty" or die;
sql("CALL kwjobs.backup_and_wait('$place/empty', ARRAY['mine'])");
ok(-e "$place/empty/manifest.json", 'an empty directory is used');

# A role that owns nothing but the database can save a database with kwjobs in it.
sql('CREATE EXTENSION kwjobs', 'shop');
sql("BACKUP TO '$place/kwjobs' WITH run_as = 'saver'", 'shop');
ok(-e "$place/kwjobs/manifest.json", 'a role without rights on the tables of kwjobs saves a database that has them');

# ---- who may, and what is refused at once ----

my $before = entries($place);
fails_with("SET ROLE nobody; SELECT kwjobs.backup('$place/x')", qr/permission denied to BACKUP to a directory of the server/);
fails_with("SET ROLE reader; SELECT kwjobs.backup('$place/x', ARRAY['secret'])", qr/permission denied for table secret.*GRANT SELECT ON public.secret TO reader/s);
sql('REVOKE CONNECT ON DATABASE shop FROM PUBLIC');
fails_with("SET ROLE reader; SELECT kwjobs.backup('$place/x', database => 'shop')", qr/permission denied for database shop/);
fails_with("SET ROLE nobody; SELECT * FROM kwjobs.show_backup('$place/one')", qr/permission denied to SHOW BACKUP/, 'SHOW BACKUP needs the right to read files');
fails_with("SET ROLE reader; SELECT * FROM kwjobs.show_backup('$place/one')", qr/permission denied to SHOW BACKUP from a directory/);
fails_with("BACKUP TO '$place/one'", qr/exists and is not empty/);
fails_with("BACKUP TO '$data/x'", qr/in the data directory/);
fails_with("BACKUP TO '$place/no/x'", qr/No such file or directory/);
fails_with("BACKUP TABLE mine TO '$place/x' WITH run_at = 'tomorrow', wrong = 1", qr/BACKUP option "wrong" does not exist/);
fails_with("SELECT kwjobs.backup('$place/x', ARRAY['mine'], 'shop')", qr/cannot back up tables of another database/);
symlink($data, "$place/link") or die;
fails_with("BACKUP TO '$place/link/x'", qr/in the data directory/, 'a link does not lead into the data directory');
unlink("$place/link");
configure($node, 'kwjobs.data_directories', $place);
fails_with("BACKUP TO '/tmp/x'", qr/BACKUP is not allowed in directory/, 'kwjobs.data_directories');
configure($node, 'kwjobs.data_directories', undef);
is(entries($place), $before, 'nothing was written');

# ---- what fails later ----

sql('CREATE TABLE own.hidden (n int)', 'shop');
$job = create("BACKUP DATABASE shop TO '$place/x'");
wait_for_status($node, $job, 'failed');
is(error_of($job), '42501: permission denied for table hidden', 'the error names what the owner may not read');
like(sql("SELECT error_hint FROM kwdb_internal.jobs WHERE job_id = $job"), qr/A backup holds what its owner may read/, 'the hint says what to do');
is(entries($place), $before, 'nothing is left of it');
sql('DROP TABLE own.hidden', 'shop');

my $lock = $node->background_psql('shop');
$lock->query_safe('BEGIN; LOCK TABLE own.orders IN ACCESS EXCLUSIVE MODE');
$job = create("BACKUP DATABASE shop TO '$place/x'", "lock_timeout = '50ms'");
wait_for_status($node, $job, 'failed');
like(error_of($job), qr/^55P03: canceling statement due to lock timeout/, 'lock_timeout');

$job = create("BACKUP DATABASE shop TO '$place/x'");
wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs session' AND wait_event_type = 'Lock'");
sql('REVOKE pg_write_server_files FROM saver');
$lock->query_safe('ROLLBACK');
wait_for_status($node, $job, 'succeeded');
sql('GRANT pg_write_server_files TO saver');
$job = create("BACKUP DATABASE shop TO '$place/z'", "run_at = 'tomorrow'");
sql('REVOKE pg_write_server_files FROM saver');
sql("SELECT kwjobs.run_now($job)");
wait_for_status($node, $job, 'failed');
like(error_of($job), qr/^42501: permission denied to BACKUP/, 'a right that was lost since counts');
sql('GRANT pg_write_server_files TO saver');
$job = create("BACKUP DATABASE shop TO '$place/z'", "run_at = 'tomorrow'");
mkdir "$place/z" or die;
append_to_file("$place/z/file", 'x');
sql("SELECT kwjobs.run_now($job)");
wait_for_status($node, $job, 'failed');
like(error_of($job), qr/^58P02: directory ".*" exists and is not empty/, 'so does a directory that has come');
is(slurp_file("$place/z/file"), 'x', 'which stays');
unlink("$place/z/file");
rmdir("$place/z");

# ---- PAUSE, RESUME, CANCEL ----

$lock->query_safe('BEGIN; LOCK TABLE own.orders IN ACCESS EXCLUSIVE MODE');
$job = create("BACKUP DATABASE shop TO '$place/paused'");
my $waits = "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs session' AND wait_event_type = 'Lock'";
wait_query($node, $waits);
my ($pid) = programs($node, qr/pg_dump|psql/);
sql("PAUSE JOB $job");
ok(comes_true(sub { state_of($pid) eq 'T' }), 'PAUSE stops the program in place');
wait_for_status($node, $job, 'paused');
is(sql("SELECT running_status, pid IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job"), 'stopped in place: its snapshot and locks are kept until RESUME|t',
	'the job is paused, and says what is kept');
is(sql("SELECT status FROM kwjobs.running WHERE job_id = $job"), 'paused', 'so does kwjobs.running');
like(sql("SELECT kwjobs.why($job)"), qr/does not run: paused by .*Process \d+ stays with it: stopped in place/s, 'kwjobs.why, too');
fails_with("SELECT kwjobs.alter($job, priority => 5)", qr/job with status paused cannot be altered.*It stands still in the middle of its work/s);
sql("PAUSE JOB $job");
is(job_field($node, $job, 'status'), 'paused', 'PAUSE of a paused job changes nothing');
# The worker does not see a RESUME that a PAUSE follows at once.
sql("BEGIN; RESUME JOB $job; PAUSE JOB $job; COMMIT");
wait_for_status($node, $job, 'paused');
sql("RESUME JOB $job; PAUSE JOB $job");
wait_for_status($node, $job, 'paused');
ok(comes_true(sub { state_of($pid) eq 'T' }), 'it stands again');
# The coordinator interrupts a job that has not stopped 500 ms after its PAUSE. If it does that with one
# that is paused later, it would have done it with this one.
my $gate = close_gate($node);
my $other = sql("SELECT kwjobs.submit('SELECT pg_advisory_xact_lock_shared(4711)')");
wait_at_gate($node, $other);
sql("PAUSE JOB $other");
wait_for_status($node, $other, 'paused');
sql("CANCEL JOB $other");
open_gate($gate);
is(job_field($node, $job, 'status') . ' ' . state_of($pid), 'paused T', 'and lets it stand');
is(sql("SELECT pg_terminate_backend(pid, 600000) FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'"), 't', 'the coordinator is gone');
wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs coordinator' AND datname = 'postgres'");
sql("CALL kwjobs.run('SELECT 1')");
is(job_field($node, $job, 'status') . ' ' . state_of($pid), 'paused T', 'also if the coordinator dies');
sql("RESUME JOB $job");
is(job_field($node, $job, 'status'), 'running', 'RESUME has the same attempt go on');
ok(comes_true(sub { state_of($pid) ne 'T' }), 'RESUME lets it go on');
$lock->query_safe('ROLLBACK');
wait_for_status($node, $job, 'succeeded');
is(sql("SELECT count(*) FROM kwdb_internal.job_attempts WHERE job_id = $job"), 1, 'it was the same attempt');

foreach my $paused (0, 1)
{
	$lock->query_safe('BEGIN; LOCK TABLE own.orders IN ACCESS EXCLUSIVE MODE');
	$job = create("BACKUP DATABASE shop TO '$place/canceled'");
	wait_query($node, $waits);
	if ($paused)
	{
		($pid) = programs($node, qr/pg_dump|psql/);
		sql("PAUSE JOB $job");
	}
	wait_for_status($node, $job, 'paused') if $paused;
	sql("CANCEL JOB $job");
	wait_for_status($node, $job, 'canceled');
	$lock->query_safe('ROLLBACK');
	wait_until_clean($node, 'CANCEL ends all processes' . ($paused ? ' of a stopped job' : ''));
	unlike(entries($place), qr/canceled/, 'and removes what was written');
}

# A job that stands still stays paused, whatever ends its worker.
foreach my $end ('terminate', 'timeout', 'kill', 'stop')
{
	$lock = $node->background_psql('shop') unless $end eq 'terminate';
	$lock->query_safe('BEGIN; LOCK TABLE own.orders IN ACCESS EXCLUSIVE MODE');
	# It has to be paused before its time is over.
	$job = create("BACKUP DATABASE shop TO '$place/stood-$end'", $end eq 'timeout' ? "timeout = '10s'" : ());
	wait_query($node, $waits);
	my $worker = job_field($node, $job, 'pid');
	sql("PAUSE JOB $job");
	wait_for_status($node, $job, 'paused');
	sql("SELECT pg_terminate_backend($worker)") if $end eq 'terminate';
	if ($end eq 'kill')
	{
		kill_process($node, $worker);
	}
	if ($end eq 'stop')
	{
		$node->stop('fast');
		$node->start;
	}
	# a job of its own says that the coordinator has looked at all others, too
	sql("CALL kwjobs.run('SELECT 1')") if $end eq 'kill' || $end eq 'stop';
	wait_query($node, "SELECT status = 'paused' AND pid IS NULL FROM kwdb_internal.jobs WHERE job_id = $job");
	is(sql("SELECT string_agg(status, ' ') FROM kwdb_internal.job_attempts WHERE job_id = $job"), 'paused', "$end: the job stays paused");
	is(sql("SELECT crashes FROM kwdb_internal.jobs WHERE job_id = $job"), 0, 'and that is no crash');
	$lock->query_safe('ROLLBACK') if $end eq 'terminate' || $end eq 'timeout';
	wait_until_clean($node, 'no process is left');
	sql("RESUME JOB $job");
	wait_for_status($node, $job, 'succeeded');
	is(sql("SELECT checksums_right FROM [SHOW BACKUP '$place/stood-$end']"), 't', 'RESUME begins anew');
}
$lock = $node->background_psql('shop');

# ---- progress ----

# pg_dump reads the large objects in one of its sessions, and the tables in the other one.
$lock->query_safe('BEGIN; LOCK TABLE pg_largeobject IN ACCESS EXCLUSIVE MODE');
$job = sql("BACKUP DATABASE shop TO '$place/progress' WITH detached, run_as = 'saver'");
wait_query($node, $waits);
wait_query($node, "SELECT running_status ~ '^data 2/2 tables, [0-9]+ MB' AND fraction_completed BETWEEN 0.1 AND 0.9 FROM kwdb_internal.jobs WHERE job_id = $job");
like(job_field($node, $job, 'running_status'), qr{^data 2/2 tables}, 'progress by tables and bytes');
$lock->query_safe('ROLLBACK');
wait_for_status($node, $job, 'succeeded');

# ---- a failure of pg_dump itself ----

# One process of pg_dump is killed because its file gets too large, while the other one waits in a
# statement, which pg_dump then cancels. The job's error is the cause, not the cancel.
SKIP:
{
	skip 'needs prlimit', 3 if system('command -v prlimit >/dev/null') != 0;
	$before = entries($place);
	sql(q{CREATE TABLE own.large AS SELECT n, repeat(md5(n::text), 30) AS t FROM generate_series(1, 30000) AS n; ALTER TABLE own.large OWNER TO saver}, 'shop');
	sql("SELECT pg_terminate_backend(pid, 600000) FROM pg_stat_activity WHERE backend_type = 'kwjobs worker'");
	my $postmaster = (split /\n/, slurp_file("$data/postmaster.pid"))[0];
	system('prlimit', "--pid=$postmaster", '--fsize=20000000:unlimited') == 0 or die;
	$lock->query_safe('BEGIN; LOCK TABLE pg_largeobject IN ACCESS EXCLUSIVE MODE');
	$job = create("BACKUP DATABASE shop TO '$place/large'", "compress = '0'");
	wait_for_status($node, $job, 'failed');
	is(error_of($job), '38000: a worker process died unexpectedly', 'the error of the program, not that of a statement that it has canceled');
	like(sql("SELECT array_to_string(messages, ' ') FROM kwdb_internal.job_attempts WHERE job_id = $job AND NOT reverting"), qr/canceling statement|died unexpectedly/, 'its messages');
	$lock->query_safe('ROLLBACK');
	is(entries($place), $before, 'nothing is left of it');
	system('prlimit', "--pid=$postmaster", '--fsize=unlimited:unlimited') == 0 or die;
	sql('DROP TABLE own.large', 'shop');
	wait_until_clean($node, 'nor any process');
}

# ---- DROP DATABASE ----

# The backup takes seconds, and the command comes as soon as it has begun.
sql('CREATE DATABASE gone');
sql(q{CREATE EXTENSION kwjobs; CREATE TABLE t AS SELECT n, md5(n::text), md5((n + 1)::text) AS more FROM generate_series(1, 400000) AS n}, 'gone');
sql("BACKUP TO '$place/gone' WITH detached, compress = 9", 'gone');
wait_query($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'kwjobs session' AND datname = 'gone' AND query LIKE 'COPY%'");
sql('DROP DATABASE gone');
wait_until_clean($node, 'DROP DATABASE ends the backup of the database, and goes on');
ok(!-e "$place/gone", 'which is not taken for a good one');
system('rm', '-rf', glob("$place/gone.kwjobs-*")) == 0 or die 'rm';

# ---- crashes ----

$before = entries($place);
foreach my $victim ('worker', 'session', 'pg_dump', 'postmaster', 'stop')
{
	$lock = $node->background_psql('shop');
	$lock->query_safe('BEGIN; LOCK TABLE own.orders IN ACCESS EXCLUSIVE MODE');
	$job = sql("BACKUP DATABASE shop TO '$place/$victim' WITH detached, run_as = 'saver'" .
		  ($victim eq 'stop' ? ", max_attempts = '1'" : ''));
	wait_query($node, $waits);
	my $worker = job_field($node, $job, 'pid');
	($pid) = programs($node, qr/pg_dump|psql/);
	if ($victim eq 'pg_dump')
	{
		kill('KILL', $pid);
		$lock->query_safe('ROLLBACK');
	}
	elsif ($victim eq 'postmaster')
	{
		my $postmaster = (split /\n/, slurp_file("$data/postmaster.pid"))[0];
		kill('KILL', $postmaster);
		ok(comes_true(sub { !-e "/proc/$worker" && !programs($node, qr/pg_dump|psql/) }), 'no child outlives the postmaster');
		$node->{_pid} = undef;
		$lock->{run}->kill_kill;
		start_when_possible($node);
	}
	elsif ($victim eq 'stop')
	{
		$node->stop('fast');
		$node->start;
	}
	else
	{
		kill_process($node, $victim eq 'worker' ? $worker : sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs session' AND wait_event_type = 'Lock'"));
	}
	if ($victim eq 'pg_dump')
	{
		wait_for_status($node, $job, 'failed');
	}
	else
	{
		wait_for_status($node, $job, 'succeeded');
		is(sql("SELECT checksums_right FROM [SHOW BACKUP '$place/$victim']"), 't', "after the end of $victim, the job goes on and makes a whole backup");
	}
	unlike(entries($place), qr/kwjobs-/, 'and nothing is left beside it');
	wait_until_clean($node, "nor any process ($victim)");
}

# ---- SHOW BACKUP of damaged ones ----

sub problem { return sql("SELECT problem FROM [SHOW BACKUP '$place/one']"); }

my ($file) = grep { /\.dat\.gz$/ } glob("$place/one/*");
my ($name) = $file =~ m{([^/]+)$};
my $content = slurp_file($file);
my $changed = $content;
substr($changed, length($changed) / 2, 1) ^= "\x01";
overwrite($file, $changed);
is(problem(), "file \"$name\" has another checksum", 'a changed bit');
overwrite($file, substr($content, 0, length($content) - 1));
is(problem(), "file \"$name\" has " . (length($content) - 1) . " bytes, not " . length($content), 'a lost byte');
unlink($file);
is(problem(), "file \"$name\" is missing", 'a lost file');
symlink('/etc/passwd', $file);
is(problem(), "file \"$name\" is missing", 'a link in its place');
unlink($file);
overwrite($file, $content);
overwrite("$place/one/9999.dat", 'x');
is(problem(), 'file "9999.dat" is not in the manifest', 'a file that was added');
unlink("$place/one/9999.dat");
is(problem(), '', 'right again');
my $text = slurp_file("$place/one/manifest.json");
foreach my $wrong ('', '{', '[]', '{}', "\xff", substr($text, 0, 100), $text =~ s/"bytes": \d/"bytes": -1/r,
	$text =~ s{"name": "[^"]+}{"name": "../../x}r, $text =~ s/"kwjobs_backup": 1/"kwjobs_backup": "1"/r)
{
	overwrite("$place/one/manifest.json", $wrong);
	fails_with("SHOW BACKUP '$place/one'", qr/the manifest of backup ".*" is damaged/, 'a damaged manifest');
}
overwrite("$place/one/manifest.json", '{"kwjobs_export": 1}');
fails_with("SHOW BACKUP '$place/one'", qr/is no backup\n.*EXPORT.*\n.*IMPORT DATABASE CSV DATA \('\Q$place\E\/one'\)\./, 'what an EXPORT has written');
fails_with("RESTORE FROM '$place/one'", qr/is no backup\n.*EXPORT/, '... is not restored');
overwrite("$place/one/manifest.json", $text =~ s/"kwjobs_backup": 1/"kwjobs_backup": 2/r);
fails_with("SHOW BACKUP '$place/one'", qr/was made by a newer version of kwjobs/);
unlink("$place/one/manifest.json");
fails_with("SHOW BACKUP '$place/one'", qr/is no backup/);
fails_with("SHOW BACKUP '$place/nothing'", qr/No such file or directory/);

done_testing();
