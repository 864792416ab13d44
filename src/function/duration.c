/*
 * src/function/duration.c
 *	  Durations as KWDB writes them: 336h, 1h30m, 90s.
 *
 * Process: any. Locks: none. The functions are pure: they take a text and return a text.
 */
#include "postgres.h"

#include <math.h>

#include "function/duration.h"

typedef struct Unit
{
	const char *name;
	double		microseconds;
} Unit;

/* If the name of a unit begins with that of another one, the longer comes first: "ms", then "m". */
static const Unit units[] = {
	{"ns", 0.001},
	{"us", 1.0},
	{"\xc2\xb5s", 1.0},			/* the micro sign */
	{"\xce\xbcs", 1.0},			/* the Greek letter */
	{"ms", 1000.0},
	{"s", 1000000.0},
	{"m", 60000000.0},
	{"h", 3600000000.0},
};

/*
 * Reads a number and a unit, and adds them to *sum. Returns the text behind them, or NULL if the
 * text does not begin with a number and a unit.
 */
static const char *
read_part(const char *text, double *sum)
{
	char	   *end;
	double		number;

	/*
	 * strtod() would also accept a sign, blanks, or "inf", and take 1e3s for a number with an
	 * exponent.
	 */
	if (!((*text >= '0' && *text <= '9') || *text == '.') ||
		text[strspn(text, "0123456789.")] == 'e')
		return NULL;
	number = strtod(text, &end);
	if (end == text)
		return NULL;
	for (int i = 0; i < lengthof(units); i++)
	{
		Size		length = strlen(units[i].name);

		if (strncmp(end, units[i].name, length) != 0)
			continue;
		*sum += number * units[i].microseconds;
		return end + length;
	}
	return NULL;
}

char *
kwj_convert_duration(const char *text)
{
	bool		negative = *text == '-';
	double		sum = 0;

	if (*text == '-' || *text == '+')
		text++;
	if (*text == '\0')
		return NULL;
	while (*text)
	{
		text = read_part(text, &sum);
		if (text == NULL)
			return NULL;
	}
	/* This text goes into postgresql.auto.conf, so whole seconds are written as a person would. */
	if (fmod(sum, 1000000.0) == 0)
		return psprintf("%s%.0fs", negative ? "-" : "", sum / 1000000.0);
	return psprintf("%s%.17gus", negative ? "-" : "", sum);
}
