/*
 * src/function/options.h
 *	  The options of all jobs as arguments of an SQL function.
 */
#ifndef KWJ_FUNCTION_OPTIONS_H
#define KWJ_FUNCTION_OPTIONS_H

#include "fmgr.h"
#include "lifecycle/options.h"

/*
 * Sets all options of the job. The function has them as arguments in the order of KwjOption, from the argument with the
 * number `first` on; run_as, which may stand behind others, has its own number. Errors: as kwj_set_option.
 */
extern void kwj_read_options(FunctionCallInfo fcinfo, int first, int run_as, KwjNewJob *job);

#endif
