# EXPORT at its edges: a manifest that is half written, rights on columns, what a query does to its
# session, definitions that meta.sql must not lose. kwjobs.data_directories limits IMPORT, too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('edges', <<'EOF', extra => [ '--no-locale', '--encoding=UTF8' ]);
autovacuum = off
EOF
my $base = PostgreSQL::Test::Utils::tempdir();
my $made = 0;

sub sql { my ($sql, $db) = @_; return $node->safe_psql($db // 'postgres', $sql) }
sub field { my ($job, $field) = @_; return job_field($node, $job, $field) }
sub new_path { return "$base/d" . ++$made }

# Waits for the end of the job. Returns how it ended.
sub outcome
{
	my ($job) = @_;
	wait_for_end($node, $job);
	return field($job, q{concat_ws(' ', status, error_code, nullif(error, ''))});
}

sql(<<'EOF');
CREATE TABLE large AS SELECT n, md5(n::text) AS x FROM generate_series(1, 100000) AS n;
CREATE TABLE few AS SELECT n FROM generate_series(1, 3) AS n;
CREATE ROLE writer LOGIN IN ROLE pg_write_server_files;
CREATE ROLE other;
GRANT other TO writer;
GRANT SELECT (n, x) ON large TO writer;
GRANT SELECT ON few TO writer;
EOF

# ---- the manifest ----

# The disk is full in the middle of the manifest. The half of it is in nobody's way.
sub test_half_manifest
{
	my $dir = new_path();
	my $gate = close_gates($node, 4930);
	my $job = sql("EXPORT INTO CSV '$dir' FROM TABLE few WITH detached, max_attempts = 1");
	wait_at_gate($node, $job);
	my $fault = close_gates($node, 4932);
	$gate->quit;
	like(outcome($job), qr/^failed 53100 could not write to file/, 'half a manifest: the job fails');
	is(files_below($dir), '', 'half a manifest: nothing is left');

	$fault->quit;
	$dir = new_path();
	$gate = close_gates($node, 4930);
	$job = sql("EXPORT INTO CSV '$dir' FROM TABLE few WITH detached, max_attempts = 1000, retry_initial_delay = '10 ms'");
	wait_at_gate($node, $job);
	$fault = close_gates($node, 4932);
	$gate->quit;
	wait_query($node, "SELECT count(*) > 1 FROM kwdb_internal.job_attempts WHERE job_id = $job AND status = 'failed'");
	$fault->quit;
	is(outcome($job), 'succeeded', 'half a manifest: the next attempt succeeds');
	is(files_below($dir), 'manifest.json meta.sql n1.0.csv', 'half a manifest: all files');

	# What the attempt has to note for its revert is no progress.
	$dir = new_path();
	$fault = close_gates($node, 4932);
	$job = sql("EXPORT INTO CSV '$dir' FROM TABLE few WITH detached, max_attempts = 3, retry_initial_delay = '10 ms'");
	like(outcome($job), qr/^failed 53100/, 'a disk that stays full');
	is(sql("SELECT count(*) FROM kwdb_internal.job_attempts WHERE job_id = $job AND NOT reverting"), 3, 'max_attempts counts');
	$fault->quit;
	return;
}

# The worker dies when the manifest has appeared, and the stage, empty by then, has not gone.
sub test_stage_is_left
{
	my $dir = new_path();
	my $gate = close_gates($node, 4931);
	my $job = sql("EXPORT INTO CSV '$dir' FROM TABLE few WITH detached");
	wait_at_gate($node, $job);
	mkdir("$dir/.kwjobs-$job") or die "$!";
	my $pid = field($job, 'pid');
	kill_process($node, $pid, $gate);
	is(outcome($job), 'succeeded', 'killed before the stage is removed: it succeeds');
	is(files_below($dir), 'manifest.json meta.sql n1.0.csv', 'killed before the stage is removed: nothing else is left');
	return;
}

# The directory did not exist when the job was created; then somebody else has created it, not the job.
sub test_whose_directory
{
	for my $is_ours (0, 1)
	{
		my $dir = new_path();
		my $job = sql("EXPORT INTO CSV '$dir' FROM SELECT n / 0 FROM few WITH detached, max_attempts = 1, run_at = '2100-01-01'");
		mkdir($dir) or die "$!" unless $is_ours;
		sql("SELECT kwjobs.run_now($job)");
		like(outcome($job), qr/^failed 22012/, 'a division by zero');
		is(-d $dir ? 'there' : 'gone', $is_ours ? 'gone' : 'there', 'a revert removes the directory if the job has created it: ' . $is_ours);
	}
	return;
}

# ---- what is exported ----

# Rights on all columns, but not on the table: parallel workers would need a right on ctid.
sub test_column_rights
{
	my $dir = new_path();
	my $job = sql("SET ROLE writer; EXPORT INTO CSV '$dir' FROM TABLE large WITH detached, data_only, thread_concurrency = 3, max_attempts = 1");
	is(outcome($job), 'succeeded', 'rights on the columns are enough');
	is(field($job, 'rows'), 100000, 'rights on the columns: all rows');
	return;
}

sub test_query
{
	my $dir = new_path();
	my $job = sql(<<"EOF");
SET standard_conforming_strings = off; SET escape_string_warning = off;
EXPORT INTO CSV '$dir' FROM SELECT 'it\\'s' WITH detached, max_attempts = 1
EOF
	is(outcome($job), 'succeeded', 'standard_conforming_strings = off: it succeeds');
	is(slurp_file("$dir/n1.0.csv"), "it's\n", 'standard_conforming_strings = off: the file');

	# What the query does to the settings of its session is over with it.
	$dir = new_path();
	$job = sql("SET ROLE writer; EXPORT INTO CSV '$dir' FROM SELECT set_config('role', 'other', false) WITH detached, max_attempts = 1");
	is(outcome($job), 'succeeded', 'a query that sets the role: it succeeds');
	$job = sql(q{SET ROLE writer; SELECT kwjobs.submit('DO $$ BEGIN IF current_user <> ''writer'' THEN RAISE ''%'', current_user; END IF; END $$', max_attempts => 1)});
	is(outcome($job), 'succeeded', 'a query that sets the role: the next job of the session has its owner');

	for my $how ([ 'CANCEL', 'canceled' ], [ 'PAUSE', 'paused' ])
	{
		my $gate = close_gate($node);
		$dir = new_path();
		$job = sql("EXPORT INTO CSV '$dir' FROM SELECT pg_advisory_xact_lock_shared(4711) WITH detached");
		wait_at_gate($node, $job);
		sql("$how->[0] JOB $job");
		wait_for_status($node, $job, $how->[1]);
		is(files_below($dir), '', "$how->[0] of a query that has returned no row yet");
		open_gate($gate);
	}
	return;
}

# ---- meta.sql ----

sub test_meta_only
{
	my $dir = new_path();
	my $job = sql("EXPORT INTO CSV '$dir' FROM DATABASE postgres WITH detached, meta_only");
	is(outcome($job), 'succeeded', 'meta_only: it succeeds');
	is(files_below($dir), 'manifest.json meta.sql', 'meta_only: nothing but meta.sql, and the manifest');

	# The right to read the table is lost before the job runs.
	sql('CREATE TABLE secret (n integer); GRANT SELECT ON secret TO writer');
	$dir = new_path();
	$job = sql("SET ROLE writer; EXPORT INTO CSV '$dir' FROM TABLE secret WITH detached, meta_only, run_at = '2100-01-01', max_attempts = 1");
	sql("REVOKE SELECT ON secret FROM writer; SELECT kwjobs.run_now($job)");
	is(outcome($job), 'failed 42501 permission denied for table secret', 'meta_only: the right was lost');
	is(files_below($dir), '', 'meta_only: nothing is left');

	# A name that the file system does not take.
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nEXPORT INTO CSV '$base/" . ('x' x 256) . "' FROM TABLE few");
	like($err, qr/ERROR:  42622: .*HINT: /s, 'the name of the directory is too long');
	return;
}

# What pg_dump says about the tables, without comments and what meta.sql does not have.
sub definitions
{
	my ($db) = @_;
	my ($out, $err) = run_command([ 'pg_dump', '-s', '-O', '-x', '-n', 's', '-d', $node->connstr($db) ]);
	$out =~ s/^(--.*|\\.*|SET .*|)\n//gm;
	return $out;
}

sub test_definitions
{
	sql($_) for 'CREATE DATABASE defined', 'CREATE DATABASE made';
	sql('CREATE EXTENSION kwjobs', 'defined');
	my $has_gist = sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'btree_gist'}, 'defined');
	sql(<<'EOF', 'defined');
CREATE SCHEMA s;
SET search_path = s;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN feeling AS mood DEFAULT 'ok'::mood;
CREATE TYPE span AS RANGE (SUBTYPE = int, MULTIRANGE_TYPE_NAME = spans);
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, f feeling, s spans);
ALTER TABLE t ALTER COLUMN id RESTART WITH 1000;
CREATE TABLE p (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE p1 PARTITION OF p (CONSTRAINT own CHECK (v <> ''), v DEFAULT 'one', PRIMARY KEY (k)) FOR VALUES FROM (0) TO (10);
CREATE UNLOGGED TABLE p2 PARTITION OF p (v NOT NULL) FOR VALUES FROM (10) TO (20) WITH (fillfactor = 50);
EOF
	sql('CREATE SCHEMA ext; CREATE EXTENSION btree_gist SCHEMA ext; CREATE TABLE s.x (a int, EXCLUDE USING gist (a WITH =))', 'defined') if $has_gist;
	my $dir = new_path();
	my $job = sql("EXPORT INTO CSV '$dir' FROM DATABASE defined WITH detached", 'defined');
	is(sql("SELECT status FROM kwjobs.when_complete(ARRAY[$job])", 'defined'), 'succeeded', 'EXPORT of the database');
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('made'), '-f', "$dir/meta.sql" ],
		'psql runs meta.sql');
	isnt(definitions('defined'), '', 'there are definitions');
	is(definitions('made'), definitions('defined'), 'the definitions are the same');
	is(sql('INSERT INTO s.t DEFAULT VALUES RETURNING id', 'made'), 1000, 'a sequence that was restarted');
	return;
}

# ---- kwjobs.data_directories and IMPORT ----

sub test_import
{
	my $allowed = new_path();
	my $outside = new_path();
	mkdir($_) or die "$!" for $allowed, $outside, "$allowed/sub";
	append_to_file($_, "7\n") for "$allowed/sub/a.csv", "$allowed/b.csv", "$outside/c.csv";
	symlink("$outside/c.csv", "$allowed/link.csv") or die "$!";
	symlink($outside, "$allowed/out") or die "$!";
	sql('CREATE TABLE imported (n integer)');
	configure($node, 'kwjobs.data_directories', "$allowed, /nowhere");
	my $refused = sub {
		my ($path, $code, $name) = @_;
		my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nIMPORT INTO imported CSV DATA ('$path')");
		like($err, qr/ERROR:  $code: .*HINT: /s, "IMPORT, data_directories: $name");
	};
	for my $path ("$allowed/sub/a.csv", "$allowed/b.csv", "$allowed/sub/*.csv", "$allowed//s*/[a].csv")
	{
		is(outcome(sql("IMPORT INTO imported CSV DATA ('$path') WITH detached")), 'succeeded', 'IMPORT, data_directories: in one of them');
	}
	$refused->("$outside/c.csv", 42501, 'outside');
	$refused->("$outside/missing.csv", 42501, 'a file that does not exist, outside');
	$refused->("$allowed/../" . (split(/\//, $outside))[-1] . '/c.csv', 42602, 'a way up');
	$refused->("$allowed/link.csv", 42501, 'a link');
	$refused->("$allowed/out/c.csv", 42501, 'through a link');
	# Nothing tells whether such a pattern would match.
	for my $pattern ("$outside/*.csv", "$outside/none-*", "$outside/missing/*", '/*', '/*/*.csv', "$allowed*/b.csv")
	{
		$refused->($pattern, 42501, 'a pattern outside');
	}
	$refused->("$allowed/s*/../../" . (split(/\//, $outside))[-1] . '/c.csv', 42602, 'a way up in a pattern');
	$refused->("$allowed/*.csv", 42501, 'a pattern that matches a link');
	$refused->("$allowed/out/c*", 42501, 'a pattern through a link');
	$refused->("$allowed/o*/c.csv", 42501, 'a pattern that goes on through a link');
	$refused->("$allowed/sub/none-*", '58P01', 'a pattern that matches nothing');

	# A link takes the place of the file after the job was created.
	my $job = sql("IMPORT INTO imported CSV DATA ('$allowed/b.csv') WITH detached, run_at = '2100-01-01', max_attempts = 1");
	unlink("$allowed/b.csv") or die "$!";
	symlink("$outside/c.csv", "$allowed/b.csv") or die "$!";
	sql("SELECT kwjobs.run_now($job)");
	like(outcome($job), qr/^failed 42501 /, 'IMPORT, data_directories: a link instead of the file');
	is(sql('SELECT count(*) FROM imported'), 4, 'IMPORT, data_directories: nothing else was imported');
	configure($node, 'kwjobs.data_directories');
	is(outcome(sql("IMPORT INTO imported CSV DATA ('$allowed/link.csv') WITH detached")), 'succeeded', 'IMPORT without data_directories follows a link');
	return;
}

test_half_manifest();
test_stage_is_left();
test_whose_directory();
test_column_rights();
test_query();
test_meta_only();
test_definitions();
test_import();
is_consistent($node);

done_testing();
