/*
 * src/type/import/tables.h
 *	  The tables of an IMPORT DATABASE, and which files are whose.
 */
#ifndef KWJ_TYPE_IMPORT_TABLES_H
#define KWJ_TYPE_IMPORT_TABLES_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* A table, whose files follow those of the table before it in the list of files. */
typedef struct KwjImportTable
{
	char	   *schema;
	char	   *name;
	List	   *columns;		/* char *: that the files fill */
	int			n_files;
} KwjImportTable;

/* Write and read a list of tables, as members of a payload; NIL: it has none. */
extern void kwj_import_tables_write(const List *tables, StringInfo json);
extern List *kwj_import_tables_read(Jsonb *payload);

/*
 * Returns the index of the table whose file this is; for a file behind the last one, of the last table that
 * has files. *first: its first file. There is a table.
 */
extern int	kwj_import_table_of_file(const List *tables, int file, int *first);

#endif
