#include "postgres.h"
#include "fmgr.h"
#define TODO(name) PG_FUNCTION_INFO_V1(name); Datum name(PG_FUNCTION_ARGS) { elog(ERROR, "to do"); }
TODO(kwjobs_submit)
TODO(kwjobs_run)
TODO(kwjobs_checkpoint)
TODO(kwjobs_checkpoint_state)
TODO(kwjobs_progress)
TODO(kwjobs_current_job)
