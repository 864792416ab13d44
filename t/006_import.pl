# IMPORT ends in what COPY makes of the same files, whatever happens on the way, and a
# damaged file fails at the same place with the same error. KWJ_SEED=random makes other files in
# each run; the number that it prints repeats them.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjCsv;
use KwjTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{KWJ_SEED} || 1;
$seed = (time ^ $$ << 8) & 0x7fffffff if $seed eq 'random';
my $cases = $ENV{KWJ_CASES} || 60;
my $damaged_cases = $ENV{KWJ_CASES} || 40;
diag("KWJ_SEED=$seed repeats this run");

my $node = new_node('import', "fsync = off\n", extra => [ '--no-locale', '--encoding=UTF8' ]);
my $dir = abs_path($node->basedir);

# One session does everything that is not IMPORT itself. It also holds the locks at which
# the imports wait.
my $session = $node->background_psql('postgres');
$session->set_query_timer_restart();
sub run_sql { return $session->query_safe($_[0]); }
# Jobs tell nothing of their progress, because query_safe() takes such a NOTICE for an error.
run_sql('SET kwjobs.progress_interval = 0');

run_sql("SET client_min_messages = warning; $csv_tables");
# This file has wait_until(), which the test calls.
$node->safe_psql('postgres', "\\i $FindBin::RealBin/../sql/include/procedures.sql");

# --- one import ------------------------------------------------------------

# Waits until the condition is true, with a look every 10 ms. Use it only where there is no event.
sub wait_until
{
	my ($condition) = @_;
	run_sql('CALL wait_until($c$' . $condition . '$c$)');
	return;
}

sub wait_until_over
{
	my ($job) = @_;
	run_sql("SELECT FROM kwjobs.wait($job, '10 minutes')");
	return;
}

# Until the job waits at this gate with another process than $old; returns its pid, or
# nothing if the job is over or waits at a later gate: the record was one that is skipped.
sub at_gate
{
	my ($job, $gate, $old) = @_;
	my $at = "FROM pg_locks AS l JOIN kwdb_internal.jobs AS j USING (pid)
		WHERE l.locktype = 'advisory' AND NOT l.granted AND j.job_id = $job AND l.pid <> $old";
	wait_until("EXISTS (SELECT $at) OR (SELECT finished IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job)");
	return run_sql("SELECT l.pid $at AND l.objid = $gate");
}

# Stop the job at a gate, do something to it, let it through. Returns what was done.
sub disturb
{
	my ($job, $gate, $what) = @_;
	my $pid = at_gate($job, $gate, 0);
	if ($pid eq '')
	{
		run_sql("SELECT pg_advisory_unlock(4711, $gate)");
		return '';
	}
	if ($what eq 'terminate')
	{
		run_sql("SELECT pg_terminate_backend($pid)");
		at_gate($job, $gate, $pid);
	}
	elsif ($what eq 'cancel')
	{
		run_sql("SELECT kwjobs.cancel($job)");
		wait_until_over($job);
	}
	else
	{
		run_sql("SELECT kwjobs.pause($job)");
		# either the batch ends when the job goes on, or it is interrupted
		run_sql("SELECT pg_advisory_unlock(4711, $gate)") if $what eq 'pause';
		wait_until("(SELECT status = 'paused' OR finished IS NOT NULL FROM kwdb_internal.jobs WHERE job_id = $job)");
		run_sql("SELECT kwjobs.resume(job_id) FROM kwdb_internal.jobs WHERE job_id = $job AND status = 'paused'");
		at_gate($job, $gate, 0) if $what ne 'pause';
	}
	run_sql("SELECT pg_advisory_unlock(4711, $gate)") if $what ne 'pause';
	return $what;
}

# The files to import in the place of these: sometimes compressed.
sub maybe_compressed
{
	my ($d, @files) = @_;
	return @files if rand() < 0.5;
	$d->{compressed} = pick(compressions());
	for my $file (@files)
	{
		my $compressed = compress($d->{compressed}, slurp_file($file), pick(1, 1, 2, 5));
		write_file("$file.compressed", $compressed);
	}
	return map { "$_.compressed" } @files;
}

# Import and copy these files; the result of both, and what was done to the job.
sub import_and_copy
{
	my ($d, $disturbances, @files) = @_;
	my $list = text_array(maybe_compressed($d, @files));
	my $done = '';

	my $copied = run_sql("SELECT copy_files('copied.t', " . text_array(@files) . ', ' . literal(copy_options($d)) . ')');

	run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '$d->{batch}'");
	for my $gate (sort { $a <=> $b } keys %$disturbances)
	{
		run_sql("INSERT INTO gates VALUES ($gate)");
		run_sql("SELECT pg_advisory_lock(4711, $gate)");
	}
	run_sql('ALTER TABLE imported.t ' . (%$disturbances ? 'ENABLE' : 'DISABLE') . ' TRIGGER gate');
	my $job = run_sql("SELECT kwjobs.import('imported.t', $list, NULL, " . import_options($d) . ')');
	$done .= ' ' . disturb($job, $_, $disturbances->{$_}) for sort { $a <=> $b } keys %$disturbances;
	wait_until_over($job);
	run_sql('SELECT pg_advisory_unlock_all()');

	return ($copied, run_sql(job_error($job)) =~ s/\.compressed$//r, run_sql("SELECT status, rows FROM kwdb_internal.jobs WHERE job_id = $job"), $done);
}

# What is to happen to a job: at which records.
sub random_disturbances
{
	my ($records) = @_;
	my %disturbances;
	return \%disturbances if $records == 0;
	for (1 .. pick(0, 1, 2, 3))
	{
		my $what = rand() < 0.05 ? 'interrupt' : pick(qw(pause pause terminate));
		$disturbances{ between(1, $records) } = $what;
	}
	$disturbances{$records} = 'cancel' if rand() < 0.1;
	return \%disturbances;
}

sub forget
{
	run_sql('TRUNCATE imported.t, copied.t, gates');
	return;
}

# --- the tests -------------------------------------------------------------

my %seen;

for my $i (1 .. $cases)
{
	srand($seed + $i);
	my $d = random_dialect();
	my ($records, @contents) = random_files($d);
	my $disturbances = random_disturbances($records);
	my @files = map { "$dir/good$_.csv" } 1 .. @contents;
	write_file($files[$_], $contents[$_]) for 0 .. $#contents;
	run_sql("INSERT INTO imported.t VALUES (-1, 'there before')") if grep { $_ eq 'cancel' } values %$disturbances;

	my ($copied, $imported, $end, $done) = import_and_copy($d, $disturbances, @files);
	$seen{$_}++ for split(' ', $done);
	my $rows = run_sql('SELECT count(*) FROM copied.t');
	my $good = $copied eq '' && $imported eq '';
	if ($end =~ /^canceled/)
	{
		$good &&= run_sql('SELECT n FROM imported.t') eq '-1';
	}
	else
	{
		run_sql('DELETE FROM imported.t WHERE n = -1');
		$good &&= $end eq "succeeded|$rows" && run_sql('SELECT compare()') eq "$rows 0 0";
	}
	ok($good, "random files $i: $rows rows,$done")
	  or diag(describe_case($seed, $d, $i), "\nCOPY: $copied\nIMPORT: $imported, $end\n", run_sql('SELECT compare()'));
	forget();
}
note('disturbed by: ' . join(', ', map { "$_ $seen{$_}" } sort keys %seen));

my %errors;
for my $i (1 .. $damaged_cases)
{
	srand($seed + 1000 + $i);
	my $d = random_dialect();
	my ($records, @contents) = random_files($d);
	my @files = map { "$dir/damaged$_.csv" } 1 .. @contents;
	write_file($files[$_], damage($d, $contents[$_])) for 0 .. $#contents;

	my ($copied, $imported, $end) = import_and_copy($d, {}, @files);
	my $good = ends_as_copy(\&run_sql, $d, $copied, $imported, $end);
	$errors{ $copied eq '' ? 'none' : (split(/\|/, $copied))[0] }++;
	ok($good, "damaged files $i: " . ($copied =~ s/\|[^|]*$//r || 'none'))
	  or diag(describe_case($seed, $d, 1000 + $i), "\nCOPY:   $copied\nIMPORT: $imported, $end");
	forget();
}
note('errors: ' . join(', ', map { "$_ $errors{$_}" } sort keys %errors));

# The end marker is COPY's until 17, as the last line only; since 18 it is data.
{
	run_sql('CREATE TABLE imported.marked (a text); CREATE TABLE copied.marked (a text)');
	my %file = (
		"a\nb\n\\.\n" => 'last line',
		"a\n\"\\.\"\n\\." => 'last line without an end, and an enclosed one',
		"\\.\n" => 'only line',
		"a\n\\.\nb\n" => 'text after it');
	for my $content (sort keys %file)
	{
		write_file("$dir/marked.csv", $content);
		run_sql('TRUNCATE imported.marked, copied.marked');
		my $job = run_sql("SELECT kwjobs.import('imported.marked', ARRAY['$dir/marked.csv'])");
		wait_until_over($job);
		my $end = run_sql("SELECT concat_ws('|', status, error_code, error_line) FROM kwdb_internal.jobs WHERE job_id = $job");
		if ($file{$content} eq 'text after it' && $node->pg_version < 18)
		{
			is($end, 'failed|22P04|2', 'text after the end marker is never lost');
			is(run_sql('SELECT count(*) FROM imported.marked'), '0', 'nothing is left');
			next;
		}
		run_sql("SELECT copy_files('copied.marked', ARRAY['$dir/marked.csv'], 'HEADER off')");
		is( run_sql("SELECT (SELECT string_agg(a, ' ') FROM imported.marked) IS NOT DISTINCT FROM (SELECT string_agg(a, ' ') FROM copied.marked)") . $end,
			'tsucceeded', "end marker: $file{$content}");
	}
}

# Files that others made.
sub real_file
{
	my ($path, $columns, $options, $copy_options) = @_;
  SKIP:
	{
		skip("there is no $path", 6) unless -f $path;
		run_sql("DROP TABLE IF EXISTS imported.real, copied.real");
		run_sql("CREATE TABLE $_.real ($columns)") for qw(imported copied);
		for my $batch ('1kB', '1MB')
		{
			run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '$batch'");
			run_sql('TRUNCATE imported.real, copied.real');
			is(run_sql("SELECT copy_files('copied.real', ARRAY['$path'], " . literal($copy_options) . ')'), '', "COPY reads $path");
			my $job = run_sql("SELECT kwjobs.import('imported.real', ARRAY['$path'], NULL, '$options')");
			wait_until_over($job);
			my $rows = run_sql('SELECT count(*) FROM copied.real');
			is( run_sql("SELECT status, rows, (SELECT count(*) FROM (TABLE copied.real EXCEPT ALL TABLE imported.real) AS x)
				FROM kwdb_internal.jobs WHERE job_id = $job"),
				"succeeded|$rows|0", "$path, batches of $batch: the same $rows rows");
			cmp_ok($rows, '>', 10000, 'as many as are to be expected');
		}
	}
	return;
}

real_file('/usr/share/ieee-data/oui.csv',
	'registry text, assignment text, organization_name text, organization_address text',
	'{"skip": 1}', 'HEADER');
real_file('/usr/share/unicode/UnicodeData.txt',
	join(', ', map { "f$_ text" } 1 .. 15),
	'{"delimiter": ";", "enclosed": "\u0001"}', "DELIMITER ';', QUOTE E'\\x01'");

# A database of another encoding: files are UTF-8 all the same, and converted.
{
	run_sql("CREATE DATABASE latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
	my $at = sub { return $node->safe_psql('latin1', $_[0]); };
	my $path = "$dir/latin1.csv";
	my $records = join('', map { "$_," . ("\xc3\xa9" x ($_ % 50)) . qq(,"\xc3\xbc\n""\xc3\xbf"""\n) } 1 .. 3000);
	write_file($path, $records);
	$at->('CREATE EXTENSION kwjobs; CREATE TABLE t (n integer, a text, b text); CREATE TABLE copied (LIKE t)');
	$at->("ALTER DATABASE latin1 SET kwjobs.import_batch_size = '1kB'");
	$at->("COPY copied FROM '$path' (FORMAT csv, ENCODING 'UTF8')");
	like($at->("CALL kwjobs.import_and_wait('t', ARRAY['$path'])"),
		qr/^\d+\|succeeded\|1\|3000\|0\|0\|None$/, 'the procedure that IMPORT is needs no more than a table and a file');
	is( $at->('SELECT count(*), sum(octet_length(a)), (SELECT count(*) FROM (TABLE copied EXCEPT ALL TABLE t) AS x) FROM t'),
		'3000|73500|0', 'LATIN1 database: the rows that COPY makes');

	# a character that LATIN1 lacks
	write_file($path, $records . "3001,\xe6\xbc\xa2,x\n");
	my ($code, $out, $copy_error) = $node->psql('latin1', "COPY copied FROM '$path' (FORMAT csv, ENCODING 'UTF8')");
	my ($message) = $copy_error =~ /ERROR:  (.*)/;
	my $job = start_import($node, 't', $path, 'latin1');
	wait_for_status($node, $job, 'failed', 'latin1');
	is(job_field($node, $job, "concat_ws('|', error_code, error, error_line)", 'latin1'), "22P05|$message|6001",
		'a character that the database lacks: the message of COPY, the line');
	is($at->('SELECT count(*) FROM t'), '3000', 'and no row of the file is left');
}

# The worker's memory does not grow with the file.
sub memory_at_last_row
{
	my ($rows) = @_;
	my $path = write_csv($node, $rows);
	run_sql('TRUNCATE imported.big');
	run_sql("SELECT pg_advisory_lock(4711)");
	run_sql("DROP TRIGGER IF EXISTS gate ON imported.big");
	run_sql("CREATE TRIGGER gate BEFORE INSERT ON imported.big FOR EACH ROW WHEN (NEW.n = $rows) EXECUTE FUNCTION big_gate()");
	my $job = run_sql("SELECT kwjobs.import('imported.big', ARRAY['$path'])");
	my $at = "FROM pg_locks AS l JOIN kwdb_internal.jobs AS j USING (pid) WHERE l.locktype = 'advisory' AND NOT l.granted AND j.job_id = $job";
	wait_until("EXISTS (SELECT $at)");
	my $pid = run_sql("SELECT l.pid $at");
	my ($memory) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	run_sql('SELECT pg_advisory_unlock(4711)');
	wait_until_over($job);
	is(job_field($node, $job, 'status, rows'), "succeeded|$rows", "$rows rows");
	return $memory;
}

SKIP:
{
	skip('no /proc', 3) unless -r '/proc/self/status' && slurp_file('/proc/self/status') =~ /RssAnon/;
	run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '256kB'");
	run_sql('CREATE UNLOGGED TABLE imported.big (n integer, t text)');
	run_sql('CREATE FUNCTION big_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END $$');
	my $small = memory_at_last_row(60000);
	my $large = memory_at_last_row(600000);
	cmp_ok($large - $small, '<', 2048, "memory is flat: $small kB, with ten times the file $large kB");
}

# --- patterns and names that are no text ------------------------------------

# The database is in UTF-8, and a job keeps the names of its files as text.
{
	append_to_file("$dir/named-1.csv", "1,a,b\n");
	append_to_file("$dir/named-2-\xe9.csv", "2,a,b\n");
	my ($rc, $stdout, $stderr) =
	  $node->psql('postgres', "SELECT kwjobs.import('imported.t', ARRAY['$dir/named-*.csv'])");
	is($rc, 3, 'a name that is no text is not left out');
	like($stderr, qr/ERROR:  a file that "\Q$dir\E\/named-\*\.csv" matches has a name that is not text in encoding "UTF8"/,
		'the error says so');
	run_sql('TRUNCATE imported.t; DELETE FROM gates');
	my $job = run_sql("SELECT kwjobs.import('imported.t', ARRAY['$dir/named-[1].csv'])");
	wait_until_over($job);
	is(job_field($node, $job, 'status, rows'), 'succeeded|1', 'a pattern that does not match it imports the others');
}

$session->quit;
is_consistent($node);
$node->stop;
done_testing();
