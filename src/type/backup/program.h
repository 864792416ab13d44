/*
 * src/type/backup/program.h
 *	  The programs of PostgreSQL that BACKUP and RESTORE run: pg_dump, pg_restore, psql, createdb.
 */
#ifndef KWJ_TYPE_BACKUP_PROGRAM_H
#define KWJ_TYPE_BACKUP_PROGRAM_H

#include "job/progress.h"
#include "nodes/pg_list.h"
#include "serve/server.h"

/* Where a program finds its descriptors: the directory of the backup, ... */
#define KWJ_PROGRAM_DIRECTORY	"/proc/self/fd/3"
/* ... a file that it reads, ... */
#define KWJ_PROGRAM_FILE		"/proc/self/fd/4"
/* ... and a directory in which it writes. */
#define KWJ_PROGRAM_PLACE		"/proc/self/fd/5"

/* A message of pg_dump that begins with this says that it begins with the data of a table. */
#define KWJ_DUMPS_TABLE		"dumping contents of table "

/* The running_status of a job that stands still without sessions, so without a snapshot and locks. */
#define KWJ_STOPPED_IN_PLACE	"stopped in place until RESUME"

typedef struct KwjProgram
{
	KwjServer  *server;			/* NULL: the program needs no sessions */
	Oid			database;		/* of the sessions */
	const char *database_name;
	const char *directory;		/* what messages call KWJ_PROGRAM_DIRECTORY */
	int			fds[3];			/* its descriptors 3, 4 and 5 */
	int			n_fds;
	/* The hints of an error if the owner lacks a right, or something exists already (42P06, 42P07, ...). */
	const char *rights_hint;	/* NULL: what the session says */
	const char *exists_hint;	/* NULL: what the session says */
	bool		is_silent;		/* what it writes to stdout is no message */
	/* Is called for each line that the program writes to stdout. NULL: nothing is. */
	void		(*on_output) (const char *line, void *arg);
	/* Is called for each line that it writes to stderr, without the program's name. NULL: nothing is. */
	void		(*on_message) (const char *message, void *arg);
	/* Called when the sessions may have sent more bytes; raises no error. NULL: none. */
	void		(*on_news) (void *arg);
	void	   *arg;
} KwjProgram;

/*
 * Returns the path of a program of the running server's own version, palloc'd: it lies beside the
 * server's program. Errors: 58P01 if it is not installed.
 */
extern char *kwj_program_path(const char *name);

/* Returns a connection string for a database of any name, palloc'd. */
extern char *kwj_program_connection(const char *database);

/* Returns whether a line of a program begins with this text. */
static inline bool
kwj_line_begins(const char *line, const char *text)
{
	return strncmp(line, text, strlen(text)) == 0;
}

/*
 * Runs the program with these arguments (char *), and waits until it has ended with exit status 0 and
 * its sessions are gone. Its messages go into the transcript. PAUSE stops it in place until RESUME.
 * Returns KWJ_REQUEST_CANCEL if it was ended for that.
 *
 * Process: worker, outside of a transaction. Errors: the first error of one of its sessions, with its
 * SQLSTATE; else 38000 with the program's own message; those of kwj_child_start and kwj_child_wait.
 */
extern KwjRequest kwj_program_run(const KwjProgram *program, const char *name, List *arguments);

/*
 * As kwj_program_run, runs psql, which executes these statements (char *) outside of a transaction block, one
 * after the other, until one fails. Each line of its output is a row, without its column's name.
 */
extern KwjRequest kwj_program_run_psql(const KwjProgram *program, List *statements);

#endif
