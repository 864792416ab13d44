/*
 * src/serve/query.h
 *	  What a session of a private server does with a message of its client.
 */
#ifndef KWJ_SERVE_QUERY_H
#define KWJ_SERVE_QUERY_H

#include "lib/stringinfo.h"

/*
 * Runs the statements of a Query message, as PostgreSQL's exec_simple_query() does, and sends their
 * results to the client. Errors: those of the statements.
 */
extern void kwj_serve_query(const char *text);

/* Calls a function for a FunctionCall message, with which libpq reads and writes large objects. */
extern void kwj_serve_function(StringInfo message);

/* The session calls this after an error, when it has aborted its transaction. */
extern void kwj_serve_query_failed(void);

#endif
