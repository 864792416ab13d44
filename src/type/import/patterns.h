/*
 * src/type/import/patterns.h
 *	  Patterns among the files of an IMPORT, such as /data/part-*.csv.
 */
#ifndef KWJ_TYPE_IMPORT_PATTERNS_H
#define KWJ_TYPE_IMPORT_PATTERNS_H

#include "postgres.h"
#include "nodes/pg_list.h"

/*
 * Returns the files of the list (char *), in its order, with the regular files that match in the
 * place of each pattern, sorted by their bytes. The caller has checked that the current user may
 * read files of the server.
 *
 * A pattern is an absolute path that has *, ? or [ in it, unless a file of that very name exists.
 * Everything else is left as it is.
 *
 * Errors: 58P01 if nothing matches; 54000 if more than 10,000 files match; 0A000 for **; 42622 for a
 * path that is too long; 22021 if the name of a file is not text in the encoding of the database;
 * others of the file system.
 */
extern List *kwj_import_expand_patterns(List *files);

#endif
