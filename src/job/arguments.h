/*
 * src/job/arguments.h
 *	  The arguments of a new job as a user has given them: a JSON object.
 */
#ifndef KWJ_JOB_ARGUMENTS_H
#define KWJ_JOB_ARGUMENTS_H

#include "kwjobs.h"
#include "compat.h"
#include "utils/array.h"
#include "utils/jsonb.h"

/*
 * Refuse what is no object, and keys that are not among these (the last one is NULL). Errors:
 * 22023.
 */
extern void kwj_arguments_check(Jsonb *arguments, const char *job_type, const char *const *names);

/*
 * The value of a key: a text (a string, or a number as it is written), an array of texts as
 * text[], an object. NULL if there is no such key, or its value is null. palloc'd. Errors: 22023
 * for a value of another kind.
 */
extern char *kwj_argument_text(Jsonb *arguments, const char *name);
extern ArrayType *kwj_argument_texts(Jsonb *arguments, const char *name);
extern Jsonb *kwj_argument_object(Jsonb *arguments, const char *name);

/* Errors: 22004, the key is missing. */
pg_noreturn extern void kwj_argument_missing(const char *job_type, const char *name);

#endif
