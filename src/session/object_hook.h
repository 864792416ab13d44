/*
 * src/session/object_hook.h
 *	  What kwjobs does when an object of a database is created, altered or dropped.
 */
#ifndef KWJ_SESSION_OBJECT_HOOK_H
#define KWJ_SESSION_OBJECT_HOOK_H

/* Installs the hook. _PG_init calls this in the postmaster. */
extern void kwj_object_hook_init(void);

#endif
