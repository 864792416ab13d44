# The arithmetic of schedules: cases of which the right answer is known (t/cron_cases.tsv), what any
# text brings, and what a rare expression costs. t/139_cron_oracle.pl compares with an oracle.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{KWJ_SEED} // time;
note("KWJ_SEED=$seed");

# fuzz/cron tries more texts.
my $factor = $ENV{KWJ_CRON_CASES} ? 100 : 1;

my $node = new_node('cron', undef, extra => [ '--no-locale', '--encoding=UTF8' ]);

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub quoted { return "'" . ($_[0] =~ s/'/''/gr) . "'" }

# outcome returns the instants of next_runs in its order, and "none" after them if these are fewer than
# n; or the three texts of the error. expected writes a list of instants in the same way.
sql(<<'EOF');
CREATE FUNCTION outcome(cron text, n integer, zone text, after timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    m text; d text; h text; runs text[];
BEGIN
    runs := ARRAY(SELECT r::text FROM kwjobs.next_runs(cron, n, zone, after) WITH ORDINALITY AS t (r, i) ORDER BY i);
    RETURN array_to_string(CASE WHEN cardinality(runs) < n THEN runs || 'none'::text ELSE runs END, ', ');
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', 'error: ' || m, d, h);
END $$;
CREATE FUNCTION expected(list text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(CASE e WHEN 'none' THEN e ELSE e::timestamptz::text END, ', ' ORDER BY i)
      FROM string_to_table(list, ', ') WITH ORDINALITY AS t (e, i);
$$;
EOF

# Tries each case in two sessions. Their own time zones have other clock changes than the case's zone,
# and must not matter.
my $file = "$FindBin::RealBin/cron_cases.tsv";
my @cases = map { chomp; [ split /\t/ ] } grep { !/^(#|$)/ } split /^/m, slurp_file($file);
ok(@cases > 100, "there are cases: " . @cases);
for my $session ('America/New_York', 'Australia/Lord_Howe')
{
	my @rows;
	for my $case (@cases)
	{
		my ($cron, $zone, $after, $expected) = @$case;
		my $n = $expected =~ /^error/ ? 1 : scalar(my @wanted = split /, /, $expected);
		push @rows, sprintf "(%d, outcome(%s, %d, %s, '%s'), %s)", scalar @rows, quoted($cron), $n, quoted($zone),
		  $after, $expected =~ /^error/ ? quoted($expected) : 'expected(' . quoted($expected) . ')';
	}
	my %got;
	for my $line (split /\n/, sql("SET timezone = '$session'; SELECT n || E'\\t' || got || E'\\t' || expected FROM (VALUES "
			  . join(",\n", @rows) . ') AS t (n, got, expected) ORDER BY n'))
	{
		my ($n, @answer) = split /\t/, $line;
		$got{$n} = \@answer;
	}
	for my $n (0 .. $#cases)
	{
		my ($cron, $zone, $after, $wanted, $note) = @{ $cases[$n] };
		my ($got, $expected) = @{ $got{$n} // [ 'no answer', $wanted ] };
		my $name = "'$cron' in $zone after $after, seen from $session";
		if ($wanted =~ /^error: (.*)/)
		{
			like($got, qr/^error: .*\Q$1\E/, $name);
		}
		else
		{
			is($got, $expected, $name);
		}
	}
}
is(sql(q{SELECT count(*), min(r), max(r) FROM kwjobs.next_runs('0 0 13 * 5', 100, 'UTC', '2025-12-31 12:00+00') AS r
          WHERE r < '2027-01-01 00:00+00'}) =~ s/\|.*//r,
	'61', 'the 13th or a Friday: 61 days of 2026 (parse-crontab#49: got 3)');

# For random texts, kwjobs returns instants that ascend, or an error that says what to do. One database
# is in SQL_ASCII, which allows any bytes.
sql(<<'EOF');
CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
EOF
my $fuzz = <<'EOF';
CREATE EXTENSION IF NOT EXISTS kwjobs;
CREATE FUNCTION made(alphabet text[], most integer) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(string_agg(alphabet[1 + floor(random() * cardinality(alphabet))::integer], ''), '')
      FROM generate_series(1, floor(random() * (most + 1))::integer);
$$;
CREATE FUNCTION try(cron text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    m text; d text; h text; told text; after timestamptz := to_timestamp(floor(random() * 4e9)) - interval '0.5 s'; run timestamptz;
    zone text := (ARRAY['UTC', 'Europe/Berlin', 'Australia/Lord_Howe', 'America/Havana'])[1 + floor(random() * 4)::integer];
BEGIN
    told := kwjobs.describe(cron);
    FOR run IN SELECT kwjobs.next_runs(cron, 5, zone, after) LOOP
        IF run <= after THEN
            RETURN format('%s is due at %s, after %s', cron, run, after);
        END IF;
        after := run;
    END LOOP;
    RETURN CASE WHEN length(told) > 5 THEN 'understood' ELSE 'described as ' || told END;
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN CASE WHEN m <> '' AND d <> '' AND h <> '' AND length(m || d || h) < 1000 THEN 'refused' ELSE 'badly refused: ' || m END;
END $$;
EOF
my $bytes = "ARRAY(SELECT chr(n) FROM generate_series(1, 255) AS n)";
my $words = "ARRAY[' ', ' ', ' ', '*', '*', '0', '1', '2', '5', '7', '9', '31', '59', ',', '-', '/', 'L', 'W', '#', '?', "
  . "'mon', 'sun', 'jan', 'december', '\@', ':', '.', 'day', 'hours', 's', 'PT', 'ago', '\$', E'\\t', '2024', '-1']";
my $fields = "ARRAY['* ', '*/5 ', '0 ', '1-5 ', '5-3 ', '1,L ', 'LW ', '15W ', 'mon-sun ', 'friL ', '2#2 ', '? ', 'feb ', '30 ', '2/2 ', '7 ', '1-31/7 ']";
for my $database ('postgres', 'bytes')
{
	$node->safe_psql($database, $fuzz);
	for my $kind ([ 'bytes', $bytes, 60, 1000 ], [ 'words', $words, 20, 2000 ], [ 'long words', $words, 900, 100 ],
		[ 'fields', $fields, 7, 4000 ])
	{
		my ($name, $alphabet, $most, $n) = @$kind;
		$n *= $factor;
		my %counts = map { split /\|/ } split /\n/, $node->safe_psql($database,
			"SELECT setseed(" . ($seed % 1000) / 1000 . "); SELECT try, count(*) FROM (SELECT try(made(a, $most)) FROM (SELECT $alphabet AS a) AS t, generate_series(1, $n)) AS t GROUP BY 1")
		  =~ s/^\n//r;
		my $known = ($counts{understood} // 0) + ($counts{refused} // 0);
		is($known, $n, "random $name in database $database are understood or refused (KWJ_SEED=$seed)") or diag(explain(\%counts));
		cmp_ok($counts{understood} // 0, '>', $n / 200, "... and many understood") if $name eq 'fields';
		cmp_ok($counts{refused} // 0, '>', $n / 50, "... and many refused");
	}
}

# A rare expression costs microseconds, because kwjobs does not walk over the 14 million minutes to
# the next time.
my ($rare, $often) = map {
	sql("SELECT clock_timestamp() AS began \\gset\nSELECT count(r) FROM generate_series(1, 10000) AS i,
	     kwjobs.next_runs('$_', 1, 'Europe/Berlin', '2016-02-29 12:00+00'::timestamptz + i * interval '1 second') AS r;
	     SELECT 1000 * extract(epoch FROM clock_timestamp() - :'began')") =~ /^10000\n(.*)/ ? $1 / 10 : die
} ('0 0 * 2 mon#5', '* * * * *');
note("microseconds for parsing and the next instant: 29 February on a Monday $rare, each minute $often");
cmp_ok($rare, '<', 500, 'the next 29 February on a Monday takes microseconds');

# A call that asks for much can be canceled, and a query that has enough stops it.
is(sql("SET timezone = 'UTC'; SELECT kwjobs.next_runs('* * * * *', 10000, 'UTC', '2026-01-01 00:00+00') LIMIT 1"), '2026-01-01 00:01:00+00', 'LIMIT');
my ($rc, $out, $err) = $node->psql('postgres',
	"SET statement_timeout = '100ms'; SELECT max(r) FROM generate_series(1, 1000000) AS i, kwjobs.next_runs('* * * * * * *', 10000, 'UTC', to_timestamp(i)) AS r");
like($err, qr/canceling statement due to statement timeout/, 'interrupts are heard');

$node->stop;
done_testing();
