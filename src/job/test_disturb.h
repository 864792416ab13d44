/*
 * src/job/test_disturb.h
 *	  Makes processes stand still at random, so that tests meet orders of events that are rare otherwise.
 */
#ifndef KWJ_JOB_TEST_DISTURB_H
#define KWJ_JOB_TEST_DISTURB_H

/*
 * Defines kwjobs.test_disturb, and has processes obey it. Process: any that loads the library, before it
 * reserves the prefix of its settings.
 */
extern void kwj_test_disturb_init(void);

#endif
