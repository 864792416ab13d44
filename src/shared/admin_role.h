/*
 * src/shared/admin_role.h
 *	  The admin role of the server.
 */
#ifndef KWJ_SHARED_ADMIN_ROLE_H
#define KWJ_SHARED_ADMIN_ROLE_H

#include "kwjobs.h"

/*
 * The admin role of the server, whatever sessions, databases and roles have for kwjobs.admin_role; set
 * by the launcher.
 */
extern void kwj_shared_set_admin_role(const char *name);
extern bool kwj_shared_is_admin_role(const char *name);

#endif
