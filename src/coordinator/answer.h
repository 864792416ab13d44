/*
 * src/coordinator/answer.h
 *	  Answering sessions of other databases that list the jobs of the server.
 */
#ifndef KWJ_COORDINATOR_ANSWER_H
#define KWJ_COORDINATOR_ANSWER_H

#include "kwjobs.h"
#include "utils/timestamp.h"

/*
 * Takes the questions that wait for this database, and sends what fits into the queues of the
 * answers. The coordinator calls this after a pass, and while it waits for a lock, outside a
 * transaction. Returns when the next pass is due because of that; DT_NOEND: when the latch is set.
 */
extern TimestampTz kwj_answer_questions(void);

/*
 * Returns whether there are answers that are not sent yet. Each of them is sent or dropped soon,
 * and then another pass follows.
 */
extern bool kwj_answer_is_sending(void);

/* Tells those who ask that this database has no kwjobs, before this process exits. */
extern void kwj_answer_no_extension(void);

#endif
