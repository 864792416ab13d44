/*
 * src/store/server_hold.c
 *	  The hold on the jobs of the whole server.
 *
 * Callers: sessions (src/lifecycle/held.c); all that read holds, by kwj_store_holds().
 *
 * It has to be durable, to reach standbys, to be seen in all databases, and to be undone by
 * ROLLBACK. So it is a row of a shared catalog. pg_shseclabel has one row for an object and a
 * provider of labels, with a text: the hold is a label of this catalog itself, by the provider
 * "kwjobs". pg_dumpall and pg_upgrade copy the labels of roles, databases and tablespaces only, so
 * they do not meet it; nor does a session read it as a setting, as it would pg_db_role_setting. The
 * catalog is one of those that every process can read at any time.
 *
 * The text is "OID of the role, time\nname of the role\nreason". Databases may have different
 * encodings: what is not ASCII is kept, and shown, in UTF8 databases only.
 *
 * Locks: ExclusiveLock on the label, until the end of the transaction, in sessions that change it;
 * readers take none that lasts. If the session dies, nothing has changed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_shseclabel.h"
#include "commands/seclabel.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "store/server_hold.h"
#include "utils/timestamp.h"

#define PROVIDER	KWJ_EXTENSION

static const ObjectAddress label = {SharedSecLabelRelationId, SharedSecLabelRelationId, 0};

/* Replaces each character that is not ASCII by a question mark, unless this is a UTF8 database. */
static char *
to_common(const char *text)
{
	char	   *copy = pstrdup(text);
	char	   *to = copy;

	if (GetDatabaseEncoding() == PG_UTF8)
		return copy;
	/* Of a character of UTF8, one byte is not a following one. */
	for (const char *from = text; *from != '\0'; from++)
		if (!IS_HIGHBIT_SET(*from))
			*to++ = *from;
		else if (((unsigned char) *from & 0xC0) != 0x80)
			*to++ = '?';
	*to = '\0';
	return copy;
}

/* Cuts the next line off the text, and returns it. */
static char *
take_line(char **text)
{
	char	   *line = *text;
	char	   *end = line + strcspn(line, "\n");

	*text = *end == '\n' ? end + 1 : end;
	*end = '\0';
	return line;
}

bool
kwj_store_server_hold(KwjHold *hold)
{
	char	   *text = GetSecurityLabel(&label, PROVIDER);
	char	   *numbers;
	unsigned int role = 0;
	long long	since = 0;

	if (text == NULL)
		return false;
	memset(hold, 0, sizeof(*hold));
	hold->everywhere = hold->scope.by_admin = true;
	text = to_common(text);
	numbers = take_line(&text);
	(void) sscanf(numbers, "%u %lld", &role, &since);
	hold->since = since;
	hold->by = take_line(&text);
	if (GetUserNameFromId(role, true) != NULL)
		hold->by = GetUserNameFromId(role, true);
	hold->reason = *text != '\0' ? text : NULL;
	return true;
}

static void
lock_label(void)
{
	LockSharedObject(label.classId, label.objectId, 0, ExclusiveLock);
}

bool
kwj_store_hold_server(const char *reason, KwjHold *present)
{
	const char *name = GetUserNameFromId(GetUserId(), false);

	lock_label();
	if (kwj_store_server_hold(present))
		return false;
	SetSecurityLabel(&label, PROVIDER,
					 psprintf("%u " INT64_FORMAT "\n%s\n%s", GetUserId(), GetCurrentTimestamp(),
							  to_common(name), reason ? to_common(reason) : ""));
	CommandCounterIncrement();
	return true;
}

bool
kwj_store_release_server(void)
{
	lock_label();
	if (GetSecurityLabel(&label, PROVIDER) == NULL)
		return false;
	SetSecurityLabel(&label, PROVIDER, NULL);
	CommandCounterIncrement();
	return true;
}
