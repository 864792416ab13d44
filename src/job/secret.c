/*
 * src/job/secret.c
 *	  Whether a text seems to have a password or another secret in it.
 *
 * Callers: track/text.c, for the texts of statements; lifecycle/session_job.c, for the errors of
 * jobs that sessions do. Process: any. Locks: none.
 *
 * kwj_seems_secret knows only the text, so it finds what looks like a secret: a word such as
 * "password" that gets a value, user:password@ in a URI, a bearer token. It does not find a secret
 * that only its place shows to be one, such as the second argument of a function.
 */
#include "postgres.h"

#include <ctype.h>
#include <limits.h>

#include "job/secret.h"

/* A declaration has at most this many words between the name and the value. */
#define MOST_WORDS				8
/* In a declaration, parentheses such as those of numeric(10, 2) have at most this many bytes. */
#define MOST_IN_PARENTHESES		32

static bool
is_space(char c)
{
	return isspace((unsigned char) c);
}

/* Returns whether the text begins with this word, in upper or lower case. The word is in lower case. */
static bool
begins_with(const char *text, const char *word)
{
	while (*word != '\0' && pg_tolower((unsigned char) *text) == (unsigned char) *word)
		text++, word++;
	return *word == '\0';
}

static const char *
skip_spaces(const char *text)
{
	while (is_space(*text))
		text++;
	return text;
}

/* Returns whether the text is at its end, or at a character that ends an SQL expression. */
static bool
is_end_of_value(const char *text)
{
	return *text == '\0' || is_space(*text) || strchr(",;):", *text) != NULL;
}

/*
 * Returns whether the text begins with a string constant that is not empty: 'x', E'x', U&'x',
 * $$x$$, $b$x$b$. If the body of a function is itself a string in quotes, the quotes of the strings
 * in the body are doubled: ''x''.
 */
static bool
is_string(const char *text)
{
	size_t		quotes;

	if (*text == '$')
	{
		text++;
		while (isalnum((unsigned char) *text) || *text == '_')
			text++;
		/* $$ also ends the body of a function. Then no value follows it. */
		return *text == '$' && !is_end_of_value(text + 1);
	}
	if (begins_with(text, "e'"))
		text++;
	else if (begins_with(text, "u&'"))
		text += 2;
	quotes = strspn(text, "'");
	return quotes == 1 || quotes > 2 || (quotes == 2 && !is_end_of_value(text + 2));
}

/*
 * The text follows a word such as "password". Returns whether it seems to give a value to this
 * word: = 'x', => 'x', : "x", 'x', E'x'.
 */
static bool
is_given_a_value(const char *text)
{
	while (is_space(*text) || *text == '"' || *text == '\\')
	{
		/* In E'...', \t and its like are white space, too. */
		if (*text == '\\' && text[1] != '\0' && strchr("tnrfv", text[1]) != NULL)
			text++;
		text++;
	}
	return *text == '=' || *text == ':' || *text == '\'' || is_string(text);
}

/* Returns the end of a word of a declaration, such as varchar(20); `text` if there is none here. */
static const char *
skip_word(const char *text)
{
	const char *close;

	while (isalnum((unsigned char) *text) || IS_HIGHBIT_SET(*text) ||
		   (*text != '\0' && strchr("_.\"[]%", *text) != NULL))
		text++;
	if (*text != '(')
		return text;
	close = memchr(text, ')', strnlen(text, MOST_IN_PARENTHESES));
	return close != NULL ? close + 1 : text;
}

/* Returns whether a string constant follows, perhaps in parentheses. */
static bool
is_string_next(const char *text)
{
	while (is_space(*text) || *text == '(')
		text++;
	return is_string(text);
}

/*
 * The text follows a word such as "password". Returns whether it seems to declare a variable or a
 * column with a value: CONSTANT text := 'x', text NOT NULL DEFAULT 'x', varchar(20) = 'x'. An empty
 * string does not count as a value.
 */
static bool
is_declared_with_a_value(const char *text)
{
	if (*text == '"')
		text++;
	if (!is_space(*text))
		return false;
	for (int words = 0; words <= MOST_WORDS; words++)
	{
		const char *word = skip_spaces(text);

		if (begins_with(word, "default"))
			return is_string_next(word + strlen("default"));
		if (begins_with(word, ":="))
			return is_string_next(word + strlen(":="));
		/* Behind more words, = does not belong to a declaration: token IS NULL AND name = 'x'. */
		if (*word == '=' && words <= 1)
			return is_string_next(word + 1);
		text = skip_word(word);
		if (text == word)
			return false;
	}
	return false;
}

/* Returns whether the text begins with "Bearer" and a token, as in a header of HTTP. */
static bool
is_bearer_token(const char *text)
{
	return begins_with(text, "bearer ") && isalnum((unsigned char) text[strlen("bearer ")]);
}

/*
 * What may begin with a character. A session looks up each character of a text here. With most
 * characters, nothing begins.
 */
typedef struct Begin
{
	uint32		second;			/* the characters that may come second, each as its SECOND() */
	const char *const *words;	/* the words for a secret, in lower case; NULL: none */
} Begin;

/* A bit for a character, the same for upper and lower case. Some other characters have the same. */
#define SECOND(c)	((uint32) 1 << ((c) & 31))

static const char *const words_with_a[] = {
	"apikey", "api_key", "accesskey", "access_key", "accountkey", "account_key", NULL
};
static const char *const words_with_c[] = {"credential", "credentials", NULL};
static const char *const words_with_p[] = {
	"password", "passwd", "passphrase", "pwd", "privatekey", "private_key", NULL
};
static const char *const words_with_s[] = {"secret", NULL};
static const char *const words_with_t[] = {"token", NULL};

#define LETTER(lower, upper, second, words)	[lower] = {second, words}, [upper] = {second, words}

static const Begin begins[UCHAR_MAX + 1] = {
	['\0'] = {~(uint32) 0, NULL},	/* the end of the text is to be looked at, too */
	LETTER('a', 'A', SECOND('p') | SECOND('c'), words_with_a),
	LETTER('b', 'B', SECOND('e'), NULL),	/* bearer */
	LETTER('c', 'C', SECOND('r'), words_with_c),
	LETTER('p', 'P', SECOND('a') | SECOND('w') | SECOND('r'), words_with_p),
	LETTER('s', 'S', SECOND('e'), words_with_s),
	LETTER('t', 'T', SECOND('o'), words_with_t),
	['/'] = {SECOND('/'), NULL},
};

/* Returns whether the text begins with one of these words, and gives a value to it. */
static bool
is_word_with_a_value(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
	{
		Assert(begins[(unsigned char) **words].second & SECOND((*words)[1]));
		if (begins_with(text, *words) &&
			(is_given_a_value(text + strlen(*words)) ||
			 is_declared_with_a_value(text + strlen(*words))))
			return true;
	}
	return false;
}

/*
 * The text follows the // of a URI. Returns whether it begins with user:password@. The @ may be
 * missing at the end of the text, because the text may have been cut there.
 */
static bool
is_password_in_uri(const char *text)
{
	bool		has_colon = false;

	for (; *text != '\0' && *text != '/' && *text != '\'' && !is_space(*text); text++)
	{
		if (*text == '@')
			return has_colon;
		has_colon = has_colon || *text == ':';
	}
	return *text == '\0' && has_colon;
}

/* The text begins with a character of `begins`. words: those that may begin here. */
static bool
is_secret(const char *text, const char *const *words)
{
	if (words != NULL)
		return is_word_with_a_value(text, words);
	if (*text == '/')
		return text[1] == '/' && is_password_in_uri(text + 2);
	return is_bearer_token(text);
}

bool
kwj_seems_secret(const char *text)
{
	for (;; text++)
	{
		/* Most characters end here. */
		while (begins[(unsigned char) *text].second == 0)
			text++;
		if (*text == '\0')
			return false;
		if ((begins[(unsigned char) *text].second & SECOND(text[1])) != 0 &&
			is_secret(text, begins[(unsigned char) *text].words))
			return true;
	}
}

const char *
kwj_showable(const char *text, bool is_secret)
{
	return is_secret || kwj_seems_secret(text) ? KWJ_NOT_SHOWN : text;
}
