/*
 * src/function/duration.h
 *	  Durations as KWDB writes them: 336h, 1h30m, 90s.
 */
#ifndef KWJ_FUNCTION_DURATION_H
#define KWJ_FUNCTION_DURATION_H

#include "postgres.h"

/*
 * Returns the duration in PostgreSQL's notation, palloc'd, or NULL if the text is no duration.
 * PostgreSQL takes one unit only, and writes minutes as "min".
 */
extern char *kwj_convert_duration(const char *text);

#endif
