/*
 * src/lifecycle/template.h
 *	  Catches the job that a statement creates, before its row is written, to make a schedule of it.
 */
#ifndef KWJ_LIFECYCLE_TEMPLATE_H
#define KWJ_LIFECYCLE_TEMPLATE_H

#include "kwjobs.h"
#include "store/jobs.h"

/* What was caught. */
typedef struct KwjTemplate
{
	char	   *job_type;
	Oid			owner;
	Oid			created_by;
	Oid			created_by_session;
	Oid		   *authority;
	int			n_authority;
	uint32		given;			/* the options that the statement has named, as in KwjNewJob */
	Jsonb	   *job;			/* store/template.h */
} KwjTemplate;

/*
 * The next job that this transaction creates becomes a template: kwj_submit hands it over instead of
 * inserting it. Errors: 0A000 if one was asked for already and not taken yet.
 */
extern void kwj_template_want(void);

/*
 * The caller does this in place of kwj_template_want if the statement has nothing to do, and so wants no job:
 * kwj_template_take then returns NULL. Errors: as kwj_template_want.
 */
extern void kwj_template_skip(void);

/* Returns whether the next job that this transaction creates becomes a template. */
extern bool kwj_template_is_wanted(void);

/*
 * Called by kwj_submit, which has checked the job. Returns false if no template is wanted. Errors:
 * 22023 for an option that a run cannot have: run_at, depends_on, on_conflict.
 */
extern bool kwj_template_catch(const KwjNewJob *job);

/*
 * Returns what was caught, palloc'd; NULL after kwj_template_skip. Errors: 22023 if no job was created since
 * kwj_template_want.
 */
extern KwjTemplate *kwj_template_take(void);

#endif
