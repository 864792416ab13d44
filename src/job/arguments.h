/*
 * src/job/arguments.h
 *	  The arguments of a new job: a JSON object from a user.
 */
#ifndef KWJ_JOB_ARGUMENTS_H
#define KWJ_JOB_ARGUMENTS_H

#include "kwjobs.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/jsonb.h"

/*
 * Check that the arguments are a JSON object whose keys are all in `names`, which ends with NULL.
 * Errors: 22023 if not.
 */
extern void kwj_arguments_check(Jsonb *arguments, const char *job_type, const char *const *names);

/*
 * Get the value of a key, palloc'd: a text (from a string, or from a number as it is written), a
 * text[] from an array of such values, or an object. NULL if there is no such key, or its value is
 * null. Errors: 22023 if the value has another type.
 */
extern char *kwj_argument_text(Jsonb *arguments, const char *name);
extern ArrayType *kwj_argument_texts(Jsonb *arguments, const char *name);
extern Jsonb *kwj_argument_object(Jsonb *arguments, const char *name);

/*
 * Returns the argument, whatever its type; NULL if there is no such key, or its value is null.
 * kwj_argument_boolean returns false then. Errors: 22023 if that one finds a value that is not true
 * or false.
 */
extern Jsonb *kwj_argument_value(Jsonb *arguments, const char *name);
extern bool kwj_argument_boolean(Jsonb *arguments, const char *name);

/*
 * Make an object with arguments. The caller begins with an empty text. The first three functions append a key
 * and its value to the text, or nothing if the value is NULL or NIL. kwj_arguments_made makes the object of the
 * text, and returns it, palloc'd.
 */
extern void kwj_arguments_add_text(StringInfo json, const char *name, const char *value);
extern void kwj_arguments_add_texts(StringInfo json, const char *name, const List *values);
extern void kwj_arguments_add_object(StringInfo json, const char *name, Jsonb *value);
extern Jsonb *kwj_arguments_made(StringInfo json);

/* Raise the error that a key is missing or null: 22004. */
pg_noreturn extern void kwj_argument_missing(const char *job_type, const char *name);

#endif
