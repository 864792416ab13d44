/*
 * src/session/other_sessions.h
 *	  Waits for other sessions to leave a database that a command needs for itself.
 */
#ifndef KWJ_SESSION_OTHER_SESSIONS_H
#define KWJ_SESSION_OTHER_SESSIONS_H

#include "kwjobs.h"

/*
 * Waits until no other session uses the database, as long as PostgreSQL itself would wait (5 s). If one still
 * does, raises PostgreSQL's error, 55006. Autovacuum and background workers (of kwjobs or of other extensions)
 * do not count, because the command may make them leave. The caller does this before it interrupts any job, so
 * a command that is refused because of a client interrupts none. is_source: the database is to be copied;
 * decides the error's text.
 *
 * Process: sessions, in a transaction.
 */
extern void kwj_wait_for_other_sessions(Oid dboid, bool is_source);

#endif
