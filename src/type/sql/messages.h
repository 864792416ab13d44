/*
 * src/type/sql/messages.h
 *	  Keeps what the statements of a SQL job say (NOTICE, WARNING, INFO) in the
 *	  transcript.
 */
#ifndef KWJ_TYPE_SQL_MESSAGES_H
#define KWJ_TYPE_SQL_MESSAGES_H

#include "postgres.h"

/*
 * From now on messages go to the transcript if client_min_messages lets them through,
 * and to the log only as before. Not to be nested.
 */
extern void kwj_sql_messages_begin(void);

/* The settings may have changed: a statement begins. */
extern void kwj_sql_messages_refresh(void);

/* As before kwj_sql_messages_begin; also after an error. */
extern void kwj_sql_messages_end(void);

#endif
