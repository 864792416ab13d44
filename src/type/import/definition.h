/*
 * src/type/import/definition.h
 *	  The statements that create what an IMPORT fills: CREATE TABLE, and what may stand beside it.
 */
#ifndef KWJ_TYPE_IMPORT_DEFINITION_H
#define KWJ_TYPE_IMPORT_DEFINITION_H

#include "postgres.h"
#include "nodes/parsenodes.h"
#include "type/import/created.h"

typedef struct KwjDefinition
{
	const char *text;
	List	   *statements;		/* RawStmt */
	RawStmt    *table;			/* the CREATE TABLE of the target; NULL: it creates any number of tables */
	bool		has_rest;		/* it has statements to run when the rows are there */
} KwjDefinition;

typedef enum KwjDefinitionStage
{
	KWJ_DEFINE_ALL,
	KWJ_DEFINE_TABLES,			/* what has to be there before the rows */
	KWJ_DEFINE_REST,			/* indexes, foreign keys and grants, after the rows */
} KwjDefinitionStage;

/*
 * Parses the text, and checks that nothing else is in it than what a definition may have. one_table: it has
 * to have exactly one CREATE TABLE beside those of its partitions. Errors: those of PostgreSQL's parser;
 * 0A000, 22023, 54000.
 */
extern KwjDefinition *kwj_definition_parse(const char *text, bool one_table);

/*
 * Reads a definition from a file of the server, or another source (type/source), and converts it from the
 * encoding that its SET client_encoding says, UTF-8 if it has none. Returns the text, palloc'd, of which a
 * longer one than kwj_definition_parse accepts is cut. Errors: those of kwj_source_open; 22021.
 */
extern char *kwj_definition_read_file(const char *path);

/*
 * Runs a stage of the definition as the current user, in the current transaction, and adds what it has
 * created; for the last stage, *created has what the first one has created. The table is created in this
 * schema; NULL: as CREATE TABLE chooses it. only_try: the caller rolls it back; no hook and no event trigger
 * of other libraries sees it then.
 *
 * Errors: those of the statements; 0A000 if one of them would change what was there before.
 */
extern void kwj_definition_run(KwjDefinition *definition, KwjDefinitionStage stage, const char *schema,
							   bool only_try, KwjCreated *created);

/* Returns the text of the table's definition behind its name, without blanks around it, palloc'd. */
extern char *kwj_definition_body(const KwjDefinition *definition);

#endif
