/*
 * src/type/limits.c
 *	  How many jobs of a type may run at the same time.
 *
 * Process: any; the coordinator obeys the limits, sessions name them as the reason why a job
 * waits. Locks: none.
 */
#include "postgres.h"

#include <ctype.h>

#include "compat.h"
#include "type/limits.h"
#include "type/type.h"
#include "utils/guc.h"

#define MAX_LIMITS	32

typedef struct TypeLimit
{
	char		job_type[KWJ_JOB_TYPE_LEN];
	int			limit;
} TypeLimit;

typedef struct TypeLimits
{
	int			n;
	TypeLimit	limits[MAX_LIMITS];
} TypeLimits;

static char *max_workers_per_type;
static const TypeLimits *current = NULL;
static uint32 changes = 0;

/* Moves *start and *end past blanks, then past one pair of quotes. */
static void
trim(const char **start, const char **end)
{
	while (*start < *end && isspace((unsigned char) **start))
		(*start)++;
	while (*end > *start && isspace((unsigned char) (*end)[-1]))
		(*end)--;
	if (*end - *start >= 2 && **start == '"' && (*end)[-1] == '"')
	{
		(*start)++;
		(*end)--;
	}
}

/* Reads one "type = number". Returns false if it is something else. */
static bool
parse_limit(const char *start, const char *end, TypeLimit *limit)
{
	const char *equals = memchr(start, '=', end - start);
	const char *name_end = equals;
	const char *value;
	char	   *rest;
	long		number;

	if (equals == NULL)
		return false;
	trim(&start, &name_end);
	if (name_end == start || name_end - start >= KWJ_JOB_TYPE_LEN)
		return false;
	for (int i = 0; i < name_end - start; i++)
		limit->job_type[i] = pg_toupper((unsigned char) start[i]);
	limit->job_type[name_end - start] = '\0';

	value = equals + 1;
	trim(&value, &end);
	errno = 0;
	number = strtol(value, &rest, 10);
	if (rest != end || rest == value || errno != 0 || number < 0 || number > 1024)
		return false;
	limit->limit = (int) number;
	return true;
}

static bool
parse_limits(const char *text, TypeLimits *limits)
{
	const char *start = text;

	memset(limits, 0, sizeof(*limits));
	while (isspace((unsigned char) *start))
		start++;
	if (*start == '\0')
		return true;
	for (;;)
	{
		const char *end = start + strcspn(start, ",");

		if (limits->n == MAX_LIMITS || !parse_limit(start, end, &limits->limits[limits->n]))
			return false;
		limits->n++;
		if (*end == '\0')
			return true;
		start = end + 1;
	}
}

/* Returns the first type that does not exist, which most likely is misspelt; NULL if all exist. */
static const char *
find_unknown(const TypeLimits *limits)
{
	for (int i = 0; i < limits->n; i++)
		if (!kwj_type_exists(limits->limits[i].job_type))
			return limits->limits[i].job_type;
	return NULL;
}

static bool
check_type_limits(char **newval, void **extra, GucSource source)
{
	TypeLimits	limits;
	const char *unknown;

	if (!parse_limits(*newval, &limits))
	{
		GUC_check_errdetail("It must be a list of types and numbers from 0 to 1024.");
		GUC_check_errhint("Type for example 'IMPORT = 2, SQL = 8'.");
		return false;
	}
	unknown = find_unknown(&limits);
	if (unknown != NULL)
	{
		GUC_check_errdetail("There is no job type \"%s\". The types are %s.", unknown,
							kwj_type_names());
		GUC_check_errhint("Type for example 'IMPORT = 2, SQL = 8'.");
		return false;
	}
	*extra = kwj_guc_malloc(sizeof(limits));
	if (*extra == NULL)
		return false;
	memcpy(*extra, &limits, sizeof(limits));
	return true;
}

static void
assign_type_limits(const char *newval, void *extra)
{
	current = extra;
	changes++;
}

/* Returns the entry of that type; NULL: it has no limit. */
static const TypeLimit *
find_limit(const char *job_type)
{
	for (int i = 0; current != NULL && i < current->n; i++)
		if (strcmp(current->limits[i].job_type, job_type) == 0)
			return &current->limits[i];
	return NULL;
}

int
kwj_type_limit(const char *job_type)
{
	const TypeLimit *limit = find_limit(job_type);

	return limit != NULL ? limit->limit : 0;
}

bool
kwj_type_is_stopped(const char *job_type)
{
	const TypeLimit *limit = find_limit(job_type);

	return limit != NULL && limit->limit == 0;
}

const char *
kwj_type_stopped(int n)
{
	for (int i = 0; current != NULL && i < current->n; i++)
		if (current->limits[i].limit == 0 && n-- == 0)
			return current->limits[i].job_type;
	return NULL;
}

uint32
kwj_type_limit_changes(void)
{
	return changes;
}

void
kwj_limits_define(void)
{
	DefineCustomStringVariable("kwjobs.max_workers_per_type",
							   "How many jobs of a type run at the same time in a database.",
							   "A list such as 'IMPORT = 2, SQL = 8'; a type that is not named has no limit. 0: none starts.",
							   &max_workers_per_type, "",
							   PGC_SIGHUP, 0, check_type_limits, assign_type_limits, NULL);
}
