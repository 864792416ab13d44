/*
 * src/type/source/url.h
 *	  URLs from which an IMPORT may read, and the setting that allows them.
 */
#ifndef KWJ_TYPE_SOURCE_URL_H
#define KWJ_TYPE_SOURCE_URL_H

#include "postgres.h"

/* A URL in its parts, palloc'd. */
typedef struct KwjUrl
{
	bool		is_https;
	char	   *host;			/* in lower case; an IPv6 address in brackets */
	int			port;
	char	   *path;			/* begins with a slash */
	char	   *query;			/* with the question mark; "": none */
} KwjUrl;

/* Returns whether the text begins as a URL of http or https. */
extern bool kwj_url_is_one(const char *text);

/*
 * Takes the URL apart. It has to be one that everybody reads in the same way: without a user and a
 * password, without a fragment, with no part of the path that is, or may become, "." or "..". Errors:
 * 22023, which does not quote more of it than kwj_url_shown does.
 */
extern KwjUrl *kwj_url_parse(const char *text);

/* Returns the URL as it is requested, palloc'd. */
extern char *kwj_url_text(const KwjUrl *url);

/* Returns the URL as it may be shown, palloc'd: without what is in its query, which may be a secret. */
extern char *kwj_url_shown(const KwjUrl *url);

/*
 * Returns what may be shown of a text that a user has typed, right or wrong. If it looks like a URL, of
 * whatever scheme, user, password and query are left out (palloc'd); otherwise it is the text itself.
 */
extern const char *kwj_url_hide(const char *text);

/* Errors: 42501 if kwjobs.import_urls does not allow the URL. */
extern void kwj_url_check_allowed(const KwjUrl *url);

/* Defines kwjobs.import_urls. _PG_init calls this. */
extern void kwj_urls_define(void);

#endif
