/*
 * src/statement/statement.h
 *	  Job statements: text -> parse tree. Stands alone: includes nothing else of
 *	  kwjobs but kwjobs.h and compat.h, reads no catalog, touches no job.
 *
 * The SQL objects that the parse trees name are a contract with
 * kwjobs--1.0.sql; doc/statements.md lists them.
 */
#ifndef KWJ_STATEMENT_H
#define KWJ_STATEMENT_H

#include "kwjobs.h"

/*
 * Make this process, and those it forks, accept job statements. Called from
 * _PG_init in the postmaster.
 */
extern void kwj_statement_init(void);

/*
 * Make sure that this process accepts job statements from its next statement
 * on. Cheap; called from every hook of kwjobs, because PostgresMain drops the
 * error context callbacks after each error.
 */
extern void kwj_statement_arm(void);

/*
 * While *off is true, no process accepts job statements. Called once, when there is
 * shared memory for it.
 */
extern void kwj_statement_set_switch(const volatile bool *off);

/*
 * Parse a job statement and look at the tree. NULL if that works, otherwise why
 * job statements cannot work in this server: one lower-case phrase. Called by the
 * launcher, in a process of its own, as it may crash on a processor on which
 * nobody has tried it.
 */
extern const char *kwj_statement_self_test(void);

#endif
