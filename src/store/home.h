/*
 * src/store/home.h
 *	  Whether this database is a copy of another one that has the same jobs.
 */
#ifndef KWJ_STORE_HOME_H
#define KWJ_STORE_HOME_H

#include "kwjobs.h"

/*
 * If this database is a copy of another one, pause all jobs that were copied and are not over,
 * since they go on in the original. Returns how many were paused. only: pause just this job, and do
 * not finish: kwjobs.home still names the original. 0: pause all, and then make this the home of
 * the jobs.
 */
extern uint64 kwj_store_come_home(int64 only);

#endif
