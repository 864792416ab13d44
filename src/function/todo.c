#include "postgres.h"
#include "fmgr.h"
#define TODO(name) PG_FUNCTION_INFO_V1(name); Datum name(PG_FUNCTION_ARGS) { elog(ERROR, "to do"); }
TODO(kwjobs_running_attempts)
