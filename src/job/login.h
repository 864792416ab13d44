/*
 * src/job/login.h
 *	  Whether PostgreSQL would let a worker of a role connect to this database.
 *
 * PostgreSQL checks of a background worker that the database accepts connections, that the role
 * may log in, and its CONNECT. Connection limits are for sessions only.
 */
#ifndef KWJ_JOB_LOGIN_H
#define KWJ_JOB_LOGIN_H

#include "kwjobs.h"

typedef enum KwjLoginKind
{
	KWJ_LOGIN_NO_ROLE,					/* nobody to be refused */
	KWJ_LOGIN_ALLOWED,
	KWJ_LOGIN_NO_DATABASE,
	KWJ_LOGIN_NO_LOGIN,
	KWJ_LOGIN_NO_CONNECT,
} KwjLoginKind;

typedef struct KwjLogin
{
	KwjLoginKind kind;
	NameData	role;			/* unless there is none */
} KwjLogin;

/* What PostgreSQL would say. Process: any, in a transaction. */
extern KwjLogin kwj_login_look(Oid role);

/* Whether the role exists, and may not connect. */
extern bool kwj_login_is_refused(const KwjLogin *login);

/* Why, and what an administrator types to change that. palloc'd. */
extern char *kwj_login_describe(const KwjLogin *login);
extern char *kwj_login_advise(const KwjLogin *login);

/*
 * Why a worker of this role could not connect to this database, as running_status shows it; NULL: it
 * could, as far as can be seen, or there is no such role. palloc'd.
 *
 * Process: any, in a transaction.
 */
extern char *kwj_login_explain(Oid role);

#endif
