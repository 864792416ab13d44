# Random cron expressions together with what they mean, and an oracle that is slow and obvious: it
# walks over all minutes (or seconds, or days), and asks of each whether the expression means it.
#
# The meaning is made beside the text, and never read from it. What a zone's clock shows comes from
# PostgreSQL (AT TIME ZONE); days of months and weeks come from Perl's gmtime.

package KwjCron;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(random_cron random_of means_day due_times day_table);

my @months = qw(jan feb mar apr may jun jul aug sep oct nov dec);
my @weekdays = qw(sun mon tue wed thu fri sat);

sub random_of { return $_[ int rand @_ ] }

# A number as it may be written: a name now and then, in any case.
sub written
{
	my ($field, $n) = @_;
	return $n if $field !~ /^(month|weekday)$/ || rand() < 0.5;
	my $name = $field eq 'month' ? $months[ $n - 1 ] : $weekdays[ $n % 7 ];
	return random_of($name, uc $name, ucfirst $name);
}

# One item of a field: its text, and the values that it means.
sub item
{
	my ($field, $min, $max, $most) = @_;
	my $first = $min + int rand($most - $min + 1);
	my $kind = rand();
	return (written($field, $first), $first) if $kind < 0.5;
	my $step = 1 + int rand($max - $min > 8 ? 8 : 3);
	if ($kind < 0.6)
	{
		# from a value to the end; that of a week is Saturday
		my $from = $first > $max ? $min : $first;
		return ("$first/$step", grep { ($_ - $from) % $step == 0 } $from .. $max);
	}
	my $last = $first + int rand($most - $first + 1);
	my $text = written($field, $first);
	# Sunday's name begins a week, or ends one that has begun before: sun-sun is one day, and not 0-7.
	$text = $first if $first == 7;
	$text .= '-' . ($field eq 'weekday' && $first == 0 && $last == 7 ? 7 : written($field, $last));
	return ($text, $first .. $last) if $kind < 0.8;
	return ("$text/$step", grep { ($_ - $first) % $step == 0 } $first .. $last);
}

# A field that is a set of numbers: its text, the set, whether a * stands in it, and whether it means
# any value.
sub numbers
{
	my ($field, $min, $max, $most, $star) = @_;
	my (@texts, %set, $wildcard, $any);
	if (rand() < $star)
	{
		my $step = random_of(1, 1, 1, 2, 3, 5);
		@texts = $step == 1 && rand() < 0.8 ? '*' : "*/$step";
		$set{$_} = 1 for grep { ($_ - $min) % $step == 0 } $min .. $max;
		($wildcard, $any) = (1, $step == 1);
	}
	for (1 .. (@texts ? int rand(1.2) : 1 + int rand(3)))
	{
		my ($text, @values) = item($field, $min, $max, $most);
		push @texts, $text;
		$set{ $field eq 'weekday' ? $_ % 7 : $_ } = 1 for @values;
	}
	@texts = reverse @texts if rand() < 0.3;
	return (join(',', @texts), \%set, $wildcard, $any);
}

# Some days of the month, by number and in other ways: the text, and the meaning.
sub days_of_month
{
	my ($star) = @_;
	return ('?', { any => 1 }) if rand() < 0.1;
	my ($text, $set, undef, $any) = numbers('day', 1, 31, 31, $star);
	my %meaning = (any => $any, set => $set);
	return ($text, \%meaning) if rand() < 0.6;
	$meaning{set} = {} if !$any && rand() < 0.5;
	my @texts = $any || %{ $meaning{set} } ? $text : ();
	for (1 .. 1 + int rand(2))
	{
		my $day = 1 + int rand(31);
		my $kind = random_of('L', 'LW', 'W');
		push @texts, $kind eq 'W' ? "${day}W" : $kind;
		push @{ $meaning{nearest} }, $day if $kind eq 'W';
		$meaning{$kind} = 1;
	}
	return (join(',', @texts), \%meaning);
}

sub days_of_week
{
	my ($star) = @_;
	return ('?', { any => 1 }) if rand() < 0.1;
	my ($text, $set, undef, $any) = numbers('weekday', 0, 6, 7, $star);
	my %meaning = (any => $any, set => $set);
	return ($text, \%meaning) if rand() < 0.6;
	$meaning{set} = {} if !$any && rand() < 0.5;
	my @texts = $any || %{ $meaning{set} } ? $text : ();
	for (1 .. 1 + int rand(2))
	{
		my $weekday = int rand(8);
		my $nth = 1 + int rand(5);
		my $is_last = rand() < 0.4;
		push @texts, written('weekday', $weekday) . ($is_last ? random_of('L', 'l') : "#$nth");
		push @{ $meaning{ $is_last ? 'last' : 'nth' } }, [ $weekday % 7, $nth ];
	}
	return (join(',', @texts), \%meaning);
}

# A random expression: { text, second, minute, hour, day, month, weekday, year, wildcard }. Options:
# seconds: with the field of the second; hours: what the hours are likely to be; stars: how likely
# days are *; years: with a year.
sub random_cron
{
	my (%option) = @_;
	my %cron = (second => { 0 => 1 }, year => undef);
	my @texts;
	my ($wildcard, $text, $is_star);
	if ($option{seconds})
	{
		($text, $cron{second}) = numbers('second', 0, 59, 59, 0.2);
		push @texts, $text;
	}
	($text, $cron{minute}, $is_star) = numbers('minute', 0, 59, 59, 0.25);
	push @texts, $text;
	$wildcard = $is_star || keys %{ $cron{minute} } == 60;
	if ($option{hours} && rand() < 0.7)
	{
		my @hours = @{ $option{hours} };
		($text, $cron{hour}, $is_star) = (join(',', @hours), { map { $_ => 1 } @hours }, 0);
	}
	else
	{
		($text, $cron{hour}, $is_star) = numbers('hour', 0, 23, 23, 0.4);
	}
	push @texts, $text;
	$wildcard ||= $is_star || keys %{ $cron{hour} } == 24;
	($text, $cron{day}) = days_of_month($option{stars});
	push @texts, $text;
	($text, $cron{month}) = numbers('month', 1, 12, 12, $option{stars});
	push @texts, $text;
	($text, $cron{weekday}) = days_of_week($option{stars});
	push @texts, $text;
	if ($option{years})
	{
		($text, $cron{year}) = numbers('year', 1970, 2099, 2099, 0.2);
		push @texts, $text;
	}
	elsif ($option{seconds})
	{
		push @texts, '*';
	}
	$cron{text} = join random_of(' ', ' ', '  '), @texts;
	$cron{wildcard} = $wildcard;
	return \%cron;
}

# The days from the first one to the last one, as numbers of days since 1970: year, month, day,
# weekday, and how many days the month has.
sub day_table
{
	my ($from, $to) = @_;
	my (%table, %length);
	for my $n ($from - 31 .. $to + 31)
	{
		my (undef, undef, undef, $day, $month, $year, $weekday) = gmtime($n * 86400);
		$table{$n} = { year => $year + 1900, month => $month + 1, day => $day, weekday => $weekday };
		$length{"$year $month"} = $day if ($length{"$year $month"} // 0) < $day;
		$table{$n}{of} = "$year $month";
	}
	$_->{length} = $length{ $_->{of} } for values %table;
	return \%table;
}

# The weekday (Monday to Friday) of the month that is nearest to one of its days, found by looking at
# all of them. It is kept, as the same months are asked about again and again.
my %nearest;

sub nearest
{
	my ($date, $wanted) = @_;
	return $nearest{"$date->{of} $wanted"} //= find_nearest($date, $wanted);
}

sub find_nearest
{
	my ($date, $wanted) = @_;
	my $best;
	for my $day (1 .. $date->{length})
	{
		my $weekday = ($date->{weekday} + $day - $date->{day}) % 7;
		next if $weekday == 0 || $weekday == 6;
		$best = $day if !defined $best || abs($day - $wanted) < abs($best - $wanted);
	}
	return $best;
}

# Whether an expression means a day.
sub means_day
{
	my ($cron, $date) = @_;
	my ($day, $weekday) = ($cron->{day}, $cron->{weekday});
	return 0 if !$cron->{month}{ $date->{month} };
	return 0 if $cron->{year} && !$cron->{year}{ $date->{year} };
	return 1 if $day->{any} && $weekday->{any};
	if (!$day->{any})
	{
		return 1 if $day->{set}{ $date->{day} };
		return 1 if $day->{L} && $date->{day} == $date->{length};
		return 1 if $day->{LW} && $date->{day} == nearest($date, $date->{length});
		for my $n (@{ $day->{nearest} // [] })
		{
			return 1 if $n <= $date->{length} && $date->{day} == nearest($date, $n);
		}
	}
	if (!$weekday->{any})
	{
		return 1 if $weekday->{set}{ $date->{weekday} };
		for my $last (@{ $weekday->{last} // [] })
		{
			return 1 if $last->[0] == $date->{weekday} && $date->{day} > $date->{length} - 7;
		}
		for my $nth (@{ $weekday->{nth} // [] })
		{
			my ($n, $k) = @$nth;
			return 1 if $n == $date->{weekday} && $date->{day} > 7 * ($k - 1) && $date->{day} <= 7 * $k;
		}
	}
	return 0;
}

# Whether an expression means what a clock shows, as the number of seconds since it showed the
# beginning of 1970.
sub means
{
	my ($cron, $table, $days, $local) = @_;
	my $second = $local % 60;
	my $minute = int($local / 60) % 60;
	my $hour = int($local / 3600) % 24;
	return 0 if !$cron->{minute}{$minute} || !$cron->{hour}{$hour} || !$cron->{second}{$second};
	my $day = int($local / 86400);
	$days->{$day} //= means_day($cron, $table->{$day});
	return $days->{$day};
}

# The instants of a window at which an expression is due, in order. $locals has what the clock shows
# at each instant of the window: at $start, $start + $step, ...
sub due_times
{
	my ($cron, $table, $start, $step, $locals) = @_;
	my (@due, %days);
	my $latest = $locals->[0] - $step;
	for my $i (0 .. $#$locals)
	{
		my $local = $locals->[$i];
		my $is_due = 0;
		if ($cron->{wildcard})
		{
			# whenever the clock shows it
			$is_due = means($cron, $table, \%days, $local);
		}
		else
		{
			# what the clock shows for the first time now, or has skipped
			for (my $shown = $latest + $step; $shown <= $local; $shown += $step)
			{
				$is_due ||= means($cron, $table, \%days, $shown);
			}
			$latest = $local if $local > $latest;
		}
		push @due, $start + $i * $step if $is_due;
	}
	return @due;
}

1;
