/*
 * src/store/home.h
 *	  Whether the tables are those of this database, or copied.
 */
#ifndef KWJ_STORE_HOME_H
#define KWJ_STORE_HOME_H

#include "kwjobs.h"

/*
 * If this database is a copy of another one (home.c), pause all jobs that were copied and
 * are not over: they go on in the other. From then on this is the jobs' database. Returns how
 * many were paused. only: the one job that this is for, 0: all jobs; with only, this is not yet the
 * jobs' database.
 */
extern uint64 kwj_store_come_home(int64 only);

#endif
