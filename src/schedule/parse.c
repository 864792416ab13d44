/*
 * src/schedule/parse.c
 *	  Reads the expressions of schedules: cron expressions, macros and intervals.
 *
 *	  expression   a macro, an interval, or five to seven fields (src/schedule/field.c reads one)
 *	  five fields  minute hour day-of-month month day-of-week
 *	  six			... and the year
 *	  seven			the second, then those six
 *
 * The syntax of cron expressions is that of KWDB. doc/users/cron.md says where others differ, and
 * what of KWDB's syntax is refused because it could be meant in another way.
 *
 * Process: any; the functions are pure. Locks: none.
 */
#include "postgres.h"

#include "job/clip.h"
#include "schedule/calendar.h"
#include "schedule/cron.h"
#include "schedule/every.h"
#include "schedule/field.h"

/* Whitespace as isspace() has it in the locale C; in a multibyte encoding no other byte is one. */
#define BLANKS	" \t\n\v\f\r"

/* An expression is quoted in messages with at most this many bytes. */
#define QUOTED	100

#define LEAST_FIELDS	5
#define MOST_FIELDS		7

/* An expression that was split at its blanks. */
typedef struct Split
{
	int			n;				/* more than there are places for, if there are more fields */
	char	   *fields[MOST_FIELDS];
} Split;

static const struct
{
	const char *name;
	const char *text;
}			macros[] = {
	{"@yearly", "0 0 1 1 *"},
	{"@annually", "0 0 1 1 *"},
	{"@monthly", "0 0 1 * *"},
	{"@weekly", "0 0 * * 0"},
	{"@daily", "0 0 * * *"},
	{"@midnight", "0 0 * * *"},
	{"@hourly", "0 * * * *"},
};

/* Splits a text at its blanks. */
static Split
split(const char *text)
{
	Split		result = {0};

	for (text += strspn(text, BLANKS); *text; text += strspn(text, BLANKS))
	{
		size_t		length = strcspn(text, BLANKS);

		if (result.n < MOST_FIELDS)
			result.fields[result.n] = pnstrdup(text, length);
		result.n++;
		text += length;
	}
	return result;
}

static bool
has_letter_or(const char *text, char other)
{
	for (; *text; text++)
		if ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || *text == other)
			return true;
	return false;
}

/*
 * Returns whether a text may be an interval. Of a cron expression, the first two fields have no letters
 * and no colon. An interval has a letter or a colon there, unless it is a bare number. A bare number is
 * refused, because it does not say of what unit.
 */
static bool
may_be_interval(const Split *fields)
{
	for (int i = 0; i < Min(fields->n, 2); i++)
		if (has_letter_or(fields->fields[i], ':'))
			return true;
	return false;
}

/* Reads the fields of a cron expression, of which there are five to seven. */
static bool
read_fields(const Split *fields, KwjCron *cron, KwjCronProblem *problem)
{
	static const KwjFieldKind kinds[] = {
		KWJ_FIELD_SECOND, KWJ_FIELD_MINUTE, KWJ_FIELD_HOUR, KWJ_FIELD_DAY, KWJ_FIELD_MONTH,
		KWJ_FIELD_WEEKDAY, KWJ_FIELD_YEAR
	};
	int			first = fields->n == MOST_FIELDS ? 0 : 1;

	memset(cron, 0, sizeof(*cron));
	for (int i = 0; i < fields->n; i++)
		if (!kwj_field_read(kinds[first + i], fields->fields[i], cron, problem))
			return false;
	if (first > 0)
		cron->seconds = 1;		/* the set of second 0 */
	if (fields->n == LEAST_FIELDS)
		return kwj_field_read(KWJ_FIELD_YEAR, "*", cron, problem);
	return true;
}

/*
 * Reads a cron expression. If it has six fields and is wrong, but would be right with a year behind it,
 * the user has probably begun with the second, as in Quartz and Spring. Then the hint says so.
 */
static bool
read_cron(const char *text, Split *fields, KwjCron *cron, KwjCronProblem *problem)
{
	KwjCronProblem other;

	if (!read_fields(fields, cron, problem))
	{
		if (fields->n != MOST_FIELDS - 1)
			return false;
		fields->fields[fields->n++] = pstrdup("*");
		if (read_fields(fields, cron, &other))
			problem->hint = psprintf("The last of six fields is the year. If yours begin with the second, "
									 "write the year, too: '%s *'.", kwj_quoted(text, QUOTED));
		return false;
	}
	if (!kwj_cron_has_day(cron))
		return kwj_cron_refuse(problem,
							   psprintf("schedule '%s' can never be due", kwj_quoted(text, QUOTED)),
							   "None of its months has such a day, in any of its years.",
							   "February has 29 days at most, April, June, September and November have 30; "
							   "write L for the last day of a month.");
	return true;
}

static bool
read_macro(const char *text, KwjCron *cron, KwjCronProblem *problem)
{
	for (int i = 0; i < lengthof(macros); i++)
		if (pg_strcasecmp(text, macros[i].name) == 0)
		{
			Split		fields = split(macros[i].text);

			return read_fields(&fields, cron, problem);
		}
	return kwj_cron_refuse(problem, psprintf("unknown macro '%s'", kwj_quoted(text, QUOTED)),
						   "There are @yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly.",
						   pg_strcasecmp(text, "@reboot") == 0 ?
						   "The server's starts are jobs of type RESTART; no schedule goes by them." :
						   "For every so often write an interval, such as '5 minutes'.");
}

static bool
read_interval(const char *text, KwjCron *cron, KwjCronProblem *problem)
{
	const char *refusal = kwj_every_refusal(text, &cron->interval);

	if (refusal != NULL)
		return kwj_cron_refuse(problem,
							   psprintf("interval '%s' makes no schedule", kwj_quoted(text, QUOTED)), refusal,
							   "Write an interval such as '30 seconds', '5 minutes' or '1 month'.");
	cron->is_interval = true;
	return true;
}

bool
kwj_cron_parse(const char *text, KwjCron *cron, KwjCronProblem *problem)
{
	Split		fields;

	memset(cron, 0, sizeof(*cron));
	if (strlen(text) > KWJ_CRON_LENGTH)
		return kwj_cron_refuse(problem, psprintf("schedule '%s' is too long", kwj_quoted(text, QUOTED)),
							   psprintf("It may have %d bytes.", KWJ_CRON_LENGTH),
							   "Ranges and steps, such as 10-40/5, are shorter than lists.");
	fields = split(text);
	if (fields.n > 0 && fields.fields[0][0] == '@')
		return read_macro(fields.n == 1 ? fields.fields[0] : text, cron, problem);
	if (may_be_interval(&fields) && kwj_every_read(text, &cron->interval))
		return read_interval(text, cron, problem);
	if (fields.n >= LEAST_FIELDS && fields.n <= MOST_FIELDS)
		return read_cron(text, &fields, cron, problem);
	return kwj_cron_refuse(problem, psprintf("%s in schedule '%s'",
											 fields.n > MOST_FIELDS ? "too many fields" : "missing field(s)",
											 kwj_quoted(text, QUOTED)),
						   "Five fields are minute, hour, day-of-month, month and day-of-week. "
						   "The sixth is the year. Of seven, the first is the second.",
						   "For instance '30 9 * * mon-fri' (at 09:30 on weekdays), or an interval: '30 seconds'.");
}
