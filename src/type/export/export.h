/*
 * src/type/export/export.h
 *	  The job type EXPORT: writes tables or a query into CSV files.
 *	  doc/developers/export.md explains it.
 */
#ifndef KWJ_TYPE_EXPORT_EXPORT_H
#define KWJ_TYPE_EXPORT_EXPORT_H

#include "lifecycle/submit.h"
#include "type/type.h"
#include "utils/array.h"

/* What a user gives for a new job: one of table, query, database and tables. */
typedef struct KwjNewExport
{
	const char *directory;
	Oid			table;			/* InvalidOid: not given */
	const char *query;			/* NULL: not given */
	const char *database;		/* NULL: not given */
	ArrayType  *tables;			/* regclass[]; NULL: not given */
	Jsonb	   *options;		/* NULL: none */
} KwjNewExport;

/*
 * Checks what is given for a new job as the role that is to own it, and sets the job's payload, its
 * description if it has none, and the options of all jobs that are among the options. Tables stay
 * locked in AccessShareLock until the end of the transaction. Errors: 22004, 22023, 42601, 42602 or 0A000 if
 * an argument is wrong; 42501 if a right is missing; 58P01, 58P02 and others for the directory; 25006 in a READ
 * ONLY transaction.
 */
extern void kwj_export_validate(const KwjNewExport *export, KwjNewJob *job);

/* The function validate() of the type EXPORT (type/type.h). */
extern void kwj_export_validate_arguments(Jsonb *arguments, KwjNewJob *job);

extern const KwjType kwj_type_export;

#endif
