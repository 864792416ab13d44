/*
 * src/session/object_hook.h
 *	  What kwjobs does when an object of a database is created, altered or dropped.
 */
#ifndef KWJ_SESSION_OBJECT_HOOK_H
#define KWJ_SESSION_OBJECT_HOOK_H

/* Sets the hook. The postmaster calls this once. */
extern void kwj_object_hook_init(void);

#endif
