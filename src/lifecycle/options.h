/*
 * src/lifecycle/options.h
 *	  The options that jobs of every type have: when, how often and as whom they run.
 */
#ifndef KWJ_LIFECYCLE_OPTIONS_H
#define KWJ_LIFECYCLE_OPTIONS_H

#include "kwjobs.h"
#include "store/jobs.h"
#include "utils/array.h"

/* Gets the option of that name. Returns false if there is none. */
extern bool kwj_option_from_name(const char *name, KwjOption *option);

/*
 * Sets an option of a new job. value: has the type that stands beside the option above. isnull:
 * the option keeps its default.
 *
 * Errors: 22004 for NULL, if the option must have a value; 22023 if the value is out of range;
 * 54000 if it is too large (lifecycle/bounds.h).
 */
extern void kwj_set_option(KwjNewJob *job, KwjOption option, Datum value, bool isnull);

/*
 * The same from a text, as in WITH priority = '5'. Errors: also those of the type's input
 * function.
 */
extern void kwj_set_option_text(KwjNewJob *job, KwjOption option, const char *value);

/*
 * Returns a text argument of a job, after checking its size (lifecycle/bounds.h). hint: what to do
 * if it is too long.
 */
extern char *kwj_bounded_text(const char *name, Datum value, const char *hint);

/*
 * Reads a role's name or OID as regrole does, and returns its OID. Errors: those of regrole, with
 * a hint.
 */
extern Oid	kwj_parse_role(const char *text);

/*
 * Reads one id, or an array of ids as PostgreSQL writes it. Errors: those of the input functions,
 * with a hint.
 */
extern ArrayType *kwj_parse_job_ids(const char *text);

/*
 * Reads one tag, or an array of tags as PostgreSQL writes it, which begins with a brace. Errors:
 * those of the input function, with a hint.
 */
extern ArrayType *kwj_parse_tags(const char *text);

#endif
