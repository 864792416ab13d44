/*
 * src/shared/admin_role.h
 *	  The name of the server's admin role.
 */
#ifndef KWJ_SHARED_ADMIN_ROLE_H
#define KWJ_SHARED_ADMIN_ROLE_H

#include "kwjobs.h"

/*
 * The server's value of kwjobs.admin_role, which differs from this session's if the session, its
 * database or its role has another one. The launcher sets it; any process may ask whether it is
 * this name. Both functions take kwj_shared->lock for a moment.
 */
extern void kwj_shared_set_admin_role(const char *name);
extern bool kwj_shared_is_admin_role(const char *name);

#endif
