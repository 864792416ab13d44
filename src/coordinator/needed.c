/*
 * src/coordinator/needed.c
 *	  What has to end or to start before a job that is waited for can end.
 *
 * Process: coordinator, in a transaction; deadlock.c calls this. It only reads, and locks no rows.
 *
 * A job may depend on hundreds of thousands of others, directly or by way of others. The search
 * reads SEARCH_STEP dependencies in each pass and remembers which jobs it has seen, so that each
 * dependency is read once. Meanwhile jobs start and end. So the jobs that were found are read again
 * at the end; what the search has missed is news, for which there is another search. Dependencies
 * of a job are never added, so that the search comes to an end. It is in this process's memory
 * only.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "coordinator/needed.h"
#include "store/due.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* How many dependencies are read in one pass, and by one query. */
#define SEARCH_STEP			4000
#define QUERY_STEP			500
/* For how many jobs a query reads the dependencies. */
#define QUERY_JOBS			100
/* Once this many jobs are found, one startable job of each owner and type has to do. */
#define FOUND_LIMIT			2000

/* Queues whose names have the same first 63 bytes count as one. */
#define QUEUE_KEY		64

/* A hash table of the ids that were seen. */
#define SH_PREFIX		seen
#define SH_ELEMENT_TYPE	SeenJob
#define SH_KEY_TYPE		int64
#define SH_KEY			job_id
#define SH_HASH_KEY(tb, key)	((uint32) murmurhash32((uint32) (key) ^ (uint32) ((uint64) (key) >> 32)))
#define SH_EQUAL(tb, a, b)		((a) == (b))
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
typedef struct SeenJob
{
	int64		job_id;
	char		status;			/* state of the entry, required by simplehash.h */
} SeenJob;
#include "lib/simplehash.h"

/*
 * The number of jobs of an owner and type that were found, and that are startable or wait for a
 * place in this queue.
 */
typedef struct Group
{
	Oid			owner;			/* the key: owner, type and queue, padded with zeros */
	char		job_type[KWJ_JOB_TYPE_LEN];
	char		queue[QUEUE_KEY];	/* empty for startable jobs */
	int			n;
} Group;

/* The search for the jobs that one job needs. */
typedef struct Search
{
	int64		waited_for;
	MemoryContext context;
	seen_hash  *seen;
	int64	   *jobs;			/* jobs whose dependencies are to be read, from `next` on */
	int			n;
	int			size;
	int			next;
	int64		after;			/* the dependencies of jobs[next] were read up to this one */
	List	   *found;			/* list of KwjNeeded */
	HTAB	   *groups;			/* of Group: those among them that do not run */
} Search;

static List *searches = NIL;	/* list of Search, in TopMemoryContext */

static Search *
find_search(int64 waited_for)
{
	ListCell   *lc;

	foreach(lc, searches)
		if (((Search *) lfirst(lc))->waited_for == waited_for)
			return lfirst(lc);
	return NULL;
}

/*
 * Returns whether one more such job of this owner and type, and of this queue, is worth returning.
 * If so, counts it.
 */
static bool
is_of_interest(Search *search, const KwjNeeded *job)
{
	Group		key;
	Group	   *group;
	bool		known;

	memset(&key, 0, sizeof(key));
	key.owner = job->owner;
	strlcpy(key.job_type, job->job_type, KWJ_JOB_TYPE_LEN);
	if (job->queue != NULL)
		strlcpy(key.queue, job->queue, sizeof(key.queue));
	group = hash_search(search->groups, &key, HASH_ENTER, &known);
	if (!known)
		group->n = 0;
	if (group->n > 0 &&
		(group->n >= KWJ_NEEDED_STEP || list_length(search->found) >= FOUND_LIMIT))
		return false;
	group->n++;
	return true;
}

static HTAB *
new_groups(MemoryContext context)
{
	HASHCTL		control = {
		.keysize = offsetof(Group, n), .entrysize = sizeof(Group), .hcxt = context
	};

	return hash_create("kwjobs needed groups", 16, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Notes a job that is not over. If it runs, may start or waits for a place in its queue, it may be
 * the reason for the wait; else its dependencies are to be read, too.
 */
static void
note_job(Search *search, const KwjNeeded *job)
{
	bool		known;
	MemoryContext old;

	seen_insert(search->seen, job->job_id, &known);
	if (known)
		return;
	old = MemoryContextSwitchTo(search->context);
	/* A job that runs, or lacks only a worker or a place, depends on nothing any more. */
	if (job->active || job->startable || job->queue != NULL)
	{
		if (job->active || is_of_interest(search, job))
		{
			KwjNeeded  *item = palloc(sizeof(KwjNeeded));

			*item = *job;
			item->waited_for = search->waited_for;
			item->job_type = pstrdup(job->job_type);
			item->queue = job->queue != NULL ? pstrdup(job->queue) : NULL;
			search->found = lappend(search->found, item);
		}
	}
	else
	{
		if (search->n == search->size)
		{
			search->size *= 2;
			search->jobs = repalloc_huge(search->jobs, sizeof(int64) * search->size);
		}
		search->jobs[search->n++] = job->job_id;
	}
	MemoryContextSwitchTo(old);
}

static void
begin_search(int64 waited_for, TimestampTz by)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "kwjobs needed jobs",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Search	   *search = palloc0(sizeof(Search));
	KwjJobs		itself = {&waited_for, 1};
	KwjNeeded  *needed;

	search->waited_for = waited_for;
	search->context = context;
	search->seen = seen_create(context, 256, NULL);
	search->groups = new_groups(context);
	search->size = 64;
	search->jobs = palloc(sizeof(int64) * search->size);
	search->after = PG_INT64_MIN;
	MemoryContextSwitchTo(TopMemoryContext);
	searches = lappend(searches, search);
	MemoryContextSwitchTo(old);
	if (kwj_store_needed(itself, by, &needed) > 0)
		note_job(search, &needed[0]);
}

/* Reads some dependencies; returns how many. */
static int
take_step(Search *search, TimestampTz by)
{
	KwjJobs		jobs = {search->jobs + search->next, Min(search->n - search->next, QUERY_JOBS)};
	KwjNeeded  *needed;
	int			n = kwj_store_needed_step(jobs, by, search->after, QUERY_STEP, &needed);

	/* note_job may move the array that jobs.ids points into, so this comes first. */
	if (n < QUERY_STEP)
	{
		search->next += jobs.n;
		search->after = PG_INT64_MIN;
	}
	else
	{
		while (search->jobs[search->next] != needed[n - 1].needed_by)
			search->next++;
		search->after = needed[n - 1].depends_on;
	}
	for (int i = 0; i < n; i++)
		if (needed[i].job_id != 0)
			note_job(search, &needed[i]);
	return n;
}

static void
end_search(Search *search)
{
	searches = list_delete_ptr(searches, search);
	MemoryContextDelete(search->context);
}

/* Ends all searches but those for these jobs, as nobody waits for the others any more. */
static void
end_others(KwjJobs waited_for)
{
	List	   *copy = list_copy(searches);
	ListCell   *lc;

	foreach(lc, copy)
		if (!kwj_jobs_include(waited_for, ((Search *) lfirst(lc))->waited_for))
			end_search(lfirst(lc));
	list_free(copy);
}

bool
kwj_needed_search(KwjJobs waited_for, TimestampTz by)
{
	int			budget = SEARCH_STEP;

	end_others(waited_for);
	for (int i = 0; i < waited_for.n; i++)
	{
		Search	   *search;

		if (find_search(waited_for.ids[i]) == NULL)
			begin_search(waited_for.ids[i], by);
		search = find_search(waited_for.ids[i]);
		while (search->next < search->n)
		{
			if (budget <= 0)
				return false;
			/* A query that finds nothing costs something, too. */
			budget -= take_step(search, by) + 10;
		}
	}
	return true;
}

/* Returns the jobs that the search has found, as their rows say now. */
static List *
read_again(const Search *search, TimestampTz by)
{
	int			n = list_length(search->found);
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
	KwjJobs		jobs = {ids, n};
	KwjNeeded  *needed;
	List	   *result = NIL;

	for (int i = 0; i < n; i++)
		ids[i] = ((KwjNeeded *) list_nth(search->found, i))->job_id;
	n = n == 0 ? 0 : kwj_store_needed(jobs, by, &needed);
	for (int i = 0; i < n; i++)
	{
		if (!needed[i].active && !needed[i].startable && needed[i].queue == NULL)
			continue;
		needed[i].waited_for = search->waited_for;
		result = lappend(result, &needed[i]);
	}
	return result;
}

List *
kwj_needed_result(TimestampTz by)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, searches)
		result = list_concat(result, read_again(lfirst(lc), by));
	kwj_needed_reset();
	return result;
}

void
kwj_needed_reset(void)
{
	KwjJobs		none = {NULL, 0};

	end_others(none);
}
