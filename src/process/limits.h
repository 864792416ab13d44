/*
 * src/process/limits.h
 *	  How many jobs of a type may run at the same time: kwjobs.max_workers_per_type.
 *
 * A list of "type = number", separated by commas, e.g. 'IMPORT = 2, "SQL" = 8';
 * the name of a type (src/type) in double quotes or a word, in any case.
 */
#ifndef KWJ_PROCESS_LIMITS_H
#define KWJ_PROCESS_LIMITS_H

#include "kwjobs.h"
#include "utils/guc.h"

/* Hooks of the setting. */
extern bool kwj_check_type_limits(char **newval, void **extra, GucSource source);
extern void kwj_assign_type_limits(const char *newval, void *extra);

/* Whether any type has a limit. */
extern bool kwj_has_type_limits(void);

/* The limit of that type; 0: none. */
extern int	kwj_type_limit(const char *job_type);

#endif
