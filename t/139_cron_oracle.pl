# kwjobs.next_runs against an oracle (t/lib/KwjCron.pm) that walks over all minutes, seconds or days:
# random expressions at clock changes, over the years, and intervals. fuzz/cron compares at least
# KWJ_CRON_CASES expressions, zones and instants, among them each clock change of 30 years in each
# zone; without it a few are taken. KWJ_SEED repeats a run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjCron;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{KWJ_SEED} // time;
my $wanted = $ENV{KWJ_CRON_CASES};
note("KWJ_SEED=$seed");
srand($seed);

my $node = new_node('cron_oracle', "max_parallel_workers_per_gather = 0\ntimezone = 'UTC'\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub rows { return split /\n/, sql($_[0]) }

# after_each returns the next due time of an expression after each of these instants, and 0 where it is
# not due any more. chain returns the next n due times after one instant. clock returns what the zone's
# clock shows at instants. All of them are seconds since 1970.
sql(<<'EOF');
CREATE FUNCTION after_each(cron text, zone text, instants bigint[]) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(coalesce(extract(epoch FROM r)::bigint, 0)::text, ' ' ORDER BY i)
      FROM unnest(instants) WITH ORDINALITY AS t (e, i)
      LEFT JOIN LATERAL kwjobs.next_runs(cron, 1, zone, to_timestamp(e)) AS r ON true;
$$;
CREATE FUNCTION chain(cron text, zone text, after bigint, n integer) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(extract(epoch FROM r)::bigint::text, ' ' ORDER BY i), '')
      FROM kwjobs.next_runs(cron, n, zone, to_timestamp(after)) WITH ORDINALITY AS t (r, i);
$$;
CREATE FUNCTION clock(zone text, first bigint, last bigint, step integer) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(extract(epoch FROM to_timestamp(e) AT TIME ZONE zone)::bigint::text, ' ' ORDER BY e)
      FROM generate_series(first, last, step) AS e;
$$;
EOF

my $cases = 0;
my @wrong;

# One test for all comparisons since the last one.
sub none_wrong
{
	my ($name) = @_;
	is(scalar @wrong, 0, $name) or diag(join "\n", grep { defined } @wrong[ 0 .. 9 ]);
	@wrong = ();
	return;
}

# Compares what kwjobs says of one expression with the oracle: @$answers are the next due times after
# each of @$instants, and @$chain those after the first instant. The oracle knows all due times up to
# $last, which are @due. All of these are in ascending order.
sub compare
{
	my ($cron, $zone, $instants, $answers, $chain, $last, @due) = @_;
	my @left = @due;
	for my $n (0 .. $#$instants)
	{
		my ($after, $answer) = ($instants->[$n], $answers->[$n]);
		shift @left while @left && $left[0] <= $after;
		$cases++;
		push @wrong, "$cron->{text} in $zone after $after: $answer, expected " . ($left[0] // "something after $last")
		  if @left ? $answer != $left[0] : ($answer != 0 && $answer <= $last);
	}
	my @expected = grep { $_ > $instants->[0] } @due;
	my @got = @$chain;
	$#expected = $#got if $#expected > $#got;
	$#got = $#expected if $#got > $#expected;
	push @wrong, "$cron->{text} in $zone from $instants->[0]: @got, expected @expected" if "@got" ne "@expected";
	return;
}

# Returns a random expression that means some day, mostly at some of the hours in @near. (Expressions
# that can never be due are errors, and are tried below.)
sub possible_cron
{
	my ($table, $seconds, @near) = @_;
	while (1)
	{
		my @hours = sort { $a <=> $b } grep { rand() < 0.4 } @near;
		@hours = (random_of(@near)) if !@hours;
		my $cron = random_cron(seconds => $seconds, hours => \@hours, stars => 0.85);
		for my $n (13880 .. 24836)
		{
			return $cron if means_day($cron, $table->{$n});
		}
	}
	return;
}

# @locals: what the clock shows at instants that are $step seconds apart. Returns the numbers of those
# before which the clock was changed.
sub changes_of
{
	my ($step, @locals) = @_;
	return grep { $locals[$_] - $locals[ $_ - 1 ] != $step } 1 .. $#locals;
}

# Returns expressions and instants for a window in which the clock is changed at number $change. The
# hours of the expressions are around those that the clock shows there, and half of the instants are
# near the change.
sub tries_of
{
	my ($table, $n_crons, $n_instants, $window, $change, @locals) = @_;
	my ($zone, $first, $last, $step) = @$window;
	my %near = map { $_ => 1 } map { my $hour = int($_ / 3600); map { ($hour + $_) % 24 } -1 .. 1 } @locals[ $change - 1, $change ];
	my $at = $first + $change * $step;
	my @tries;
	for (1 .. $n_crons)
	{
		my $cron = possible_cron($table, $step == 1, sort keys %near);
		my @instants = sort { $a <=> $b } grep { $_ > $first && $_ < $last }
		  map { rand() < 0.5 ? $at - 7200 + int rand(14400) : $first + $step + int rand($last - $first - 2 * $step) } 1 .. $n_instants;
		push @tries, [ $window, $cron, \@instants, \@locals ] if @instants;
	}
	return @tries;
}

# @windows: spans of time, [zone, first instant, last instant, step]. Compares some expressions at some
# instants in each of them. Returns the clock changes that it has found, as [zone, instant].
sub try_windows
{
	my ($n_crons, $n_instants, @windows) = @_;
	my $table = day_table(0, 25000);
	my (@changes, $told);
	while (my @batch = splice(@windows, 0, 20))
	{
		my @tries;
		my @clocks = rows(join '', map { sprintf "SELECT clock('%s', %d, %d, %d);\n", @$_ } @batch);
		for my $n (0 .. $#batch)
		{
			my ($zone, $first, undef, $step) = @{ $batch[$n] };
			my @locals = split / /, $clocks[$n];
			my @found = changes_of($step, @locals);
			push @changes, map { [ $zone, $first + $_ * $step ] } @found;
			push @tries, tries_of($table, $n_crons, $n_instants, $batch[$n], random_of(@found), @locals) if @found;
		}
		my @answers = rows(join '', map {
				my ($window, $cron, $instants) = @$_;
				"SELECT after_each('$cron->{text}', '$window->[0]', '{" . join(',', @$instants) . "}');\n"
				  . "SELECT chain('$cron->{text}', '$window->[0]', $instants->[0], 12);\n"
			} @tries);
		for my $try (@tries)
		{
			my ($window, $cron, $instants, $locals) = @$try;
			my ($zone, $first, $last, $step) = @$window;
			compare($cron, $zone, $instants, [ split / /, shift @answers ], [ split / /, shift @answers ],
				$last, due_times($cron, $table, $first, $step, $locals));
		}
		if ($wanted && $cases >= ($told // 0) + 100000)
		{
			diag("$cases cases, " . scalar(@wrong) . ' wrong');
			$told = $cases;
		}
	}
	return @changes;
}

# @windows are the days of 30 years in which a zone's clock is changed; of all zones, or of a few.
my @zones = rows(q{SELECT name FROM pg_timezone_names WHERE name !~ '^(posix|right)/' ORDER BY 1});
cmp_ok(scalar @zones, '>', 300, 'there are zones');
my @some = $wanted ? @zones : ('Australia/Lord_Howe', 'Europe/Berlin', 'America/Havana', map { random_of(@zones) } 1 .. 5);
my @windows;
for my $zone (@some)
{
	push @windows, map { [ $zone, $_ - 27 * 3600, $_ + 5 * 3600, 60 ] } rows(<<"EOF");
SELECT extract(epoch FROM t)::bigint
  FROM (SELECT t, (t AT TIME ZONE '$zone') - lag(t AT TIME ZONE '$zone') OVER (ORDER BY t) AS step
          FROM generate_series('2007-01-01 00:00+00'::timestamptz, '2037-01-01 00:00+00', '1 day') AS t) AS d
 WHERE step <> '1 day' ORDER BY 1
EOF
}
note(scalar(@windows) . ' clock changes');
@windows = map { $windows[ rand @windows ] } 1 .. 40 if !$wanted;
my @changes = try_windows($wanted ? (2, 45) : (5, 10), @windows);
cmp_ok(scalar @changes, '>=', @windows, 'each window has a change of the clock in it');
none_wrong("minute by minute at clock changes ($cases)");

# Second by second at some of the changes; the clock changes by at most an hour there.
my $before = $cases;
@windows = map { [ $_->[0], $_->[1] - 5400, $_->[1] + 5400, 1 ] } map { $changes[ rand @changes ] } 1 .. ($wanted ? 300 : 2);
try_windows($wanted ? (3, 40) : (3, 10), grep { $_->[0] !~ /Apia|Fakaofo|Samoa|Casey|Vostok|Troll|Pyongyang/ } @windows);
none_wrong('second by second at clock changes (' . ($cases - $before) . ')');

# Over the years, day by day, at a time of day that each day has once: rare days, years, and
# expressions that can never be due.
$before = $cases;
my @dates = do { my $table = day_table(0, 47482); map { $table->{$_} } 0 .. 47481 };
is("$dates[-1]{year}-$dates[-1]{month}-$dates[-1]{day}", '2099-12-31', 'the last day');
my @ordinary = qw(UTC Europe/Berlin America/New_York Australia/Lord_Howe Asia/Kolkata America/Sao_Paulo Africa/Cairo Pacific/Chatham);
my $never = 0;
for (1 .. ($wanted ? 500 : 12))
{
	my $zone = random_of(@ordinary);
	my $cron = random_cron(stars => random_of(0.1, 0.3, 0.5), years => rand() < 0.5);
	$cron->{text} =~ s/^\S+ +\S+/30 12/;
	my @due = grep { means_day($cron, $dates[$_]) } 0 .. $#dates;
	if (!@due)
	{
		$never++;
		my ($rc, $out, $err) = $node->psql('postgres', "SELECT kwjobs.describe('$cron->{text}')");
		push @wrong, "$cron->{text} is not refused: $out$err" if $err !~ /can never be due/;
		next;
	}
	my (@locals, @expected);
	for (1 .. 200)
	{
		my $local = int rand(86400 * (@dates + 1000)) - 86400 * 500;
		push @locals, $local;
		# the first due day of which 12:30 is after it
		my ($low, $high) = (0, scalar @due);
		while ($low < $high)
		{
			my $middle = int(($low + $high) / 2);
			if ($due[$middle] * 86400 + 45000 > $local) { $high = $middle }
			else { $low = $middle + 1 }
		}
		push @expected, $low < @due ? $due[$low] * 86400 + 45000 : 'NULL';
	}
	my $pairs = join ',', map { "($locals[$_], $expected[$_]::bigint)" } 0 .. $#locals;
	push @wrong, map { "$cron->{text} in $zone: $_" } rows(<<"EOF");
WITH pair AS (SELECT (timestamp '1970-01-01' + local * interval '1 s') AT TIME ZONE '$zone' AS after,
                     (timestamp '1970-01-01' + expected * interval '1 s') AT TIME ZONE '$zone' AS expected
                FROM (VALUES $pairs) AS t (local, expected))
SELECT after, r, expected FROM pair LEFT JOIN LATERAL kwjobs.next_runs('$cron->{text}', 1, '$zone', after) AS r ON true
 WHERE r IS DISTINCT FROM expected
EOF
	$cases += 200;
}
none_wrong('day by day over 130 years (' . ($cases - $before) . "), and $never that can never be due");

# Intervals. Those of hours, minutes and seconds are PostgreSQL's sums. Of months and days, each due
# time is the first instant at which the clock shows the sum, or a later time.
$before = $cases;
my $n = $wanted ? 5000 : 100;
for my $zone (@ordinary)
{
	$cases += 6 * 2 * $n;
	push @wrong, map { "in $zone: $_" } rows('SELECT setseed(' . rand() . "); " . <<"EOF");
WITH made AS MATERIALIZED (
    SELECT to_timestamp(floor(random() * 3e9)) AS after,
           make_interval(hours => floor(random() * 50)::int, mins => floor(random() * 100)::int, secs => 1 + floor(random() * 100)::int) AS elapsed,
           make_interval(months => floor(random() * 15)::int, days => 1 + floor(random() * 40)::int) AS calendar
      FROM generate_series(1, $n)),
run AS (
    SELECT after, elapsed AS every, r, after + i * elapsed AS sum, NULL::timestamp AS shown
      FROM made, kwjobs.next_runs(elapsed::text, 6, '$zone', after) WITH ORDINALITY AS t (r, i)
    UNION ALL
    SELECT after, calendar, r, NULL, (after AT TIME ZONE '$zone') + i * calendar
      FROM made, kwjobs.next_runs(calendar::text, 6, '$zone', after) WITH ORDINALITY AS t (r, i))
SELECT after, every, r FROM run
 WHERE r <> sum OR r AT TIME ZONE '$zone' < shown OR (r - interval '1 s') AT TIME ZONE '$zone' >= shown
UNION ALL SELECT NULL, NULL, NULL WHERE (SELECT count(*) FROM run) <> 6 * 2 * $n
EOF
}
none_wrong('intervals (' . ($cases - $before) . ')');

cmp_ok($cases, '>=', $wanted // 5000, "$cases expressions, zones and instants were compared");
diag("$cases expressions, zones and instants were compared") if $wanted;

$node->stop;
done_testing();
