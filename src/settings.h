/*
 * src/settings.h
 *	  The settings of kwjobs; the variables are in kwjobs.h.
 */
#ifndef KWJ_SETTINGS_H
#define KWJ_SETTINGS_H

/*
 * From _PG_init. Those that are fixed at the server's start are defined only when the postmaster loads the library: a
 * session cannot set them.
 */
extern void kwj_settings_define(void);

#endif
