/*
 * src/type/sql/messages.h
 *	  Keeps what the statements of a SQL job report (NOTICE, WARNING, INFO) in the transcript.
 */
#ifndef KWJ_TYPE_SQL_MESSAGES_H
#define KWJ_TYPE_SQL_MESSAGES_H

#include "postgres.h"

/*
 * From now on, messages go to the transcript if client_min_messages lets them through, and to the
 * log as before. Calls may not be nested.
 */
extern void kwj_sql_messages_begin(void);

/* The worker calls this when a statement begins, because the last one may have changed client_min_messages. */
extern void kwj_sql_messages_refresh(void);

/* Restores what kwj_sql_messages_begin has changed. The worker calls this after an error, too. */
extern void kwj_sql_messages_end(void);

#endif
