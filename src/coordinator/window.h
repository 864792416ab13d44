/*
 * src/coordinator/window.h
 *	  The windows of jobs that are about to start, and of jobs that run.
 *
 * Process: coordinator, in the transaction of a pass.
 */
#ifndef KWJ_COORDINATOR_WINDOW_H
#define KWJ_COORDINATOR_WINDOW_H

#include "coordinator/pass.h"

/*
 * Takes the jobs that may not start now out of the list of KwjCandidate, and puts them off; their rows
 * are locked. Notes in the pass when the windows of the others close. Returns the list.
 */
extern List *kwj_windows_leave_out(KwjPass *pass, List *candidates);

/*
 * Sets the request KWJ_REQUEST_CLOSE of those active attempts (a list of KwjActive) whose window is
 * closed, and notes in the pass when the windows change next.
 */
extern void kwj_windows_review(KwjPass *pass, List *active);

#endif
