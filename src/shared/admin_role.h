/*
 * src/shared/admin_role.h
 *	  The name of the server's admin role.
 */
#ifndef KWJ_SHARED_ADMIN_ROLE_H
#define KWJ_SHARED_ADMIN_ROLE_H

#include "kwjobs.h"

/*
 * The admin role of the server, whatever value of kwjobs.admin_role a session, database or role
 * has. The launcher sets it; any process asks whether a name is that role's. Both take
 * kwj_shared->lock for a moment.
 */
extern void kwj_shared_set_admin_role(const char *name);
extern bool kwj_shared_is_admin_role(const char *name);

#endif
