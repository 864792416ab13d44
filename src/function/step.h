/*
 * src/function/step.h
 *	  The step of a statement for which PostgreSQL keeps no progress counters.
 */
#ifndef KWJ_FUNCTION_STEP_H
#define KWJ_FUNCTION_STEP_H

#include "kwjobs.h"
#include "function/command.h"
#include "job/new_file.h"

/*
 * Returns what is known of the statement: the phase is NULL if nothing is. file: the file that the
 * process has noted for this statement. Asks the file system for the size of the file, opens no
 * file, and takes no lock.
 */
extern KwjCommand kwj_step_of(KwjCounts counts, const KwjNewFile *file);

/* Adds that the scan which drives the statement is at this block. */
extern void kwj_step_add_scan(KwjCommand *step, uint32 block, uint32 blocks);

#endif
