# IMPORT from a large object: rights, what psql brings, pauses and crashes, and objects that are changed
# or removed while the job runs.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjCsv qw(write_file compress);
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('large_object', "fsync = off\nautovacuum = off\n", extra => [ '--no-locale', '--encoding=UTF8' ]);
my $base = PostgreSQL::Test::Utils::tempdir();
sub sql { return $node->safe_psql('postgres', $_[0]) }

my $rows = 100_000;
my $csv = write_csv($node, $rows);
sql('CREATE ROLE bringer LOGIN; CREATE ROLE other LOGIN; GRANT CREATE, USAGE ON SCHEMA public TO bringer, other');

sub ends_with
{
	my ($job, $expected, $name) = @_;
	wait_for_end($node, $job);
	like(job_field($node, $job, "concat_ws('|', status, error_code, nullif(error, ''), rows)"), $expected, $name);
	return;
}

# ---- a client brings its data ----

{
	my $out = result_as($node, 'bringer', <<"SQL");
CREATE TABLE mine (n integer, t text);
\\lo_import '$csv'
SELECT 'lo:' || :LASTOID AS place \\gset
SET kwjobs.progress_interval = 0;
CALL kwjobs.import_and_wait('mine', ARRAY[:'place'], options => '{"thread_concurrency": 4}');
SQL
	like($out, qr/\|succeeded\|1\|$rows\|/, 'a role without rights on files imports what \lo_import has brought');
	is_imported($node, 'mine', $rows, 'all rows');
	my $oid = sql(q{SELECT max(oid) FROM pg_largeobject_metadata});
	my $job = sql('SELECT max(job_id) FROM kwdb_internal.jobs');
	is(job_field($node, $job, 'description'), "IMPORT INTO public.mine CSV DATA ('lo:$oid') WITH thread_concurrency = '4'", 'the description');

	# rights on the large object, when the job is created
	is(result_as($node, 'other', "CREATE TABLE theirs (n integer, t text); SELECT kwjobs.import('theirs', ARRAY['lo:$oid'])"), '42501',
		'another role may not read it');
	like(said($node, "SELECT kwjobs.import('theirs', ARRAY['lo:$oid'])", 'other'), qr/^ERROR:  permission denied for large object $oid\nHINT:  Ask its owner for: GRANT SELECT/, '... and is told');
	is(result_as($node, 'bringer', "SELECT kwjobs.import('mine', ARRAY['lo:$oid', '$csv'])"), '42501', 'a file beside it needs the right on files');
	sql("GRANT SELECT ON LARGE OBJECT $oid TO other");
	$job = result_as($node, 'other', "SELECT kwjobs.import('theirs', ARRAY['lo:$oid'])");
	ends_with($job, qr/^succeeded\|$rows$/, 'with SELECT on it, it may');
	# ... and when it runs
	configure($node, 'kwjobs.max_workers', 0);
	$job = result_as($node, 'other', "SELECT kwjobs.import('theirs', ARRAY['lo:$oid'])");
	sql("REVOKE SELECT ON LARGE OBJECT $oid FROM other");
	configure($node, 'kwjobs.max_workers', undef);
	ends_with($job, qr/^failed\|42501\|permission denied for large object $oid\|/, 'a right that was taken back');
	is(sql('SELECT count(*) FROM theirs'), $rows, '... and no row was added');
}

# ---- what is no large object ----

sql('CREATE TABLE t (n integer, t text)');
for my $case ([ 'lo:', 22023 ], [ 'lo:0', 22023 ], [ 'lo:x', 22023 ], [ 'lo:-1', 22023 ], [ 'lo:4294967296', 22023 ], [ 'lo:99999999999999999999', 22023 ],
	[ 'lo: 1', 22023 ], [ 'lo:4294967295', 42704 ], [ 'LO:1', 42602 ], [ 'lo:1*', 22023 ])
{
	is(result_as($node, 'postgres', "SELECT kwjobs.import('t', ARRAY['$case->[0]'])"), $case->[1], "$case->[0] is refused");
}
{
	sql('SELECT lo_create(7001)');
	my $job = sql("SELECT kwjobs.import('t', ARRAY['lo:7001'])");
	ends_with($job, qr/^succeeded\|0$/, 'an empty one');
	sql(q{SELECT lo_from_bytea(7002, '\x1f8b0800'), lo_from_bytea(7003, '\xfffe31002c00'), lo_from_bytea(7004, E'1,"a\nb"\nx,"c\n\nd"\n')});
	is(result_as($node, 'postgres', "SELECT kwjobs.import('t', ARRAY['lo:7002'])"), '22P04', 'compressed, and cut off');
	is(result_as($node, 'postgres', "SELECT kwjobs.import('t', ARRAY['lo:7003'])"), '0A000', 'UTF-16');
	$job = sql("SELECT kwjobs.import('t', ARRAY['lo:7004'])");
	ends_with($job, qr/^failed\|22P02\|/, 'an error in the text');
	is(job_field($node, $job, "concat_ws('|', error_file, error_line, error_column)"), 'lo:7004|3|n', '... and its place');
	# a session that makes it and the job in one transaction
	$job = sql(q{BEGIN; SELECT lo_from_bytea(7005, '1,one') > 0; SELECT kwjobs.import('t', ARRAY['lo:7005']); COMMIT}) =~ s/^t\n//r;
	ends_with($job, qr/^succeeded\|1$/, 'made in the transaction that makes the job');
	# holes are zeros, which are no text
	sql(q{SELECT lo_from_bytea(7006, E'1,one\n'); SELECT lo_put(7006, 5000000000, E'\n2,two\n')});
	$job = sql("SELECT kwjobs.import('t', ARRAY['lo:7006'])");
	ends_with($job, qr/^failed\|22021\|invalid byte sequence for encoding "UTF8": 0x00/, 'one of 5 GB with a hole');
	is(job_field($node, $job, 'fraction_completed < 0.001'), 't', '... whose size is not that of its pages');
}

# ---- pauses, crashes, changes ----

# Imports the object into a table whose middle row waits at a gate. Returns job and gate.
sub at_gate
{
	my ($table, $oid) = @_;
	make_target($node, $table, $rows / 2) unless sql("SELECT to_regclass('$table') IS NOT NULL") eq 't';
	sql("TRUNCATE $table; INSERT INTO $table VALUES (0)");
	my $gate = close_gate($node);
	my $job = sql("SELECT kwjobs.import('$table', ARRAY['lo:$oid'], NULL, '{\"thread_concurrency\": 2}')");
	wait_at_gate($node, $job);
	return ($job, $gate);
}

sub paused
{
	my ($table, $oid) = @_;
	my ($job, $gate) = at_gate($table, $oid);
	sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	open_gate($gate);
	return $job;
}

my $text = slurp_file($csv);
write_file("$base/large.gz", compress('gzip', $text, 2));
sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '64kB'");
for my $case ([ 8001, $csv, 'plain' ], [ 8002, "$base/large.gz", 'compressed' ])
{
	my ($oid, $file, $name) = @$case;
	sql("SELECT lo_import('$file', $oid)");
	my $table = "into_$name";
	my $all = "SELECT count(*), count(DISTINCT n), sum(n) FROM $table";
	my $expected = ($rows + 1) . '|' . ($rows + 1) . '|' . $rows * ($rows + 1) / 2;

	my ($job, $gate) = at_gate($table, $oid);
	like(job_field($node, $job, 'running_status'), qr/rows\/s, 1 worker: large object$/, "$name: why there is one worker");
	kill_process($node, job_field($node, $job, 'pid'), $gate);
	ends_with($job, qr/^succeeded\|$rows$/, "$name: goes on after a crash");
	is(sql($all), $expected, '... with each row once');

	$job = paused($table, $oid);
	sql("VACUUM (FREEZE) pg_largeobject; VACUUM FULL pg_largeobject; GRANT SELECT ON LARGE OBJECT $oid TO other");
	sql("SELECT kwjobs.resume($job)");
	ends_with($job, qr/^succeeded\|$rows$/, "$name: goes on after a PAUSE, VACUUM and GRANT");
	is(sql($all), $expected, '... with each row once');

	# What is done to it while the job is paused: none of it is imported.
	my %changes = (
		'made anew from the same file' => "SELECT lo_unlink($oid); SELECT lo_import('$file', $oid)",
		'the first byte written again' => "SELECT lo_put($oid, 0, substring(lo_get($oid, 0, 1) FROM 1))",
		'a byte in the middle' => "SELECT lo_put($oid, 200000, '#')",
		'something at the end' => "SELECT lo_put($oid, (SELECT octet_length(lo_get($oid))), E'0,x\\n')",
		'cut off' => "BEGIN; SELECT lo_truncate64(lo_open($oid, 131072), 200000); COMMIT",
	);
	for my $what (sort keys %changes)
	{
		$job = paused($table, $oid);
		sql($changes{$what});
		sql("SELECT kwjobs.resume($job)");
		ends_with($job, qr/^failed\|55000\|file "lo:$oid" was changed while it was being imported\|/, "$name, paused: $what");
		is(sql("SELECT array_agg(n) FROM $table"), '{0}', '... and no row is left');
		sql("SELECT lo_unlink($oid); SELECT lo_import('$file', $oid)");
	}
	$job = paused($table, $oid);
	sql("SELECT lo_unlink($oid)");
	sql("SELECT kwjobs.resume($job)");
	ends_with($job, qr/^failed\|42704\|large object $oid does not exist\|/, "$name, paused: removed");
	is(sql("SELECT array_agg(n) FROM $table"), '{0}', '... and no row is left');
	sql("SELECT lo_import('$file', $oid)");

	# The same while it runs: before and behind the place where the job is.
	for my $offset (0, -s $file)
	{
		($job, $gate) = at_gate($table, $oid);
		sql("SELECT lo_put($oid, greatest($offset - 5000, 0), '#')");
		open_gate($gate);
		ends_with($job, qr/^failed\|(?:55000|22P0\d)\|/, "$name, running: a byte at $offset");
		is(sql("SELECT array_agg(n) FROM $table"), '{0}', '... and no row is left');
		sql("SELECT lo_unlink($oid); SELECT lo_import('$file', $oid)");
	}
	($job, $gate) = at_gate($table, $oid);
	sql("SELECT lo_unlink($oid)");
	open_gate($gate);
	ends_with($job, qr/^failed\|55000\|large object $oid was removed while it was being imported\|/, "$name, running: removed");
	is(sql("SELECT array_agg(n) FROM $table"), '{0}', '... and no row is left');
}

is_consistent($node);
$node->stop;
done_testing();
