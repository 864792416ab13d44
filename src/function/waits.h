/*
 * src/function/waits.h
 *	  What the workers that carry an attempt together spend their time with.
 */
#ifndef KWJ_FUNCTION_WAITS_H
#define KWJ_FUNCTION_WAITS_H

#include "shared/live.h"

/*
 * Returns what users see as running_status: the attempt's own words. If several workers carry the attempt,
 * and looks have found some of them waiting, the events for which they waited most often stand behind these
 * words; then the text is palloc'd. Counts what the look that has made *live has found. Takes the spinlock of
 * the sight.
 */
extern const char *kwj_words_with_waits(const KwjLive *live);

#endif
