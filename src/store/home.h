/*
 * src/store/home.h
 *	  Whether this database is a copy of another one that has the same jobs.
 */
#ifndef KWJ_STORE_HOME_H
#define KWJ_STORE_HOME_H

#include "kwjobs.h"

/*
 * If this database is a copy of another one, pause the copied jobs that are not over, since they go
 * on in the original. Returns how many were paused. only: pause just this job, and let kwjobs.home
 * name the original still. 0: pause all jobs, and then set kwjobs.home to this database.
 */
extern uint64 kwj_store_come_home(int64 only);

#endif
