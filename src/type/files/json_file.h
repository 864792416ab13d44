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

/*
 * Parses the text of the file, which has to be in UTF-8 and to hold one JSON object, and returns that
 * object. A NUL follows the text; size does not count it.
 */
extern JsonbContainer *kwj_json_file_parse(const KwjJsonFile *file, const char *text, int size);

/* Returns the value that the object has for this key, which has to be of this type. */
extern JsonbValue *kwj_json_file_value(const KwjJsonFile *file, JsonbContainer *object, const char *key,
									   enum jbvType type);

/* Returns the string that the object has for this key, palloc'd. */
extern char *kwj_json_file_text(const KwjJsonFile *file, JsonbContainer *object, const char *key);

/* Returns the whole number, not below 0, that the object has for this key. */
extern int64 kwj_json_file_number(const KwjJsonFile *file, JsonbContainer *object, const char *key);

/* Returns the elements of the array that the object has for this key, as a list of JsonbValue *, palloc'd. */
extern List *kwj_json_file_elements(const KwjJsonFile *file, JsonbContainer *object, const char *key);

/* Returns the string that this value, such as an element of an array, has to be, palloc'd. */
extern char *kwj_json_file_text_in(const KwjJsonFile *file, const JsonbValue *value);

/* Returns the object that this value, such as an element of an array, has to be. */
extern JsonbContainer *kwj_json_file_object_in(const KwjJsonFile *file, const JsonbValue *value);

#endif
