/*
 * src/lifecycle/authority.c
 *	  By whose right a job runs as its owner.
 *
 * Process: the session that creates the job (kwj_authority_note); the worker at the beginning of
 * each attempt and before on_revert (kwj_authority_check), which looks at the roles in a transaction of
 * its own; sessions that give a schedule to another owner, or resume one (kwj_authority_hand_on,
 * kwj_authority_holds). Takes no locks.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "compat.h"
#include "job/transaction.h"
#include "lifecycle/authority.h"
#include "miscadmin.h"
#include "store/jobs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

typedef struct Chain
{
	Oid		   *roles;
	int			n;
} Chain;

/*
 * Adds the next role. If the chain contains it already, the roles after it are removed instead,
 * because the role needs nobody else's right to become itself.
 */
static void
extend(Chain *chain, Oid role)
{
	int			i = 0;

	while (i < chain->n && chain->roles[i] != role)
		i++;
	chain->roles[i] = role;
	chain->n = i + 1;
}

/*
 * Builds the chain from the session user to the current user. Within a job, the chain begins with
 * the roles of that job's chain. If something other than SET ROLE has changed the current user,
 * such as a function that runs as its owner (SECURITY DEFINER), the current user acts by its own
 * right, whoever has called the function: then the chain is the current user alone.
 */
static void
build_chain(Chain *chain, const KwjAttempt *in)
{
	int			n_inherited = in ? in->n_authority : 0;

	/* Up to three roles are added: the session user, the current user, and the new job's owner. */
	chain->roles = palloc(sizeof(Oid) * (n_inherited + 3));
	chain->n = 0;
	if (GetUserId() == GetOuterUserId())
	{
		for (int i = 0; i < n_inherited; i++)
			extend(chain, in->authority[i]);
		extend(chain, GetSessionUserId());
	}
	extend(chain, GetUserId());
}

void
kwj_authority_note(KwjNewJob *job)
{
	Chain		chain;

	build_chain(&chain, kwj_attempt_current());
	extend(&chain, job->owner);
	job->authority = chain.roles;
	/* The last role of the chain is the owner, who is stored in a column of its own. */
	job->n_authority = chain.n - 1;
	job->created_by = GetUserId();
	job->created_by_session = GetSessionUserId();
}

void
kwj_authority_hand_on(Oid **roles, int *n, Oid owner, Oid to)
{
	Chain		chain = {palloc(sizeof(Oid) * (*n + 2)), 0};

	for (int i = 0; i < *n; i++)
		extend(&chain, (*roles)[i]);
	extend(&chain, owner);
	extend(&chain, to);
	*roles = chain.roles;
	*n = chain.n - 1;
}

static bool
exists(Oid role)
{
	return SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role));
}

/* Returns whether a role of a chain may SET ROLE to the one behind it. */
static bool
step_holds(Oid role, Oid next)
{
	return exists(role) && exists(next) && kwj_can_set_role(role, next);
}

/* Returns the role behind roles[i] in a chain; behind the last one comes the owner. */
static Oid
next_of(const Oid *roles, int n, int i, Oid owner)
{
	return i + 1 < n ? roles[i + 1] : owner;
}

bool
kwj_authority_holds(const Oid *roles, int n, Oid owner)
{
	for (int i = 0; i < n; i++)
		if (!step_holds(roles[i], next_of(roles, n, i, owner)))
			return false;
	return true;
}

static void
refuse_gone(const KwjAttempt *attempt, Oid role)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the role with OID %u, by whose right job " INT64_FORMAT " runs as role \"%s\", does not exist any more",
					role, attempt->job_id, GetUserNameFromId(attempt->owner, false)),
			 errhint("Create the job again, as a role that may act as \"%s\".",
					 GetUserNameFromId(attempt->owner, false))));
}

static void
check_step(const KwjAttempt *attempt, Oid role, Oid next)
{
	const char *name;
	const char *next_name;

	if (step_holds(role, next))
		return;
	if (!exists(role))
		refuse_gone(attempt, role);
	if (!exists(next))
		refuse_gone(attempt, next);
	name = GetUserNameFromId(role, false);
	next_name = GetUserNameFromId(next, false);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\" may not act as role \"%s\" any more", name, next_name),
			 errdetail("By its right job " INT64_FORMAT " was created to run as role \"%s\".",
					   attempt->job_id, GetUserNameFromId(attempt->owner, false)),
			 errhint("Create the job again as another role, or after GRANT %s TO %s.",
					 quote_identifier(next_name), quote_identifier(name))));
}

void
kwj_authority_check(const KwjAttempt *attempt)
{
	MemoryContext caller = CurrentMemoryContext;

	Assert(!IsTransactionState());
	if (attempt->n_authority == 0)
		return;
	kwj_begin_own_transaction();
	for (int i = 0; i < attempt->n_authority; i++)
		check_step(attempt, attempt->authority[i],
				   next_of(attempt->authority, attempt->n_authority, i, attempt->owner));
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
}
