/*
 * src/statement/look.c
 *	  Looks around the place where PostgreSQL's parser stopped: can a job statement stand there?
 *
 * Callers: fallback.c, before anything else is done with a text that the parser refuses; hint.c and
 * explain.c. In any process that parses SQL; no locks.
 *
 * The parser stops at the first token with which the text cannot go on. If a job statement is the
 * reason, that token is one of the words with which the statement starts, the token after these
 * words, or the bracket before them. So 4 kB before and after that place are enough, and a text
 * without a job statement is refused as fast as without kwjobs, however long it is.
 *
 * This looks at bytes, not at tokens, for which the text would have to be read from its start.
 *
 * Known holes: it may see a job statement where there is none, in a comment or a string; then the
 * text is cut into tokens for nothing. It overlooks a statement whose words are further apart than
 * KWJ_LOOK_BYTES.
 */
#include "postgres.h"

#include <ctype.h>

#include "statement/internal.h"

/*
 * At most this many bytes of comments are skipped in one look. The look goes backwards from where
 * the parser stopped, and nested comments could otherwise be skipped again and again.
 */
#define MAX_SKIPPED	(32 * 1024)
static int	skipped;

/* Returns whether this byte can be part of a word, at least after its first byte. */
static bool
is_word_byte(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

static bool
is_blank_byte(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Returns the end of the comment that starts here; `at` itself if none does. */
static int
skip_comment(const KwjPlace *place, int at)
{
	const char *text = place->text;
	int			end = place->length;
	int			depth = 0;

	if (at + 1 < end && text[at] == '-' && text[at + 1] == '-')
	{
		while (at < end && text[at] != '\n' && text[at] != '\r')
			at++;
		return at;
	}
	while (at + 1 < end)
	{
		if (text[at] == '/' && text[at + 1] == '*')
			depth++;
		else if (depth > 0 && text[at] == '*' && text[at + 1] == '/')
			depth--;
		else
		{
			if (depth == 0)
				return at;
			at++;
			continue;
		}
		at += 2;
		if (depth == 0)
			return at;
	}
	return depth > 0 ? end : at;
}

/* Returns the offset of what follows after blanks and comments. */
static int
skip_blanks(const KwjPlace *place, int at)
{
	for (;;)
	{
		int			start = at;

		while (at < place->length && is_blank_byte(place->text[at]))
			at++;
		if (skipped < MAX_SKIPPED)
		{
			int			comment = at;

			at = skip_comment(place, at);
			skipped += at - comment;
		}
		if (at == start)
			return at;
	}
}

/* Successive words, with only blanks and comments between them. */
typedef struct Words
{
	int			start[KWJ_MAX_WORDS];
	int			end[KWJ_MAX_WORDS];
	int			count;
} Words;

/* Returns the words from this offset on, at which one starts. */
static Words
read_words(const KwjPlace *place, int at)
{
	Words		words = {.count = 0};

	while (words.count < KWJ_MAX_WORDS && at < place->length && is_word_byte(place->text[at]))
	{
		words.start[words.count] = at;
		while (at < place->length && is_word_byte(place->text[at]))
			at++;
		words.end[words.count++] = at;
		at = skip_blanks(place, at);
	}
	return words;
}

static bool
is_word(const KwjPlace *place, int start, int end, const char *word)
{
	return end - start == strlen(word) &&
		pg_strncasecmp(place->text + start, word, end - start) == 0;
}

/*
 * If the words that were read begin with these words, returns the end of the last of these;
 * otherwise -1.
 */
static int
match_words(const KwjPlace *place, const Words *read, const char *const *words)
{
	int			n = 0;

	for (; words[n]; n++)
	{
		if (n == read->count || !is_word(place, read->start[n], read->end[n], words[n]))
			return -1;
	}
	return read->end[n - 1];
}

/*
 * Returns the start of the token at which the parser stopped, if that is certainly a word, and not
 * the end of a number or of a dollar-quoted string; otherwise -1.
 */
static int
start_of_stop(const KwjPlace *place)
{
	const char *text = place->text;
	int			start = place->stop;

	while (start > 0 && is_word_byte(text[start - 1]))
	{
		if (text[--start] == '$')
			return -1;
	}
	if (start == place->stop || isdigit((unsigned char) text[start]) ||
		(start > 0 && text[start - 1] == '.'))
		return -1;
	return start;
}

/* Returns whether a comment may have begun between the start of the line and this place. */
static bool
may_be_comment(const KwjPlace *place, int end)
{
	if (end >= 2 && place->text[end - 1] == '/' && place->text[end - 2] == '*')
		return true;
	for (; end >= 2 && place->text[end - 1] != '\n' && place->text[end - 1] != '\r'; end--)
	{
		if (place->text[end - 1] == '-' && place->text[end - 2] == '-')
			return true;
	}
	return false;
}

/*
 * Returns whether the parser stopped at one of the words in [at, end), at the token after them, or
 * at a bracket before them.
 */
static bool
is_at_stop(const KwjPlace *place, int at, int end)
{
	int			next;
	int			word;

	if (at >= place->stop)
		return place->stop > 0 && place->text[place->stop - 1] == '[' &&
			at == skip_blanks(place, place->stop);
	if (end >= place->stop)
		return true;
	next = skip_blanks(place, end);
	word = start_of_stop(place);
	return word >= 0 ? next == word : next <= place->stop;
}

/*
 * Like is_at_stop, but returns true only if the words are certainly not part of a string, a quoted
 * name or a comment. That is certain if the parser stopped at one of them, or if a word, a number,
 * a symbol or the end of the text follows them.
 */
static bool
is_surely_at_stop(const KwjPlace *place, int at, const Words *read, int end)
{
	static const char symbols[] = "()[],;:=<>+-*/.";
	int			stop = place->stop;
	int			next;

	if (!is_at_stop(place, at, end) || may_be_comment(place, at))
		return false;
	for (int i = 0; i < read->count && read->end[i] <= end; i++)
	{
		if (read->end[i] == stop)
			return true;
	}
	if (at >= stop)
		return true;
	next = skip_blanks(place, end);
	if (next == stop)
		return stop == place->length;
	if (next == stop - 1 && strchr(symbols, place->text[next]))
		return true;
	while (next < stop && is_word_byte(place->text[next]) && place->text[next] != '$')
		next++;
	return next == stop;
}

/* Returns whether the word that ends at this offset is one of `words`. */
static bool
ends_with_any(const KwjPlace *place, int end, const char *const *words)
{
	int			start = end;

	while (start > 0 && is_word_byte(place->text[start - 1]))
		start--;
	for (; *words; words++)
	{
		if (is_word(place, start, end, *words))
			return true;
	}
	return false;
}

/*
 * Returns whether the text before this offset allows a job statement to start here. *is_sure tells
 * whether it certainly can, because this is the start of the text or a semicolon stands before it;
 * anything else before it may be part of a comment.
 */
static bool
can_start(const KwjPlace *place, int at, bool *is_sure)
{
	static const char *const words[] = {
		"as", "for", "explain", "analyze", "analyse", "verbose", "atomic", NULL
	};
	bool		is_new_line = false;

	*is_sure = false;
	while (at > 0 && is_blank_byte(place->text[at - 1]))
	{
		at--;
		is_new_line |= place->text[at] == '\n' || place->text[at] == '\r';
	}
	if (at == 0)
	{
		*is_sure = place->is_start;
		return true;
	}
	if ((is_new_line || place->text[at - 1] == '/') && may_be_comment(place, at))
		return true;
	*is_sure = place->text[at - 1] == ';';
	return strchr(";()[]", place->text[at - 1]) != NULL || ends_with_any(place, at, words);
}

/* CREATE STATISTICS: the part that is not PostgreSQL's may be far from these words. */
static bool
is_statistics(const char *const *words)
{
	return strcmp(words[0], "create") == 0 && words[1] && strcmp(words[1], "statistics") == 0;
}

/* Returns whether a word can start here. */
static bool
is_word_start(const KwjPlace *place, int at)
{
	return isalpha((unsigned char) place->text[at]) &&
		(at == 0 ? place->is_start : !is_word_byte(place->text[at - 1]));
}

/*
 * Returns whether a statement that starts with the words in [at, end) can stand here, and the
 * parser stopped at it. surely: the place must admit nothing else.
 */
static bool
is_statement_at(const KwjPlace *place, int at, const Words *read, int end,
				const char *const *words, bool surely)
{
	bool		is_sure;

	/* elsewhere a single word is a column's name */
	if (words[1] == NULL && end != place->stop && at < place->stop)
		return false;
	if (!is_at_stop(place, at, end) && !(is_statistics(words) && at < place->stop))
		return false;
	return can_start(place, at, &is_sure) &&
		(!surely || (is_sure && is_surely_at_stop(place, at, read, end)));
}

/*
 * Returns the first letters of these words, as a bit set, because most words of a text start with
 * others.
 */
static uint32
first_letters(KwjWords words_of)
{
	const char *const *words;
	uint32		letters = 0;

	for (int i = 0; (words = words_of(i)) != NULL; i++)
		letters |= 1 << (words[0][0] - 'a');
	return letters;
}

static bool
is_letter_of(char c, uint32 letters)
{
	c = pg_tolower((unsigned char) c);
	return c >= 'a' && c <= 'z' && (letters & (1 << (c - 'a'))) != 0;
}

/*
 * Returns the number of the words with which a statement can start where the parser stopped; -1 if
 * there are none. surely: the place must admit nothing else. *next: the text after the words.
 */
int
kwj_words_near(const KwjPlace *place, KwjWords words_of, bool surely, const char **next)
{
	uint32		letters = first_letters(words_of);
	int			after;

	skipped = 0;
	after = skip_blanks(place, place->stop);
	for (int at = Min(after, place->length - 1); at >= 0; at--)
	{
		const char *const *words;
		Words		read = {.count = 0};

		if (!is_letter_of(place->text[at], letters) || !is_word_start(place, at) ||
			(at >= place->stop && at < after))
			continue;
		for (int i = 0; (words = words_of(i)) != NULL; i++)
		{
			int			end;

			if (pg_tolower((unsigned char) place->text[at]) != words[0][0])
				continue;
			if (read.count == 0)
				read = read_words(place, at);
			end = match_words(place, &read, words);
			if (end < 0 || !is_statement_at(place, at, &read, end, words, surely))
				continue;
			end = skip_blanks(place, end);
			*next = end < place->length ? place->text + end : "";
			return i;
		}
	}
	return -1;
}

/* Returns whether there can be a job statement where the parser stopped. */
bool
kwj_form_near(const KwjPlace *place, KwjWords words_of)
{
	const char *next;

	return kwj_words_near(place, words_of, false, &next) >= 0;
}

/* Returns whether the words of some form stand anywhere before the place. */
bool
kwj_form_before(const KwjPlace *place, KwjWords words_of)
{
	skipped = 0;
	for (int at = place->stop - 1; at >= 0; at--)
	{
		const char *const *words;
		Words		read;

		if (!is_word_start(place, at))
			continue;
		read = read_words(place, at);
		for (int i = 0; (words = words_of(i)) != NULL; i++)
		{
			if (match_words(place, &read, words) >= 0)
				return true;
		}
	}
	return false;
}

/* Returns whether these words stand at the place. */
bool
kwj_words_at(const KwjPlace *place, const char *const *words)
{
	Words		read;

	skipped = 0;
	read = read_words(place, place->stop);
	return match_words(place, &read, words) >= 0;
}

/* Returns whether these words stand just before the place. */
bool
kwj_words_before(const KwjPlace *place, const char *const *words)
{
	skipped = 0;
	for (int at = place->stop - 1; at >= 0; at--)
	{
		Words		read;
		int			end;

		if (!is_word_start(place, at) || pg_tolower((unsigned char) place->text[at]) != words[0][0])
			continue;
		read = read_words(place, at);
		end = match_words(place, &read, words);
		if (end >= 0 && skip_blanks(place, end) == place->stop)
			return true;
	}
	return false;
}

/* Returns the surroundings of an offset in a text. */
KwjPlace
kwj_place(const char *text, int length, int stop)
{
	int			from = Max(stop - KWJ_LOOK_BYTES, 0);
	int			to = Min((int64) stop + KWJ_LOOK_BYTES, length);
	KwjPlace	place = {text + from, to - from, stop - from, from == 0};

	return place;
}

/* Returns whether the word or parenthesis before this offset lets a query or a table follow. */
static bool
is_query_expected(const KwjPlace *place, int at)
{
	static const char *const words[] = {
		"as", "copy", "from", "in", "into", "join", "lateral", "table", "using", NULL
	};

	while (at > 0 && is_blank_byte(place->text[at - 1]))
		at--;
	return at > 0 && (place->text[at - 1] == '(' || place->text[at - 1] == '[' ||
					  ends_with_any(place, at, words));
}

/*
 * Returns whether PostgreSQL's parser stopped at the words SHOW JOB, SHOW JOBS or SHOW AUTOMATIC
 * JOBS, and the user probably meant them as a table: they follow FROM, JOIN, a parenthesis or the
 * like, or the parser stopped at the word SHOW itself. The error then gets the hint to use
 * brackets.
 */
bool
kwj_show_near(const KwjPlace *place)
{
	static const char *const shows[][KWJ_MAX_WORDS + 1] = {
		{"show", "job"}, {"show", "jobs"}, {"show", "automatic", "jobs"}
	};
	int			after;

	skipped = 0;
	after = skip_blanks(place, place->stop);
	for (int at = Min(after, place->length - 1); at >= 0; at--)
	{
		Words		read;

		if (!is_word_start(place, at) || pg_tolower((unsigned char) place->text[at]) != 's')
			continue;
		read = read_words(place, at);
		for (int i = 0; i < lengthof(shows); i++)
		{
			int			end = match_words(place, &read, shows[i]);

			if (end >= 0 && is_surely_at_stop(place, at, &read, end) &&
				(read.end[0] == place->stop || is_query_expected(place, at)))
				return true;
		}
	}
	return false;
}
