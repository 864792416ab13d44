/*
 * src/track/new_file.h
 *	  Notes the file of the new table that the statement of a job writes, because the size of
 *	  this file tells sessions how far the statement is (job/new_file.h).
 */
#ifndef KWJ_TRACK_NEW_FILE_H
#define KWJ_TRACK_NEW_FILE_H

#include "kwjobs.h"
#include "catalog/objectaccess.h"

/*
 * session/object_hook.c calls this for each object that PostgreSQL has created, altered or drops. Errors:
 * those of a look into pg_inherits, and of asking for the size of a table.
 */
extern void kwj_new_file_on_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id);

#endif
