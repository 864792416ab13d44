/*
 * src/schedule/field.c
 *	  Reads one field of a cron expression.
 *
 *	  field		  item [, item ...]
 *	  item		  range [/ step], or one of the special items
 *	  range		  *, value, or value-value; a value with a step is the beginning of a range that goes
 *				  on to the largest value
 *	  value		  a number, or the name of a month or a weekday, short or whole, in any case
 *	  special	  day-of-month: L, LW, 15W; day-of-week: 5L, friL, 5#2, fri#2; ? alone in both
 *
 * Process: any; the functions are pure. Locks: none.
 */
#include "postgres.h"

#include "job/clip.h"
#include "schedule/calendar.h"
#include "schedule/field.h"
#include "utils/datetime.h"

/* An item is quoted in messages with at most this many bytes. */
#define QUOTED	40

#define SHORT_NAME	3

const char *const kwj_month_names[] = {
	"January", "February", "March", "April", "May", "June", "July", "August", "September",
	"October", "November", "December", NULL
};

/* What a field takes. Its name is the one that KWDB's messages have. */
typedef struct Field
{
	const char *name;
	int			min;
	int			max;			/* of a range that goes on to the end */
	int			most;			/* that may be written */
	const char *const *names;	/* NULL: none */
	int			first_name;		/* the value of the first name */
	const char *takes;
	const char *example;
} Field;

static const Field fields[] = {
	[KWJ_FIELD_SECOND] = {"second", 0, 59, 59, NULL, 0,
		"It takes numbers from 0 to 59, ranges, steps and lists of these, or *.", "0, 10-20, */15 or 0,30"},
	[KWJ_FIELD_MINUTE] = {"minute", 0, 59, 59, NULL, 0,
		"It takes numbers from 0 to 59, ranges, steps and lists of these, or *.", "0, 10-20, */15 or 0,30"},
	[KWJ_FIELD_HOUR] = {"hour", 0, 23, 23, NULL, 0,
		"It takes numbers from 0 to 23, ranges, steps and lists of these, or *.", "0, 9-17, */6 or 6,18"},
	[KWJ_FIELD_DAY] = {"day-of-month", 1, 31, 31, NULL, 0,
		"It takes numbers from 1 to 31, ranges, steps and lists of these, *, ?, L (the last day), "
		"LW (the last weekday) and 15W (the weekday nearest to the 15th).", "1, 1-7, */2, 1,15, L or LW"},
	[KWJ_FIELD_MONTH] = {"month", 1, 12, 12, kwj_month_names, 1,
		"It takes numbers from 1 to 12, names such as Jan, ranges, steps and lists of these, or *.",
		"1, Jan, 4-9, */3 or Jan,Jul"},
	[KWJ_FIELD_WEEKDAY] = {"day-of-week", 0, 6, 7, days, 0,
		"It takes numbers from 0 to 7 (0 and 7 are Sunday), names such as Mon, ranges, steps and lists of "
		"these, *, ?, FriL (the last Friday of the month) and Fri#2 (the second).",
		"Mon, Mon-Fri, Sat,Sun, FriL or Mon#1"},
	[KWJ_FIELD_YEAR] = {"year", KWJ_CRON_FIRST_YEAR, KWJ_CRON_LAST_YEAR, KWJ_CRON_LAST_YEAR, NULL, 0,
		"It takes numbers from 1970 to 2099, ranges, steps and lists of these, or *.",
		"2027, 2027-2030 or *"},
};

/* Any set of a field; bit 0 is 0, or the first year. */
typedef struct Values
{
	uint64		words[lengthof(((KwjCron *) NULL)->years)];
	bool		any;			/* an item is *, or a step of 1 through all values, or ? */
	bool		wildcard;		/* an item begins with * */
} Values;

/* The field that is read. */
typedef struct Reading
{
	KwjFieldKind kind;
	const Field *field;
	KwjCron    *cron;
	Values		values;
	KwjCronProblem *problem;
} Reading;

bool
kwj_cron_refuse(KwjCronProblem *problem, char *message, const char *detail, const char *hint)
{
	problem->message = message;
	problem->detail = pstrdup(detail);
	problem->hint = pstrdup(hint);
	return false;
}

static char *
example_hint(const Field *field)
{
	return psprintf("Write for instance %s.", field->example);
}

/*
 * Says that an item is wrong, and returns false. detail, hint: NULL stands for what the field takes,
 * and for its examples.
 */
static bool
refuse(Reading *reading, const char *item, const char *detail, const char *hint)
{
	const Field *field = reading->field;

	return kwj_cron_refuse(reading->problem,
						   psprintf("syntax error in %s field: '%s'", field->name, kwj_quoted(item, QUOTED)),
						   detail ? detail : field->takes,
						   hint ? hint : example_hint(field));
}

static bool
refuse_step(Reading *reading, const char *item)
{
	const Field *field = reading->field;

	return kwj_cron_refuse(reading->problem,
						   psprintf("invalid interval '%s' in %s field", kwj_quoted(item, QUOTED), field->name),
						   psprintf("A step is a number from 1 to %d.", field->max),
						   psprintf("%s A step begins anew in each range: for every so often "
									"write an interval such as '90 minutes'.", example_hint(field)));
}

static void
add(Values *values, int n)
{
	values->words[n / 64] |= UINT64CONST(1) << (n % 64);
}

/* Reads a number of one to four digits. Returns the text behind it; NULL: there is none. */
static const char *
read_number(const char *text, int *number)
{
	int			digits = 0;

	*number = 0;
	for (; *text >= '0' && *text <= '9'; text++)
	{
		if (++digits > 4)
			return NULL;
		*number = *number * 10 + (*text - '0');
	}
	return digits == 0 ? NULL : text;
}

/* Reads a name, which may be followed by an L. Returns the text behind it; NULL: there is none. */
static const char *
read_name(const Field *field, const char *text, int *number)
{
	for (int i = 0; field->names != NULL && field->names[i] != NULL; i++)
	{
		int			whole = strlen(field->names[i]);

		*number = field->first_name + i;
		if (pg_strncasecmp(text, field->names[i], whole) == 0)
			return text + whole;
		if (pg_strncasecmp(text, field->names[i], SHORT_NAME) == 0)
			return text + SHORT_NAME;
	}
	return NULL;
}

/* Reads a value of the field. Returns the text behind it; NULL: there is none. */
static const char *
read_value(const Field *field, const char *text, int *value)
{
	const char *end = read_number(text, value);

	if (end == NULL)
		return read_name(field, text, value);
	return *value >= field->min && *value <= field->most ? end : NULL;
}

/*
 * Puts the ends of a range of weekdays in order. Sunday is both 0 and 7: the end of fri-sun, and the
 * beginning of 7-2.
 */
static void
order_weekdays(int *first, int *last)
{
	if (*last == 0 && *first > 0)
		*last = 7;
	if (*first == 7 && *last < 7)
		*first = 0;
}

/* Appends a range as a user may write it. */
static void
append_range(StringInfo into, const Field *field, int first, int last)
{
	for (int i = 0; i < 2 && (i == 0 || first != last); i++)
	{
		int			value = i == 0 ? first : last;

		if (i == 1)
			appendStringInfoChar(into, '-');
		if (field->names != NULL)
			appendStringInfo(into, "%.*s", SHORT_NAME,
							 field->names[(value - field->first_name) % (field->max + 1 - field->min)]);
		else
			appendStringInfo(into, "%d", value);
	}
}

/*
 * Says that a range ends before it begins, and how to write what the user may mean: fri-mon is
 * fri-sun,mon. The Sunday in it is 7, the end of the week that begins with Monday.
 */
static bool
refuse_reversed(Reading *reading, const char *item, int first, int last)
{
	const Field *field = reading->field;
	StringInfoData hint;

	initStringInfo(&hint);
	appendStringInfoString(&hint, "Write ");
	if (reading->kind == KWJ_FIELD_YEAR)
		append_range(&hint, field, last, first);
	else
	{
		append_range(&hint, field, first, field->most);
		appendStringInfoChar(&hint, ',');
		append_range(&hint, field, reading->kind == KWJ_FIELD_WEEKDAY ? 1 : field->min, last);
	}
	appendStringInfoChar(&hint, '.');
	return refuse(reading, item, "The range ends before it begins.", hint.data);
}

/* Reads the step at the end of an item, if there is one. */
static bool
read_step(Reading *reading, const char *item, const char *at, int *step)
{
	const char *end;

	*step = 1;
	if (*at == '\0')
		return true;
	if (*at != '/')
		return refuse(reading, item, NULL, NULL);
	end = read_number(at + 1, step);
	if (end == NULL || *end != '\0' || *step < 1 || *step > reading->field->max)
		return refuse_step(reading, item);
	return true;
}

/*
 * Reads the value or the two values with which an item begins. *last: the end of a range; without one,
 * the value itself, or what it is already if a step follows. *behind: the text behind them.
 */
static bool
read_ends(Reading *reading, const char *item, int *first, int *last, const char **behind)
{
	const Field *field = reading->field;
	const char *at = read_value(field, item, first);

	if (at == NULL)
		return refuse(reading, item, NULL, NULL);
	if (*at == '-')
	{
		at = read_value(field, at + 1, last);
		if (at == NULL)
			return refuse(reading, item, NULL, NULL);
		if (reading->kind == KWJ_FIELD_WEEKDAY)
			order_weekdays(first, last);
		if (*first > *last)
			return refuse_reversed(reading, item, *first, *last);
	}
	else if (*at == '\0')
		*last = *first;
	else if (*first > *last)	/* 7/2 */
		*first = field->min;
	*behind = at;
	return true;
}

/* Reads an item that is a range, a value or a *. */
static bool
read_range(Reading *reading, const char *item)
{
	const Field *field = reading->field;
	int			first = field->min;
	int			last = field->max;
	int			step;
	const char *at = item + 1;

	if (*item != '*' && !read_ends(reading, item, &first, &last, &at))
		return false;
	if (!read_step(reading, item, at, &step))
		return false;
	for (int value = first; value <= last; value += step)
		add(&reading->values, (reading->kind == KWJ_FIELD_WEEKDAY ? value % 7 :
							   reading->kind == KWJ_FIELD_YEAR ? value - field->min : value));
	if (*item == '*')
	{
		reading->values.wildcard = true;
		if (step == 1)
			reading->values.any = true;
	}
	return true;
}

/* Reads an item of day-of-month. */
static bool
read_day(Reading *reading, const char *item)
{
	int			day;
	const char *end = read_number(item, &day);

	if (pg_strcasecmp(item, "l") == 0)
		reading->cron->last_day = true;
	else if (pg_strcasecmp(item, "lw") == 0)
		reading->cron->last_weekday = true;
	else if (end != NULL && pg_strcasecmp(end, "w") == 0)
	{
		if (day < 1 || day > 31)
			return refuse(reading, item, NULL, NULL);
		reading->cron->nearest_weekdays |= UINT64CONST(1) << day;
	}
	else if (strcmp(item, "$") == 0)
		return refuse(reading, item, NULL, "Write L for the last day of the month.");
	else
		return read_range(reading, item);
	return true;
}

/* Reads an item of day-of-week. */
static bool
read_weekday(Reading *reading, const char *item)
{
	int			weekday,
				nth;
	const char *end = read_value(reading->field, item, &weekday);

	if (end != NULL && pg_strcasecmp(end, "l") == 0)
		reading->cron->last_weekdays |= UINT64CONST(1) << (weekday % 7);
	else if (end != NULL && *end == '#')
	{
		end = read_number(end + 1, &nth);
		if (end == NULL || *end != '\0' || nth < 1 || nth > 5)
			return refuse(reading, item, "Behind the # stands a number from 1 to 5: "
						  "the first to the fifth such day of the month.",
						  "Write for instance Fri#2, or FriL for the last one.");
		reading->cron->nth_weekdays[weekday % 7] |= UINT64CONST(1) << nth;
	}
	else if (pg_strcasecmp(item, "l") == 0)
		return refuse(reading, item, "L needs a day of the week before it.",
					  "Write Sat for Saturday, or SatL for the last Saturday of the month.");
	else
		return read_range(reading, item);
	return true;
}

static bool
read_item(Reading *reading, const char *item)
{
	if (*item == '\0')
		return kwj_cron_refuse(reading->problem,
							   psprintf("%s field: missing directive", reading->field->name),
							   "There is nothing before, behind or between commas.",
							   example_hint(reading->field));
	if (reading->kind == KWJ_FIELD_DAY)
		return read_day(reading, item);
	if (reading->kind == KWJ_FIELD_WEEKDAY)
		return read_weekday(reading, item);
	return read_range(reading, item);
}

/* Returns whether a set has all values of its field, of which there are at most 64. */
static bool
is_full(const Reading *reading)
{
	for (int value = reading->field->min; value <= reading->field->max; value++)
		if (!kwj_has_bit(reading->values.words[0], value))
			return false;
	return true;
}

/* Writes what was read into the expression. */
static void
store(Reading *reading)
{
	KwjCron    *cron = reading->cron;
	const Values *values = &reading->values;

	switch (reading->kind)
	{
		case KWJ_FIELD_SECOND:
			cron->seconds = values->words[0];
			break;
		case KWJ_FIELD_MINUTE:
			cron->minutes = values->words[0];
			break;
		case KWJ_FIELD_HOUR:
			cron->hours = values->words[0];
			break;
		case KWJ_FIELD_DAY:
			cron->any_day = values->any;
			cron->days = values->words[0];
			break;
		case KWJ_FIELD_MONTH:
			cron->months = values->words[0];
			break;
		case KWJ_FIELD_WEEKDAY:
			cron->any_weekday = values->any;
			cron->weekdays = values->words[0];
			break;
		case KWJ_FIELD_YEAR:
			memcpy(cron->years, values->words, sizeof(cron->years));
			break;
	}
	if (reading->kind == KWJ_FIELD_MINUTE || reading->kind == KWJ_FIELD_HOUR)
		cron->follows_clock = cron->follows_clock || values->wildcard || is_full(reading);
}

bool
kwj_field_read(KwjFieldKind kind, const char *text, KwjCron *cron, KwjCronProblem *problem)
{
	Reading		reading = {.kind = kind, .field = &fields[kind], .cron = cron, .problem = problem};

	if (strcmp(text, "?") == 0)
	{
		if (kind != KWJ_FIELD_DAY && kind != KWJ_FIELD_WEEKDAY)
			return refuse(&reading, text, "? stands for day-of-month or day-of-week only.", "Write *.");
		reading.values.any = true;
	}
	else
	{
		for (const char *at = text;; at++)
		{
			size_t		length = strcspn(at, ",");

			if (!read_item(&reading, pnstrdup(at, length)))
				return false;
			at += length;
			if (*at == '\0')
				break;
		}
	}
	store(&reading);
	return true;
}
