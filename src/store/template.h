/*
 * src/store/template.h
 *	  A job that is created again and again, as JSON: what each run of a schedule does.
 *
 * The keys are the names of the columns of kwjobs.job. Whoever adds an option of jobs adds a line in
 * template.c.
 */
#ifndef KWJ_STORE_TEMPLATE_H
#define KWJ_STORE_TEMPLATE_H

#include "store/jobs.h"
#include "utils/jsonb.h"

/*
 * Returns what the job is to do, and its options, palloc'd: all but its type, who owns and has created
 * it, and run_at, depends_on and on_conflict, which one job has and not each run.
 */
extern Jsonb *kwj_template_write(const KwjNewJob *job);

/*
 * Sets the fields of *job that kwj_template_write has written, and in job->given whether the user has given
 * the description. Leaves all other fields as they are.
 */
extern void kwj_template_read(Jsonb *template, KwjNewJob *job);

/* Returns whether the user has given the job's description. Otherwise it is made of what the job does. */
extern bool kwj_template_is_described(const KwjNewJob *job);

/*
 * Changes the job of a schedule so that it does what the new job does, which may be of another type. Options
 * that the user has not given with the new job, such as the description, stay as they are.
 */
extern void kwj_template_change(KwjNewJob *job, const KwjNewJob *new);

#endif
