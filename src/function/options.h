/*
 * src/function/options.h
 *	  The options of all jobs as arguments of an SQL function.
 */
#ifndef KWJ_FUNCTION_OPTIONS_H
#define KWJ_FUNCTION_OPTIONS_H

#include "fmgr.h"
#include "lifecycle/options.h"

/* The number of the argument that each option has. */
typedef int KwjOptionArgs[KWJ_OPTION_COUNT];

/* Set them all. Errors: as kwj_set_option. */
extern void kwj_read_options(FunctionCallInfo fcinfo, const KwjOptionArgs args, KwjNewJob *job);

#endif
