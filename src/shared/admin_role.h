/*
 * src/shared/admin_role.h
 *	  The name of the server's admin role.
 */
#ifndef KWJ_SHARED_ADMIN_ROLE_H
#define KWJ_SHARED_ADMIN_ROLE_H

#include "kwjobs.h"

/*
 * The launcher calls kwj_shared_set_admin_role to note the server's value of kwjobs.admin_role. Any
 * process may call kwj_shared_is_admin_role, which returns whether this name is that value. The
 * setting itself may have another value in this session, because the session, its database or its
 * role may have set it. Both functions take kwj_shared->lock for a moment.
 */
extern void kwj_shared_set_admin_role(const char *name);
extern bool kwj_shared_is_admin_role(const char *name);

#endif
