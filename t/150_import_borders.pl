# Where records end: what IMPORT finds when it cuts a file for several workers is what COPY finds
# when it reads the file, with the same line numbers. From each record, for each number of bytes, in
# small hostile files. KWJ_SEED=random makes other files in each run; the number that it prints
# repeats them.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjCsv;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{KWJ_SEED} || 1;
$seed = (time ^ $$ << 8) & 0x7fffffff if $seed eq 'random';
my $cases = $ENV{KWJ_CASES} || 600;
diag("KWJ_SEED=$seed repeats this run");

my $node = new_node('borders', "fsync = off\n", extra => [ '--no-locale', '--encoding=UTF8' ]);
my $path = abs_path($node->basedir) . '/borders.csv';
my $session = $node->background_psql('postgres');
$session->set_query_timer_restart();

$session->query_safe(<<'EOF');
SET client_min_messages = warning;
CREATE TABLE t (n text, a text, b text);
CREATE FUNCTION kwjobs_test_borders(path text, content bytea, options jsonb, target regclass, step integer)
RETURNS text LANGUAGE c AS '$libdir/kwjobs';
EOF

# Compares the ends of the records in this text. Returns the first difference, or how many were
# compared.
sub borders
{
	my ($d, $bytes, $step) = @_;
	write_file($path, $bytes);
	return $session->query_safe("SELECT kwjobs_test_borders('$path', '\\x" . unpack('H*', $bytes)
		  . "', " . import_options({ %$d, skip => 0 }) . ", 't', $step)");
}

my %compared;

sub check
{
	my ($kind, $d, $bytes, $step) = @_;
	my $result = borders($d, $bytes, $step // 1);
	$compared{$kind} += $result if $result =~ /^\d+$/;
	return 1 if $result =~ /^\d+$/;
	fail("$kind: $result");
	diag("KWJ_SEED=$seed: ", join(' ', map { "$_=" . unpack('H*', $d->{$_}) } sort keys %$d), "\n", unpack('H*', $bytes));
	return 0;
}

sub is_right
{
	my ($kind, $wrong) = @_;
	is($wrong, 0, "$kind: " . ($compared{$kind} // 0) . ' ends of records are those of COPY');
	cmp_ok($compared{$kind} // 0, '>', 100, '... and these are many');
	return;
}

# Files of which each byte may mean something.
{
	my $wrong = 0;
	for my $i (1 .. $cases)
	{
		srand($seed + $i);
		my $d = random_dialect();
		my @parts = ($d->{enclosed}, $d->{enclosed}, $d->{escaped}, $d->{delimiter}, $d->{line_end},
			$d->{line_end}, "\n", "\r", "\r\n", "\\", "\\.", 'a', "\xc3\xa9", ' ');
		@parts = grep { !/^[\r\n]+$/ || $_ eq $d->{line_end} } @parts if rand() < 0.5;
		my $bytes = join('', map { pick(@parts) } 1 .. between(1, 40));
		$wrong += !check('bytes with a meaning', $d, $bytes);
	}
	is_right('bytes with a meaning', $wrong);
}

# Files of records, which may be damaged.
{
	my $wrong = 0;
	for my $i (1 .. $cases / 6)
	{
		srand($seed + 10000 + $i);
		my $d = random_dialect();
		$d->{large} = 0;
		my ($records, @contents) = random_files($d);
		my $bytes = substr($contents[0], 0, 600);
		$bytes = damage($d, $bytes) if rand() < 0.3;
		$wrong += !check('records', $d, $bytes, between(1, 5));
	}
	is_right('records', $wrong);
}

# Fields that are longer than what the reader reads at a time (256 kB).
{
	my $wrong = 0;
	for my $i (1 .. 12)
	{
		srand($seed + 20000 + $i);
		my $d = random_dialect();
		my $field = sub {
			my ($length) = @_;
			my $text = pick('x', 'yy', $d->{line_end}, $d->{escaped} . $d->{enclosed}, $d->{delimiter}) x ($length / 2);
			return $d->{enclosed} . $text . $d->{enclosed};
		};
		my $bytes = join('', map { $_ . $d->{delimiter} . $field->(between(1, 200000)) . $d->{line_end} } 1 .. 12);
		$wrong += !check('long fields', $d, $bytes, between(50000, 70000));
	}
	is_right('long fields', $wrong);
}

# Encodings in which a byte of a character may be that of a quote or an escape character. After \r, COPY
# has converted the next character already, so nobody knows how many bytes of the file that was.
for my $charset (qw(SJIS BIG5 GBK GB18030))
{
	my $wrong = 0;
	for my $i (1 .. $cases / 4)
	{
		srand($seed + 30000 + $i);
		my $d = random_dialect();
		$d->{charset} = $charset;
		$d->{line_end} = pick("\n", "\r\n");
		$d->{enclosed} = pick('"', '|') if $d->{delimiter} ne '|';
		$d->{escaped} = pick($d->{enclosed}, "\\", "\\");
		my @parts = ($d->{enclosed}, $d->{enclosed}, $d->{escaped}, $d->{delimiter}, $d->{line_end}, $d->{line_end});
		my $bytes = join('', map { pick(@parts, characters_of($charset)) } 1 .. between(1, 40));
		$wrong += !check($charset, $d, $bytes);
	}
	is_right($charset, $wrong);
}

# The text format: a backslash protects what follows it, in encodings of all kinds. (With \. COPY ends.)
for my $charset (qw(UTF8 GBK SJIS))
{
	my $wrong = 0;
	for my $i (1 .. $cases / 2)
	{
		srand($seed + 40000 + $i);
		my $d = { format => 'text', delimiter => pick("\t", ',', '|'), nullif => pick("\\N", ''), line_end => pick("\n", "\r\n"), charset => $charset };
		$d->{line_end} = "\r" if $charset eq 'UTF8' && rand() < 0.3;
		my @parts = ("\\", "\\", "\\\\", $d->{delimiter}, $d->{line_end}, $d->{line_end}, "\\$d->{line_end}", "\\N", "\\x41");
		my $bytes = join('', map { pick(@parts, characters_of($charset)) } 1 .. between(1, 40));
		$wrong += !check("text in $charset", $d, $bytes);
	}
	is_right("text in $charset", $wrong);
}

$session->quit;
$node->stop;
done_testing();
