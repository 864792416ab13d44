/*
 * src/schedule/window.c
 *	  Windows: the hours of the week in which a job may run.
 *
 *	  window	part; part; ... [zone]
 *	  part		[day, day-day, ...] [time-time, time-time, ...]
 *
 * A window is kept as the set of the minutes of a week that it means. So it is open at an instant
 * exactly if the clock of its zone shows one of them, whatever the clock has done before: a minute that
 * the clock skips does not come, and one that comes twice counts twice.
 *
 * Process: any; the functions are pure. Locks: none.
 */
#include "postgres.h"

#include <ctype.h>

#include "job/clip.h"
#include "schedule/calendar.h"
#include "schedule/field.h"
#include "schedule/window.h"
#include "schedule/zone.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

/* If the stored window of a job cannot be used, the coordinator looks at it again after this time. */
#define AGAIN_USECS	(10 * USECS_PER_MINUTE)

#define BLANKS	" \t\n\v\f\r"

#define MINUTES_PER_DAY	(HOURS_PER_DAY * MINS_PER_HOUR)

/* A message about a wrong word of a window quotes at most this many bytes of the word. */
#define QUOTED	40

#define EXAMPLE	"Write days, times and a time zone, as in 'mon-fri 22:00-06:00; sat,sun Europe/Berlin'."
#define TIMES	"Write times as in 22:00-06:00; 24:00 is the end of a day."

/* Where the functions below are in the text that they read. */
typedef struct Reader
{
	const char *text;			/* the whole text, for messages */
	const char *at;				/* the next character */
	const char *end;			/* behind the last part, where the zone may begin */
	KwjCronProblem *problem;
} Reader;

/* Sets reader->problem, which says why the text is no window. Returns false. */
static bool
refuse(Reader *reader, const char *detail, const char *hint)
{
	return kwj_cron_refuse(reader->problem,
						   psprintf("window \"%s\" is not understood",
									kwj_quoted(reader->text, KWJ_WINDOW_LENGTH)), detail, hint);
}

static void
skip_blanks(Reader *reader)
{
	while (reader->at < reader->end && strchr(BLANKS, *reader->at) != NULL)
		reader->at++;
}

/* Returns whether the next character is this one; if so, goes on behind it. */
static bool
take(Reader *reader, char c)
{
	skip_blanks(reader);
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
next_is_letter(Reader *reader)
{
	skip_blanks(reader);
	return reader->at < reader->end && is_letter(*reader->at);
}

static bool
next_is_digit(Reader *reader)
{
	skip_blanks(reader);
	return reader->at < reader->end && is_digit(*reader->at);
}

/* Returns the next word, up to a blank, a comma or a semicolon, for a message. */
static char *
next_word(Reader *reader)
{
	int			length;

	skip_blanks(reader);
	length = Min(strcspn(reader->at, BLANKS ",;"), (size_t) (reader->end - reader->at));
	/* If a separator stands where a word has to begin, the message quotes the separator. */
	return kwj_quoted(pnstrdup(reader->at, Max(length, reader->at < reader->end ? 1 : 0)), QUOTED);
}

/* Returns the number of the day, 0 for Monday, with this name or its first three letters; -1: none. */
static int
day_by_name(const char *name, size_t length)
{
	for (int day = 0; day < 7; day++)
	{
		const char *full = days[(day + 1) % 7];

		if ((length == 3 || length == strlen(full)) && pg_strncasecmp(name, full, length) == 0)
			return day;
	}
	return -1;
}

static bool
read_day(Reader *reader, int *day)
{
	const char *name;

	skip_blanks(reader);
	for (name = reader->at; reader->at < reader->end && is_letter(*reader->at);)
		reader->at++;
	*day = day_by_name(name, reader->at - name);
	if (*day >= 0)
		return true;
	reader->at = name;
	return refuse(reader, name == reader->end || *name == ';' ? "A day of the week is missing." :
				  psprintf("\"%s\" is no day of the week.", next_word(reader)),
				  "Days are mon, tue, wed, thu, fri, sat and sun, as in 'mon-fri' or 'sat,sun'.");
}

/* Reads "day, day-day, ..." and adds these days to the set, in which bit 0 is Monday. */
static bool
read_days(Reader *reader, uint64 *set)
{
	do
	{
		int			first,
					last;

		if (!read_day(reader, &first))
			return false;
		last = first;
		if (take(reader, '-') && !read_day(reader, &last))
			return false;
		/* The days go around, as the week does: sat-mon. */
		for (int day = first;; day = (day + 1) % 7)
		{
			*set |= UINT64CONST(1) << day;
			if (day == last)
				break;
		}
	} while (take(reader, ','));
	return true;
}

/* Reads one or two digits. Returns false if there are none, or more. */
static bool
read_number(Reader *reader, int *number)
{
	const char *first = reader->at;

	*number = 0;
	while (reader->at < reader->end && is_digit(*reader->at) && reader->at - first < 3)
		*number = *number * 10 + *reader->at++ - '0';
	return reader->at - first == 1 || reader->at - first == 2;
}

/* Reads HH:MM. *minutes: since 00:00. */
static bool
read_time(Reader *reader, int *minutes)
{
	const char *first;
	int			hour,
				minute;

	skip_blanks(reader);
	first = reader->at;
	if (read_number(reader, &hour) && reader->at < reader->end && *reader->at++ == ':' &&
		read_number(reader, &minute) && minute < MINS_PER_HOUR &&
		hour * MINS_PER_HOUR + minute <= MINUTES_PER_DAY &&
		(reader->at == reader->end || strchr(BLANKS "-,;", *reader->at) != NULL))
	{
		*minutes = hour * MINS_PER_HOUR + minute;
		return true;
	}
	reader->at = first;
	if (first == reader->end || *first == ';')
		return refuse(reader, "A time is missing at the end of a range.", TIMES);
	return refuse(reader, psprintf("\"%s\" is no time of day.",
								   kwj_quoted(pnstrdup(first, Min(Max(strcspn(first, BLANKS "-,;"), 1),
																  (size_t) (reader->end - first))), QUOTED)), TIMES);
}

static void
set_minute(KwjHours *hours, int minute)
{
	minute %= KWJ_MINUTES_PER_WEEK;
	hours->minutes[minute / 64] |= UINT64CONST(1) << (minute % 64);
}

/* Adds a range of each of the days. It belongs to the day on which it begins. */
static void
add_range(KwjHours *hours, uint64 set, int first, int end)
{
	for (int day = 0; day < 7; day++)
		for (int minute = first; kwj_has_bit(set, day) && minute < end; minute++)
			set_minute(hours, day * MINUTES_PER_DAY + minute);
}

/* Reads "time-time", and adds it to the hours of these days. */
static bool
read_range(Reader *reader, KwjHours *hours, uint64 set)
{
	int			first,
				end;

	if (!read_time(reader, &first))
		return false;
	if (!take(reader, '-'))
		return refuse(reader, psprintf("No end follows %02d:%02d.", first / MINS_PER_HOUR, first % MINS_PER_HOUR),
					  TIMES);
	if (!read_time(reader, &end))
		return false;
	if (first == MINUTES_PER_DAY)
		return refuse(reader, "No day has hours behind 24:00.", "Write 00:00 for the beginning of a day.");
	if (first == end)
		return refuse(reader, psprintf("A range begins and ends at %02d:%02d.", first / MINS_PER_HOUR,
									   first % MINS_PER_HOUR),
					  "Leave the times out for whole days.");
	add_range(hours, set, first, end > first ? end : end + MINUTES_PER_DAY);
	return true;
}

static bool
read_times(Reader *reader, KwjHours *hours, uint64 set)
{
	do
	{
		if (next_is_letter(reader))
			return refuse(reader, psprintf("\"%s\" follows a time and a comma.", next_word(reader)),
						  "Write a semicolon where other days begin, as in 'mon-fri 22:00-06:00; sat,sun'.");
		if (!read_range(reader, hours, set))
			return false;
	} while (take(reader, ','));
	return true;
}

/* Reads "[days] [times]". */
static bool
read_part(Reader *reader, KwjHours *hours)
{
	uint64		set = 0;

	if (next_is_letter(reader))
	{
		if (!read_days(reader, &set))
			return false;
		if (!next_is_digit(reader))
		{
			add_range(hours, set, 0, MINUTES_PER_DAY);
			return true;
		}
	}
	else if (!next_is_digit(reader))
	{
		if (reader->at == reader->end || *reader->at == ';')
			return refuse(reader, "It names no days and no times.", EXAMPLE);
		return refuse(reader, psprintf("\"%s\" is neither a day nor a time.", next_word(reader)), EXAMPLE);
	}
	if (set == 0)
		set = 0x7f;				/* all days */
	return read_times(reader, hours, set);
}

static bool
read_parts(Reader *reader, KwjHours *hours)
{
	do
	{
		if (!read_part(reader, hours))
			return false;
	} while (take(reader, ';'));
	if (reader->at < reader->end)
		return refuse(reader, psprintf("\"%s\" is too much.", next_word(reader)), EXAMPLE);
	return true;
}

/* Returns where the last word of a text begins: behind its last blank or semicolon. */
static const char *
last_word(const char *text, const char *end)
{
	while (end > text && strchr(BLANKS ";", end[-1]) == NULL)
		end--;
	return end;
}

/*
 * Returns whether the user must have meant the last word of a window as a time zone, because it begins
 * neither as times do nor with the name of a day.
 */
static bool
is_zone(const char *word, const char *end)
{
	size_t		length = 0;

	if (word == end || strchr("0123456789,-", *word) != NULL)
		return false;
	while (word + length < end && is_letter(word[length]))
		length++;
	return day_by_name(word, length) < 0;
}

static bool
refuse_zone(Reader *reader, const char *name)
{
	return refuse(reader, psprintf("There is no time zone \"%s\".", kwj_quoted(name, QUOTED)),
				  "The last word is a name of pg_timezone_names, such as 'Europe/Berlin', and days are mon, tue, wed, thu, fri, sat and sun.");
}

/* Reads the zone, if the text ends with one, and sets the reader's end before it. */
static bool
read_zone(Reader *reader, KwjHours *hours)
{
	const char *word = last_word(reader->at, reader->end);
	char	   *name;

	if (!is_zone(word, reader->end))
	{
		const char *fallback = pg_get_timezone_name(hours->zone);

		return kwj_zone_is_name(fallback) ||
			refuse(reader, psprintf("It names no time zone, and that of the session, \"%s\", has no name.",
									kwj_quoted(fallback, QUOTED)),
				   "Write the name of a zone behind it, as in '22:00-06:00 Europe/Berlin'.");
	}
	name = pnstrdup(word, reader->end - word);
	hours->has_zone = true;
	reader->end = word;
	if (kwj_zone_is_name(name))
		hours->zone = kwj_zone_by_name(name);
	else
		hours->zone = NULL;
	return hours->zone != NULL || refuse_zone(reader, name);
}

bool
kwj_window_parse(const char *text, pg_tz *zone, KwjHours *hours, KwjCronProblem *problem)
{
	Reader		reader = {text, text, text + strlen(text), problem};

	memset(hours, 0, sizeof(*hours));
	hours->zone = zone;
	if (strlen(text) > KWJ_WINDOW_LENGTH)
		return refuse(&reader, psprintf("It has more than %d bytes.", KWJ_WINDOW_LENGTH), EXAMPLE);
	while (reader.end > reader.at && strchr(BLANKS, reader.end[-1]) != NULL)
		reader.end--;
	return read_zone(&reader, hours) && read_parts(&reader, hours);
}

char *
kwj_window_text(const char *text, const KwjHours *hours)
{
	char	   *result = palloc(strlen(text) + TZ_STRLEN_MAX + 2);
	char	   *to = result;

	for (text += strspn(text, BLANKS); *text != '\0';)
	{
		if (strchr(BLANKS, *text) == NULL)
			*to++ = *text++;
		else if (*(text += strspn(text, BLANKS)) != '\0')
			*to++ = ' ';
	}
	*to = '\0';
	if (!hours->has_zone)
		sprintf(to, " %s", pg_get_timezone_name(hours->zone));
	return result;
}

/* Returns the number of the minute of the week that a local second is in. */
static int
minute_of(int64 local)
{
	int64		day = kwj_divide_down(local, SECS_PER_DAY);
	/* 1970-01-01 was a Thursday. */
	int			weekday = (int) (day + 3 - 7 * kwj_divide_down(day + 3, 7));

	return weekday * MINUTES_PER_DAY + (int) ((local - day * SECS_PER_DAY) / SECS_PER_MINUTE);
}

static bool
has_minute(const KwjHours *hours, int minute)
{
	return kwj_has_bit(hours->minutes[minute / 64], minute % 64);
}

/*
 * Finds the first local second after this one at which the window opens, if it is closed now, or closes,
 * if it is open now, provided that nobody changes the clock. Returns false if that never comes.
 */
static bool
next_change(const KwjHours *hours, int64 local, int64 *change)
{
	int			first = minute_of(local);
	bool		is_open = has_minute(hours, first);

	for (int n = 1; n < KWJ_MINUTES_PER_WEEK; n++)
		if (has_minute(hours, (first + n) % KWJ_MINUTES_PER_WEEK) != is_open)
		{
			*change = kwj_divide_down(local, SECS_PER_MINUTE) * SECS_PER_MINUTE + (int64) n * SECS_PER_MINUTE;
			return true;
		}
	return false;
}

bool
kwj_window_is_open(const KwjHours *hours, TimestampTz instant, TimestampTz *until)
{
	pg_time_t	second = kwj_second_of(instant);
	bool		is_open = has_minute(hours, minute_of(kwj_zone_local(hours->zone, second)));

	Assert(!TIMESTAMP_NOT_FINITE(instant));
	*until = DT_NOEND;
	for (;;)
	{
		KwjZoneSpan span = kwj_zone_span(hours->zone, second);
		int64		local = second + span.offset;
		int64		change;

		/* A new span begins here: the change of the clock has opened or closed the window. */
		if (has_minute(hours, minute_of(local)) != is_open)
			break;
		if (!next_change(hours, local, &change))
			return is_open;
		second = change - span.offset;
		if (second < span.end)
			break;
		second = span.end;
	}
	if (second >= kwj_second_of(END_TIMESTAMP))
		return is_open;
	*until = time_t_to_timestamptz(second);
	Assert(*until > instant);
	return is_open;
}

TimestampTz
kwj_window_opens(const KwjHours *hours, TimestampTz from)
{
	TimestampTz until;

	return kwj_window_is_open(hours, from, &until) ? from : until;
}

KwjWindowLook
kwj_window_look(const char *text, TimestampTz instant)
{
	KwjWindowLook look = {.until = instant + AGAIN_USECS};
	KwjCronProblem problem;
	KwjHours	hours;

	if (!kwj_window_parse(text, pg_tzset("GMT"), &hours, &problem))
		look.problem = problem.detail;
	else if (!hours.has_zone)
		look.problem = pstrdup("It names no time zone.");
	else
		look.is_open = kwj_window_is_open(&hours, instant, &look.until);
	return look;
}

TimestampTz
kwj_window_next(const char *text, TimestampTz from)
{
	KwjWindowLook look = kwj_window_look(text, from);

	return look.is_open ? from : look.until;
}
