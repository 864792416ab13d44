/*
 * src/type/import/import.h
 *	  The job type IMPORT: CSV files of the server into a table. doc/import.md
 *	  explains it.
 */
#ifndef KWJ_TYPE_IMPORT_IMPORT_H
#define KWJ_TYPE_IMPORT_IMPORT_H

#include "type/type.h"
#include "utils/array.h"

/*
 * Check an IMPORT as the current user, in the current transaction, and build the
 * payload of its job. Changes nothing; the target stays locked with
 * RowExclusiveLock until the end of the transaction.
 *
 * target		the table's OID; an OID that is none is an error (42P01)
 * files		text[], absolute paths; NULL is an error as an empty array is
 * columns		text[], NULL for all columns
 * options		an object of strings or numbers, NULL for none
 * description	set to the re-printed statement, palloc'd
 */
extern Jsonb *kwj_import_validate(Oid target, ArrayType *files,
								  ArrayType *columns, Jsonb *options,
								  char **description);

extern const KwjType kwj_type_import;

#endif
