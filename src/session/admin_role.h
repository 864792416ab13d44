/*
 * src/session/admin_role.h
 *	  The name of the admin role is a superuser's to give.
 */
#ifndef KWJ_SESSION_ADMIN_ROLE_H
#define KWJ_SESSION_ADMIN_ROLE_H

/*
 * From _PG_init: from then on nobody but a superuser creates a role that kwjobs.admin_role names, or
 * renames one to it (42501).
 */
extern void kwj_admin_role_init(void);

/* CREATE EXTENSION kwjobs has just made it: a NOTICE says who has power over everybody's jobs now. */
extern void kwj_admin_role_tell(void);

#endif
