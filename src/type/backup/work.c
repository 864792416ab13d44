/*
 * src/type/backup/work.c
 *	  A database that a job creates for its own use, and renames or drops at its end.
 *
 * Callers: RESTORE, for the new database until it is complete; BACKUP ... WITH verify = 'restore'.
 * Process: worker. Locks: those of CREATE DATABASE and DROP DATABASE, in a session of the owner.
 *
 *     drop what is left --> the new name into the checkpoint, on disk --> CREATE DATABASE --> ... --> DROP,
 *                                                                                       or RENAME
 *
 * If the worker dies, the name is in the checkpoint for the next attempt, or for the revert. The name ends
 * with 64 random bits, new for each attempt: a role that knew it could create the database first. And if a
 * role does so with the name that it sees of a dead attempt, that database belongs to this role, and is
 * left alone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "job/json.h"
#include "job/role.h"
#include "lib/stringinfo.h"
#include "lifecycle/attempt.h"
#include "miscadmin.h"
#include "type/backup/program.h"
#include "type/backup/work.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/* The key of the name in the checkpoint. */
#define DATABASE	"database"

void
kwj_work_check_may_create(const char *why)
{
	if (!kwj_may_create_databases())
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied to create database"),
				why ? errdetail("%s", why) : 0,
				errhint("Ask an administrator for: ALTER ROLE %s CREATEDB",
						quote_identifier(GetUserNameFromId(GetUserId(), false))));
}

/*
 * Returns the name of the database that an earlier attempt has created, if it is still there; else NULL.
 * One that belongs to another role is that role's, whatever its name.
 */
static char *
find_left(const KwjAttempt *attempt)
{
	char	   *name = attempt->checkpoint ? kwj_json_text_or_null(attempt->checkpoint, DATABASE) : NULL;
	Oid			oid = name ? get_database_oid(name, true) : InvalidOid;
	HeapTuple	tuple;
	bool		is_ours;

	if (!OidIsValid(oid))
		return NULL;
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(oid));
	is_ours = HeapTupleIsValid(tuple) &&
		((Form_pg_database) GETSTRUCT(tuple))->datdba == attempt->owner;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return is_ours ? name : NULL;
}

KwjWorkDatabase *
kwj_work_open(KwjAttempt *attempt, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	KwjWorkDatabase *work = palloc0(sizeof(KwjWorkDatabase));

	Assert(IsTransactionState());
	work->attempt = attempt;
	work->context = context;
	work->own = get_database_name(MyDatabaseId);
	work->left = find_left(attempt);
	MemoryContextSwitchTo(old);
	return work;
}

/* Runs a statement in the job's own database, outside of a transaction block. */
static KwjRequest
run_statement(const KwjWorkDatabase *work, KwjServer *server, const char *statement)
{
	KwjProgram	program = {
		.server = server,
		.database = MyDatabaseId,
		.database_name = work->own,
		.rights_hint = KWJ_WORK_RIGHTS_HINT,
	};

	return kwj_program_run_psql(&program, list_make1(unconstify(char *, statement)));
}

/*
 * Not WITH (FORCE): that fails for ordinary roles while autovacuum or a process of kwjobs is in the
 * database, which DROP DATABASE itself makes leave. Other roles cannot be in there (create_statement).
 */
static KwjRequest
drop(const KwjWorkDatabase *work, KwjServer *server, const char *name)
{
	return run_statement(work, server, psprintf("DROP DATABASE IF EXISTS %s", quote_identifier(name)));
}

/*
 * Nobody but superusers can connect to the database: who did would see it half restored, and would keep
 * it from being renamed or dropped. The limit is not one for sessions of the private server.
 */
static char *
create_statement(const char *name, const KwjManifest *like)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "CREATE DATABASE %s TEMPLATE template0 CONNECTION LIMIT 0 ENCODING %s LC_COLLATE %s LC_CTYPE %s",
					 quote_identifier(name), quote_literal_cstr(like->encoding),
					 quote_literal_cstr(like->collate), quote_literal_cstr(like->ctype));
	if (strcmp(like->provider, "i") == 0)
		appendStringInfo(&text, " LOCALE_PROVIDER icu ICU_LOCALE %s", quote_literal_cstr(like->locale));
	else if (strcmp(like->provider, "b") == 0)
		appendStringInfo(&text, " LOCALE_PROVIDER builtin BUILTIN_LOCALE %s", quote_literal_cstr(like->locale));
	return text.data;
}

/* Returns a name that nobody can guess, palloc'd. */
static char *
new_name(const KwjAttempt *attempt, const char *what)
{
	uint64		number;

	if (!pg_strong_random(&number, sizeof(number)))
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("could not generate a random number"));
	return psprintf("%s_" INT64_FORMAT "_%016llx", what, attempt->job_id, (unsigned long long) number);
}

/* Commits the name to the checkpoint, on disk. */
static KwjRequest
remember(const KwjWorkDatabase *work, const char *name)
{
	KwjRequest	request;

	kwj_attempt_begin(work->attempt);
	request = kwj_attempt_note_on_disk(work->attempt,
									   kwj_json_parse(psprintf("{\"" DATABASE "\": \"%s\"}", name)), false);
	MemoryContextSwitchTo(work->context);
	return request;
}

KwjRequest
kwj_work_create(KwjWorkDatabase *work, KwjServer *server, const char *what, const KwjManifest *like)
{
	KwjRequest	request = kwj_work_drop(work, server);

	if (request == KWJ_REQUEST_NONE)
	{
		work->name = new_name(work->attempt, what);
		request = remember(work, work->name);
	}
	if (request == KWJ_REQUEST_NONE)
		request = run_statement(work, server, create_statement(work->name, like));
	if (request != KWJ_REQUEST_NONE)
		return request;
	kwj_attempt_begin(work->attempt);
	work->oid = get_database_oid(work->name, false);
	kwj_attempt_end_look(work->context);
	return KWJ_REQUEST_NONE;
}

KwjRequest
kwj_work_drop(KwjWorkDatabase *work, KwjServer *server)
{
	const char *name = work->name ? work->name : work->left;
	KwjRequest	request = name ? drop(work, server, name) : KWJ_REQUEST_NONE;

	if (request == KWJ_REQUEST_NONE)
		work->name = work->left = NULL;
	return request;
}

void
kwj_work_revert(KwjAttempt *attempt)
{
	MemoryContext context = CurrentMemoryContext;
	KwjWorkDatabase *work;
	KwjServer  *server = NULL;

	kwj_attempt_begin(attempt);
	work = kwj_work_open(attempt, context);
	if (work->left != NULL)
		server = kwj_server_open(attempt->owner, 1);
	kwj_attempt_end_look(context);
	if (server == NULL)
		return;
	/* A revert is not canceled. */
	(void) kwj_work_drop(work, server);
	kwj_server_close(server);
}
