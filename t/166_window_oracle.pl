# kwjobs.next_windows against an oracle that walks over all minutes: random windows, zones and instants,
# mostly over changes of the clock. What the clock of a zone shows is PostgreSQL's AT TIME ZONE. With
# KWJ_CRON_CASES, as fuzz/cron sets it, many changes of 30 years in all zones are tried, else a few.
# KWJ_SEED repeats a run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{KWJ_SEED} // time;
my $wanted = $ENV{KWJ_CRON_CASES};
note("KWJ_SEED=$seed");
srand($seed);

my $node = new_node('window_oracle', "max_parallel_workers_per_gather = 0\ntimezone = 'UTC'\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub rows { return split /\n/, sql($_[0]) }
sub random_of { return $_[ int rand @_ ] }

# times returns the next n times of a window from each of these instants on: opens-closes, in seconds
# since 1970, with x where there is no end. clock returns what a zone's clock shows at instants.
sql(<<'EOF');
CREATE FUNCTION times("window" text, zone text, instants bigint[], n integer) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('timezone', zone, true);
    RETURN (SELECT string_agg(t.times, ';' ORDER BY i) FROM unnest(instants) WITH ORDINALITY AS u (e, i) CROSS JOIN LATERAL (
        SELECT string_agg(extract(epoch FROM opens)::bigint || '-' ||
                          CASE WHEN closes = 'infinity' THEN 'x' ELSE extract(epoch FROM closes)::bigint::text END, ' ' ORDER BY opens)
          FROM kwjobs.next_windows("window", n, to_timestamp(e))) AS t (times));
END $$;
CREATE FUNCTION clock(zone text, first bigint, last bigint) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(extract(epoch FROM to_timestamp(e) AT TIME ZONE zone)::bigint::text, ' ' ORDER BY e)
      FROM generate_series(first, last, 60) AS e;
$$;
EOF

my @names = qw(Monday Tuesday Wednesday Thursday Friday Saturday Sunday);

# A day of the week as somebody might write it, from its number: Monday is 0.
sub written_day
{
	my ($day) = @_;
	my $name = $names[$day];
	$name = substr($name, 0, 3) if rand() < 0.7;
	return random_of($name, lc $name, lc $name, uc $name);
}

sub blank { return random_of('', '', '', ' ') }

# A time of day near to these minutes, in which the clock changes, or any.
sub random_minute
{
	my (@near) = @_;
	return int rand(1441) if !@near || rand() < 0.3;
	return (random_of(@near) + random_of(0, 0, 1, -1, 15, -15, 30, -30, 60, -60, int(rand(240)) - 120)) % 1440;
}

# A list of days as it is written, and as a set of numbers.
sub random_days
{
	my (@items, %days);
	for (1 .. random_of(1, 1, 2, 3))
	{
		my $first = int rand 7;
		my $last = rand() < 0.5 ? $first : int rand 7;
		push @items, $first == $last && rand() < 0.9 ? written_day($first) : written_day($first) . blank() . '-' . blank() . written_day($last);
		$days{ ($first + $_) % 7 } = 1 for 0 .. ($last - $first) % 7;
	}
	return (join(',' . blank(), @items), \%days);
}

# A range of times as it is written, and its first and last minute.
sub random_range
{
	my (@near) = @_;
	my $first = random_minute(@near) % 1440;
	my $last = random_minute(@near);
	$last = ($first + 60) % 1440 if $last == $first;
	return (sprintf(random_of('%02d:%02d', '%d:%02d'), int($first / 60), $first % 60) . blank() . '-' . blank()
		  . sprintf('%02d:%02d', int($last / 60), $last % 60), $first, $last);
}

# Returns a random window: its text, and what it means, as a list of [days, first minute, last minute].
sub random_window
{
	my (@near) = @_;
	my (@texts, @parts);
	for (1 .. random_of(1, 1, 1, 2, 3))
	{
		my ($text, $days) = rand() < 0.6 ? random_days() : ('', { map { $_ => 1 } 0 .. 6 });
		my @ranges;
		if ($text eq '' || rand() < 0.7)
		{
			for (1 .. random_of(1, 1, 1, 2))
			{
				my ($range, $first, $last) = random_range(@near);
				push @ranges, $range;
				push @parts, [ $days, $first, $last ];
			}
		}
		else { push @parts, [ $days, 0, 1440 ] }
		push @texts, $text . ($text ne '' && @ranges ? ' ' : '') . join(',' . blank(), @ranges);
	}
	return { text => join(blank() . ';' . blank(), @texts), parts => \@parts };
}

# Whether a window is open while a clock shows this, in seconds since it showed the beginning of 1970,
# which was a Thursday.
sub is_open
{
	my ($window, $local) = @_;
	my $day = int($local / 86400);
	my $minute = int($local % 86400 / 60);
	for my $part (@{ $window->{parts} })
	{
		my ($days, $first, $last) = @$part;
		my ($today, $yesterday) = (($day + 3) % 7, ($day + 2) % 7);
		return 1 if $last > $first && $days->{$today} && $minute >= $first && $minute < $last;
		return 1 if $last < $first && (($days->{$today} && $minute >= $first) || ($days->{$yesterday} && $minute < $last));
	}
	return 0;
}

# The times in which a window is open, from an instant on, up to the last minute that is known, as times
# returns them. @$open: whether it is open in each minute from $start on.
sub times_from
{
	my ($open, $start, $from) = @_;
	my $n = int(($from - $start) / 60);
	my @times;
	my $opens = $open->[$n] ? $from : undef;
	for my $i ($n + 1 .. $#$open)
	{
		next if $open->[$i] == $open->[ $i - 1 ];
		push @times, "$opens-" . ($start + 60 * $i) if defined $opens;
		$opens = $open->[$i] ? $start + 60 * $i : undef;
	}
	return @times;
}

my ($cases, @wrong) = (0);

# Compares what kwjobs says of a window with the oracle: @$times from the instant on.
sub compare
{
	my ($window, $zone, $from, $start, $open, $times) = @_;
	my @expected = times_from($open, $start, $from);
	# The minutes that are known end at some time, and six times are asked for.
	my $n = @expected < @$times ? @expected : @$times;
	my ($got, $wanted) = map { join(' ', @{$_}[ 0 .. $n - 1 ]) } $times, \@expected;
	$cases++;
	push @wrong, "'$window->{text}' in $zone from $from: $got, expected $wanted" if $got ne $wanted || (@$times < 6 && @$times < @expected);
	push @wrong, "'$window->{text}' in $zone from $from: there is no end" if @$times && $times->[-1] =~ /x$/ && grep { !$_ } @$open;
	return;
}

# Returns windows and instants for a span of time, @$span: zone, first and last instant. @locals: what
# the clock shows in each minute of it. Half of the instants are near to changes of the clock.
sub tries_of
{
	my ($n_windows, $n_instants, $span, @locals) = @_;
	my ($zone, $first, $last) = @$span;
	my @changes = grep { $locals[$_] - $locals[ $_ - 1 ] != 60 } 1 .. $#locals;
	my @near = map { int($_ % 86400 / 60) } map { @locals[ $_ - 1, $_ ] } @changes;
	my @tries;
	for (1 .. $n_windows)
	{
		my $window = random_window(@near);
		my @instants = grep { $_ > $first && $_ < $last }
		  map { @changes && rand() < 0.5 ? $first + 60 * random_of(@changes) + int(rand(14400)) - 7200 : $first + int rand($last - $first) } 1 .. $n_instants;
		push @tries, [ $window, $zone, \@instants, $first, [ map { is_open($window, $_) } @locals ] ] if @instants;
	}
	return @tries;
}

sub try_spans
{
	my ($n_windows, $n_instants, @spans) = @_;
	while (my @batch = splice(@spans, 0, 20))
	{
		my @clocks = rows(join '', map { "SELECT clock('$_->[0]', $_->[1], $_->[2]);\n" } @batch);
		my @tries = map { tries_of($n_windows, $n_instants, $batch[$_], split(/ /, $clocks[$_])) } 0 .. $#batch;
		# The zone is in the window's text, or that of the session.
		my @answers = rows(join '', map {
				my ($window, $zone, $instants) = @$_;
				my ($in_text, $of_session) = rand() < 0.7 ? (" $zone", 'UTC') : ('', $zone);
				"SELECT times('$window->{text}$in_text', '$of_session', '{" . join(',', @$instants) . "}', 6);\n"
			} @tries);
		for my $try (@tries)
		{
			my ($window, $zone, $instants, $start, $open) = @$try;
			my @got = split /;/, shift @answers;
			compare($window, $zone, $instants->[$_], $start, $open, [ split / /, $got[$_] // '' ]) for 0 .. $#$instants;
		}
	}
	return;
}

# One test for all comparisons since the last one.
sub none_wrong
{
	my ($name) = @_;
	is(scalar @wrong, 0, $name) or diag(join "\n", grep { defined } @wrong[ 0 .. 9 ]);
	@wrong = ();
	return;
}

# Six days before a change of the clock, and three behind it, so that each day of the week is there.
# For AT TIME ZONE, with which the oracle works, WET is an abbreviation without summer time, not the zone of this name.
my @zones = rows(q{SELECT name FROM pg_timezone_names WHERE name !~ '^(posix|right)/'
	AND upper(name) NOT IN (SELECT abbrev FROM pg_timezone_abbrevs) ORDER BY 1});
cmp_ok(scalar @zones, '>', 300, 'there are zones');
my @some = $wanted ? @zones : ('Australia/Lord_Howe', 'Europe/Berlin', 'Pacific/Apia', map { random_of(@zones) } 1 .. 4);
my @spans;
for my $zone (@some)
{
	push @spans, map { [ $zone, $_ - 6 * 86400, $_ + 3 * 86400 ] } rows(<<"EOF");
SELECT extract(epoch FROM t)::bigint
  FROM (SELECT t, (t AT TIME ZONE '$zone') - lag(t AT TIME ZONE '$zone') OVER (ORDER BY t) AS step
          FROM generate_series('2007-01-01 00:00+00'::timestamptz, '2037-01-01 00:00+00', '1 day') AS t) AS d
 WHERE step <> '1 day' ORDER BY 1
EOF
}
note(scalar(@spans) . ' clock changes');
try_spans($wanted ? (2, 45) : (5, 10), map { $spans[ rand @spans ] } 1 .. ($wanted ? 1500 : 40));
none_wrong("$cases windows, zones and instants at changes of the clock");

# And at any time.
my $before = $cases;
try_spans(3, 10, map { my $from = 86400 + 60 * int rand(60_000_000); [ random_of(@zones), $from, $from + 9 * 86400 ] } 1 .. ($wanted ? 500 : 20));
none_wrong(($cases - $before) . ' at any time');
cmp_ok($cases, '>=', 1000, "$cases cases were compared");
diag("$cases windows, zones and instants were compared") if $wanted;

$node->stop;
done_testing();
