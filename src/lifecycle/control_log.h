/*
 * src/lifecycle/control_log.h
 *	  Lines in the server's log that tell who has asked for what (kwjobs.log_control).
 */
#ifndef KWJ_LIFECYCLE_CONTROL_LOG_H
#define KWJ_LIFECYCLE_CONTROL_LOG_H

#include "kwjobs.h"

/*
 * When the current transaction commits, the log gets the line "<what> by <current user>: <reason>".
 * If the transaction, or the subtransaction of now, is rolled back, it gets none. what: as "job 5
 * (SQL) resumed"; reason: NULL: none. Does nothing if kwjobs.log_control is off. Errors: out of
 * memory.
 */
extern void kwj_control_log(const char *what, const char *reason);

/*
 * Does the same for what kwjobs does by itself, whatever kwjobs.log_control is: the line is
 * "<what>: <reason>", and names no role.
 */
extern void kwj_control_log_itself(const char *what, const char *reason);

#endif
