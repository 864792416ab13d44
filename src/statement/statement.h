/*
 * src/statement/statement.h
 *	  Job statements: text -> parse tree. Stands alone: includes nothing else of
 *	  kwjobs but kwjobs.h and compat.h, reads no catalog, touches no job.
 *
 * The SQL objects that the parse trees name are a contract with
 * kwjobs--1.0.sql; doc/statements.md lists them.
 */
#ifndef KWJ_STATEMENT_STATEMENT_H
#define KWJ_STATEMENT_STATEMENT_H

#include "kwjobs.h"

/*
 * Make this process, and those it forks, accept job statements, if these work in
 * this server. Called from _PG_init in the postmaster.
 */
extern void kwj_statement_init(void);

/*
 * Make sure that this process accepts job statements from its next statement
 * on. Cheap; called from every hook of kwjobs, because PostgresMain drops the
 * error context callbacks after each error.
 */
extern void kwj_statement_arm(void);

/*
 * Say in the log why job statements do not work in this server, if so. The postmaster has
 * said it before there was a log file.
 */
extern void kwj_statement_log_problem(void);

#endif
