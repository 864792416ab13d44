/*
 * src/function/waits.h
 *	  What the workers that carry an attempt together spend their time with.
 */
#ifndef KWJ_FUNCTION_WAITS_H
#define KWJ_FUNCTION_WAITS_H

#include "shared/live.h"

/*
 * Counts what the look that has made *live has found the workers waiting for. Returns what running_status
 * says of all looks at this attempt so far, to stand behind the attempt's own words; "" if no look
 * has found a worker waiting, or a single worker carries the attempt. Takes the spinlock of
 * the sight.
 */
extern const char *kwj_waits_text(const KwjLive *live);

#endif
