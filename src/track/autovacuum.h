/*
 * src/track/autovacuum.h
 *	  AUTO_CREATE_STATS jobs: what autovacuum workers do, which SHOW AUTOMATIC JOBS shows.
 *
 * doc/developers/automatic.md explains them.
 */
#ifndef KWJ_TRACK_AUTOVACUUM_H
#define KWJ_TRACK_AUTOVACUUM_H

/* Registers the callbacks that autovacuum workers inherit. _PG_init calls this in the postmaster. */
extern void kwj_autovacuum_init(void);

#endif
