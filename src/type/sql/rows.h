/*
 * src/type/sql/rows.h
 *	  Keeps the first rows of the last query of a SQL job that returns rows (keep_result).
 */
#ifndef KWJ_TYPE_SQL_ROWS_H
#define KWJ_TYPE_SQL_ROWS_H

#include "tcop/dest.h"
#include "utils/jsonb.h"

/* A job keeps at most KWJ_KEPT_ROWS rows, with KWJ_KEPT_BYTES bytes as JSON altogether. */
#define KWJ_KEPT_ROWS	1000
#define KWJ_KEPT_BYTES	(256 * 1024)

/*
 * Returns where the queries of an attempt send their rows to, in memory that outlives their
 * transactions. Each query that returns rows replaces those of the last one.
 */
extern DestReceiver *kwj_sql_begin_rows(void);

/*
 * Returns the rows that were kept, as an array of objects, palloc'd; NULL if no query has returned
 * rows. If not all are kept, the last object is {"more_rows": number}. Rows that jsonb refuses are
 * left out, with a message in the transcript. Needs a transaction, which stays as it is.
 */
extern Jsonb *kwj_sql_kept_rows(void);

#endif
