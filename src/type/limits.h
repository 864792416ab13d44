/*
 * src/type/limits.h
 *	  How many jobs of a type may run at the same time in a database:
 *	  kwjobs.max_workers_per_type.
 *
 * The setting is a list of "type = number", separated by commas, e.g. 'IMPORT = 2, "SQL" = 8'. A
 * type (src/type) is named in upper or lower case, with or without double quotes.
 */
#ifndef KWJ_TYPE_LIMITS_H
#define KWJ_TYPE_LIMITS_H

#include "kwjobs.h"

/* Defines the setting kwjobs.max_workers_per_type. _PG_init calls this. */
extern void kwj_limits_define(void);

/* Returns the limit of that type; 0 if it has none, or is stopped. */
extern int	kwj_type_limit(const char *job_type);

/* Returns whether the limit of that type was set to 0: no job of it starts. */
extern bool kwj_type_is_stopped(const char *job_type);

/* Returns the n-th type, from 0, of which no job starts; NULL: there are no more. */
extern const char *kwj_type_stopped(int n);

/* Goes up in this process with each change of the setting. */
extern uint32 kwj_type_limit_changes(void);

#endif
