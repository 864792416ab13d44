/*
 * src/type/import/import.h
 *	  The job type IMPORT: loads CSV files that lie on the server into a table.
 *	  doc/developers/import.md explains it.
 */
#ifndef KWJ_TYPE_IMPORT_IMPORT_H
#define KWJ_TYPE_IMPORT_IMPORT_H

#include "lifecycle/submit.h"
#include "type/type.h"
#include "utils/array.h"

/*
 * Checks an IMPORT in the current transaction, as the role that is to own the job, and sets the
 * job's payload, its options, and its description if it has none. Changes nothing else. The target
 * stays locked in RowExclusiveLock until the end of the transaction.
 *
 * target		the table's OID; an OID of no table is an error (42P01)
 * files		text[], one or more absolute paths, or patterns (patterns.h); NULL is an error
 * columns		text[]; NULL for all columns
 * options		an object, NULL for none: options of IMPORT, and options that jobs of all types
 *				have (lifecycle/options.h)
 */
extern void kwj_import_validate(Oid target, ArrayType *files, ArrayType *columns, Jsonb *options,
								KwjNewJob *job);

extern const KwjType kwj_type_import;

#endif
