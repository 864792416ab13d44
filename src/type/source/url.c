/*
 * src/type/source/url.c
 *	  URLs from which an IMPORT may read, and the setting that allows them.
 *
 * kwjobs.import_urls is a list of URLs. One of them allows what has the same scheme, host and port, and
 * lies in its path:
 *
 *     https://data.example.org/public     allows     https://data.example.org/public/2026/a.csv
 *                                                    https://DATA.example.org:443/public
 *                                         but not    https://data.example.org/publicity/a.csv
 *                                                    http://data.example.org/public/a.csv
 *                                                    https://data.example.org.evil.org/public/a.csv
 *                                                    https://data.example.org@evil.org/public/a.csv
 *                                                    https://data.example.org/public/../secret.csv
 *
 * What a URL means must not depend on who reads it. So only what is plain is accepted, and what was
 * compared is what is requested: kwj_url_text() makes the text from the parts.
 *
 * Callers: http.c, source.c. Process: session, worker; the setting: any. Locks: none.
 */
#include "postgres.h"

#include <ctype.h>

#include "lib/stringinfo.h"
#include "type/source/url.h"
#include "utils/formatting.h"
#include "utils/guc.h"

/* A URL may have this many bytes. */
#define LONGEST_URL		4096

#define HTTP	"http://"
#define HTTPS	"https://"

static char *import_urls;

bool
kwj_url_is_one(const char *text)
{
	return pg_strncasecmp(text, HTTP, strlen(HTTP)) == 0 || pg_strncasecmp(text, HTTPS, strlen(HTTPS)) == 0;
}

/* ---- parts ---- */

/*
 * Reads a host from *text, and moves *text behind it. Returns NULL if there is none: letters, digits, dots
 * and hyphens, or an address of IPv6 in brackets.
 */
static char *
read_host(const char **text)
{
	const char *begin = *text;
	const char *end = begin;

	if (*end == '[')
	{
		end += 1 + strspn(end + 1, "0123456789abcdefABCDEF:.");
		if (*end++ != ']')
			return NULL;
	}
	else
	{
		while (isascii((unsigned char) *end) && (isalnum((unsigned char) *end) || *end == '.' || *end == '-'))
			end++;
	}
	if (end == begin)
		return NULL;
	*text = end;
	return asc_tolower(begin, end - begin);
}

/*
 * Reads a colon and a port from *text, and moves *text behind it. Returns 0 if the port is wrong, and
 * `otherwise` if there is no colon.
 */
static int
read_port(const char **text, int otherwise)
{
	size_t		digits;
	int			port;

	if (**text != ':')
		return otherwise;
	(*text)++;
	digits = strspn(*text, "0123456789");
	if (digits == 0 || digits > 5)
		return 0;
	port = atoi(*text);
	*text += digits;
	return port <= 65535 ? port : 0;
}

/*
 * Returns whether a part of a path, of this length, is "." or "..", or is taken for one of them by some
 * servers.
 */
static bool
is_dots(const char *part, size_t length)
{
	/* Some servers take what follows a semicolon for parameters. */
	size_t		name = strcspn(part, ";");

	name = Min(name, length);
	return name > 0 && name <= 2 && strspn(part, ".") >= name;
}

/* Returns whether a percent sign stands for nothing that could change where the path leads. */
static bool
is_plain_escape(const char *percent)
{
	int			code;

	if (!isxdigit((unsigned char) percent[1]) || !isxdigit((unsigned char) percent[2]))
		return false;
	code = (int) strtol(pnstrdup(percent + 1, 2), NULL, 16);
	return code >= ' ' && code != 127 && strchr("./\\%", code) == NULL;
}

/* Returns whether all characters may stand in a URL. */
static bool
is_plain(const char *text)
{
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}#", *c) != NULL)
			return false;
	return true;
}

static bool
is_plain_path(const char *path)
{
	for (const char *part = path; *part; part += strcspn(part, "/"))
	{
		part++;
		if (is_dots(part, strcspn(part, "/")))
			return false;
	}
	for (const char *c = strchr(path, '%'); c; c = strchr(c + 1, '%'))
		if (!is_plain_escape(c))
			return false;
	return is_plain(path);
}

/* Takes a URL apart. Returns what is wrong, or NULL. */
static const char *
parse(const char *text, KwjUrl *url)
{
	const char *rest = text;

	if (!kwj_url_is_one(text))
		return "It begins with neither http:// nor https://.";
	if (strlen(text) > LONGEST_URL)
		return "It is too long.";
	url->is_https = pg_strncasecmp(text, HTTPS, strlen(HTTPS)) == 0;
	rest += url->is_https ? strlen(HTTPS) : strlen(HTTP);
	if (memchr(rest, '@', strcspn(rest, "/?#")) != NULL)
		return "It has a user, or a password, in it.";
	url->host = read_host(&rest);
	if (url->host == NULL)
		return "It has no host, or one with other characters than letters, digits, dots and hyphens.";
	url->port = read_port(&rest, url->is_https ? 443 : 80);
	if (url->port == 0)
		return "Its port is none.";
	if (*rest != '\0' && *rest != '/' && *rest != '?')
		return "Behind its host, neither a path nor a query begins.";
	url->path = pnstrdup(rest, strcspn(rest, "?"));
	url->query = pstrdup(rest + strlen(url->path));
	if (url->path[0] == '\0')
		url->path = pstrdup("/");
	if (!is_plain_path(url->path))
		return "Its path has a part that is \".\" or \"..\", or a character that may mean different things to different programs.";
	return is_plain(url->query) ? NULL : "Its query has a character that has to be written as %XX, or it has a fragment.";
}

const char *
kwj_url_hide(const char *text)
{
	const char *end;
	const char *host;
	const char *at = NULL;

	host = strstr(text, "://");
	if (host == NULL || is_absolute_path(text))
		return text;
	host += 3;
	end = host + strcspn(host, "?#");
	/* What stands before the last @ may be a password with slashes in it. */
	for (const char *c = host; *c; c++)
		if (*c == '@')
			at = c;
	if (at != NULL && at < end)
		return psprintf("%.*s...%.*s%s", (int) (host - text), text, (int) (end - at), at, *end ? "?..." : "");
	if (at != NULL)
		return psprintf("%.*s...", (int) (host - text), text);
	return psprintf("%.*s%s", (int) (end - text), text, *end ? "?..." : "");
}

KwjUrl *
kwj_url_parse(const char *text)
{
	KwjUrl	   *url = palloc0(sizeof(KwjUrl));
	const char *problem = parse(text, url);

	if (problem != NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("cannot import from URL \"%s\"", kwj_url_hide(text)),
				errdetail("%s", problem),
				errhint("Type it plainly: https://host/path/file.csv. A server that wants a password has to allow this server by its address, or by a signed URL."));
	return url;
}

static bool
has_usual_port(const KwjUrl *url)
{
	return url->port == (url->is_https ? 443 : 80);
}

/* Appends all before the query. */
static void
append_place(StringInfo text, const KwjUrl *url)
{
	appendStringInfo(text, "%s%s", url->is_https ? HTTPS : HTTP, url->host);
	if (!has_usual_port(url))
		appendStringInfo(text, ":%d", url->port);
	appendStringInfoString(text, url->path);
}

char *
kwj_url_text(const KwjUrl *url)
{
	StringInfoData text;

	initStringInfo(&text);
	append_place(&text, url);
	appendStringInfoString(&text, url->query);
	return text.data;
}

char *
kwj_url_shown(const KwjUrl *url)
{
	StringInfoData text;

	initStringInfo(&text);
	append_place(&text, url);
	if (url->query[0] != '\0')
		appendStringInfoString(&text, "?...");
	return text.data;
}

/* ---- what is allowed ---- */

static bool
is_in(const KwjUrl *url, const KwjUrl *allowed)
{
	size_t		length = strlen(allowed->path);

	if (url->is_https != allowed->is_https || url->port != allowed->port || strcmp(url->host, allowed->host) != 0 ||
		strncmp(url->path, allowed->path, length) != 0)
		return false;
	return allowed->path[length - 1] == '/' || url->path[length] == '/' || url->path[length] == '\0';
}

/*
 * Returns the next URL of the setting, palloc'd, and moves *list behind it; NULL at the end. They are
 * separated by commas, spaces or both.
 */
static char *
next_allowed(const char **list)
{
	const char *begin = *list + strspn(*list, ", \t\r\n");
	size_t		length = strcspn(begin, ", \t\r\n");

	*list = begin + length;
	return length > 0 ? pnstrdup(begin, length) : NULL;
}

void
kwj_url_check_allowed(const KwjUrl *url)
{
	const char *list = import_urls ? import_urls : "";
	char	   *text;

	while ((text = next_allowed(&list)) != NULL)
	{
		KwjUrl		allowed = {0};

		if (parse(text, &allowed) == NULL && is_in(url, &allowed))
			return;
	}
	ereport(ERROR,
			errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("IMPORT is not allowed from \"%s\"", kwj_url_shown(url)),
			errdetail("kwjobs.import_urls does not have this URL, or one in which it lies."),
			errhint("Ask an administrator to add it: ALTER SYSTEM SET kwjobs.import_urls = 'https://host/path', ..."));
}

static bool
check_setting(char **value, void **extra, GucSource source)
{
	const char *list = *value ? *value : "";
	char	   *text;

	while ((text = next_allowed(&list)) != NULL)
	{
		KwjUrl		url = {0};
		const char *problem = parse(text, &url);

		if (problem == NULL && url.query[0] != '\0')
			problem = "It has a query.";
		if (problem == NULL)
			continue;
		GUC_check_errdetail("\"%s\" is not a URL that can be allowed: %s", kwj_url_hide(text), problem);
		GUC_check_errhint("Type for example 'https://data.example.org/public, http://10.1.2.3:8080/'.");
		return false;
	}
	return true;
}

void
kwj_urls_define(void)
{
	DefineCustomStringVariable("kwjobs.import_urls",
							   "The URLs from which IMPORT may read, with all that lies in them.",
							   "Separated by commas. Empty: none.",
							   &import_urls, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_setting, NULL, NULL);
}
