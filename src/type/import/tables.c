/*
 * src/type/import/tables.c
 *	  The tables of an IMPORT DATABASE, and which files are whose.
 *
 * Such a job imports the files of all tables one after the other, as any job does with its files. A payload
 * has the tables in four arrays: names in pairs, numbers of columns and of files, and all columns.
 *
 * Process: session (when the job is created), worker. Locks: none.
 */
#include "postgres.h"

#include "job/json.h"
#include "type/import/tables.h"

void
kwj_import_tables_write(const List *tables, StringInfo json)
{
	List	   *names = NIL;
	List	   *widths = NIL;
	List	   *files = NIL;
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, tables)
	{
		const KwjImportTable *table = lfirst(lc);

		names = lappend(lappend(names, table->schema), table->name);
		widths = lappend_int(widths, list_length(table->columns));
		files = lappend_int(files, table->n_files);
		columns = list_concat(columns, table->columns);
	}
	appendStringInfoString(json, ", \"table_names\": ");
	kwj_json_append_texts(json, names);
	appendStringInfoString(json, ", \"table_widths\": ");
	kwj_json_append_numbers(json, widths);
	appendStringInfoString(json, ", \"table_files\": ");
	kwj_json_append_numbers(json, files);
	appendStringInfoString(json, ", \"table_columns\": ");
	kwj_json_append_texts(json, columns);
}

List *
kwj_import_tables_read(Jsonb *payload)
{
	List	   *names = kwj_json_texts(payload, "table_names");
	List	   *columns = kwj_json_texts(payload, "table_columns");
	int64	   *widths;
	int64	   *files;
	int			n;
	int			column = 0;
	List	   *tables = NIL;

	widths = kwj_json_int64s(payload, "table_widths", &n);
	files = kwj_json_int64s(payload, "table_files", &n);
	for (int i = 0; i < n; i++)
	{
		KwjImportTable *table = palloc0(sizeof(KwjImportTable));

		table->schema = list_nth(names, 2 * i);
		table->name = list_nth(names, 2 * i + 1);
		table->n_files = (int) files[i];
		for (int j = 0; j < widths[i]; j++)
			table->columns = lappend(table->columns, list_nth(columns, column++));
		tables = lappend(tables, table);
	}
	return tables;
}

int
kwj_import_table_of_file(const List *tables, int file, int *first)
{
	int			found = 0;
	int			begin = 0;

	*first = 0;
	for (int i = 0; i < list_length(tables); i++)
	{
		const KwjImportTable *table = list_nth(tables, i);

		if (table->n_files == 0)
			continue;
		if (begin > file)
			break;
		found = i;
		*first = begin;
		begin += table->n_files;
	}
	return found;
}
