/*
 * src/type/import/by_statement.h
 *	  Importing by a COPY statement, for targets whose rows other libraries keep.
 */
#ifndef KWJ_TYPE_IMPORT_BY_STATEMENT_H
#define KWJ_TYPE_IMPORT_BY_STATEMENT_H

#include "postgres.h"
#include "type/import/reader.h"
#include "utils/rel.h"

/*
 * Runs COPY rel (columns) FROM STDIN, as a statement that hooks see, on what the reader gives, and moves
 * the line of the reader's position. rel is open and locked. columns: String nodes; options: DefElem
 * nodes. Returns how many rows COPY has reported. Errors: those of COPY and of the reader; 22P04 if text
 * follows a line of just \.
 */
extern uint64 kwj_import_copy_by_statement(Relation rel, List *columns, List *options, KwjImportReader *reader);

#endif
