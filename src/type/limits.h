/*
 * src/type/limits.h
 *	  How many jobs of a type may run at the same time: kwjobs.max_workers_per_type.
 *
 * A list of "type = number", separated by commas, e.g. 'IMPORT = 2, "SQL" = 8';
 * the name of a type (src/type) in double quotes or a word, in any case.
 */
#ifndef KWJ_TYPE_LIMITS_H
#define KWJ_TYPE_LIMITS_H

#include "kwjobs.h"

/* From _PG_init: define the setting. */
extern void kwj_limits_define(void);

/* Returns whether any type has a limit. */
extern bool kwj_has_type_limits(void);

/* The limit of that type; 0: none. */
extern int	kwj_type_limit(const char *job_type);

#endif
