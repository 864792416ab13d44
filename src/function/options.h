/*
 * src/function/options.h
 *	  The options of all jobs as arguments of a SQL function.
 */
#ifndef KWJ_FUNCTION_OPTIONS_H
#define KWJ_FUNCTION_OPTIONS_H

#include "fmgr.h"
#include "lifecycle/options.h"

/*
 * Sets all options of the job from the arguments of the function that was called. The arguments
 * have the order of KwjOption, but other arguments may stand before run_as and before tags. So the
 * caller gives three numbers: first is that of the first option, run_as that of run_as, and tags
 * that of tags, which the remaining options follow. Errors: as kwj_set_option.
 */
extern void kwj_read_options(FunctionCallInfo fcinfo, int first, int run_as, int tags,
							 KwjNewJob *job);

#endif
