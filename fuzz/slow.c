/*
 * fuzz/slow.c
 *	  Looks for texts with which src/statement has more work than it should: see run.
 *
 * A text is a beginning, a unit that is repeated, and an end, each of a few words of
 * the dictionary. It is asked about with the unit repeated so and so often, and four times
 * as often. The work must not grow by more than the text does, and no text may cost
 * more than a limit for each of its bytes. Work is counted, not timed: tokens looked at,
 * and bytes written and parsed (KWJ_COUNT_WORK). The texts with the most work are changed
 * further.
 */
#include "postgres.h"

#include <time.h>

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "target.h"

#define MAX_WORDS		500
#define MAX_CHOSEN		8		/* words in one part */
#define REPEATED		200		/* how often a unit is repeated: more than levels can be nested */
#define KEPT			64		/* texts that are changed further */

/*
 * A text may cost LIMIT_PER_TEXT, and LIMIT_PER_BYTE more for each of its bytes. The texts that have
 * been found cost about half of that.
 */
#define LIMIT_PER_BYTE	80
#define LIMIT_PER_TEXT	20000

/* If the text becomes n times as long, the work may become 1.5 n times as much. */
#define LIMIT_OF_GROWTH	1.5

typedef enum
{
	BEGINNING, UNIT, END, PARTS
} Part;

/* The words of each part of a text, by their numbers, and how many each part has. */
typedef struct Recipe
{
	int			words[PARTS][MAX_CHOSEN];
	int			nwords[PARTS];
	double		work_per_byte;
} Recipe;

static char *words[MAX_WORDS];
static int	nwords;
static Recipe kept[KEPT];
static int	nkept;

/* A line of libFuzzer's dictionary: "word", with \\, \" and \xNN in it. */
static void
add_word(const char *line)
{
	char	   *word = palloc(strlen(line) + 1);
	char	   *end = word;

	if (*line != '"' || nwords == MAX_WORDS)
		return;
	for (line++; *line && *line != '"'; line++)
	{
		unsigned int byte;

		if (line[0] == '\\' && line[1] == 'x' && sscanf(line + 2, "%2x", &byte) == 1)
		{
			*end++ = byte;
			line += 3;
		}
		else
			*end++ = *line == '\\' ? *++line : *line;
	}
	*end = '\0';
	words[nwords++] = word;
}

static void
read_dictionary(const char *path)
{
	FILE	   *file = fopen(path, "r");
	char		line[1000];

	if (file == NULL)
		elog(FATAL, "could not read \"%s\": %m", path);
	while (fgets(line, sizeof(line), file))
		add_word(line);
	fclose(file);
}

static char *
add_part(char *end, const Recipe *recipe, Part part)
{
	for (int i = 0; i < recipe->nwords[part]; i++)
		end += sprintf(end, "%s%s", i > 0 ? " " : "", words[recipe->words[part][i]]);
	return end;
}

static char *
make_text(const Recipe *recipe, int repeated)
{
	char	   *text = palloc(MAX_CHOSEN * 100 * (repeated + 2));
	char	   *end = add_part(text, recipe, BEGINNING);

	for (int i = 0; i < repeated; i++)
	{
		*end++ = ' ';
		end = add_part(end, recipe, UNIT);
	}
	*end++ = ' ';
	end = add_part(end, recipe, END);
	*end = '\0';
	return text;
}

/* The work with a text; 0 if PostgreSQL does not refuse it with a syntax error. */
static double
measure(const char *text)
{
	int			position;
	int			length = strlen(text);
	KwjSource  *source;
	MemoryContext old = CurrentMemoryContext;
	bool		found;

	if (kwj_refusal(text, RAW_PARSE_DEFAULT, &position) != ERRCODE_SYNTAX_ERROR)
		return 0;
	source = kwj_open_source(text, length);
	source->is_statement = true;
	source->stop = kwj_check_stop(text, length, position);
	kwj_work = 0;
	PG_TRY();
	{
		KwjPlace	place = kwj_place(text, length, source->stop);

		if (kwj_form_near(&place, kwj_words_of_form))
			kwj_parse_source(source, &found);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		FlushErrorState();
	}
	PG_END_TRY();
	return kwj_work;
}

/* A text that breaks a limit, as a file for fuzz/run coverage. */
static void
report(const char *what, const char *text, double work, double more)
{
	fprintf(stderr, "SLOW    %s: %.0f for %d bytes%s\n%.300s\n", what, work, (int) strlen(text),
			more > 0 ? psprintf(", %.0f for four times as many", more) : "", text);
}

/* Ask about the recipe's texts. False if a limit is broken. */
static bool
try_recipe(Recipe *recipe)
{
	char	   *text = make_text(recipe, REPEATED);
	char	   *longer = make_text(recipe, 4 * REPEATED);
	int			length = strlen(text);
	double		growth = (double) strlen(longer) / length;
	double		work;
	double		more;

	if (!pg_verifymbstr(longer, strlen(longer), true))
		return true;
	work = measure(text);
	more = measure(longer);
	recipe->work_per_byte = more / strlen(longer);
	if (more > LIMIT_PER_TEXT + LIMIT_PER_BYTE * (double) strlen(longer))
	{
		report("more work than the limit", text, work, more);
		return false;
	}
	if (work > 0 && more > LIMIT_PER_TEXT + LIMIT_OF_GROWTH * growth * work)
	{
		report("the work grows faster than the text", text, work, more);
		return false;
	}
	return true;
}

/* Change, add or take away a word of a part, or all of them. */
static void
change(Recipe *recipe)
{
	Part		part = random() % PARTS;
	int			n = recipe->nwords[part];
	int			at = n > 0 ? random() % n : 0;

	switch (random() % 5)
	{
		case 0:
			if (n > 0)
				memmove(&recipe->words[part][at], &recipe->words[part][at + 1],
						(--recipe->nwords[part] - at) * sizeof(int));
			break;
		case 1:
			if (n > 0)
				recipe->words[part][at] = random() % nwords;
			break;
		case 2:
			/* take another one's part */
			if (nkept > 0)
			{
				const Recipe *other = &kept[random() % nkept];
				Part		from = random() % PARTS;

				memcpy(recipe->words[part], other->words[from], sizeof(other->words[from]));
				recipe->nwords[part] = other->nwords[from];
			}
			break;
		default:
			if (n < MAX_CHOSEN)
			{
				memmove(&recipe->words[part][at + 1], &recipe->words[part][at], (n - at) * sizeof(int));
				recipe->words[part][at] = random() % nwords;
				recipe->nwords[part]++;
			}
			break;
	}
}

/* Keep the recipe, mostly in the place of the one with the least work. */
static void
keep(const Recipe *recipe)
{
	int			least = 0;

	if (nkept < KEPT)
	{
		kept[nkept++] = *recipe;
		return;
	}
	for (int i = 1; i < KEPT; i++)
	{
		if (kept[i].work_per_byte < kept[least].work_per_byte)
			least = i;
	}
	if (recipe->work_per_byte > kept[least].work_per_byte)
		kept[least] = *recipe;
	else if (random() % 100 == 0)
		kept[random() % KEPT] = *recipe;
}

void
kwj_look_for_slow_texts(const char *dictionary, int seconds, int seed)
{
	time_t		end = time(NULL) + seconds;
	long		texts = 0;
	int			faults = 0;
	Recipe		most = {0};

	read_dictionary(dictionary);
	srandom(seed);
	while (time(NULL) < end && faults < 20)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "slow text",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);
		Recipe		recipe = {0};

		if (nkept > 0 && random() % 8 > 0)
			recipe = kept[random() % nkept];
		for (int i = random() % 4; i >= 0; i--)
			change(&recipe);
		if (recipe.nwords[UNIT] > 0)
		{
			if (!try_recipe(&recipe))
				faults++;
			keep(&recipe);
			texts++;
		}
		if (recipe.work_per_byte > most.work_per_byte)
			most = recipe;
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
	}
	fprintf(stderr, "%ld texts, %d faults, at most %.1f for each byte:\n%.300s\n", texts, faults,
			most.work_per_byte, make_text(&most, 3));
	exit(faults > 0);
}
