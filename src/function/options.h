/*
 * src/function/options.h
 *	  The options of all jobs as arguments of a SQL function.
 */
#ifndef KWJ_FUNCTION_OPTIONS_H
#define KWJ_FUNCTION_OPTIONS_H

#include "fmgr.h"
#include "lifecycle/options.h"

/*
 * Sets all options of the job from the arguments of the function that was called. They stand in
 * the order of KwjOption, from the argument with the number `first` on, except run_as, and tags
 * with those behind it: other arguments may stand before run_as and before tags, so these have
 * numbers of their own. Errors: as kwj_set_option.
 */
extern void kwj_read_options(FunctionCallInfo fcinfo, int first, int run_as, int tags,
							 KwjNewJob *job);

#endif
