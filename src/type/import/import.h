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

/* What a user gives for a new IMPORT. One of target, definition, definition_file and directory is given. */
typedef struct KwjNewImport
{
	Oid			target;			/* the table; an OID of no table is an error (42P01) */
	const char *definition;		/* the CREATE TABLE of a table that the job is to create (definition.h) */
	const char *definition_file;	/* the absolute path of a file that has it */
	const char *directory;		/* where an EXPORT has written tables and meta.sql, to import all of them */
	/* Absolute paths, or patterns (patterns.h). NULL is an error if there is a target. */
	ArrayType  *files;
	ArrayType  *columns;		/* text[]; NULL: all columns */
	/* An object: options of IMPORT, and those of jobs of all types (lifecycle/options.h); NULL: none. */
	Jsonb	   *options;
} KwjNewImport;

/*
 * Checks an IMPORT in the current transaction, as the role that is to own the job, and sets the
 * job's payload, its options, and its description if it has none. Changes nothing else: a definition is
 * run, but rolled back. The target stays locked in RowExclusiveLock until the end of the transaction.
 */
extern void kwj_import_validate(const KwjNewImport *new, KwjNewJob *job);

extern const KwjType kwj_type_import;

#endif
