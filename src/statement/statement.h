/*
 * src/statement/statement.h
 *	  Job statements: from text to parse trees. This directory stands alone: it includes nothing
 *	  else of kwjobs but kwjobs.h and compat.h, and touches no job.
 *
 * The trees name SQL objects of kwjobs--1.0.sql; doc/developers/statements.md lists them.
 */
#ifndef KWJ_STATEMENT_STATEMENT_H
#define KWJ_STATEMENT_STATEMENT_H

#include "kwjobs.h"

/*
 * Has this process, and those that it forks, accept job statements, if they work in this server.
 * _PG_init calls this in the postmaster.
 */
extern void kwj_statement_init(void);

/*
 * Makes sure that this process accepts job statements from its next statement on. Every hook of
 * kwjobs calls this, because PostgresMain drops the error context callbacks after each error. It is
 * cheap.
 */
extern void kwj_statement_arm(void);

/*
 * If job statements do not work in this server, writes the reason into the server's log. The postmaster
 * writes it when it loads kwjobs, but at that moment PostgreSQL has not opened its log file yet.
 */
extern void kwj_statement_log_problem(void);

#endif
