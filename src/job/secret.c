/*
 * src/job/secret.c
 *	  Whether a text seems to have a password or another secret in it.
 *
 * Callers: track/text.c, for the texts of statements; lifecycle/session_job.c, for the errors of
 * jobs that sessions do. Process: any. Locks: none.
 *
 * This looks at the text only, so it finds what looks like a secret: a word such as "password" that
 * gets a value, user:password@ in a URI, a bearer token. A secret that is known by its place only,
 * such as the second argument of a function, is not found.
 */
#include "postgres.h"

#include <ctype.h>

#include "job/secret.h"

static bool
is_space(char c)
{
	return isspace((unsigned char) c);
}

/*
 * The text follows a word such as "password". Returns whether it seems to give a value to this
 * word: = 'x', => 'x', : "x", 'x'.
 */
static bool
is_given_a_value(const char *text)
{
	while (is_space(*text) || *text == '"' || *text == '\\')
	{
		/* E'\t' is a space, too. */
		if (*text == '\\' && text[1] != '\0' && strchr("tnrfv", text[1]) != NULL)
			text++;
		text++;
	}
	return *text == '=' || *text == ':' || *text == '\'';
}

/*
 * The text follows a word such as "password". Returns whether it seems to declare a variable or a
 * column with a value: text := 'x', text DEFAULT 'x', varchar(20) = 'x'. An empty value is none.
 */
static bool
is_declared_with_a_value(const char *text)
{
	if (!is_space(*text))
		return false;
	while (is_space(*text))
		text++;
	while (isalnum((unsigned char) *text) || *text == '_')
		text++;
	if (*text == '(')
		text += strcspn(text, ")") + (strchr(text, ')') != NULL ? 1 : 0);
	while (is_space(*text))
		text++;
	if (pg_strncasecmp(text, "DEFAULT", strlen("DEFAULT")) == 0)
		text += strlen("DEFAULT");
	else if (*text == ':' && text[1] == '=')
		text += 2;
	else if (*text == '=')
		text++;
	else
		return false;
	while (is_space(*text))
		text++;
	return *text == '\'' && text[1] != '\'';
}

/* Returns whether the text begins with this word, in upper or lower case. */
static bool
begins_with(const char *text, const char *word)
{
	return pg_strncasecmp(text, word, strlen(word)) == 0;
}

/* Returns whether the text begins with "Bearer" and a token, as in a header of HTTP. */
static bool
is_bearer_token(const char *text)
{
	return begins_with(text, "bearer ") && isalnum((unsigned char) text[strlen("bearer ")]);
}

/* Returns whether the text begins with a word for a secret that gets a value. */
static bool
is_word_with_a_value(const char *text)
{
	static const char *const words[] = {
		"password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "credentials",
		"apikey", "api_key", "accesskey", "access_key", "accountkey", "account_key", "privatekey",
		"private_key"
	};

	for (int i = 0; i < lengthof(words); i++)
		if (begins_with(text, words[i]) &&
			(is_given_a_value(text + strlen(words[i])) ||
			 is_declared_with_a_value(text + strlen(words[i]))))
			return true;
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

bool
kwj_seems_secret(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if (text[0] == '/' && text[1] == '/' && is_password_in_uri(text + 2))
			return true;
		/* Only words with these first letters are looked for. */
		if (strchr("pPsStTcCaAbB", *text) != NULL &&
			(is_word_with_a_value(text) || is_bearer_token(text)))
			return true;
	}
	return false;
}
