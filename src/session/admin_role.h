/*
 * src/session/admin_role.h
 *	  Only a superuser may give a role the name of the admin role.
 */
#ifndef KWJ_SESSION_ADMIN_ROLE_H
#define KWJ_SESSION_ADMIN_ROLE_H

#include "kwjobs.h"
#include "catalog/objectaccess.h"

/*
 * object_hook.c calls this for each object that PostgreSQL has created or altered. Errors: 42501 when anybody but a superuser
 * creates a role with a name that kwjobs.admin_role has, or renames a role to it.
 */
extern void kwj_admin_role_on_access(ObjectAccessType access, Oid class_id, Oid object_id);

/*
 * The session calls this when CREATE EXTENSION kwjobs has created the extension: if the admin role
 * exists, a NOTICE says who controls everybody's jobs from now on.
 */
extern void kwj_admin_role_tell(void);

#endif
