# IMPORT of compressed files: what is damaged or cut off is refused and never becomes other rows, a
# job goes on exactly where it was, and what is compressed small does not become large in memory.
# t/006_import.pl imports random files that are compressed.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjCsv;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('compressed', "fsync = off\nautovacuum = off\n", extra => [ '--no-locale', '--encoding=UTF8' ]);
my $dir = abs_path($node->basedir);
my $session = $node->background_psql('postgres');
$session->set_query_timer_restart();
sub run_sql { return $session->query_safe($_[0]); }
run_sql('SET client_min_messages = warning; CREATE TABLE t (n integer, t text)');

# Tries to import the file, in a transaction that is rolled back: the SQLSTATE of the error; empty if
# the job is created.
run_sql(<<'SQL');
CREATE FUNCTION refusal(path text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kwjobs.import('t', ARRAY[path]);
    RAISE EXCEPTION USING ERRCODE = 'KW000';
EXCEPTION
    WHEN SQLSTATE 'KW000' THEN RETURN '';
    WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$
SQL

# Imports the file, and returns how the job ends, with all rows; or why it is refused.
sub import_all
{
	my ($path) = @_;
	run_sql('TRUNCATE t');
	my $refusal = run_sql("SELECT refusal('$path')");
	return $refusal if $refusal ne '';
	my $job = run_sql("SELECT kwjobs.import('t', ARRAY['$path'])");
	run_sql("SELECT FROM kwjobs.wait($job, '10 minutes')");
	return run_sql("SELECT concat_ws(' ', status, error_code, nullif(error, '')) || '|' || (SELECT coalesce(string_agg(n || ',' || t, ' ' ORDER BY n), '') FROM t)
		FROM kwdb_internal.jobs WHERE job_id = $job");
}

# Compresses by lz4 so that each block has a checksum of its own, by which damage in it is found at once.
sub with_block_checksums
{
	my ($bytes) = @_;
	write_file("$dir/blocks", $bytes);
	PostgreSQL::Test::Utils::system_or_bail('lz4', '-q', '-f', '-B4', '-BX', "$dir/blocks", "$dir/blocks.lz4");
	return slurp_file("$dir/blocks.lz4");
}

my $text = join('', map { "$_,row $_\n" } 1 .. 40);
my $good = 'succeeded|' . join(' ', map { "$_,row $_" } 1 .. 40);

# --- small files: every byte -----------------------------------------------

for my $how (compressions())
{
	my $file = "$dir/small.$how";
	my $bytes = compress($how, $text, 1);
	write_file($file, $bytes);
	is(import_all($file), $good, "$how: all rows");
	write_file($file, compress($how, $text, 7));
	is(import_all($file), $good, "$how: all rows of seven members");
	write_file($file, compress($how, '', 2));
	is(import_all($file), 'succeeded|', "$how: nothing in it");

	# the first bytes show how it is compressed
	my @wrong;
	for my $n (($how eq 'gzip' ? 2 : 4) .. length($bytes) - 1)
	{
		write_file($file, substr($bytes, 0, $n));
		my $end = import_all($file);
		push(@wrong, "$n: $end") unless $end =~ /^(?:failed )?22P04 compressed data \($how\) of file .* end too early\|?$/;
	}
	is("@wrong", '', "$how: wherever it is cut off, it is refused");

	my ($refused, $same) = (0, 0);
	for my $n (0 .. length($bytes) - 1)
	{
		my $damaged = $bytes;
		substr($damaged, $n, 1) = chr(ord(substr($bytes, $n, 1)) ^ (1 << ($n % 8)));
		write_file($file, $damaged);
		my $end = import_all($file);
		if ($end eq $good) { $same++; }
		elsif ($end =~ /^succeeded|\|./) { push(@wrong, "$n: $end"); }
		else { $refused++; }
	}
	is("@wrong", '', "$how: with another bit, it is refused ($refused times), or has the same rows ($same times)");
	cmp_ok($refused, '>', length($bytes) / 2, '... mostly refused');
}

{
	my $gzip = compress('gzip', $text, 1);
	my $file = "$dir/small.gz";
	write_file($file, $gzip . "\0" x 100000);
	is(import_all($file), $good, 'zeros behind the last member are no data');
	write_file($file, $gzip . "\0\0" . $gzip);
	like(import_all($file), qr/^(?:failed )?22P04 compressed data \(gzip\) .* are damaged\|?$/, 'something behind the zeros is refused');
	write_file($file, $gzip . "41,row 41\n");
	like(import_all($file), qr/^(?:failed )?22P04 compressed data \(gzip\) .* are damaged\|?$/, '... and so is text behind the last member');
	write_file($file, compress('gzip', $gzip, 1));
	like(run_sql("SELECT refusal('$file')"), qr/^0A000 file .* is compressed \(gzip\)$/, 'compressed twice');
	write_file($file, compress('gzip', "1\0,\0a\0\n\0", 1));
	like(run_sql("SELECT refusal('$file')"), qr/^0A000 file .* is encoded in UTF-16LE$/, 'another encoding in a compressed file');
	write_file($file, compress('gzip', "\xef\xbb\xbf" . $text, 1));
	is(import_all($file), $good, 'a byte order mark in a compressed file is no data');
	write_file($file, compress('gzip', "t,n\n" . join('', map { "row $_,$_\n" } 1 .. 40), 3));
	my $job = run_sql("TRUNCATE t; SELECT kwjobs.import('t', ARRAY['$file'], NULL, '{\"header\": \"match\"}')");
	run_sql("SELECT FROM kwjobs.wait($job, '10 minutes')");
	is(run_sql("SELECT count(*), count(*) FILTER (WHERE t = 'row ' || n) FROM t"), '40|40', 'columns by the names in a compressed file');
}

SKIP:
{
	skip('no zstd', 2) unless grep { $_ eq 'zstd' } compressions();
	write_file("$dir/small.zst", "\x50\x2a\x4d\x18\x04\0\0\0skip" . compress('zstd', $text, 1));
	is(import_all("$dir/small.zst"), $good, 'a frame of zstd that is to be skipped, as pzstd writes it');
	my $plain = "$dir/window.csv";
	write_file($plain, "1,a\n");
	# from a pipe zstd does not know the size, so the frame has the whole window
	PostgreSQL::Test::Utils::system_or_bail('sh', '-c', "cat '$plain' | zstd -q --long=31 -c >'$plain.zst'");
	like(run_sql("SELECT refusal('$plain.zst')"), qr/^22P04 compressed data \(zstd\) .* are damaged$/,
		'a frame that demands 2 GB of memory is refused');
}

# --- damaged, and bad records are to be left out ----------------------------

# With on_error = 'skip', IMPORT reads on to find the record of an error. A library that has found damage
# must not be called again then. The damage is behind what is looked at when the job is created.
{
	srand(4711);
	my $random = join('', map { "$_," . join('', map { chr(97 + rand(26)) } 1 .. 40) . "\n" } 1 .. 20000);
	my $log = -s $node->logfile;
	for my $how (compressions())
	{
		my $file = "$dir/skipped.$how";
		my $bytes = $how eq 'lz4' ? with_block_checksums($random) : compress($how, $random, 3);
		my @wrong;
		for my $n (8 .. 19)
		{
			my $damaged = $bytes;
			my $at = int(length($bytes) * $n / 20);
			substr($damaged, $at, 1) = chr(ord(substr($bytes, $at, 1)) ^ 4);
			write_file($file, $damaged);
			my $job = $node->safe_psql('postgres', "SELECT kwjobs.import('t', ARRAY['$file'], NULL, '{\"on_error\": \"skip\"}')");
			my $end = wait_over($job);
			push(@wrong, "$at: $end") unless $end eq 'failed|22P04';
		}
		is("@wrong", '', "$how: damaged data are no bad record");
	}
	unlike(slurp_file($node->logfile, $log), qr/was terminated by signal/, '... and no process crashes');
}

# --- a large file: stops and goes on ---------------------------------------

my $rows = 200_000;
my $large = slurp_file(write_csv($node, $rows));
run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '64kB'");
$session->quit;
$session = $node->background_psql('postgres');
$session->set_query_timer_restart();

sub wait_over
{
	my ($job) = @_;
	wait_for_end($node, $job);
	return job_field($node, $job, "concat_ws('|', status, CASE WHEN status = 'succeeded' THEN rows END, error_code)");
}

for my $how (compressions())
{
	my $file = "$dir/large.$how";
	write_file($file, compress($how, $large, 3));
	make_target($node, "at_$how", $rows / 2);
	my $gate = close_gate($node);
	my $job = $node->safe_psql('postgres', "SELECT kwjobs.import('at_$how', ARRAY['$file'], NULL, '{\"thread_concurrency\": 4}')");
	wait_at_gate($node, $job);
	like(job_field($node, $job, 'running_status'), qr/^imported \d+ rows, .* rows\/s, 1 worker: compressed file$/,
		"$how: why there is one worker");
	my $fraction = job_field($node, $job, 'fraction_completed');
	ok($fraction > 0.3 && $fraction < 0.7, "$how: in the middle of the rows, $fraction of the compressed bytes are done");
	cmp_ok(job_field($node, $job, 'rows'), '<=', $rows / 2, '... and so many rows');

	# a crash, then a PAUSE
	$session->quit;
	kill_process($node, job_field($node, $job, 'pid'), $gate);
	$session = $node->background_psql('postgres');
	$session->set_query_timer_restart();
	$gate = close_gate($node);
	wait_for_end($node, $job) if $node->safe_psql('postgres', "SELECT count(*) FROM at_$how WHERE n = $rows / 2") eq '1';
	$node->safe_psql('postgres', "SELECT kwjobs.pause(job_id) FROM kwdb_internal.jobs WHERE job_id = $job AND finished IS NULL");
	wait_query($node, "SELECT status = 'paused' OR finished IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job");
	open_gate($gate);
	$node->safe_psql('postgres', "SELECT kwjobs.resume(job_id) FROM kwdb_internal.jobs WHERE job_id = $job AND status = 'paused'");
	is(wait_over($job), "succeeded|$rows", "$how: goes on after a crash and a PAUSE");
	is_imported($node, "at_$how", $rows, '... with each row once');

	# cut off far behind what is looked at when the job is created
	write_file($file, substr(compress($how, $large, 3), 0, -1000));
	$node->safe_psql('postgres', "TRUNCATE at_$how; INSERT INTO at_$how VALUES (0)");
	$job = start_import($node, "at_$how", $file);
	is(wait_over($job), "failed|22P04", "$how: the end is missing");
	like(job_field($node, $job, "concat_ws('|', error, error_file, error_line > 1000)"),
		qr/^compressed data \($how\) of file "\Q$file\E" end too early\|\Q$file\E\|t$/, '... which is what the error says');
	is($node->safe_psql('postgres', "SELECT array_agg(n) FROM at_$how"), '{0}', '... and no row of the file is left');

	# a file in the place of another one, while the job is paused
	write_file($file, compress($how, $large, 2));
	$gate = close_gate($node);
	$job = start_import($node, "at_$how", $file);
	wait_at_gate($node, $job);
	$node->safe_psql('postgres', "SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	open_gate($gate);
	write_file($file, compress($how, $large . "0,x\n", 2));
	$node->safe_psql('postgres', "SELECT kwjobs.resume($job)");
	is(wait_over($job), "failed|55000", "$how: a job does not go on in another file");
	is($node->safe_psql('postgres', "SELECT array_agg(n) FROM at_$how"), '{0}', '... and no row is left');
}

# The names in the header say in each batch which column is which.
{
	my $file = "$dir/header.gz";
	write_file($file, compress('gzip', "t,n\n" . join('', map { "row $_,$_\n" } 1 .. 50_000), 2));
	$node->safe_psql('postgres', 'CREATE TABLE matched (n integer, t text)');
	my $job = $node->safe_psql('postgres', "SELECT kwjobs.import('matched', ARRAY['$file'], NULL, '{\"header\": \"match\"}')");
	is(wait_over($job), 'succeeded|50000', 'columns by their names, in many batches');
	is($node->safe_psql('postgres', "SELECT count(*) FROM matched WHERE t = 'row ' || n"), '50000', '... are right in each');
}

# A plain file that became a compressed one after the job with several workers was created.
{
	my $file = "$dir/becomes.csv";
	write_file($file, $large x 4);
	write_file("$file.new", compress('gzip', $large, 1));
	$node->safe_psql('postgres', 'CREATE TABLE becomes (n integer, t text)');
	configure($node, 'kwjobs.max_workers', 0);
	my $job = $node->safe_psql('postgres', "SELECT kwjobs.import('becomes', ARRAY['$file'], NULL, '{\"thread_concurrency\": 4}')");
	rename("$file.new", $file) or die;
	configure($node, 'kwjobs.max_workers', undef);
	is(wait_over($job), "succeeded|$rows", 'a file that became a compressed one is imported by one worker');
	is_imported($node, 'becomes', $rows, '... with each row once');
}

# --- what becomes large ----------------------------------------------------

# 600 MB of empty lines, in front of one row.
SKIP:
{
	skip('no /proc', 2) unless -r '/proc/self/status' && slurp_file('/proc/self/status') =~ /RssAnon/;
	my $file = "$dir/bomb.gz";
	my $lines = 600 * 1024 * 1024;
	my $bomb = compress('gzip', "\n" x (4 * 1024 * 1024), 1) x 150;
	write_file($file, $bomb . compress('gzip', "1,a\n", 1));
	cmp_ok(-s $file, '<', 1024 * 1024, 'a small file');
	make_target($node, 'bombed', 1);
	my $gate = close_gate($node);
	my $job = $node->safe_psql('postgres', "SELECT kwjobs.import('bombed', ARRAY['$file'], NULL, '{\"skip\": $lines}')");
	wait_at_gate($node, $job);
	my ($memory) = slurp_file('/proc/' . job_field($node, $job, 'pid') . '/status') =~ /^VmHWM:\s+(\d+) kB/m;
	cmp_ok($memory, '<', 200 * 1024, "its $lines bytes of text were not in memory: the worker had $memory kB at most");
	open_gate($gate);
	is(wait_over($job), 'succeeded|1', 'and the row behind them is imported');
}

$session->quit;
is_consistent($node);
$node->stop;
done_testing();
