/*
 * src/job/login.h
 *	  Whether PostgreSQL would let a worker of a role connect to this database.
 *
 * For a background worker, PostgreSQL checks that the database accepts connections, that the role
 * may log in, and that it has CONNECT. Connection limits apply to sessions only.
 */
#ifndef KWJ_JOB_LOGIN_H
#define KWJ_JOB_LOGIN_H

#include "kwjobs.h"

typedef enum KwjLoginKind
{
	KWJ_LOGIN_NO_ROLE,					/* there is no such role */
	KWJ_LOGIN_ALLOWED,
	KWJ_LOGIN_NO_DATABASE,
	KWJ_LOGIN_NO_LOGIN,
	KWJ_LOGIN_NO_CONNECT,
} KwjLoginKind;

typedef struct KwjLogin
{
	KwjLoginKind kind;
	NameData	role;			/* its name, if the role exists */
} KwjLogin;

/* Make the checks that PostgreSQL would make. Process: any, in a transaction. */
extern KwjLogin kwj_login_look(Oid role);

/* Returns whether the role exists but may not connect. */
extern bool kwj_login_is_refused(const KwjLogin *login);

/*
 * For a role that may not connect: the reason, and the statement by which an administrator lets it
 * connect, palloc'd.
 */
extern char *kwj_login_describe(const KwjLogin *login);
extern char *kwj_login_advise(const KwjLogin *login);

/*
 * Why a worker of this role could not connect to this database, as text for running_status,
 * palloc'd. NULL if kwj_login_look finds no reason, or if there is no such role.
 *
 * Process: any, in a transaction.
 */
extern char *kwj_login_explain(Oid role);

#endif
