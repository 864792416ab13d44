/*
 * fuzz/text.c
 *	  Makes texts from a corpus, and tells whether a job statement may be in one.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define MAX_CORPUS	4096

char		text[MAX_TEXT + 1];
int			ncorpus;

static char *corpus[MAX_CORPUS];

static const char *const words[] = {
	"SHOW", "JOB", "JOBS", "PAUSE", "DROP JOB 1", "RUNNING", "ALL", "KILL", "RESUME", "CANCEL", "AUTOMATIC", "IMPORT", "INTO", "EXPORT", "BACKUP", "RESTORE",
	"SCHEDULE", "SCHEDULES", "CREATE", "ALTER", "DROP", "STATISTICS", "CLUSTER", "SETTING", "SET", "RESET", "WHEN",
	"COMPLETE", "COMPLET", "WITH", "REASON", "REASON =", "CSV", "DATA", "DETACHED", "OPTIONS", "SELECT", "FROM",
	"WHERE", "VALUES", "EXPLAIN", "ANALYZE", "PREPARE", "AS", "DECLARE", "CURSOR", "FOR", "COPY", "TO", "STDOUT",
	"BEGIN ATOMIC", "END", "LATERAL", "ONLY", "JOIN", "USING", "TABLE", "[SHOW JOBS]", "[SHOW JOB 1]", "[SHOW JOB $1]",
	"[", "]", "(", ")", "((((((((", "[[[[", ",", ";", ".", "..", "::", ":", ":=", "=", "*", "$1", "$2", "$$", "$a$", "'",
	"''", "E'\\'", "U&'\\00e9'", "U&\"", "B'", "\"", "\"\"", "--", "-- [SHOW JOBS]\n", "/*", "*/", "/* PAUSE JOB 1 */",
	"\n", "\t", " ", "ü", "日本", "\\", "1", "-1", "1.5", "9223372036854775808", "1e", "0x", "NULL", "true", "job",
	"jobs", "a[1]", "show.jobs", "ARRAY[show, jobs]", "x[show]",
	"identifier_that_is_much_longer_than_the_sixty_three_bytes_which_postgresql_allows",
	"NOT LA", "NULLS FIRST", "WITH TIME ZONE", "WITH ORDINALITY", "UESCAPE '!'", "%", "@", "?", "<->", "||",
};

/* Around a job statement without quotes, in which it is not one */
static const char *const hiding[][2] = {
	{"SELECT '", "'"}, {"SELECT '", "' FORM x"}, {"SELECT $$", "$$ $$x"}, {"SELECT $q$", "$q$ FORM"},
	{"/* ", " */ SELEC 1"}, {"SELECT 1 -- ", "\n FORM x"}, {"SELECT \"", "\" FROM ("}, {"SELECT E'\\'", "' ]"},
	{"SELECT a AS \"", "\" ]"}, {"SELECT U&'", "' UESCAPE"}, {"SELECT '[", "]' ["}, {"INSERT INTO t VALUES ('", "' '"},
	{"COMMENT ON TABLE t IS '", "' x"}, {"SELECT 'x'\n'", "' FORM x"}, {"SELECT /* /* */ ", " */ FORM"},
};

int
random_below(int limit)
{
	return limit > 0 ? (int) (random() % limit) : 0;
}

/* Skip blanks and comments. */
static const char *
skip_blanks(const char *s)
{
	while (*s)
	{
		if (isspace((unsigned char) *s))
			s++;
		else if (s[0] == '-' && s[1] == '-')
			s += strcspn(s, "\n\r");
		else if (s[0] == '/' && s[1] == '*')
		{
			int			depth = 0;

			do
			{
				int			change = s[0] == '/' && s[1] == '*' ? 1 : s[0] == '*' && s[1] == '/' ? -1 : 0;

				depth += change;
				s += change ? 2 : 1;
			} while (depth > 0 && *s);
		}
		else
			break;
	}
	return s;
}

static int
word_length(const char *s)
{
	int			n = 0;

	while (isalnum((unsigned char) s[n]) || s[n] == '_' || s[n] == '$' || (s[n] & 0x80))
		n++;
	return n;
}

static bool
is_one_of(const char *word, int length, const char *list)
{
	char		padded[40];

	if (length > 30)
		return false;
	snprintf(padded, sizeof(padded), " %.*s ", length, word);
	for (char *c = padded; *c; c++)
		*c = tolower((unsigned char) *c);
	return strstr(list, padded) != NULL;
}

/*
 * May there be a job statement in it? Looks for its first two words side by side,
 * strings or not.
 */
bool
may_have_job_statement(const char *s)
{
	bool		hard = strpbrk(s, "'\"$") && (strstr(s, "--") || strstr(s, "/*"));
	bool		verb = false;

	for (s = hard ? s : skip_blanks(s); *s; s = hard ? s : skip_blanks(s))
	{
		int			length = word_length(s);

		if (is_one_of(s, length, " backup restore "))
			return true;
		if (verb && is_one_of(s, length, " job jobs automatic into schedule schedules cluster statistics table database users "
							  "all for running pending paused failed succeeded canceled cancelled finished active my "))
			return true;
		if (length == 0)
			length = 1;
		if (is_one_of(s, length, " show pause resume cancel import create alter drop set reset export list describe retry "
					  "rerun restart delete remove kill stop abort terminate start run continue unpause wait "))
			verb = true;
		else if (!hard)
			verb = false;
		s += length;
	}
	return false;
}

/* Replace the bytes [from, from + removed) of the text. */
static void
splice(int from, int removed, const char *insert, int inserted)
{
	int			length = strlen(text);

	if (length - removed + inserted > MAX_TEXT - 1)
		return;
	/* do not cut characters apart: that is an error of encoding, before parsing */
	while (from > 0 && (text[from] & 0xc0) == 0x80)
		from--, removed++;
	while (from + removed < length && (text[from + removed] & 0xc0) == 0x80)
		removed++;
	if (length - removed + inserted > MAX_TEXT - 1)
		return;
	memmove(text + from + inserted, text + from + removed, length - from - removed + 1);
	memcpy(text + from, insert, inserted);
}

/* A place between words, mostly. */
static int
random_place(void)
{
	int			place = random_below(strlen(text) + 1);

	if (random_below(4) > 0)
	{
		while (place > 0 && word_length(text + place) > 0)
			place--;
	}
	return place;
}

static void
insert_word(int from, int removed)
{
	char		word[200];

	snprintf(word, sizeof(word), random_below(3) ? " %s " : "%s", words[random_below(lengthof(words))]);
	splice(from, removed, word, strlen(word));
}

static void
mutate(void)
{
	int			length = strlen(text);
	int			from = random_place();
	int			rest = length - from;
	const char *other = corpus[random_below(ncorpus)];
	char		copy[64];
	int			n;

	switch (random_below(9))
	{
		case 0:
			n = 1 + random_below(12);
			splice(from, n < rest ? n : rest, "", 0);
			break;
		case 1:
		case 2:
			insert_word(from, 0);
			break;
		case 3:
			n = text[from] == ' ' ? 1 + word_length(text + from + 1) : word_length(text + from);
			insert_word(from, n);
			break;
		case 4:
			n = random_below(rest < 60 ? rest : 60);
			memcpy(copy, text + from, n);
			while (n > 0 && (text[from + n] & 0xc0) == 0x80)
				n--;
			splice(from, 0, copy, n);
			break;
		case 5:
			splice(from, 0, other, strlen(other));
			break;
		case 6:
			if (from < length && (text[from] & 0x80) == 0)
				text[from] = 32 + random_below(95);
			break;
		case 7:
			splice(from, rest, "", 0);
			break;
		default:
			for (; text[from] && !isspace((unsigned char) text[from]); from++)
				text[from] = isupper((unsigned char) text[from]) ?
					tolower((unsigned char) text[from]) : toupper((unsigned char) text[from]);
			break;
	}
}

/* A text from the corpus, changed in some places. */
void
make_text(void)
{
	int			changes = random_below(6);

	snprintf(text, sizeof(text), "%s", corpus[random_below(ncorpus)]);
	while (changes-- > 0)
		mutate();
}

/* Put the text where a job statement in it is none. */
void
hide_text(void)
{
	int			i = random_below(lengthof(hiding));
	char		hidden[MAX_TEXT];
	int			n = 0;

	for (const char *c = text; *c && n < 4000; c++)
	{
		if (!strchr("'\"\\$*/\n\r-", *c))
			hidden[n++] = *c;
	}
	while (n > 0 && (hidden[n - 1] & 0x80))
		n--;
	hidden[n] = '\0';
	snprintf(text, sizeof(text), "%s%s%s", hiding[i][0], hidden, hiding[i][1]);
}

/* Statements of a file for psql: they end where a line ends with a semicolon. */
void
read_corpus(const char *path)
{
	FILE	   *file = fopen(path, "r");
	char		line[4096];
	char		statement[MAX_TEXT / 4] = "";
	bool		in_body = false;

	if (file == NULL)
	{
		perror(path);
		exit(2);
	}
	while (fgets(line, sizeof(line), file))
	{
		int			length = strlen(line);
		char	   *c;

		if (!in_body && (line[0] == '\\' || strncmp(line, "--", 2) == 0))
			continue;
		while ((c = strstr(line, "\\;")) != NULL)
			*c = ' ';
		for (c = line; (c = strstr(c, "$$")) != NULL; c += 2)
			in_body = !in_body;
		if (strlen(statement) + length < sizeof(statement))
			strcat(statement, line);
		while (length > 0 && isspace((unsigned char) line[length - 1]))
			length--;
		if (in_body || length == 0 || line[length - 1] != ';' || ncorpus == MAX_CORPUS)
			continue;
		statement[strcspn(statement, "") - 1] = '\0';
		*strrchr(statement, ';') = '\0';
		corpus[ncorpus++] = strdup(statement);
		statement[0] = '\0';
	}
	fclose(file);
}

void
use_corpus(int i)
{
	snprintf(text, sizeof(text), "%s", corpus[i]);
}
