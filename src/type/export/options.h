/*
 * src/type/export/options.h
 *	  The options of an EXPORT, and what the job has to do as a whole.
 */
#ifndef KWJ_TYPE_EXPORT_OPTIONS_H
#define KWJ_TYPE_EXPORT_OPTIONS_H

#include "postgres.h"
#include "common/checksum_helper.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "type/files/compress.h"
#include "utils/jsonb.h"

typedef struct KwjExportOptions
{
	char		delimiter;
	char		enclosed;
	char		escaped;
	char	   *nullas;
	char	   *charset;		/* as PostgreSQL writes its name */
	int64		chunk_rows;		/* rows of a file at most; 0: one file */
	int			workers;		/* that export a table together, at most; 0: by its size */
	KwjCompression compression;
	pg_checksum_type checksum;
	bool		keeps_snapshot; /* while it is paused */
	bool		column_name;	/* each file begins with a line of the names of the columns */
	bool		data_only;
	bool		meta_only;
	bool		foreign_key;
	bool		comment;
	bool		privileges;
} KwjExportOptions;

typedef enum KwjExportKind
{
	KWJ_EXPORT_TABLE,
	KWJ_EXPORT_QUERY,
	KWJ_EXPORT_DATABASE,
	KWJ_EXPORT_TABLES,			/* several */
} KwjExportKind;

/* The payload of an EXPORT job. */
typedef struct KwjExportSpec
{
	char	   *directory;
	bool		create;			/* the directory did not exist when the job was created */
	KwjExportKind kind;
	Oid			table;			/* for KWJ_EXPORT_TABLE */
	char	   *name;			/* of the table, when the job was created, or of the database */
	char	   *query;			/* for KWJ_EXPORT_QUERY */
	List	   *tables;			/* for KWJ_EXPORT_TABLES: OIDs */
	List	   *names;			/* their names when the job was created, quoted */
	KwjExportOptions options;
} KwjExportSpec;

/*
 * Reads the options in jb, as a user gave them; NULL: none. *given becomes a list of KwjGiven,
 * sorted by name. Errors: 22023 and 0A000, with a hint.
 */
extern void kwj_export_read_options(Jsonb *jb, KwjExportKind kind, KwjExportOptions *options, List **given);

/* Appends the options of COPY TO that have the same effect: "(FORMAT csv, ...)". */
extern void kwj_export_copy_options(const KwjExportOptions *options, StringInfo text);

/* Appends the options as a JSON object, for the payload and for the manifest. */
extern void kwj_export_write_options(const KwjExportOptions *options, StringInfo json);

/* Reads such an object. */
extern void kwj_export_parse_options(Jsonb *jb, KwjExportOptions *options);

extern Jsonb *kwj_export_payload(const KwjExportSpec *spec);
extern void kwj_export_read_payload(Jsonb *payload, KwjExportSpec *spec);

/* Returns the statement, with the name of the table in full. given: a list of KwjGiven. */
extern char *kwj_export_description(const KwjExportSpec *spec, List *given);

#endif
