/*
 * src/lifecycle/bounds.c
 *	  How large one job may be, and how many unfinished jobs a role may have.
 *
 * Process: sessions; workers, if the statement of a job submits a job or writes a checkpoint.
 * Locks: AccessShareLock on the tables that kwj_check_quota reads, until the end of the
 * transaction.
 */
#include "postgres.h"

#include "lifecycle/bounds.h"
#include "miscadmin.h"
#include "store/unfinished.h"
#include "utils/builtins.h"

/*
 * After a session has counted, it may insert 1/UNCOUNTED_PART of what the limits leave without
 * counting again, but at most UNCOUNTED_JOBS jobs and UNCOUNTED_BYTES bytes.
 */
#define UNCOUNTED_PART		16
#define UNCOUNTED_JOBS		10000
#define UNCOUNTED_BYTES		(16 * 1024 * 1024)

/* What this session may still insert for a role before it has to count again. */
typedef struct Allowance
{
	Oid			owner;			/* InvalidOid: this session has not counted yet */
	int			max_jobs;		/* the settings when this session counted */
	int			max_bytes;
	int64		jobs;
	int64		bytes;
} Allowance;

static Allowance allowance;

void
kwj_check_size(const char *what, Size size, Size bound, const char *hint)
{
	if (size > bound)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s is too long: %zu bytes", what, size),
				 errdetail("It has at most %zu bytes.", bound),
				 errhint("%s", hint)));
}

void
kwj_check_dependencies(int n)
{
	if (n > KWJ_DEPENDENCIES_BOUND)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a job depends on too many others: %d", n),
				 errdetail("It may depend on at most %d.", KWJ_DEPENDENCIES_BOUND),
				 errhint("Submit a job for each part of them, such as kwjobs.submit('SELECT 1', depends_on => ...), and have this job depend on those.")));
}

void
kwj_check_reason(const char *reason)
{
	if (reason != NULL)
		kwj_check_size("the reason", strlen(reason), KWJ_TEXT_BOUND, "Give a shorter one.");
}

static void
refuse_jobs(Oid owner)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("role \"%s\" has too many jobs in this database that are not over",
					GetUserNameFromId(owner, false)),
			 errdetail("It has more than the %d that kwjobs.max_jobs_per_role allows.",
					   kwj_max_jobs_per_role),
			 errhint("Wait until some are over, or cancel some, or have an administrator run SET CLUSTER SETTING kwjobs.max_jobs_per_role.")));
}

static void
refuse_bytes(Oid owner)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("the jobs of role \"%s\" in this database that are not over are too large",
					GetUserNameFromId(owner, false)),
			 errdetail("They have more than the %d kB that kwjobs.max_bytes_per_role allows.",
					   kwj_max_bytes_per_role),
			 errhint("Wait until some are over, or cancel some, or have an administrator run SET CLUSTER SETTING kwjobs.max_bytes_per_role.")));
}

static int64
part_of(int64 left, int64 most)
{
	return Min(left / UNCOUNTED_PART, most);
}

static bool
is_allowed(Oid owner, Size size)
{
	return allowance.owner == owner && allowance.max_jobs == kwj_max_jobs_per_role &&
		allowance.max_bytes == kwj_max_bytes_per_role &&
		allowance.jobs > 0 && allowance.bytes > (int64) size;
}

void
kwj_check_quota(Oid owner, Size size, int n_depends_on)
{
	/* In the settings, 0 means that there is no limit. */
	int64		max_jobs = kwj_max_jobs_per_role > 0 ? kwj_max_jobs_per_role : PG_INT64_MAX;
	int64		max_bytes = kwj_max_bytes_per_role > 0 ?
		(int64) kwj_max_bytes_per_role * 1024 : PG_INT64_MAX;
	KwjUnfinished unfinished;

	size += (Size) n_depends_on * KWJ_DEPENDENCY_SIZE;
	if (is_allowed(owner, size))
	{
		allowance.jobs--;
		allowance.bytes -= size;
		return;
	}
	if ((max_jobs == PG_INT64_MAX && max_bytes == PG_INT64_MAX) || superuser_arg(owner))
		return;
	kwj_store_unfinished(owner, max_jobs, max_bytes, &unfinished);
	if (unfinished.jobs > max_jobs)
		refuse_jobs(owner);
	if (unfinished.bytes > max_bytes)
		refuse_bytes(owner);
	allowance.owner = owner;
	allowance.max_jobs = kwj_max_jobs_per_role;
	allowance.max_bytes = kwj_max_bytes_per_role;
	allowance.jobs = part_of(max_jobs - unfinished.jobs, UNCOUNTED_JOBS);
	allowance.bytes = part_of(max_bytes - unfinished.bytes, UNCOUNTED_BYTES);
}
