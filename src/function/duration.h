/*
 * src/function/duration.h
 *	  Durations as KWDB writes them: 336h, 1h30m, 90s.
 */
#ifndef KWJ_FUNCTION_DURATION_H
#define KWJ_FUNCTION_DURATION_H

#include "postgres.h"

/*
 * The same duration as PostgreSQL writes it, NULL if the text is none. PostgreSQL
 * knows no unit "m" for minutes, and one unit only.
 */
extern char *kwj_convert_duration(const char *text);

#endif
