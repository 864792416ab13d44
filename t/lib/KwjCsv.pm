# t/lib/KwjCsv.pm: random CSV files, damaged ones too, and what COPY makes of them; tables into which a
# test imports and copies them.
package KwjCsv;

use strict;
use warnings;

use Exporter 'import';
use IO::Compress::Gzip qw($GzipError);
use IPC::Run qw(run);
use PostgreSQL::Test::Utils;

our @EXPORT = qw(literal text_array write_file pick between random_dialect random_field random_files damage
  with_first_line same_error ends_as_copy job_error describe_case import_options copy_options characters_of
  compressions compress $csv_tables);

# The schemas `imported` and `copied` have the same table t. IMPORT waits at the gates, COPY does not.
our $csv_tables = <<'EOF';
CREATE SCHEMA imported;
CREATE SCHEMA copied;
CREATE TABLE imported.t (n integer, a text, b text);
CREATE TABLE copied.t (n integer, a text, b text);
-- Rows at which an import waits for the advisory lock (4711, n).
CREATE TABLE gates (n integer PRIMARY KEY);
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM public.gates AS g WHERE g.n = NEW.n) THEN
        PERFORM pg_advisory_xact_lock_shared(4711, NEW.n);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE INSERT ON imported.t FOR EACH ROW EXECUTE FUNCTION gate();
-- What COPY says to these files: SQLSTATE, message, line, column, file; empty if
-- they are good.
CREATE FUNCTION copy_files(target text, files text[], options text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    file text;
    state text; message text; context text;
BEGIN
    FOREACH file IN ARRAY files LOOP
        EXECUTE format('COPY %s FROM %L WITH (FORMAT csv, %s)', target, file, options);
    END LOOP;
    RETURN '';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, context = PG_EXCEPTION_CONTEXT;
    RETURN concat_ws('|', state, message, substring(context from 'line (\d+)'),
                     coalesce(substring(context from 'line \d+, column (\w+)'), 'none'), file);
END $$;

-- Rows, rows that only one of them has.
CREATE FUNCTION compare() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (SELECT count(*) FROM imported.t),
        (SELECT count(*) FROM (TABLE copied.t EXCEPT ALL TABLE imported.t) AS x),
        (SELECT count(*) FROM (TABLE imported.t EXCEPT ALL TABLE copied.t) AS x)) $$;
EOF

# --- helpers ---------------------------------------------------------------

sub literal
{
	my ($text) = @_;
	$text =~ s/'/''/g;
	$text =~ s/\\/\\\\/g;
	$text =~ s/\t/\\t/g;
	return "E'$text'";
}

# The texts as an array in SQL.
sub text_array { return 'ARRAY[' . join(', ', map { literal($_) } @_) . ']'; }

sub write_file
{
	my ($path, $bytes) = @_;
	open(my $fh, '>:raw', $path) or die "$path: $!";
	print $fh $bytes;
	close($fh) or die "$path: $!";
	return;
}

sub pick { return $_[ int(rand(@_)) ]; }
sub between { my ($low, $high) = @_; return $low + int(rand($high - $low + 1)); }

# --- random files ----------------------------------------------------------

# Bytes of UTF-8 that say what they are in every dialect.
my @plain = (split(//, 'abcxyz0 ?#'), "\xc3\xa9", "\xe6\xbc\xa2", "\xf0\x9f\x98\x80", "\\", '"', "'", ',', ';', '~');

# Characters of each encoding that a dialect may have. The second bytes of some are \, | and so on.
my %characters = (
	UTF8 => \@plain,
	LATIN1 => [ split(//, 'abcxyz0 ?#'), "\xe9", "\xff", "\xa0", "\\", '"', "'", ',', ';', '~', '|' ],
	SJIS => [ split(//, 'abc0 '), "\x83\x5c", "\x94\x5c", "\x83\x7c", "\xb1", "\x82\xa0", "\\", '"', "'", ',', ';', '|' ],
	BIG5 => [ split(//, 'abc0 '), "\xa5\x5c", "\xb3\x5c", "\xbb\x5c", "\xa4\x40", "\\", '"', "'", ',', ';', '|' ],
	GBK => [ split(//, 'abc0 '), "\x95\x5c", "\x81\x7c", "\x81\x40", "\xc4\xe3", "\\", '"', "'", ',', ';', '|' ],
	GB18030 => [ split(//, 'abc0 '), "\x95\x5c", "\x81\x7c", "\x81\x30\x86\x30", "\x81\x30\x89\x37", "\\", '"', "'", ',', ';', '|' ],
);

sub characters_of { my ($charset) = @_; return @{ $characters{ $charset // 'UTF8' } }; }

sub random_dialect
{
	my %d;
	$d{enclosed} = pick('"', '"', '"', "'", '|');
	$d{delimiter} = pick(grep { $_ ne $d{enclosed} } ',', ',', ';', "\t", '|');
	$d{escaped} = pick(grep { $_ ne $d{delimiter} } $d{enclosed}, $d{enclosed}, "\\", '~', '"');
	$d{line_end} = pick("\n", "\n", "\r\n", "\r");
	$d{nullif} = pick('', '', 'x', "\\N");
	$d{skip} = pick(0, 0, 1);
	$d{batch} = pick('1kB', '1kB', '1kB', '2kB', '64kB', '1MB');
	$d{large} = rand() < 0.15;
	return \%d;
}

sub random_field
{
	my ($d) = @_;
	return '' if rand() < 0.1;
	return $d->{nullif} if rand() < 0.1;
	my $length = $d->{large} && rand() < 0.02 ? between(500, 150000) : between(1, 15);
	my @characters = characters_of($d->{charset});
	my @text = map { $characters[ int(rand(@characters)) ] } 1 .. ($length > 1000 ? 1000 : $length);
	@text = (@text) x ($length / 1000) if $length > 1000;
	if (rand() < 0.5)
	{
		# enclosed: anything, among it line ends and what means something
		my @special = ($d->{enclosed}, $d->{escaped}, $d->{delimiter}, "\n", "\r", "\r\n", $d->{line_end});
		$text[ int(rand(@text)) ] = pick(@special) for 1 .. between(0, 4);
		return join('', $d->{enclosed},
			(map { $_ eq $d->{enclosed} || $_ eq $d->{escaped} ? $d->{escaped} . $_ : $_ } @text),
			$d->{enclosed});
	}
	return join('', grep { $_ ne $d->{enclosed} && $_ ne $d->{delimiter} } @text);
}

# A set of files; returns their contents and how many records they have.
sub random_files
{
	my ($d) = @_;
	my @contents;
	my $n = 0;
	for (1 .. pick(1, 1, 2, 3))
	{
		my @records;
		push @records, join($d->{delimiter}, ++$n, random_field($d), random_field($d))
		  for 1 .. pick(0, 1, 2, between(1, 60), between(100, 500));
		my $bytes = join($d->{line_end}, @records);
		$bytes .= $d->{line_end} if @records && rand() < 0.8;
		push @contents, $bytes;
	}
	return ($n, @contents);
}

# What happens to files: bytes get lost, added, the end is cut off. The first three lines are
# left alone: one may be skipped; the next one tells IMPORT how lines end, so nothing may come
# right after it; and COPY counts a bad byte that follows the first CR to the line before.
sub damage
{
	my ($d, $bytes) = @_;
	my $first = (join($d->{delimiter}, 0, 'first', 'line') . $d->{line_end}) x 3;
	for (1 .. pick(0, 1, 1, 2))
	{
		my $at = between(0, length($bytes));
		my $what = rand();
		if ($what < 0.25) { substr($bytes, $at, 1, '') if $at < length($bytes); }
		elsif ($what < 0.9)
		{
			substr($bytes, $at, 0,
				pick($d->{enclosed}, $d->{delimiter}, $d->{escaped}, "\n", "\r", "\r\n", "\xff", "\0", "\xc3"));
		}
		else { $bytes = substr($bytes, 0, $at); }
	}
	return $first . $bytes;
}

# The options of the dialect for kwjobs.import, as SQL.
sub import_options
{
	my ($d) = @_;
	return 'jsonb_build_object('
	  . join(', ', map { "'$_', " . literal($d->{$_}) } grep { defined $d->{$_} }
		  qw(charset delimiter enclosed escaped force_null force_not_null format nullif skip trailing_delimiter)) . ')';
}

# The same for COPY.
sub copy_options
{
	my ($d) = @_;
	return 'DELIMITER ' . literal($d->{delimiter}) . ', QUOTE ' . literal($d->{enclosed}) . ', ESCAPE '
	  . literal($d->{escaped}) . ', NULL ' . literal($d->{nullif}) . ($d->{skip} ? ', HEADER' : '')
	  . ", ENCODING '" . ($d->{charset} // 'UTF8') . "'"
	  . join('', map { defined $d->{$_} ? ', ' . uc($_) . " ($d->{$_})" : '' } qw(force_null force_not_null));
}

# What repeats this case, for a test that has failed.
sub describe_case
{
	my ($seed, $d, $i) = @_;
	return "KWJ_SEED=$seed, case $i: " . join(' ', map { "$_=" . unpack('H*', $d->{$_}) } sort keys %$d);
}

# --- compression -----------------------------------------------------------

# The compressions that this machine can write.
sub compressions
{
	return ('gzip', grep { my $name = $_; grep { -x "$_/$name" } split(/:/, $ENV{PATH}) } qw(lz4 zstd));
}

# Returns the bytes, compressed in this number of members or frames, one after another.
sub compress
{
	my ($how, $bytes, $members) = @_;
	my $size = int(length($bytes) / $members) + 1;
	my $all = '';
	for my $i (0 .. $members - 1)
	{
		my $part = $i * $size < length($bytes) ? substr($bytes, $i * $size, $size) : '';
		my $compressed;
		if ($how eq 'gzip') { IO::Compress::Gzip::gzip(\$part, \$compressed) or die $GzipError; }
		else { run([ $how, '-q', '-c' ], '<', \$part, '>', \$compressed) or die "$how: $?"; }
		$all .= $compressed;
	}
	return $all;
}

# --- errors ----------------------------------------------------------------

# A query for the error of a job, which tells it as copy_files() tells that of COPY; empty if there is none.
sub job_error
{
	my ($job) = @_;
	return "SELECT CASE WHEN status IN ('succeeded', 'canceled') THEN ''
		ELSE concat_ws('|', error_code, error, error_line, coalesce(error_column, 'none'), error_file) END
		FROM kwdb_internal.jobs WHERE job_id = $job";
}

# The line in which the record begins that has this line in it, as COPY counts lines.
sub first_line
{
	my ($d, $bytes, $line) = @_;
	my $line_feed = $d->{line_end} eq "\n" ? "\n" : "\r";
	my ($here, $first, $in_field, $after_escape) = (1, 1, 0, 0);
	for my $token ($bytes =~ /\Q$d->{enclosed}\E|\Q$d->{escaped}\E|\Q$d->{line_end}\E|\r|\n|[^\Q$d->{enclosed}$d->{escaped}\E\r\n]+/g)
	{
		my $is_escape = $token eq $d->{escaped} && $d->{escaped} ne $d->{enclosed};
		if ($in_field && $is_escape) { $after_escape = !$after_escape; }
		elsif ($token eq $d->{enclosed} && !$after_escape) { $in_field = !$in_field; }
		$after_escape = 0 unless $is_escape;
		my $ends = !$in_field && $token eq $d->{line_end};
		$here++ if $ends || ($in_field && substr($token, 0, 1) eq $line_feed);
		last if $here > $line;
		$first = $here if $ends;
	}
	return $first;
}

# What COPY said, with the line in which the record begins.
sub with_first_line
{
	my ($d, $copied) = @_;
	my @fields = split(/\|/, $copied, -1);
	return $copied unless @fields >= 5 && $fields[-3] =~ /^\d+$/;
	$fields[-3] = first_line($d, slurp_file($fields[-1]), $fields[-3]);
	return join('|', @fields);
}

# Whether IMPORT failed as COPY did. A broken character that swallows a line end is quoted
# up to that by IMPORT, which hands on whole lines, and beyond it by COPY.
sub same_error
{
	my ($copied, $imported) = @_;
	return 1 if $copied eq $imported;
	# A job keeps the first 8 kB of a text.
	if (my ($begin, $more, $end) = $imported =~ /^(.*) \.\.\. \((\d+) more bytes\)(\|.*)$/s)
	{
		return length($copied) == length($begin) + $more + length($end)
		  && substr($copied, 0, length($begin)) eq $begin && $copied =~ /\Q$end\E$/;
	}
	my ($bytes) = $imported =~ /^22021\|[^|]*?((?: 0x[0-9a-f]{2})+ 0x0[ad])\|/ or return 0;
	return $copied =~ s/\Q$bytes\E(?: 0x[0-9a-f]{2}){1,2}\|/$bytes|/r eq $imported;
}

# Whether IMPORT has ended as COPY has: with the same rows in the tables, or with the same error and none.
# $run_sql runs SQL; $copied and $imported are the errors, $end is the status of the job and its rows.
sub ends_as_copy
{
	my ($run_sql, $d, $copied, $imported, $end) = @_;
	my $rows = $run_sql->('SELECT count(*) FROM copied.t');
	# COPY does not always tell the line; then IMPORT need not either.
	return same_error(with_first_line($d, $copied), $imported)
	  && ($copied eq ''
		? $end eq "succeeded|$rows" && $run_sql->('SELECT compare()') eq "$rows 0 0"
		: $end =~ /^failed/ && $run_sql->('SELECT count(*) FROM imported.t') eq '0');
}

1;
