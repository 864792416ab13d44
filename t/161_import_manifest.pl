# IMPORT of what a manifest of EXPORT names: nothing is imported from a file that is not as it was
# written, and nothing is read as it was not written. That all rows come back is tested by
# t/141_export_import.pl.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjCsv qw(write_file);
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('manifest', "fsync = off\nautovacuum = off\nkwjobs.max_workers = 4\n", extra => [ '--no-locale', '--encoding=UTF8' ]);
my $base = PostgreSQL::Test::Utils::tempdir();
my $made = 0;
sub sql { return $node->safe_psql('postgres', $_[0]) }

my $rows = 50_000;
# A row that is inserted makes the sequence go on, also if it is removed later.
sql(<<"EOF");
CREATE TABLE made (n integer, t text);
INSERT INTO made SELECT n, 'row ' || n FROM generate_series(1, $rows) AS n;
CREATE TABLE t (n integer, t text);
CREATE SEQUENCE inserted;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql IMMUTABLE AS \$\$ BEGIN PERFORM nextval('inserted'); RETURN NEW; END \$\$;
CREATE TRIGGER note BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note();
EOF

# Exports the table into a new directory, in files of 5000 rows. Returns the directory.
sub export
{
	my ($options, $what) = @_;
	my $dir = "$base/d" . ++$made;
	$what //= 'TABLE made';
	my $job = sql("EXPORT INTO CSV '$dir' FROM $what WITH detached, chunk_rows = 5000" . ($options ? ", $options" : ''));
	wait_for_end($node, $job);
	is(job_field($node, $job, 'status'), 'succeeded', "EXPORT of $what");
	return $dir;
}

sub import_dir
{
	my ($dir, $workers) = @_;
	sql("TRUNCATE t; ALTER SEQUENCE inserted RESTART");
	return sql("SELECT kwjobs.import('t', ARRAY['$dir/manifest.json'], NULL, '{\"thread_concurrency\": $workers}')");
}

sub ends_with
{
	my ($job, $expected, $name) = @_;
	wait_for_end($node, $job);
	like(job_field($node, $job, "concat_ws('|', status, error_code, error, rows)"), $expected, $name);
	return;
}

# ---- a byte ----

for my $options ('', "compression = 'zstd'", "compression = 'gzip', checksum = 'SHA256'")
{
	for my $workers (1, 3)
	{
		my $name = "$options, $workers workers";
		my $dir = export($options);
		my $job = import_dir($dir, $workers);
		ends_with($job, qr/^succeeded\|.*\|$rows$/, "$name: all rows");
		is(sql('SELECT count(*), count(DISTINCT n), sum(n) FROM t'), "$rows|$rows|" . $rows * ($rows + 1) / 2, '... each once');
		my @files = sort(glob("$dir/n1.*"));
		is(scalar(@files), 10, '... from all files');
		for my $file ($files[0], $files[9])
		{
			my $before = slurp_file($file);
			# A compressed file that is damaged may be refused as such, so these get the rows of another file.
			my $other = $options =~ /compression/ ? slurp_file($files[4]) : undef;
			my $changed = $other // $before;
			substr($changed, length($changed) / 2, 1) ^= "\x01" unless defined $other;
			write_file($file, $changed);
			ends_with(import_dir($dir, $workers), qr/^failed\|XX001\|file "\Q$file\E" is not as the EXPORT has written it\|0$/,
				"$name: " . (defined $other ? 'other rows in a file are found' : 'another bit in a file is found'));
			is(sql('SELECT is_called FROM inserted'), 'f', '... before the first row');
			append_to_file($file, $other // 'x');
			ends_with(import_dir($dir, $workers), qr/^failed\|XX001\|/, "$name: a longer file");
			write_file($file, $before);
		}
		ends_with(import_dir($dir, $workers), qr/^succeeded\|.*\|$rows$/, "$name: all is as it was");
		unlink($files[4]);
		like(said($node, "SELECT kwjobs.import('t', ARRAY['$dir/manifest.json'])"), qr/ERROR:  could not open file "\Q$files[4]\E"/,
			"$name: a file is missing");
	}
}

# ---- between the comparison and the row ----

for my $workers (1, 3)
{
	my $dir = export();
	my @files = sort(glob("$dir/n1.*"));
	my $gate = close_gates($node, 4951);
	my $job = import_dir($dir, $workers);
	wait_at_gate($node, $job);
	write_file("$files[9].new", slurp_file($files[9]));
	rename("$files[9].new", $files[9]) or die;
	$gate->quit;
	ends_with($job, qr/^failed\|55000\|file "\Q$files[9]\E" was changed while it was being imported\|/, "$workers workers: a file that was replaced after the comparison");
	is(sql('SELECT count(*) FROM t'), '0', '... and no row is left');

	# A PAUSE, and then another content of the same size
	$gate = close_gates($node, 4950);
	$job = import_dir($dir, $workers);
	wait_at_gate($node, $job);
	sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	$gate->quit;
	is(sql('SELECT is_called FROM inserted'), 'f', "$workers workers: PAUSE ends the comparison, and there is no row");
	sql("SELECT kwjobs.resume($job)");
	ends_with($job, qr/^succeeded\|.*\|$rows$/, '... RESUME compares, and imports');
}

# In the middle of the rows, paused: what was not begun is compared again.
{
	my $dir = export();
	my @files = sort(glob("$dir/n1.*"));
	make_target($node, 'gated', 22_000);
	sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '16kB'");
	my $gate = close_gate($node);
	my $job = sql("SELECT kwjobs.import('gated', ARRAY['$dir/manifest.json'], NULL, '{\"thread_concurrency\": 1}')");
	wait_at_gate($node, $job);
	sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	open_gate($gate);
	my $content = slurp_file($files[8]);
	write_file($files[8], $content =~ s/row/roe/r);
	sql("SELECT kwjobs.resume($job)");
	ends_with($job, qr/^failed\|XX001\|file "\Q$files[8]\E" is not as/, 'RESUME compares what is left');
	is(sql('SELECT count(*) FROM gated'), '0', '... and no row is left');
	sql('ALTER DATABASE postgres RESET kwjobs.import_batch_size');
}

# ---- columns and options ----

sql('CREATE TABLE turned (extra integer DEFAULT 7, t text, n integer)');
{
	my $dir = export("delimiter = ';', nullas = 'NULL', column_name");
	my $import = sub { return sql("SELECT kwjobs.import('turned', ARRAY['$dir/manifest.json'], $_[0])") };
	my $job = $import->('NULL');
	ends_with($job, qr/^succeeded\|.*\|$rows$/, 'columns in another order');
	is(sql("SELECT count(*) FROM turned WHERE t = 'row ' || n AND extra = 7"), $rows, '... are found by their names');
	is(job_field($node, $job, 'description'), "IMPORT INTO public.turned CSV DATA ('$dir/manifest.json')", 'the description names the manifest');
	sql('TRUNCATE turned');
	ends_with($import->(q(ARRAY['extra', 't'])), qr/^succeeded\|.*\|$rows$/, 'other columns, in the order of the files');
	is(sql("SELECT count(*) FROM turned WHERE t = 'row ' || extra AND n IS NULL"), $rows, '... are filled');
	ends_with($import->(q(NULL, '{"delimiter": ";", "header": "match", "nullif": "NULL"}')), qr/^succeeded\|.*\|$rows$/, 'options that say the same');

	my $refused = sub {
		my ($arguments, $message) = @_;
		like(said($node, "SELECT kwjobs.import('turned', ARRAY['$dir/manifest.json'], $arguments)"), qr/^ERROR:  $message/, "$arguments: $message");
	};
	$refused->(q(ARRAY['t']), 'the files of the manifest ".*" have 2 columns, and the IMPORT fills 1');
	$refused->(q(ARRAY['t', 'nosuch']), 'column "nosuch"');
	$refused->("NULL, '{\"$_->[0]\": \"$_->[1]\"}'", qq(IMPORT option "$_->[0]" contradicts the manifest))
	  for [ 'delimiter', ',' ], [ 'enclosed', '|' ], [ 'nullif', '' ], [ 'skip', '1' ], [ 'format', 'text' ];
	like(said($node, "SELECT kwjobs.import('t', ARRAY['$dir/manifest.json', '$dir/n1.0.csv'])"), qr/^ERROR:  the manifest ".*" is not the only file/, 'a manifest and a file');
	my $plain = export();
	like(said($node, "SELECT kwjobs.import('t', ARRAY['$plain/manifest.json'], NULL, '{\"header\": \"skip\"}')"),
		qr/^ERROR:  IMPORT option "header" contradicts the manifest/, 'there is no header');
	sql('CREATE TABLE one (a integer)');
	is(result_as($node, 'postgres', "IMPORT INTO one CSV DATA ('$plain/manifest.json')"), '42703', 'a column that the table lacks');
}

# Another encoding
{
	sql("CREATE TABLE letters (a text); INSERT INTO letters VALUES (U&'\\00e4\\00f6,\\00df'), (NULL), ('')");
	my $dir = export("charset = 'LATIN1', nullas = 'NULL'", 'TABLE letters');
	like(slurp_file("$dir/n1.0.csv"), qr/\xe4\xf6,\xdf/, 'LATIN1 in the file');
	sql('CREATE TABLE came (a text)');
	my $job = sql("SELECT kwjobs.import('came', ARRAY['$dir/manifest.json'])");
	ends_with($job, qr/^succeeded\|.*\|3$/, '... comes back by the manifest');
	is(sql('SELECT count(*) FROM (TABLE came EXCEPT ALL TABLE letters) AS x'), '0', '... identical');
	like(said($node, "SELECT kwjobs.import('came', ARRAY['$dir/manifest.json'], NULL, '{\"encoding\": \"UTF8\"}')"),
		qr/^ERROR:  IMPORT option "charset" contradicts the manifest/, 'another encoding than that of the manifest');
}

# A query has no names of columns; a table may be empty; a database has several tables.
{
	my $dir = export('', q(SELECT 1 AS x, 'row 1'));
	ends_with(import_dir($dir, 1), qr/^succeeded\|.*\|1$/, 'the rows of a query');
	sql('CREATE TABLE empty (n integer, t text)');
	$dir = export('', 'TABLE empty');
	ends_with(import_dir($dir, 1), qr/^succeeded\|.*\|0$/, 'no rows');
	ends_with(import_dir($dir, 4), qr/^succeeded\|.*\|0$/, '... nor by several workers');
	sql('CREATE SCHEMA other; CREATE TABLE other.made (n integer, t text)');
	$dir = export('', 'DATABASE postgres');
	sql('CREATE TABLE other.later (n integer)');
	like(said($node, "SELECT kwjobs.import('other.later', ARRAY['$dir/manifest.json'])"),
		qr/^ERROR:  the manifest ".*" has no table "other.later"\nDETAIL:  It has \d+ tables/, 'a table that is not in the manifest of a database');
	sql('TRUNCATE made');
	my $job = sql("SELECT kwjobs.import('made', ARRAY['$dir/manifest.json'])");
	ends_with($job, qr/^succeeded\|.*\|$rows$/, 'a table of a database, by its name');
	is(sql('SELECT count(*) FROM made'), $rows, '... has its rows again');
}

# ---- hostile manifests ----

{
	my $dir = export();
	my $good = slurp_file("$dir/manifest.json");
	my $try = sub {
		my ($text) = @_;
		write_file("$dir/manifest.json", $text);
		return said($node, "SELECT kwjobs.import('t', ARRAY['$dir/manifest.json'])");
	};
	my @damaged;
	for my $n (map { int(length($good) * $_ / 30) } 0 .. 29)
	{
		my $said = $try->(substr($good, 0, $n));
		push(@damaged, "$n: $said") unless $said =~ /^ERROR:  (?:the manifest ".*" is damaged|file ".*" is not a manifest of EXPORT)\nHINT/;
	}
	is("@damaged", '', 'a manifest that is cut off is refused');
	my %wrong = (
		'a path that leads out' => $good =~ s/"file": "n1/"file": "..\/d1\/n1/r,
		'a hidden way out' => $good =~ s/"file": "n1/"file": "a\/..\/..\/n1/r,
		'an absolute path' => $good =~ s/"file": "n1/"file": "\/etc\/n1/r,
		'the directory' => $good =~ s/"file": "n1\.0\.csv/"file": "./r,
		'an empty name' => $good =~ s/"file": "n1\.0\.csv/"file": "/r,
		'a checksum that is none' => $good =~ s/"tables".*?"checksum": \K"[0-9a-f]{8}"/"xyz"/sr,
		'no checksum' => $good =~ s/"tables".*?"checksum": \K"[0-9a-f]{8}"/null/sr,
		'another algorithm' => $good =~ s/"CRC32C"/"MD4"/r,
		'no algorithm' => $good =~ s/"CRC32C"/"NONE"/r,
		'a negative size' => $good =~ s/"tables".*?"bytes": \K\d+(?=, "checksum")/-1/sr,
		'a size beyond all bounds' => $good =~ s/"tables".*?"bytes": \K\d+(?=, "checksum")/1e300/sr,
		'tables that are none' => $good =~ s/"tables": \[/"tables": [1, /r,
		'files that are none' => $good =~ s/"files": \[/"files": [[], /r,
		'columns that are none' => $good =~ s/"columns": \[/"columns": [3, /r,
		'options that are none' => $good =~ s/"options": \{/"options": 3, "x": {/r,
		'a byte that is no text' => $good =~ s/"n1\.0/"n1\xff0/r,
		'a byte that is zero' => $good =~ s/"n1\.0/"n1\0/r,
		'a long name' => $good =~ s/"file": "n1\.0/'"file": "' . 'x' x 5000/er,
	);
	for my $what (sort keys %wrong)
	{
		isnt($wrong{$what}, $good, "$what ...");
		like($try->($wrong{$what}), qr/^ERROR:  the manifest ".*" is damaged\nHINT/, '... is refused');
	}
	like($try->($good =~ s/"kwjobs_export": 1/"kwjobs_export": 2/r), qr/^ERROR:  the manifest ".*" was written by a newer version/, 'a newer version');
	like($try->("1,a\n"), qr/^ERROR:  file ".*" is not a manifest of EXPORT/, 'another file of this name');
	write_file("$dir/other.json", "1,row 1\n");
	my $job = sql("TRUNCATE t; SELECT kwjobs.import('t', ARRAY['$dir/other.json'])");
	ends_with($job, qr/^succeeded\|.*\|1$/, 'a CSV file with another name');

	# who may read it
	sql('CREATE ROLE stranger LOGIN; GRANT INSERT ON t TO stranger');
	write_file("$dir/manifest.json", $good);
	is(result_as($node, 'stranger', "SELECT kwjobs.import('t', ARRAY['$dir/manifest.json'])"), '42501', 'a role that may not read files of the server');
	configure($node, 'kwjobs.data_directories', '/nosuch');
	like(said($node, "SELECT kwjobs.import('t', ARRAY['$dir/manifest.json'])"), qr/^ERROR:  IMPORT is not allowed in directory/, 'kwjobs.data_directories');
	configure($node, 'kwjobs.data_directories', $dir);
	is(result_as($node, 'postgres', "SELECT count(kwjobs.import('t', ARRAY['$dir/manifest.json']))"), '1', '... which names the directory');
}

is_consistent($node);
$node->stop;
done_testing();
