/*
 * src/type/files/json_file.h
 *	  The text of a JSON file that somebody else may have written, such as a manifest.
 *
 * Nothing in it is trusted: each function raises the error of `damaged` if a value is missing, is of
 * another type, or is larger than it may be.
 */
#ifndef KWJ_TYPE_FILES_JSON_FILE_H
#define KWJ_TYPE_FILES_JSON_FILE_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* A text in such a file has at most this many bytes: the quoted name of a table, for one. */
#define KWJ_JSON_FILE_LONGEST_TEXT	1024

typedef struct KwjJsonFile
{
	const char *path;
	void		(*damaged) (const char *path);	/* raises an error */
} KwjJsonFile;

/* Returns the object that the text is, which is in UTF-8 and ends with a NUL. size: without the NUL. */
extern JsonbContainer *kwj_json_file_parse(const KwjJsonFile *file, const char *text, int size);

/* Return the value of a key of an object: of this type, a text (palloc'd), or a whole number from 0 on. */
extern JsonbValue *kwj_json_file_value(const KwjJsonFile *file, JsonbContainer *object, const char *key,
									   enum jbvType type);
extern char *kwj_json_file_text(const KwjJsonFile *file, JsonbContainer *object, const char *key);
extern int64 kwj_json_file_number(const KwjJsonFile *file, JsonbContainer *object, const char *key);

/* Returns an array as a list of JsonbValue *. */
extern List *kwj_json_file_elements(const KwjJsonFile *file, JsonbContainer *object, const char *key);

/* The same for the elements of an array: a text, palloc'd, or an object. */
extern char *kwj_json_file_text_in(const KwjJsonFile *file, const JsonbValue *value);
extern JsonbContainer *kwj_json_file_object_in(const KwjJsonFile *file, const JsonbValue *value);

#endif
