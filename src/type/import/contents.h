/*
 * src/type/import/contents.h
 *	  Recognizes by its first bytes what a file holds.
 */
#ifndef KWJ_TYPE_IMPORT_CONTENTS_H
#define KWJ_TYPE_IMPORT_CONTENTS_H

#include "postgres.h"

#include "type/import/options.h"

/* How many bytes at the start of a text are looked at. */
#define KWJ_IMPORT_HEAD_SIZE	20

/*
 * Refuses a text whose first n bytes, at most KWJ_IMPORT_HEAD_SIZE, show that it has not the format or the
 * encoding that the options say (0A000). path: for messages. Returns where the text begins: after a byte
 * order mark, if there is one.
 */
extern int64 kwj_import_check_contents(const char *path, const char *head, size_t n, const KwjImportOptions *options);

#endif
