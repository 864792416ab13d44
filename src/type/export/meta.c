/*
 * src/type/export/meta.c
 *	  meta.sql: the definitions of the tables that an EXPORT writes, for psql.
 *
 * Caller: export.c. Process: worker, in the transaction that reads. Locks: none; the tables are
 * locked.
 *
 * The text is what an empty database needs before IMPORT can load the files: schemas, extensions and
 * types of the columns, sequences, tables with their constraints and partitions, indexes. What only
 * pg_dump can do well is left to pg_dump: functions, views, triggers, policies, rules.
 *
 * Each section is a query that returns the statements, in their order. $1: the OIDs of the tables.
 * The queries run with an empty search_path. So they find everything in pg_catalog, and PostgreSQL's
 * functions that print definitions qualify all names.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "job/transaction.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "type/export/meta.h"
#include "type/export/source.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"

/* The tables and the partitions below them. level: 0 for the tables. */
#define TABLES \
	"tables AS (SELECT t.oid, 0 AS level, NULL::regclass AS parent FROM unnest($1) AS t (oid)" \
	" UNION ALL SELECT p.relid, p.level, p.parentrelid FROM unnest($1) AS t (oid)" \
	" JOIN pg_class AS c ON c.oid = t.oid AND c.relkind = 'p', pg_partition_tree(t.oid) AS p" \
	" WHERE p.level > 0)"

/* The types of all columns, and those of which they are made. The deepest ones are created first. */
#define TYPES \
	"parts AS (SELECT a.atttypid AS oid, 0 AS level FROM pg_attribute AS a" \
	"  WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped" \
	" UNION ALL SELECT n.oid, parts.level + 1 FROM parts JOIN pg_type AS t ON t.oid = parts.oid," \
	"  LATERAL (SELECT t.typelem AS oid WHERE t.typelem <> 0 AND t.typcategory = 'A'" \
	"   UNION ALL SELECT t.typbasetype WHERE t.typtype = 'd'" \
	"   UNION ALL SELECT a.atttypid FROM pg_attribute AS a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped" \
	"   UNION ALL SELECT r.rngsubtype FROM pg_range AS r WHERE r.rngtypid = t.oid" \
	"   UNION ALL SELECT r.rngtypid FROM pg_range AS r WHERE r.rngmultitypid = t.oid) AS n)," \
	" types AS (SELECT t.oid, max(parts.level) AS level FROM parts JOIN pg_type AS t USING (oid)" \
	"  JOIN pg_namespace AS n ON n.oid = t.typnamespace" \
	"  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') GROUP BY t.oid)"

/* Sequences that the columns own, also of identity columns, or use in a default. */
#define SEQUENCES \
	"sequences AS (SELECT DISTINCT s.oid, d.deptype = 'i' AND d.classid = 'pg_class'::regclass AS is_identity" \
	"  FROM pg_class AS s JOIN pg_depend AS d ON s.relkind = 'S'" \
	"  AND ((d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass" \
	"    AND d.refobjid = ANY ($1) AND d.deptype IN ('a', 'i'))" \
	"   OR (d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid" \
	"    AND d.objid IN (SELECT f.oid FROM pg_attrdef AS f WHERE f.adrelid = ANY ($1)))))"

#define IS_OF_EXTENSION(class, object) \
	" EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = '" class "'::regclass AND e.objid = " object \
	" AND e.deptype = 'e')"

/* The parameters of a sequence, of which q is the row in pg_sequence. */
#define SEQUENCE_PARAMETERS \
	"format('START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s', q.seqstart, q.seqincrement," \
	" q.seqmin, q.seqmax, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END)"

/* COLLATE, if it is not that of the type. */
#define COLLATE(column, type) \
	"coalesce((SELECT format(' COLLATE %I.%I', n.nspname, l.collname) FROM pg_collation AS l" \
	" JOIN pg_namespace AS n ON n.oid = l.collnamespace JOIN pg_type AS y ON y.oid = " type \
	" WHERE l.oid = " column " AND l.oid <> y.typcollation), '')"

/* Storage parameters of the table c; NULL: none. */
#define PARAMETERS \
	"(SELECT format(E'\\n    WITH (%s)', string_agg(format('%s = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ')) FROM unnest(c.reloptions) AS o WHERE c.relkind = 'r' HAVING count(*) > 0)"

static const char schemas[] =
	"WITH RECURSIVE " TYPES ", " SEQUENCES ", " TABLES
	" SELECT DISTINCT format('CREATE SCHEMA IF NOT EXISTS %I;', n.nspname)"
	" FROM (SELECT c.relnamespace FROM pg_class AS c WHERE c.oid IN (SELECT oid FROM tables UNION ALL SELECT oid FROM sequences)"
	"  UNION ALL SELECT t.typnamespace FROM pg_type AS t WHERE t.oid IN (SELECT oid FROM types)) AS u (oid)"
	" JOIN pg_namespace AS n USING (oid) ORDER BY 1";

/* The extensions of the types, and of what indexes, constraints and defaults use: operator classes, functions. */
static const char extensions[] =
	"WITH RECURSIVE " TYPES ", " TABLES ","
	" users AS (SELECT 'pg_class'::regclass AS class, i.indexrelid AS oid FROM pg_index AS i JOIN tables AS t ON t.oid = i.indrelid"
	"  UNION ALL SELECT 'pg_attrdef'::regclass, f.oid FROM pg_attrdef AS f JOIN tables AS t ON t.oid = f.adrelid"
	"  UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint AS k JOIN tables AS t ON t.oid = k.conrelid),"
	" used AS (SELECT 'pg_type'::regclass AS class, oid FROM types"
	"  UNION SELECT d.refclassid, d.refobjid FROM users AS u JOIN pg_depend AS d ON d.classid = u.class AND d.objid = u.oid)"
	" SELECT DISTINCT format('%sCREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I;',"
	"  CASE WHEN n.nspname <> 'pg_catalog' AND NOT" IS_OF_EXTENSION("pg_namespace", "n.oid")
	"   THEN format(E'CREATE SCHEMA IF NOT EXISTS %I;\n', n.nspname) END, x.extname, n.nspname)"
	" FROM used JOIN pg_depend AS d ON d.classid = used.class AND d.objid = used.oid AND d.deptype = 'e'"
	" JOIN pg_extension AS x ON x.oid = d.refobjid JOIN pg_namespace AS n ON n.oid = x.extnamespace ORDER BY 1";

static const char type_definitions[] =
	"WITH RECURSIVE " TYPES
	" SELECT CASE t.typtype"
	"  WHEN 'e' THEN (SELECT format('CREATE TYPE %s AS ENUM (%s);', t.oid::regtype,"
	"   string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)) FROM pg_enum AS e WHERE e.enumtypid = t.oid)"
	"  WHEN 'd' THEN format('CREATE DOMAIN %s AS %s%s%s%s%s;', t.oid::regtype, format_type(t.typbasetype, t.typtypmod),"
	"   " COLLATE("t.typcollation", "t.typbasetype") ","
	"   ' DEFAULT ' || pg_get_expr(t.typdefaultbin, 'pg_type'::regclass), CASE WHEN t.typnotnull THEN ' NOT NULL' END,"
	"   (SELECT string_agg(format(' CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), '' ORDER BY k.conname)"
	"     FROM pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'c'))"
	"  WHEN 'c' THEN (SELECT format('CREATE TYPE %s AS (%s);', t.oid::regtype,"
	"   string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod), " COLLATE("a.attcollation", "a.atttypid") "), ', ' ORDER BY a.attnum))"
	"   FROM pg_attribute AS a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)"
	"  WHEN 'r' THEN (SELECT format('CREATE TYPE %s AS RANGE (SUBTYPE = %s, SUBTYPE_OPCLASS = %I.%I%s%s, MULTIRANGE_TYPE_NAME = %s);', t.oid::regtype,"
	"   format_type(r.rngsubtype, NULL), n.nspname, o.opcname,"
	"   ', COLLATION = ' || substr(nullif(" COLLATE("r.rngcollation", "r.rngsubtype") ", ''), length(' COLLATE ') + 1),"
	"   CASE WHEN r.rngsubdiff <> 0 THEN ', SUBTYPE_DIFF = ' || r.rngsubdiff::regproc::text END, r.rngmultitypid::regtype)"
	"   FROM pg_range AS r JOIN pg_opclass AS o ON o.oid = r.rngsubopc JOIN pg_namespace AS n ON n.oid = o.opcnamespace WHERE r.rngtypid = t.oid)"
	" END FROM types JOIN pg_type AS t USING (oid) LEFT JOIN pg_class AS c ON c.oid = t.typrelid"
	" WHERE t.typtype IN ('e', 'd', 'c', 'r') AND coalesce(c.relkind = 'c', true)"
	" AND NOT" IS_OF_EXTENSION("pg_type", "t.oid") " ORDER BY types.level DESC, t.oid";

static const char sequence_definitions[] =
	"WITH " SEQUENCES
	" SELECT format('CREATE SEQUENCE %s AS %s %s;', q.seqrelid::regclass, format_type(q.seqtypid, NULL), " SEQUENCE_PARAMETERS ")"
	" FROM sequences JOIN pg_sequence AS q ON q.seqrelid = sequences.oid WHERE NOT is_identity ORDER BY q.seqrelid::regclass::text";

/* A view, a foreign table or a single partition becomes a table. */
static const char table_definitions[] =
	"SELECT format(E'CREATE%s TABLE %s (%s)%s%s%s;', CASE WHEN c.relpersistence = 'u' THEN ' UNLOGGED' END, c.oid::regclass,"
	" concat_ws(',', (SELECT string_agg(format(E'\\n    %I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),"
	"  " COLLATE("a.attcollation", "a.atttypid") ","
	"  CASE WHEN a.attgenerated <> '' THEN format(' GENERATED ALWAYS AS (%s) %s', pg_get_expr(d.adbin, d.adrelid),"
	"    CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END)"
	"   WHEN a.attidentity <> '' THEN format(' GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s)',"
	"    CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, q.seqrelid::regclass, " SEQUENCE_PARAMETERS ")"
	"   WHEN c.relkind IN ('r', 'p') THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END,"
	"  CASE WHEN a.attnotnull AND c.relkind IN ('r', 'p') THEN ' NOT NULL' END), ',' ORDER BY a.attnum)"
	"  FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
	"  LEFT JOIN pg_depend AS i ON a.attidentity <> '' AND i.classid = 'pg_class'::regclass AND i.refclassid = 'pg_class'::regclass"
	"   AND i.refobjid = a.attrelid AND i.refobjsubid = a.attnum AND i.deptype = 'i'"
	"  LEFT JOIN pg_sequence AS q ON q.seqrelid = i.objid"
	"  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),"
	" (SELECT string_agg(format(E'\\n    CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ',' ORDER BY k.contype, k.conname)"
	"  FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype IN ('c', 'p', 'u', 'x') AND (k.conislocal OR NOT k.coninhcount > 0 OR NOT EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = c.oid AND h.inhparent = ANY ($1))))),"
	" (SELECT format(E'\\n    INHERITS (%s)', string_agg(h.inhparent::regclass::text, ', ' ORDER BY h.inhseqno)) FROM pg_inherits AS h"
	"  WHERE h.inhrelid = c.oid AND NOT c.relispartition AND h.inhparent = ANY ($1) HAVING count(*) > 0),"
	" CASE WHEN c.relkind = 'p' THEN E'\\n    PARTITION BY ' || pg_get_partkeydef(c.oid) END,"
	" " PARAMETERS ")"
	" FROM unnest($1) WITH ORDINALITY AS t (oid, n) JOIN pg_class AS c USING (oid)"
	/* A parent comes before its children. */
	" ORDER BY (WITH RECURSIVE up AS (SELECT h.inhparent, 1 AS level FROM pg_inherits AS h WHERE h.inhrelid = c.oid"
	"  UNION ALL SELECT h.inhparent, up.level + 1 FROM up JOIN pg_inherits AS h ON h.inhrelid = up.inhparent)"
	"  SELECT coalesce(max(level), 0) FROM up), t.n";

/* Partitions, each with what it does not have from its parent: defaults, NOT NULL, constraints of its own. */
static const char partition_definitions[] =
	"WITH " TABLES
	" SELECT format('CREATE%s TABLE %s PARTITION OF %s%s %s%s%s;', CASE WHEN c.relpersistence = 'u' THEN ' UNLOGGED' END, c.oid::regclass, t.parent,"
	"  (SELECT format(E' (%s)', string_agg(E'\\n    ' || o.text, ',' ORDER BY o.kind, o.n, o.text)) FROM ("
	"    SELECT 1 AS kind, a.attnum AS n, concat(quote_ident(a.attname), ' DEFAULT ' || m.expression, m.required) AS text"
	"     FROM pg_attribute AS a JOIN pg_attribute AS p ON p.attrelid = t.parent AND p.attname = a.attname"
	"      LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
	"      LEFT JOIN pg_attrdef AS e ON e.adrelid = p.attrelid AND e.adnum = p.attnum,"
	"      LATERAL (SELECT pg_get_expr(d.adbin, d.adrelid) AS own, pg_get_expr(e.adbin, e.adrelid) AS inherited) AS x,"
	"      LATERAL (SELECT CASE WHEN a.attgenerated = '' AND a.attidentity = '' AND x.own IS DISTINCT FROM x.inherited THEN coalesce(x.own, 'NULL') END AS expression,"
	"       CASE WHEN a.attnotnull AND NOT p.attnotnull THEN ' NOT NULL' END AS required) AS m"
	"     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (m.expression IS NOT NULL OR m.required IS NOT NULL)"
	"    UNION ALL SELECT 2, 0, format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint AS k"
	"     WHERE k.conrelid = c.oid AND k.contype IN ('c', 'p', 'u', 'x') AND k.coninhcount = 0) AS o HAVING count(*) > 0),"
	"  pg_get_expr(c.relpartbound, c.oid),"
	"  CASE WHEN c.relkind = 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) END, " PARAMETERS ")"
	" FROM tables AS t JOIN pg_class AS c USING (oid) WHERE t.level > 0 ORDER BY t.level, c.oid::regclass::text";

/* To which column a sequence belongs. */
static const char sequence_owners[] =
	"WITH " SEQUENCES
	" SELECT format('ALTER SEQUENCE %s OWNED BY %s.%I;', d.objid::regclass, d.refobjid::regclass, a.attname)"
	"  FROM sequences AS s JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid"
	"   AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'"
	"  JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE d.refobjid = ANY ($1) ORDER BY 1";

/*
 * The last values of the sequences. The query returns queries, which return the statements, because a
 * sequence that was restarted, and not used since then, shows its state only when it is read.
 */
static const char sequence_values[] =
	"WITH " SEQUENCES
	" SELECT CASE WHEN has_sequence_privilege(s.oid, 'SELECT') THEN format($$SELECT format('SELECT pg_catalog.setval(%%L, %%s, %%s);', %L, last_value, CASE WHEN is_called THEN 'true' ELSE 'false' END)"
	" FROM %s WHERE is_called OR last_value <> %s$$, s.oid::regclass, s.oid::regclass, q.seqstart) END"
	"  FROM sequences AS s JOIN pg_sequence AS q ON q.seqrelid = s.oid ORDER BY s.oid::regclass::text";

/*
 * Indexes, without those of constraints and those that a partition has from its parent. Of a
 * partitioned table, pg_get_indexdef says ON ONLY; the partitions are there, and get theirs, too.
 */
static const char indexes[] =
	"WITH " TABLES
	" SELECT CASE WHEN x.relkind = 'I' THEN n.head || substr(pg_get_indexdef(i.indexrelid), length(n.head) + length('ONLY ') + 1)"
	"  ELSE pg_get_indexdef(i.indexrelid) END || ';'"
	" FROM tables AS t JOIN pg_index AS i ON i.indrelid = t.oid JOIN pg_class AS x ON x.oid = i.indexrelid,"
	" format('CREATE%s INDEX %I ON ', CASE WHEN i.indisunique THEN ' UNIQUE' END, x.relname) AS n (head)"
	" WHERE i.indislive AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))"
	" AND NOT EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = i.indexrelid)"
	" AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.oid AND c.relkind IN ('r', 'p'))"
	" ORDER BY i.indexrelid::regclass::text";

static const char foreign_keys[] =
	"WITH " TABLES
	" SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s;', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid))"
	" FROM pg_constraint AS k WHERE k.conrelid IN (SELECT oid FROM tables) AND k.contype = 'f' AND k.conparentid = 0"
	" ORDER BY k.conrelid::regclass::text, k.conname";

static const char comments[] =
	"WITH " TABLES
	" SELECT CASE WHEN d.objsubid = 0 THEN format('COMMENT ON TABLE %s IS %L;', d.objoid::regclass, d.description)"
	" ELSE format('COMMENT ON COLUMN %s.%I IS %L;', d.objoid::regclass, a.attname, d.description) END"
	" FROM pg_description AS d LEFT JOIN pg_attribute AS a ON d.objsubid > 0 AND a.attrelid = d.objoid AND a.attnum = d.objsubid"
	" WHERE d.classoid = 'pg_class'::regclass AND d.objoid IN (SELECT oid FROM tables) ORDER BY d.objoid::regclass::text, d.objsubid";

static const char privileges[] =
	"WITH " TABLES
	" SELECT format('GRANT %s%s ON TABLE %s TO %s%s;', x.privilege_type, x.of_column, x.relation,"
	" CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,"
	" CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END)"
	" FROM (SELECT c.oid::regclass AS relation, '' AS of_column, c.relowner, e.grantee, e.privilege_type, e.is_grantable"
	"   FROM pg_class AS c, aclexplode(c.relacl) AS e WHERE c.oid IN (SELECT oid FROM tables)"
	"  UNION ALL SELECT c.oid::regclass, format(' (%I)', a.attname), c.relowner, e.grantee, e.privilege_type, e.is_grantable"
	"   FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid, aclexplode(a.attacl) AS e WHERE c.oid IN (SELECT oid FROM tables)) AS x"
	" WHERE x.grantee <> x.relowner ORDER BY x.relation::text, x.of_column, x.grantee, x.privilege_type";

/* Returns the texts that the query returns. */
static List *
texts_of(const char *query, ArrayType *tables)
{
	Oid			types[1] = {OIDARRAYOID};
	Datum		values[1] = {PointerGetDatum(tables)};
	List	   *texts = NIL;

	if (SPI_execute_with_args(query, 1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the definitions of tables");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *value = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		if (value != NULL)
			texts = lappend(texts, value);
	}
	SPI_freetuptable(SPI_tuptable);
	return texts;
}

/* Appends the statements. */
static void
append_statements(StringInfo text, const List *statements)
{
	ListCell   *lc;

	foreach(lc, statements)
		appendStringInfo(text, "%s\n", (char *) lfirst(lc));
	if (statements != NIL)
		appendStringInfoChar(text, '\n');
}

/* Appends the statements that the query returns. of_queries: it returns queries, which return them. */
static void
append_section(StringInfo text, const char *query, bool of_queries, ArrayType *tables)
{
	List	   *texts = texts_of(query, tables);
	List	   *statements = NIL;
	ListCell   *lc;

	if (!of_queries)
		statements = texts;
	else
		foreach(lc, texts)
			statements = list_concat(statements, texts_of(lfirst(lc), tables));
	append_statements(text, statements);
}

/* The names in the text are those of the database, in its encoding. */
static void
append_head(StringInfo text)
{
	appendStringInfo(text,
					 "-- Definitions of the tables whose rows are in the CSV files beside this one, written by EXPORT.\n"
					 "-- Functions, views, triggers, rules and policies are not here: pg_dump --schema-only has them.\n\n"
					 "SET client_encoding = '%s';\n"
					 "SET standard_conforming_strings = on;\n"
					 "SET check_function_bodies = false;\n"
					 "SELECT pg_catalog.set_config('search_path', '', false);\n\n",
					 GetDatabaseEncodingName());
}

static ArrayType *
oids_of(const List *items)
{
	Datum	   *oids = palloc(Max(list_length(items), 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, items)
		oids[n++] = ObjectIdGetDatum(((const KwjExportItem *) lfirst(lc))->table);
	return construct_array(oids, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
}

char *
kwj_meta_text(const List *items, const KwjExportOptions *options)
{
	const struct
	{
		const char *query;
		bool		is_wanted;
		bool		of_queries;
	}			sections[] = {
		{schemas, true},
		{extensions, true},
		{type_definitions, true},
		{sequence_definitions, true},
		{table_definitions, true},
		{partition_definitions, true},
		{sequence_owners, true},
		{sequence_values, true, true},
		{indexes, true},
		{foreign_keys, options->foreign_key},
		{comments, options->comment},
		{privileges, options->privileges},
	};
	ArrayType  *tables = oids_of(items);
	StringInfoData text;
	int			level = NewGUCNestLevel();

	kwj_set_in_level("search_path", "");
	initStringInfo(&text);
	append_head(&text);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	for (int i = 0; i < lengthof(sections); i++)
		if (sections[i].is_wanted)
			append_section(&text, sections[i].query, sections[i].of_queries, tables);
	SPI_finish();
	AtEOXact_GUC(false, level);
	return text.data;
}
