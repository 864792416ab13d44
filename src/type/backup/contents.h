/*
 * src/type/backup/contents.h
 *	  The table of contents of a backup: what pg_restore lists, and which of it is to be restored.
 */
#ifndef KWJ_TYPE_BACKUP_CONTENTS_H
#define KWJ_TYPE_BACKUP_CONTENTS_H

#include "nodes/pg_list.h"
#include "type/backup/program.h"

/* What an entry is. KWJ_HOLDS_OTHER: none of those on which something here depends. */
typedef enum KwjHolds
{
	KWJ_HOLDS_OTHER,
	KWJ_HOLDS_RELATION,			/* a table, view, materialized view, foreign table */
	KWJ_HOLDS_DATA,				/* of a table */
	KWJ_HOLDS_REFRESH,			/* of a materialized view */
	KWJ_HOLDS_ATTACH,			/* a partition to its table */
	KWJ_HOLDS_INDEX_ATTACH,
	KWJ_HOLDS_SEQUENCE,
	KWJ_HOLDS_SEQUENCE_OWNER,
	KWJ_HOLDS_SEQUENCE_VALUE,
	KWJ_HOLDS_INDEX,
	KWJ_HOLDS_CONSTRAINT,
	KWJ_HOLDS_FOREIGN_KEY,
	KWJ_HOLDS_DEFAULT,			/* of a column */
	KWJ_HOLDS_CODE,				/* a trigger, rule, policy: may name other tables, too */
	KWJ_HOLDS_PROPERTY,			/* row security, extended statistics */
	KWJ_HOLDS_REMARK,			/* a comment, a right, a label of another entry */
	KWJ_HOLDS_SERVER,			/* a publication, a subscription */
	KWJ_HOLDS_BLOB,				/* large objects */
	KWJ_HOLDS_NOTHING,			/* properties of the database, default rights */
} KwjHolds;

typedef struct KwjEntry
{
	int			id;
	KwjHolds	holds;
	const char *what;			/* "KIND schema name owner"; names are not quoted */
	const char *rest;			/* what, without the kind */
	List	   *needs;			/* int: the ids of other entries */
	bool		is_cut;			/* there are more of them: the line was too long (child.h) */
	bool		chosen;			/* it is to be restored */
} KwjEntry;

/* Begin with zeros. It lives in the memory context that is current when it is read. */
typedef struct KwjContents
{
	List	   *entries;		/* KwjEntry *, in the order in which they are to be restored */
	KwjEntry  **by_id;			/* sorted by id */
	int			n;
} KwjContents;

/*
 * Has pg_restore list the backup in the program's directory. All entries are chosen. program: without a
 * server and callbacks. Returns KWJ_REQUEST_CANCEL if the job has to end. Errors: those of kwj_program_run.
 */
extern KwjRequest kwj_contents_read(KwjContents *contents, const KwjProgram *program);

/*
 * Chooses these tables only (char *: quoted names, with or without a schema), and all that belongs to
 * them: data, defaults, sequences, constraints, indexes, statistics, triggers, rules, policies, comments,
 * rights, and the partitions of a partitioned table. Also those sequences from which their defaults take
 * values, and foreign keys to tables that are not chosen: the caller may have to leave these out.
 * Errors: 42P01 if the backup does not hold a table; 42P09 if it holds several of this name.
 */
extern KwjRequest kwj_contents_choose(KwjContents *contents, const KwjProgram *program, List *tables);

/* Returns the entry with this id; NULL if there is none. */
extern KwjEntry *kwj_contents_entry(const KwjContents *contents, int id);

/*
 * Returns the chosen sequence entries that belong to none of the chosen tables, and the tables (entries)
 * to which chosen foreign keys refer and that are not chosen.
 */
extern List *kwj_contents_borrowed(const KwjContents *contents);
extern List *kwj_contents_referred(const KwjContents *contents);

/* Leaves out a borrowed sequence, or the foreign keys to a table. Returns how many entries that are. */
extern int	kwj_contents_leave_out(KwjContents *contents, const KwjEntry *entry);

/* Leaves out what only a superuser can restore: the extension kwjobs. Returns how many entries that are. */
extern int	kwj_contents_leave_kwjobs_out(KwjContents *contents);

/*
 * If the backup holds settings, rights or a comment of the database itself, which are never restored, a message
 * of the job says so, and how to see them in this directory.
 */
extern void kwj_contents_tell_of_database(const KwjContents *contents, const char *directory);

/*
 * Runs pg_restore with these arguments (char *) for the chosen entries of the backup in the program's
 * directory. holds: only for entries of this kind; KWJ_HOLDS_OTHER: for all. The list of the entries becomes
 * the second file of the program. Returns what kwj_program_run returns. Errors: those of kwj_program_run, and
 * of the operating system.
 */
extern KwjRequest kwj_contents_restore(const KwjContents *contents, KwjHolds holds, KwjProgram *program,
									   List *arguments);

/*
 * As kwj_contents_restore for all chosen entries, with up to this many processes: first the objects and their data,
 * then the rights, which one process gives, then what comes after them, such as event triggers.
 */
extern KwjRequest kwj_contents_restore_in_parallel(const KwjContents *contents, int workers, KwjProgram *program,
												   List *arguments);

/*
 * If the message of a pg_restore with several processes says that an entry is done, returns where the kind of
 * the entry begins in it, and sets *id. Otherwise returns NULL.
 */
extern const char *kwj_contents_finished(const char *message, int *id);

/* Returns whether the line about an entry, from its kind on, is about data; about an index or a constraint. */
extern bool kwj_is_data(const char *what);
extern bool kwj_is_index(const char *what);

#endif
