/*
 * src/session/other_sessions.h
 *	  Sessions that keep a command from having a database for itself.
 */
#ifndef KWJ_SESSION_OTHER_SESSIONS_H
#define KWJ_SESSION_OTHER_SESSIONS_H

#include "kwjobs.h"

/*
 * Wait until nobody else uses the database but processes of kwjobs and autovacuum, which make way, as long as
 * PostgreSQL would wait; then, if somebody still does, raise PostgreSQL's error, 55006. A command that has to be refused
 * so interrupts no job. is_source: the database is to be copied.
 *
 * Process: sessions, in a transaction.
 */
extern void kwj_wait_for_other_sessions(Oid dboid, bool is_source);

#endif
