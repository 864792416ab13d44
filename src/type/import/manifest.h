/*
 * src/type/import/manifest.h
 *	  The manifest of an EXPORT as what an IMPORT reads: its files, their checksums, and how they were
 *	  written. doc/users/export.md describes the manifest.
 */
#ifndef KWJ_TYPE_IMPORT_MANIFEST_H
#define KWJ_TYPE_IMPORT_MANIFEST_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* A table, or the query, in the manifest of an EXPORT. */
typedef struct KwjExported
{
	char	   *schema;			/* NULL: a query */
	char	   *table;
	List	   *columns;		/* char *; NIL: a query */
	List	   *files;			/* char *: absolute paths */
	List	   *sizes;			/* char *: their bytes */
	List	   *checksums;		/* char *: of these, in hexadecimal digits */
} KwjExported;

typedef struct KwjImportManifest
{
	char	   *path;
	char	   *checksum;		/* the algorithm, as pg_checksum_type_name() calls it */
	Jsonb	   *options;		/* those that the EXPORT had */
	List	   *exported;		/* KwjExported * */
	KwjExported *meta;			/* meta.sql as the only file; NULL: there is none */
} KwjImportManifest;

/*
 * Looks for a manifest among the files that the user has typed: a file whose name ends in .json, and whose
 * text begins as that of a manifest. Reads it, or returns NULL if there is none. The caller has checked
 * that the current user may read files of the server. Errors: 22023 if the list has other files beside the
 * manifest; 22P04 if a file with the name manifest.json is no manifest, or if the manifest is damaged;
 * 0A000 if a newer version of kwjobs has written it.
 */
extern KwjImportManifest *kwj_import_find_manifest(const List *files);

/*
 * Reads the manifest in this file. Errors: 22P04 and 0A000 as for kwj_import_find_manifest; those of
 * kwj_source_open.
 */
extern KwjImportManifest *kwj_import_read_manifest(const char *path);

/*
 * Returns what the manifest has of this table. If it has only one table, or a query, that is returned,
 * whatever its name is. Errors: 22023 if it has several, and none has this name.
 */
extern KwjExported *kwj_import_exported(const KwjImportManifest *manifest, const char *schema, const char *table);

/*
 * Returns the options of IMPORT (an object, NULL: none) with those that say how the files were written.
 * *added: the names of those that the user has not given, as char *. Errors: 22023 if an option says
 * something else than the manifest.
 */
extern Jsonb *kwj_import_manifest_options(const KwjImportManifest *manifest, Jsonb *options, List **added);

#endif
