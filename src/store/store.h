/*
 * src/store/store.h
 *	  The rows of jobs, attempts and checkpoints. store_*.c are the only code that
 *	  names the tables of kwjobs.
 *
 * Every function runs in the caller's transaction. Results are palloc'd in
 * CurrentMemoryContext. Errors common to all: 55000 if the extension is not
 * installed in this database.
 */
#ifndef KWJ_STORE_STORE_H
#define KWJ_STORE_STORE_H

#include "kwjobs.h"
#include "access/transam.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* Some jobs. */
typedef struct KwjJobs
{
	const int64 *ids;
	int			n;
} KwjJobs;

/* Where and why something failed. Strings may be NULL. */
typedef struct KwjError
{
	int			code;			/* SQLSTATE, packed as in elog.h */
	const char *message;
	const char *detail;
	const char *hint;
	const char *context;
	const char *file;			/* where in the input: file, line, column */
	int64		line;			/* 0: not known */
	const char *column;
} KwjError;

#endif
