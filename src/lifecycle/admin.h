/*
 * src/lifecycle/admin.h
 *	  Who has the admin role: kwjobs.admin_role names the role whose members see and control all jobs.
 */
#ifndef KWJ_LIFECYCLE_ADMIN_H
#define KWJ_LIFECYCLE_ADMIN_H

#include "kwjobs.h"

/* Returns whether the role is a member of the admin role, or a superuser. */
extern bool kwj_has_admin_role(Oid role);

/* Returns whether the current user is a member of the admin role, or a superuser. */
extern bool kwj_is_admin(void);

#endif
