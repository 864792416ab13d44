/*
 * src/type/given.h
 *	  The options that a user gives for a new job: WITH name = 'value', ... or a JSON object.
 */
#ifndef KWJ_TYPE_GIVEN_H
#define KWJ_TYPE_GIVEN_H

#include "postgres.h"
#include "compat.h"
#include "lifecycle/submit.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef struct KwjGiven
{
	char	   *name;
	char	   *value;			/* NULL: given without a value */
} KwjGiven;

/* Raises an error, with a hint, unless the type has an option of this name. */
typedef void (*KwjGivenCheck) (const char *name);

/*
 * Returns the options in jb, as a list of KwjGiven, sorted by name, without those that jobs of all
 * types have; NIL for NULL. statement: "IMPORT" etc. has_flags: an option may stand without a value,
 * or with true; one that is false is left out. Errors: 22023, and those of check.
 */
extern List *kwj_given_options(const char *statement, Jsonb *jb, bool has_flags,
							   KwjGivenCheck check);

/* Raises an error, 22023, for an option whose value is wrong or missing. hint: what to give. */
pg_noreturn extern void kwj_given_refuse(const char *statement, const KwjGiven *option, const char *hint);

/* Returns the value of an option that is a flag. Errors: 22023 if it is no boolean. */
extern bool kwj_given_flag(const char *statement, const KwjGiven *option);

/*
 * Sets the options of the new job that jobs of all types have (lifecycle/options.h). options may be
 * NULL. Errors: 22023, and those of kwj_set_option_text.
 */
extern void kwj_given_set_job_options(const char *statement, Jsonb *options, KwjNewJob *job);

#endif
