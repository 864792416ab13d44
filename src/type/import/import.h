/*
 * src/type/import/import.h
 *	  The job type IMPORT: CSV files of the server into a table. doc/developers/import.md
 *	  explains it.
 */
#ifndef KWJ_TYPE_IMPORT_IMPORT_H
#define KWJ_TYPE_IMPORT_IMPORT_H

#include "lifecycle/submit.h"
#include "type/type.h"
#include "utils/array.h"

/*
 * Check an IMPORT in the current transaction, as the role that is to own the job, and set the payload of the
 * job, its options, and its description if it has none. Changes nothing else; the target stays locked with
 * RowExclusiveLock until the end of the transaction.
 *
 * target		the table's OID; an OID that is none is an error (42P01)
 * files		text[], absolute paths; NULL is an error as an empty array is
 * columns		text[], NULL for all columns
 * options		an object, NULL for none: options of IMPORT, and those of all jobs (lifecycle/options.h)
 */
extern void kwj_import_validate(Oid target, ArrayType *files, ArrayType *columns, Jsonb *options,
								KwjNewJob *job);

extern const KwjType kwj_type_import;

#endif
