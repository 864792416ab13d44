/*
 * src/job/json.h
 *	  Reading and writing the payloads and checkpoints of jobs.
 */
#ifndef KWJ_JOB_JSON_H
#define KWJ_JOB_JSON_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* Get the value of a key, palloc'd. Errors: XX000 if the key is missing or has another type. */
extern int64 kwj_json_int64(Jsonb *jb, const char *key);
extern char *kwj_json_text(Jsonb *jb, const char *key);
extern Jsonb *kwj_json_object(Jsonb *jb, const char *key);

/*
 * Get the value of a key; if the key is missing, NULL, `otherwise` or false. Errors: XX000 if it
 * has another type.
 */
extern char *kwj_json_text_or_null(Jsonb *jb, const char *key);
extern Jsonb *kwj_json_object_or_null(Jsonb *jb, const char *key);
extern int64 kwj_json_int64_or(Jsonb *jb, const char *key, int64 otherwise);
extern bool kwj_json_bool_or_false(Jsonb *jb, const char *key);

/* Returns a list of palloc'd strings; NIL if the key is missing. Errors: XX000 for other types. */
extern List *kwj_json_texts(Jsonb *jb, const char *key);

/*
 * Returns a palloc'd array of *n numbers; NULL and *n = 0 if the key is missing. Errors: XX000 for
 * other types.
 */
extern int64 *kwj_json_int64s(Jsonb *jb, const char *key, int *n);

/* Returns a copy of the jsonb, which lives in the context; NULL for NULL. */
extern Jsonb *kwj_json_copy(Datum value, bool isnull, MemoryContext context);

/* Make a jsonb of JSON text. Errors: 22P02. */
extern Jsonb *kwj_json_parse(const char *text);

/* Returns a copy of the object with this value for the key, whether or not it has the key. */
extern Jsonb *kwj_json_with(Jsonb *object, const char *key, Jsonb *value);

/* Append an array to JSON text: of strings (char *), or of numbers (integers). */
extern void kwj_json_append_texts(StringInfo json, const List *texts);
extern void kwj_json_append_numbers(StringInfo json, const List *numbers);

/* Returns {}, which is kept for good; the caller must not change it. */
extern Jsonb *kwj_json_empty(void);

/*
 * Returns a string, or a number as it is written, as a palloc'd text; NULL for values of other
 * types, so that the caller can raise its own error.
 */
extern char *kwj_json_scalar_text(const JsonbValue *value);

#endif
