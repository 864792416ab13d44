/*
 * src/type/import/reject_table.c
 *	  The table into which an IMPORT with on_error = 'skip' writes the records that it leaves out.
 *
 * Callers: options.c and validate.c when the job is created; batch.c, records.c and bad_records.c in
 * each batch, as the owner of the job; revert.c. Process: session, worker. Locks: RowExclusiveLock on the table,
 * until the end of the transaction.
 *
 * The rows are written after the subtransaction that has met the bad record, in the transaction of the
 * batch. So they are committed with the rows of the batch, or rolled back with them.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "job/relation.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "type/columns.h"
#include "type/given.h"
#include "type/import/as_owner.h"
#include "type/import/keeper.h"
#include "type/import/order.h"
#include "type/import/reject_file.h"
#include "type/import/reject_table.h"
#include "type/import/target.h"
#include "type/import/triggers.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/varlena.h"

static const struct
{
	const char *name;
	Oid			type;
}			columns[] =
{
	{"job_id", INT8OID},
	{"file", TEXTOID},
	{"line", INT8OID},
	{"column_name", TEXTOID},
	{"sqlstate", TEXTOID},
	{"reason", TEXTOID},
	{"record", TEXTOID},
};

/* Returns the statement that creates such a table. */
static char *
creation(const char *name)
{
	return psprintf("CREATE TABLE %s (job_id bigint, file text, line bigint, column_name text, sqlstate text, reason text, record text)",
					name);
}

void
kwj_reject_table_find(KwjImportOptions *options, const char *name)
{
	List	   *names;

	if (!SplitIdentifierString(pstrdup(name), '.', &names) || names == NIL || list_length(names) > 3)
		kwj_given_refuse_value("IMPORT", "reject_table", name, "Give the name of a table, such as public.rejected.");
	names = textToQualifiedNameList(cstring_to_text(name));
	options->reject_table = RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock, true);
	if (!OidIsValid(options->reject_table))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("reject table \"%s\" does not exist", name),
				errhint("Create it first: %s", creation(NameListToQuotedString(names))));
	options->reject_name = kwj_name_of_relation(options->reject_table);
}

static void
refuse(Relation rel, int code, const char *detail)
{
	ereport(ERROR,
			errcode(code),
			errmsg("cannot write rejected records into \"%s\"", RelationGetRelationName(rel)),
			errdetail_internal("%s", detail),
			errhint("Name another table, such as one of: %s", creation("rejected")));
}

static void
check_kind(Relation rel, Relation target)
{
	KwjKept		kept;

	/* A revert removes rows from this table only. */
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		refuse(rel, ERRCODE_WRONG_OBJECT_TYPE, "It is a partitioned table.");
	if (rel->rd_rel->relkind != RELKIND_RELATION)
		refuse(rel, ERRCODE_WRONG_OBJECT_TYPE, kwj_relation_kind(rel->rd_rel->relkind));
	if (IsCatalogRelation(rel))
		refuse(rel, ERRCODE_INSUFFICIENT_PRIVILEGE, "It is a system catalog.");
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		refuse(rel, ERRCODE_FEATURE_NOT_SUPPORTED,
			   "The job runs in another process, which cannot see the temporary tables of this session.");
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		refuse(rel, ERRCODE_FEATURE_NOT_SUPPORTED, "It is unlogged; a crash of the server would empty it.");
	if (list_member_oid(kwj_import_tables_of(target), RelationGetRelid(rel)))
		refuse(rel, ERRCODE_INVALID_PARAMETER_VALUE, "The records are imported into this table.");
	if (kwj_find_kept(list_make1_oid(RelationGetRelid(rel)), &kept))
		refuse(rel, ERRCODE_FEATURE_NOT_SUPPORTED, psprintf("Its rows are kept by %s.", kept.extension));
}

static void
check_columns(Relation rel)
{
	for (int i = 0; i < lengthof(columns); i++)
	{
		AttrNumber	number = kwj_find_column(rel, columns[i].name);

		if (number == InvalidAttrNumber)
			refuse(rel, ERRCODE_UNDEFINED_COLUMN, psprintf("It has no column %s.", columns[i].name));
		if (TupleDescAttr(RelationGetDescr(rel), number - 1)->atttypid != columns[i].type)
			refuse(rel, ERRCODE_DATATYPE_MISMATCH,
				   psprintf("Its column %s is not of type %s.", columns[i].name, format_type_be(columns[i].type)));
	}
}

static void
check_rights(const KwjImportOptions *options, Relation rel)
{
	Oid			relid = RelationGetRelid(rel);

	if (pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) != ACLCHECK_OK)
		for (int i = 0; i < lengthof(columns); i++)
			if (pg_attribute_aclcheck(relid, kwj_find_column(rel, columns[i].name), GetUserId(),
									  ACL_INSERT) != ACLCHECK_OK)
				ereport(ERROR,
						errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for reject table %s", options->reject_name),
						errhint("Ask the owner of the table for: GRANT INSERT ON %s TO %s", options->reject_name,
								quote_identifier(GetUserNameFromId(GetUserId(), false))));
	if (check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED)
		refuse(rel, ERRCODE_FEATURE_NOT_SUPPORTED,
			   "Row-level security policies of the table apply to the owner of the job.");
}

/*
 * Checks that the reject table still exists, that it is of a kind and has columns as it must, and that the
 * current user may write into it. target: the table to import into.
 */
static void
check_table(const KwjImportOptions *options, Relation target)
{
	Relation	rel = try_relation_open(options->reject_table, RowExclusiveLock);

	if (rel == NULL)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_TABLE),
				errmsg("reject table %s does not exist any more", options->reject_name),
				errhint("Type IMPORT again with another one, such as one of: %s", creation("rejected")));
	check_kind(rel, target);
	check_columns(rel);
	check_rights(options, rel);
	relation_close(rel, NoLock);
}

void
kwj_import_check_skips(const KwjImportOptions *options, Relation target)
{
	if (options->on_error != KWJ_IMPORT_SKIP)
		return;
	if (kwj_import_is_elsewhere(target))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("on_error = 'skip' is not supported for \"%s\"", RelationGetRelationName(target)),
				errdetail("Its rows are not in a table of this server, so what an error leaves there is not known."),
				errhint("Import into a table and copy its rows from there with INSERT ... SELECT."));
	if (kwj_import_refers_to_itself(target))
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("on_error = 'skip' is not supported for table \"%s\"", RelationGetRelationName(target)),
				errdetail("A foreign key of the table refers to the table itself, so whether a record is good depends on later ones."),
				errhint("Import without on_error, or drop the constraint and add it again afterwards."));
	if (OidIsValid(options->reject_table))
		check_table(options, target);
	kwj_reject_file_check_right(options);
}

/* Sets an argument of type text; NULL if there is no text. */
static void
set_text(Datum *value, char *null, const char *text)
{
	*value = text ? CStringGetTextDatum(text) : (Datum) 0;
	*null = text ? ' ' : 'n';
}

void
kwj_reject_table_add(const KwjImportOptions *options, const KwjRejected *rejected)
{
	Oid			types[lengthof(columns)];
	Datum		values[lengthof(columns)];
	char		nulls[lengthof(columns)];
	char	   *sql;

	for (int i = 0; i < lengthof(columns); i++)
	{
		types[i] = columns[i].type;
		nulls[i] = ' ';
	}
	values[0] = Int64GetDatum(rejected->job_id);
	values[2] = Int64GetDatum(rejected->line);
	set_text(&values[1], &nulls[1], rejected->file);
	set_text(&values[3], &nulls[3], rejected->column);
	set_text(&values[4], &nulls[4], unpack_sql_state(rejected->code));
	set_text(&values[5], &nulls[5], rejected->reason);
	set_text(&values[6], &nulls[6], rejected->record);
	sql = psprintf("INSERT INTO %s (job_id, file, line, column_name, sqlstate, reason, record) VALUES ($1, $2, $3, $4, $5, $6, $7)",
				   kwj_name_of_relation(options->reject_table));
	SPI_connect();
	/* A rule of the table may have made another statement of it. */
	if (SPI_execute_with_args(sql, lengthof(columns), types, values, nulls, false, 0) < 0)
		elog(ERROR, "could not write into reject table %s", options->reject_name);
	SPI_finish();
}

void
kwj_reject_table_clear(const KwjImportOptions *options, int64 job_id)
{
	Relation	rel;
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(job_id)};

	if (!OidIsValid(options->reject_table))
		return;
	rel = try_relation_open(options->reject_table, RowExclusiveLock);
	if (rel == NULL)
		return;
	/* Somebody may have made another table of it. */
	if (rel->rd_rel->relkind == RELKIND_RELATION && kwj_find_column(rel, "job_id") != InvalidAttrNumber)
	{
		kwj_import_check_triggers(rel, NIL);
		(void) kwj_import_run_as_owner(rel, psprintf("DELETE FROM ONLY %s WHERE job_id OPERATOR(pg_catalog.=) $1",
													 kwj_qualified_name(rel)),
									   lengthof(types), types, values);
	}
	relation_close(rel, NoLock);
}

/*
 * Returns how many of the bytes, from the first one, are text of the encoding. Appends them, in the
 * encoding of the database.
 */
static int
append_valid(StringInfo text, const char *bytes, int n, int encoding, Oid conversion)
{
	int			valid;

	if (!OidIsValid(conversion))
	{
		valid = pg_encoding_verifymbstr(encoding, bytes, n);
		appendBinaryStringInfo(text, bytes, valid);
		return valid;
	}
	/* Convert no more bytes at a time than have a result that fits into the buffer, whatever they are. */
	n = Min(n, 8 * 1024);
	enlargeStringInfo(text, n * MAX_CONVERSION_GROWTH + 1);
	valid = pg_do_encoding_conversion_buf(conversion, encoding, GetDatabaseEncoding(),
										  (unsigned char *) unconstify(char *, bytes), n,
										  (unsigned char *) text->data + text->len,
										  n * MAX_CONVERSION_GROWTH + 1, true);
	text->len += strlen(text->data + text->len);
	return valid;
}

char *
kwj_text_of_bytes(const char *bytes, int n, int encoding)
{
	int			database = GetDatabaseEncoding();
	bool		converts = encoding != database && encoding != PG_SQL_ASCII && database != PG_SQL_ASCII;
	Oid			conversion = converts ? FindDefaultConversionProc(encoding, database) : InvalidOid;
	StringInfoData text;
	int			done = 0;

	initStringInfo(&text);
	while (done < n)
	{
		done += append_valid(&text, bytes + done, n - done, converts ? encoding : database, conversion);
		if (done < n)
		{
			/* A character may have been cut at the end of what was converted. */
			int			valid = append_valid(&text, bytes + done, n - done,
											 converts ? encoding : database, conversion);

			if (valid == 0)
				appendStringInfo(&text, "\\x%02x", (unsigned char) bytes[done++]);
			done += valid;
		}
	}
	return text.data;
}

char *
kwj_hex_of_bytes(const char *bytes, int n)
{
	char	   *text = palloc(2 * n + 3);

	strcpy(text, "\\x");
	text[2 + hex_encode(bytes, n, text + 2)] = '\0';
	return text;
}
