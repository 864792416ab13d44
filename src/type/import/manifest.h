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
 * Reads the manifest that an IMPORT has instead of files: the only one of the list, whose name ends in
 * .json, and which begins as a manifest does. Returns NULL if there is none. The caller has checked that
 * the current user may read files of the server. Errors: 22023 if the list has more than a manifest;
 * 22P04 if a file manifest.json is no manifest, or it is damaged; 0A000 if a newer version wrote it.
 */
extern KwjImportManifest *kwj_import_find_manifest(const List *files);

/* The same for a file that has to be a manifest. Errors: also those of kwj_source_open. */
extern KwjImportManifest *kwj_import_read_manifest(const char *path);

/* Returns the table of this name or, if the manifest has only one table or query, that. Errors: 22023. */
extern KwjExported *kwj_import_exported(const KwjImportManifest *manifest, const char *schema, const char *table);

/*
 * Returns the options of IMPORT (an object, NULL: none) with those that say how the files were written.
 * *added: the names of those that the user has not given, as char *. Errors: 22023 if an option says
 * something else than the manifest.
 */
extern Jsonb *kwj_import_manifest_options(const KwjImportManifest *manifest, Jsonb *options, List **added);

#endif
