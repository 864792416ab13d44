/*
 * src/lifecycle/options.h
 *	  The options that jobs of every type have: when, how often and as whom they run.
 */
#ifndef KWJ_LIFECYCLE_OPTIONS_H
#define KWJ_LIFECYCLE_OPTIONS_H

#include "kwjobs.h"
#include "schedule/window.h"
#include "store/jobs.h"
#include "utils/array.h"

/* Returns the name of the option. */
extern const char *kwj_option_name(KwjOption option);

/* Gets the option with this name. Returns false if there is none. */
extern bool kwj_option_from_name(const char *name, KwjOption *option);

/*
 * Sets an option of a new job. value must have the type that enum KwjOption (store/jobs.h) says. If
 * isnull is true, the option keeps its default.
 *
 * Errors: 22004 for NULL, if the option must have a value; 22023 if the value is out of range;
 * 54000 if it is too large (lifecycle/bounds.h).
 */
extern void kwj_set_option(KwjNewJob *job, KwjOption option, Datum value, bool isnull);

/*
 * Sets an option of a new job from a text, as in WITH priority = '5', and notes that it was given.
 * Errors: as kwj_set_option, and whatever the input function of the option's type raises.
 */
extern void kwj_set_option_text(KwjNewJob *job, KwjOption option, const char *value);

/*
 * Returns a text argument of a job as a string. Errors: 54000 if it is larger than KWJ_TEXT_BOUND;
 * hint then tells the user what to do.
 */
extern char *kwj_bounded_text(const char *name, Datum value, const char *hint);

/*
 * Returns the name of a queue, a text, as a string. Errors: 22023 unless it can be the queue of a
 * job; 54000 if it is larger than KWJ_TEXT_BOUND.
 */
extern const char *kwj_queue_name(Datum value);

/*
 * Reads a window, in the session's time zone if it names none. Returns what is stored: the text with
 * its time zone, palloc'd. Errors: 22023 if the text is no window.
 */
extern char *kwj_read_window(const char *text, KwjHours *hours);

/*
 * Reads a role's name or OID as type regrole does, and returns its OID. Errors: whatever the input
 * function of regrole raises, with a hint added.
 */
extern Oid	kwj_parse_role(const char *text);

/*
 * Reads one id, or an array of ids such as '{1,2}'. Errors: whatever the input functions of bigint
 * and bigint[] raise, with a hint added.
 */
extern ArrayType *kwj_parse_job_ids(const char *text);

/*
 * Reads one tag, or an array of tags such as '{a,b}'. A text that begins with a brace counts as an
 * array. Errors: whatever the input function of text[] raises, with a hint added.
 */
extern ArrayType *kwj_parse_tags(const char *text);

#endif
