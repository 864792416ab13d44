/*
 * src/settings.h
 *	  The settings of kwjobs; the variables are in kwjobs.h.
 */
#ifndef KWJ_SETTINGS_H
#define KWJ_SETTINGS_H

/*
 * Defines the settings. _PG_init calls this. The settings that are fixed at the server's start are
 * defined only while the postmaster loads the library, because PostgreSQL refuses them later.
 */
extern void kwj_settings_define(void);

/*
 * Process: postmaster, from _PG_init, after the settings are defined: sets kwj_worker_slots, for as
 * long as the server runs.
 */
extern void kwj_settings_fix(void);

#endif
