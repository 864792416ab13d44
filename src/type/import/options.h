/*
 * src/type/import/options.h
 *	  The options of an IMPORT, and what the job has to do as a whole.
 */
#ifndef KWJ_TYPE_IMPORT_OPTIONS_H
#define KWJ_TYPE_IMPORT_OPTIONS_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "lifecycle/submit.h"
#include "type/import/tables.h"
#include "utils/jsonb.h"

/* What a record of a file looks like: one of the formats of COPY. */
typedef enum KwjImportFormat
{
	KWJ_IMPORT_CSV,
	KWJ_IMPORT_TEXT,
	KWJ_IMPORT_BINARY,
} KwjImportFormat;

/* What the first record of each file is. */
typedef enum KwjImportHeader
{
	KWJ_IMPORT_HEADER_NONE,		/* data */
	KWJ_IMPORT_HEADER_SKIP,		/* a header, which is left out */
	KWJ_IMPORT_HEADER_MATCH,	/* a header that says which field is for which column */
} KwjImportHeader;

/* What becomes of a record that cannot be imported. */
typedef enum KwjImportOnError
{
	KWJ_IMPORT_STOP,			/* the job fails */
	KWJ_IMPORT_SKIP,			/* it is left out */
} KwjImportOnError;

typedef struct KwjImportOptions
{
	KwjImportFormat format;
	char		delimiter;
	char		enclosed;		/* '\0' unless the format is CSV, as escaped is */
	char		escaped;
	char	   *nullif;
	int			charset;		/* the encoding of the files */
	bool		trailing_delimiter; /* a delimiter may follow the last field of a record */
	List	   *force_null;		/* integers: of these in names, nullif is NULL within quotes, too */
	List	   *force_not_null; /* integers: of these in names, nullif is never NULL */
	int64		skip;			/* lines at the start of each file */
	KwjImportHeader header;		/* behind the lines to skip */
	int			workers;		/* how many may import at most; 0: not said */
	KwjImportOnError on_error;
	int64		reject_limit;	/* how many records may be left out; -1: no limit */
	Oid			reject_table;	/* into which they are written; InvalidOid: none */
	char	   *reject_name;	/* quoted name that reject_table had when the job was created */
	char	   *reject_file;	/* absolute path of the file into which they are written; NULL: none */
	bool		analyze;		/* when all rows are committed, ANALYZE the target */
	bool		freeze;			/* ... VACUUM (FREEZE) it */
	bool		keeps_rows;		/* revert = 'none': a failure or CANCEL removes nothing */
	const char *one_worker;		/* why only one may; NULL: no reason that was known when the job was created */
	int			fields;			/* fields of a record: one for each column */
	List	   *names;			/* char *: of the columns, in the order of the statement */
} KwjImportOptions;

/* The payload of an IMPORT job. */
typedef struct KwjImportSpec
{
	Oid			target;
	char	   *table;			/* its qualified, quoted name when the job was created */
	List	   *columns;		/* char *: their names when the job was created */
	List	   *numbers;		/* integers: their numbers; NIL: the user gave names */
	List	   *files;			/* char * */
	List	   *sizes;			/* char *: how many bytes they have, if a manifest or a server says so; else NIL */
	/* if a manifest names the files: their checksums */
	char	   *checksum;		/* the algorithm; NULL: no manifest does */
	List	   *checksums;		/* char * */
	KwjImportOptions options;

	/* If the job creates the target, which has no OID before: */
	char	   *definition;		/* the statements that create it (definition.h); NULL: it was there before */
	bool		has_rest;		/* some of them are for the time when the rows are there */
	char	   *schema;			/* the schema in which they create it; NULL: they create several tables */
	List	   *tables;			/* KwjImportTable *: these. Those members of this struct that are of a table are set for one. */
	char	   *head;			/* how the description begins; NULL: IMPORT INTO table. Not in the payload. */
} KwjImportSpec;

/*
 * Reads the options in jb, as a user gave them; NULL: none. *given becomes a list of KwjGiven,
 * sorted by name. Those that name columns are read by kwj_import_read_column_options. Errors: 22023,
 * with a hint.
 */
extern void kwj_import_read_options(Jsonb *jb, KwjImportOptions *options,
									List **given);

/*
 * Reads the options that name columns, when options->names has the columns of the import. given: as
 * kwj_import_read_options has returned it. Errors: 22023, 42602, 42703, 42701, with a hint.
 */
extern void kwj_import_read_column_options(KwjImportOptions *options, const List *given);

/*
 * Returns the options of COPY that have the same effect. columns: the present names of the columns, as
 * String nodes, in the order of options->names.
 */
extern List *kwj_import_copy_options(const KwjImportOptions *options, List *columns);

extern Jsonb *kwj_import_payload(const KwjImportSpec *spec);
extern void kwj_import_read_payload(Jsonb *payload, KwjImportSpec *spec);

/* Returns how many bytes the file had when the job was created; spec->sizes has to be there. */
extern int64 kwj_import_size_noted(const KwjImportSpec *spec, int file);

/* Returns how many workers may carry an attempt of the job with this payload at most. */
extern int	kwj_import_payload_workers(Jsonb *payload);

/*
 * Returns the text of an IMPORT statement for spec, with these columns and options. columns: names;
 * NIL: the text has no list of columns. given: a list of KwjGiven.
 */
extern char *kwj_import_description(const KwjImportSpec *spec, List *columns, List *given);

/*
 * Returns a text for spec alone: with all columns, and the options that say what the files mean and
 * are not the defaults.
 */
extern char *kwj_import_statement_text(const KwjImportSpec *spec);

#endif
