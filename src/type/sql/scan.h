/*
 * src/type/sql/scan.h
 *	  How far the scan is that drives a statement which changes rows or makes a table.
 */
#ifndef KWJ_TYPE_SQL_SCAN_H
#define KWJ_TYPE_SQL_SCAN_H

#include "kwjobs.h"
#include "nodes/parsenodes.h"

/*
 * A statement of the job begins: if its plan is driven by one scan of a table, the worker shows how
 * far that is (kwj_progress_set_scan) while the plan runs.
 */
extern void kwj_scan_begin(const RawStmt *statement);

/* The statement has ended well. After an error, the worker runs no plan of the same job. */
extern void kwj_scan_end(void);

/* Sets the hook. To be called once, in the postmaster, before kwj_wait_hook_init(). */
extern void kwj_scan_init(void);

#endif
