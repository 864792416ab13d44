/*
 * src/store/store.h
 *	  Types that all of src/store share. The files of src/store are the only code that names the
 *	  tables of kwjobs.
 *
 * Rules for all functions of this directory, unless their comments say otherwise: they run in the
 * caller's transaction; results are palloc'd in the caller's CurrentMemoryContext; ids are job_ids;
 * times are TimestampTz. They raise 55000 if the extension is not installed in this database, and
 * 42501 if the role that owns its tables is not a superuser.
 */
#ifndef KWJ_STORE_STORE_H
#define KWJ_STORE_STORE_H

#include "kwjobs.h"
#include "access/transam.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* A set of jobs, by their ids. Functions that return one palloc the array. */
typedef struct KwjJobs
{
	const int64 *ids;
	int			n;
} KwjJobs;

static inline bool
kwj_jobs_include(KwjJobs jobs, int64 job_id)
{
	for (int i = 0; i < jobs.n; i++)
		if (jobs.ids[i] == job_id)
			return true;
	return false;
}

/* Returns whether the list of strings (const char *) has one that is equal to this string. */
static inline bool
kwj_strings_include(const List *strings, const char *string)
{
	ListCell   *lc;

	foreach(lc, strings)
		if (strcmp(lfirst(lc), string) == 0)
			return true;
	return false;
}

/* Where and why something failed. Strings may be NULL: not known. */
typedef struct KwjError
{
	int			code;			/* SQLSTATE, packed as elog.h does */
	const char *message;
	const char *detail;
	const char *hint;
	const char *context;
	const char *file;			/* place in the input: file, line, column */
	int64		line;			/* 0: not known */
	const char *column;
} KwjError;

#endif
