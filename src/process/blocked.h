/*
 * src/process/blocked.h
 *	  Who keeps the coordinator of this database from its tables.
 *
 * Whoever is in pg_write_all_data may LOCK TABLE those of kwjobs, though no right of theirs changes a row.
 */
#ifndef KWJ_PROCESS_BLOCKED_H
#define KWJ_PROCESS_BLOCKED_H

#include "kwjobs.h"

/*
 * Why no job of this database starts: another process has locked what the coordinator waits for. NULL:
 * it waits for nobody, as of the last second. Valid until the next call.
 *
 * Process: sessions.
 */
extern const char *kwj_blocked_explain(void);

#endif
