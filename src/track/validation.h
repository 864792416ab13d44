/*
 * src/track/validation.h
 *	  Shows how far a statement is in which PostgreSQL checks all rows of tables against constraints.
 */
#ifndef KWJ_TRACK_VALIDATION_H
#define KWJ_TRACK_VALIDATION_H

#include "kwjobs.h"
#include "catalog/objectaccess.h"

/*
 * session/object_hook.c calls this for each object that PostgreSQL has created or altered. Errors: those
 * of a look into the catalogs.
 */
extern void kwj_validation_on_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id);

#endif
