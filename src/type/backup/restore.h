/*
 * src/type/backup/restore.h
 *	  The payload of a RESTORE.
 */
#ifndef KWJ_TYPE_BACKUP_RESTORE_H
#define KWJ_TYPE_BACKUP_RESTORE_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef struct KwjRestoreSpec
{
	char	   *directory;
	char	   *target;			/* the database */
	bool		creates;		/* the target is created; false: it gets tables */
	List	   *tables;			/* char *: quoted names; NIL: all that the backup holds */
	int			workers;
	bool		no_owner;
	bool		no_privileges;
	bool		skip_missing_foreign_keys;
} KwjRestoreSpec;

/* Returns how many sessions the programs of a RESTORE have at the same time. */
extern int	kwj_restore_sessions(const KwjRestoreSpec *spec);

extern void kwj_restore_read_payload(Jsonb *payload, KwjRestoreSpec *spec);

/*
 * Checks that the current user may create the target, and that it does not exist. Errors: 42P04, 42501.
 */
extern void kwj_restore_check_target(const char *target);

#endif
