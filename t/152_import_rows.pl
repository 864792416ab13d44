# What a row of a file may be: an IMPORT with options of that kind ends in what COPY makes of the same
# rows, however many workers there are and whatever happens on the way. KWJ_SEED repeats a run,
# KWJ_SEED=random makes other files in each run.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use IO::Compress::Gzip qw(gzip $GzipError);
use lib "$FindBin::RealBin/lib";
use KwjCsv;
use KwjGates;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{KWJ_SEED} || 1;
$seed = (time ^ $$ << 8) & 0x7fffffff if $seed eq 'random';
my $cases = $ENV{KWJ_CASES} // 40;
diag("KWJ_SEED=$seed repeats this run");

my $node = new_node('import_rows', <<'EOF', extra => [ '--no-locale', '--encoding=UTF8' ]);
fsync = off
kwjobs.max_workers = 4
max_connections = 40
autovacuum = off
EOF
my $dir = abs_path($node->basedir);

begin_session($node);

run_sql(<<'EOF');
CREATE FUNCTION copy_in_format(file text, options text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; context text;
BEGIN
    EXECUTE format('COPY copied.t FROM %L WITH (%s)', file, options);
    RETURN '';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, context = PG_EXCEPTION_CONTEXT;
    RETURN concat_ws('|', state, message, substring(context from 'line (\d+)'),
                     coalesce(substring(context from 'line \d+, column (\w+)'), 'none'), file);
END $$
EOF

# The gate is no obstacle for several workers, because its function says that it is IMMUTABLE.
run_sql("$csv_tables ALTER FUNCTION gate() IMMUTABLE");

# Imports the file by $workers workers at most. Returns the job.
sub import_file
{
	my ($d, $workers, $file, $disturbance, $gate) = @_;
	run_sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '$d->{batch}'");
	close_at($gate) if $disturbance;
	run_sql('ALTER TABLE imported.t ' . ($disturbance ? 'ENABLE' : 'DISABLE') . ' TRIGGER gate');
	my $job = run_sql("SELECT kwjobs.import('imported.t', ARRAY[" . literal($file) . '], NULL, '
		  . import_options($d) . "::jsonb || '{\"thread_concurrency\": $workers}')");
	disturb($job, $gate, $disturbance) if $disturbance;
	wait_until_over($job);
	return $job;
}

sub forget
{
	run_sql('SELECT pg_advisory_unlock_all()');
	run_sql('TRUNCATE imported.t, copied.t, gates');
	return;
}

# A delimiter at the end of each record, as generators of files make them.
sub with_trailing
{
	my ($d, @records) = @_;
	return map { $_ . $d->{delimiter} } @records;
}

# ---- random rows, random options, random faults ----
my %seen;
for my $i (1 .. $cases)
{
	srand($seed + $i);
	my $d = random_dialect();
	$d->{charset} = pick(qw(UTF8 LATIN1 SJIS BIG5 GBK GB18030));
	$d->{escaped} = pick($d->{enclosed}, "\\") if $d->{charset} !~ /UTF8|LATIN1/;
	$d->{force_null} = pick('a', 'a, b') if rand() < 0.3;
	$d->{force_not_null} = pick('b', 'a, b') if rand() < 0.3;
	$d->{skip} = 0;
	my $n = between(1, 400);
	my @records = map { join($d->{delimiter}, $_, random_field($d), random_field($d)) } 1 .. $n;
	write_file("$dir/plain.csv", join('', map { $_ . $d->{line_end} } @records));
	$d->{trailing_delimiter} = 'on' if rand() < 0.4;
	@records = with_trailing($d, @records) if $d->{trailing_delimiter};
	write_file("$dir/rows.csv", join('', map { $_ . $d->{line_end} } @records));
	my $disturbance = pick('', 'pause', 'terminate', 'terminate', 'crash');
	$disturbance = 'terminate' if $disturbance eq 'crash' && $i % 4 != 0;
	$seen{$_}++ for grep { $_ } $disturbance, $d->{charset}, map { defined $d->{$_} ? $_ : '' } qw(trailing_delimiter force_null force_not_null);

	my $copied = run_sql("SELECT copy_files('copied.t', ARRAY['$dir/plain.csv'], " . literal(copy_options($d)) . ')');
	my $job = import_file($d, between(1, 3), "$dir/rows.csv", $disturbance, between(1, $n));
	my $end = end_of($job);
	ok($copied eq '' && $end eq "succeeded|$n" && run_sql('SELECT compare()') eq "$n 0 0",
		"random rows $i: $n records in $d->{charset}, $disturbance")
	  or diag(describe_case($seed, $d, $i), "\nCOPY: $copied\nIMPORT: ", error_of($job), " $end\n", run_sql('SELECT compare()'));
	forget();
}
note('seen: ' . join(', ', map { "$_ $seen{$_}" } sort keys %seen));

# ---- damaged rows: the error of COPY ----
for my $i (1 .. $cases)
{
	srand($seed + 1000 + $i);
	my $d = random_dialect();
	$d->{charset} = 'LATIN1';
	$d->{force_null} = 'a' if rand() < 0.5;
	my (undef, @contents) = random_files($d);
	write_file("$dir/damaged.csv", damage($d, $contents[0]));
	my $copied = run_sql("SELECT copy_files('copied.t', ARRAY['$dir/damaged.csv'], " . literal(copy_options($d)) . ')');
	my $job = import_file($d, between(1, 3), "$dir/damaged.csv", '', 0);
	ok(ends_as_copy(\&run_sql, $d, $copied, error_of($job), end_of($job)), "damaged rows $i: " . ($copied =~ s/\|[^|]*$//r || 'none'))
	  or diag(describe_case($seed, $d, 1000 + $i), "\nCOPY:   $copied\nIMPORT: ", error_of($job), ' ', end_of($job));
	forget();
}

# ---- the other formats of COPY: what it has written, with random faults; what was damaged ----
my %formats;
for my $i (1 .. $cases)
{
	srand($seed + 2000 + $i);
	my $d = { format => pick(qw(text binary)), batch => pick('1kB', '1kB', '4kB', '64kB') };
	my $with = "FORMAT $d->{format}";
	my $n = between(1, 500);
	my @texts = map { literal(join('', map { pick(characters_of(), "\n", "\r", "\t", "\\") } 1 .. between(0, 30))) } 1 .. 40;
	if ($d->{format} eq 'text')
	{
		$d->{delimiter} = pick("\t", ',', '|');
		$d->{nullif} = pick("\\N", 'null');
		$d->{charset} = pick('UTF8', 'GB18030');
		$with .= ', DELIMITER ' . literal($d->{delimiter}) . ', NULL ' . literal($d->{nullif}) . ", ENCODING '$d->{charset}'";
	}
	run_sql('INSERT INTO copied.t SELECT n, ' . join(', ', map { "(ARRAY[" . join(', ', @texts) . ", NULL])[1 + (n * $_) % 41]" } between(1, 40), between(1, 40))
		  . " FROM generate_series(1, $n) AS n");
	run_sql("COPY copied.t TO '$dir/rows' WITH ($with)");
	my $is_damaged = $i % 2;
	my $disturbance = $is_damaged ? '' : pick('', 'pause', 'terminate', 'terminate', 'crash');
	$disturbance = 'terminate' if $disturbance eq 'crash' && $i % 4 != 0;
	my $copied = '';
	if ($is_damaged)
	{
		# The header and the trailer are looked at when the job is created.
		my $bytes = slurp_file("$dir/rows");
		for (1 .. pick(1, 1, 2))
		{
			my $at = between(19, length($bytes) - 3);
			next if $at < 19 || $at > length($bytes) - 3;
			substr($bytes, $at, pick(0, 0, 1, 3), pick('', "\0", "\xff", "\\", "\n", "\t", '9', "\0\0\0\1", "\\.\n"));
		}
		write_file("$dir/rows", substr($bytes, -2) eq "\xff\xff" || $d->{format} eq 'text' ? $bytes : "$bytes\xff\xff");
		run_sql('TRUNCATE copied.t');
		$copied = run_sql("SELECT copy_in_format('$dir/rows', " . literal($with) . ')');
	}
	# COPY reads no compressed file, so the path would be another one in its error.
	my $is_compressed = !$is_damaged && rand() < 0.4;
	gzip("$dir/rows" => "$dir/rows.gz") or die "gzip: $GzipError";
	my $job = import_file($d, between(1, 3), $is_compressed ? "$dir/rows.gz" : "$dir/rows", $disturbance, between(1, $n));
	my ($error, $end) = (error_of($job), end_of($job));
	my $rows = run_sql('SELECT count(*) FROM copied.t');
	# COPY takes an end-of-data marker for the end, and IMPORT does not lose what follows.
	my $marker = $copied eq '' && $error =~ /end-of-data marker/;
	# What functions say about the protocol is about the file.
	$copied =~ s/^08P01/22P03/;
	$formats{"$d->{format} " . ($copied eq '' ? 'good' : (split(/\|/, $copied))[0])}++;
	ok($marker || ($copied eq '' ? $end eq "succeeded|$rows" && run_sql('SELECT compare()') eq "$rows 0 0"
			: same_error($copied, $error) && $end =~ /^failed/ && run_sql('SELECT count(*) FROM imported.t') eq '0'),
		"format $i: $n records in $d->{format}, $disturbance: " . ($copied =~ s/\|[^|]*$//r || 'none'))
	  or diag(describe_case($seed, $d, 2000 + $i), "\nCOPY:   $copied\nIMPORT: $error $end\n", run_sql('SELECT compare()'));
	forget();
}
note('formats: ' . join(', ', map { "$_ $formats{$_}" } sort keys %formats));

# ---- a header in another encoding, with a delimiter that is the second byte of a character ----
{
	run_sql(q{CREATE TABLE imported.named (n integer, "能" text, "ポ" text)});
	write_file("$dir/header.csv", "\x83\x7c|n|\x94\x5c|\n\x83\x7c|1|\x94\x5c|\nx|2||\n");
	my $job = run_sql("SELECT kwjobs.import('imported.named', ARRAY['$dir/header.csv'], NULL, "
		  . q('{"charset": "SJIS", "delimiter": "|", "escaped": "\\\\", "header": "match", "trailing_delimiter": "on"}') . ')');
	wait_until_over($job);
	is(error_of($job) . end_of($job), 'succeeded|2', 'a header in SJIS');
	is(run_sql('SELECT * FROM imported.named ORDER BY n'), "1|能|ポ\n2||x", '... names the columns');
}

quit_session();
$node->stop;
done_testing();
