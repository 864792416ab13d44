/*
 * src/type/given.h
 *	  The options that a user gives for a new job: WITH name = 'value', ... or a JSON object.
 */
#ifndef KWJ_TYPE_GIVEN_H
#define KWJ_TYPE_GIVEN_H

#include "postgres.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "lifecycle/submit.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef struct KwjGiven
{
	char	   *name;
	char	   *value;			/* NULL: given without a value */
} KwjGiven;

/* A name that a user may type for an option, because other systems have it, and what to type instead. */
typedef struct KwjForeignOption
{
	const char *name;
	const char *hint;
} KwjForeignOption;

/* Returns whether the option is a flag. Raises an error, with a hint, if the type has no option of this name. */
typedef bool (*KwjGivenIsFlag) (const char *name);

/*
 * Returns the options in jb, as a list of KwjGiven, sorted by name, without those that jobs of all
 * types have; NIL for NULL. statement: "IMPORT" etc. null, as the statement has it for an option that
 * stands alone, and true and false are no values. A flag that is false is left out, as if it were not
 * given; any other option is in the list without a value then, so that the type refuses it with its
 * own hint. Errors: 22023, and those of is_flag.
 */
extern List *kwj_given_options(const char *statement, Jsonb *jb, KwjGivenIsFlag is_flag);

/*
 * Raises the error for an option that the type does not have: 22023. foreign: n names that have
 * hints of their own; hint: for all other names.
 */
pg_noreturn extern void kwj_given_refuse_option(const char *statement, const char *name,
												const KwjForeignOption *foreign, int n, const char *hint);

/* Raises the error that the option cannot have this value or, if value is NULL, that it has none: 22023. */
pg_noreturn extern void kwj_given_refuse_value(const char *statement, const char *name, const char *value,
											   const char *hint);

/*
 * Returns the value of an option that is a character: an ASCII character, which is the same byte in
 * every encoding that a file may have, and no line end. Errors: 22023.
 */
extern char kwj_given_character(const char *statement, const char *name, const char *value);

/* Returns the text of such a character, palloc'd. */
extern char *kwj_given_character_text(char c);

/*
 * Returns the value of an option that is a number from least to most. Errors: 22023, with the hint, also
 * if value is NULL.
 */
extern int64 kwj_given_number(const char *statement, const char *name, const char *value, int64 least,
							  int64 most, const char *hint);

/* Returns the value of an option that is a flag. Errors: 22023 if it is no boolean. */
extern bool kwj_given_flag(const char *statement, const KwjGiven *option);

/* Appends the options as a statement has them, " WITH a = '1', b"; nothing if there are none. */
extern void kwj_given_append(StringInfo text, List *given);

/*
 * Sets the options of the new job that jobs of all types have (lifecycle/options.h). options may be
 * NULL. Errors: 22023, and those of kwj_set_option_text.
 */
extern void kwj_given_set_job_options(const char *statement, Jsonb *options, KwjNewJob *job);

/* Returns the options without those that jobs of all types have; NULL for NULL. */
extern Jsonb *kwj_given_own_options(Jsonb *options);

#endif
