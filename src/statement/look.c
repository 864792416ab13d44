/*
 * src/statement/look.c
 *	  Looks around the place where PostgreSQL's parser stopped: can a job statement
 *	  stand there?
 *
 * The parser stops at the first token with which the text cannot go on. Where that is
 * due to a job statement, the token is one of the words that the statement starts with,
 * the one after them, or the bracket before them. So most texts that the parser refuses
 * need not be looked at by anything else, however long they are.
 *
 * This is a look at the bytes, not at tokens, which would have to be counted from the
 * start of the text: it may see a statement where there is none, in a comment for
 * example. It overlooks one whose words are further apart than KWJ_LOOK_BYTES.
 */
#include "postgres.h"

#include <ctype.h>

#include "statement/internal.h"

/* Can this byte be part of a word, at least from its second byte on? */
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

/* Where the comment ends that starts here; here if none does. */
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

/* What comes after blanks and comments. */
static int
skip_blanks(const KwjPlace *place, int at)
{
	for (;;)
	{
		int			start = at;

		while (at < place->length && is_blank_byte(place->text[at]))
			at++;
		at = skip_comment(place, at);
		if (at == start)
			return at;
	}
}

/* Where this word, or symbol, ends that stands here; -1 if another one does. */
static int
match_word(const KwjPlace *place, int at, const char *word)
{
	int			end = at + strlen(word);

	if (end > place->length || pg_strncasecmp(place->text + at, word, end - at) != 0)
		return -1;
	if (is_word_byte(word[0]) && end < place->length && is_word_byte(place->text[end]))
		return -1;
	return end;
}

/* The same for words with nothing but blanks and comments between them. */
static int
match_words(const KwjPlace *place, int at, const char *const *words)
{
	for (;;)
	{
		at = match_word(place, at, *words);
		if (at < 0 || *++words == NULL)
			return at;
		at = skip_blanks(place, at);
	}
}

/*
 * Where the token starts at which the parser stopped, if it surely is a word and not the end
 * of a number or of a string in dollar quotes; otherwise -1.
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

/*
 * Did the parser stop at one of the words in [at, end), at the token after them, or at
 * a bracket before them?
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

/* The word that ends here is one of these. */
static bool
ends_with_any(const KwjPlace *place, int end, const char *const *words)
{
	for (; *words; words++)
	{
		int			start = end - (int) strlen(*words);

		if (start >= 0 && match_word(place, start, *words) == end &&
			(start == 0 || !is_word_byte(place->text[start - 1])))
			return true;
	}
	return false;
}

/* Is there a comment between the line's start and here, as far as that can be seen? */
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
 * Can a job statement start here, after what stands before it? Where that may be a
 * comment, it is not known what stands before it: *is_sure is false then.
 */
static bool
can_start(const KwjPlace *place, int at, bool *is_sure)
{
	static const char *const words[] = {
		"as", "for", "explain", "analyze", "analyse", "verbose", "atomic", NULL
	};
	bool		is_new_line = false;

	*is_sure = true;
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
	{
		*is_sure = false;
		return true;
	}
	return strchr(";()[]", place->text[at - 1]) != NULL || ends_with_any(place, at, words);
}

/* The words of CREATE STATISTICS may be far from what is not PostgreSQL's. */
static bool
is_statistics(const char *const *words)
{
	return strcmp(words[0], "create") == 0 && strcmp(words[1], "statistics") == 0;
}

/* Can this form's statement start here, and is it where the parser stopped? */
static bool
is_form_at(const KwjPlace *place, int at, const char *const *words)
{
	int			end;
	bool		is_sure;

	if (pg_tolower((unsigned char) place->text[at]) != words[0][0])
		return false;
	end = match_words(place, at, words);
	if (end < 0)
		return false;
	/* elsewhere a single word is the name of a column */
	if (words[1] == NULL && end != place->stop && at < place->stop)
		return false;
	return (is_at_stop(place, at, end) || (is_statistics(words) && at < place->stop)) &&
		can_start(place, at, &is_sure);
}

/* Can a word start here? */
static bool
is_word_start(const KwjPlace *place, int at)
{
	return isalpha((unsigned char) place->text[at]) &&
		(at == 0 ? place->is_start : !is_word_byte(place->text[at - 1]));
}

/* Can there be a job statement where the parser stopped? */
bool
kwj_form_near(const KwjPlace *place)
{
	int			after = skip_blanks(place, place->stop);

	for (int at = 0; at < place->length && at <= after; at++)
	{
		const char *const *words;

		if (!is_word_start(place, at) || (at >= place->stop && at < after))
			continue;
		for (int i = 0; (words = kwj_words_of_form(i)) != NULL; i++)
		{
			if (is_form_at(place, at, words))
				return true;
		}
	}
	return false;
}

/* Do the words of any form stand before the place? */
bool
kwj_form_before(const KwjPlace *place)
{
	for (int at = 0; at < place->stop; at++)
	{
		const char *const *words;

		if (!is_word_start(place, at))
			continue;
		for (int i = 0; (words = kwj_words_of_form(i)) != NULL; i++)
		{
			if (match_words(place, at, words) >= 0)
				return true;
		}
	}
	return false;
}

/* Do these words stand at the place? */
bool
kwj_words_at(const KwjPlace *place, const char *const *words)
{
	return match_words(place, place->stop, words) >= 0;
}

/* Do these words stand just before the place? */
bool
kwj_words_before(const KwjPlace *place, const char *const *words)
{
	for (int at = 0; at < place->stop; at++)
	{
		int			end = is_word_start(place, at) ? match_words(place, at, words) : -1;

		if (end >= 0 && skip_blanks(place, end) == place->stop)
			return true;
	}
	return false;
}

/* The surroundings of this offset in a text. */
KwjPlace
kwj_place(const char *text, int length, int stop)
{
	int			from = Max(stop - KWJ_LOOK_BYTES, 0);
	int			to = Min((int64) stop + KWJ_LOOK_BYTES, length);
	KwjPlace	place = {text + from, to - from, stop - from, from == 0};

	return place;
}

/*
 * Does a statement start with these words, surely, and did the parser stop at one of
 * them or at the token after them? With "anywhere", it need not be a statement's start.
 */
bool
kwj_words_near(const KwjPlace *place, const char *const *words, bool anywhere)
{
	for (int at = 0; at < place->length && at < place->stop; at++)
	{
		int			end;
		bool		is_sure = true;

		if (!is_word_start(place, at) || (end = match_words(place, at, words)) < 0)
			continue;
		if (is_at_stop(place, at, end) &&
			(anywhere || (can_start(place, at, &is_sure) && is_sure)))
			return true;
	}
	return false;
}
