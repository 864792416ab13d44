/*
 * src/type/backup/script.h
 *	  The statements in scripts of pg_restore, to compare two scripts whatever their order.
 */
#ifndef KWJ_TYPE_BACKUP_SCRIPT_H
#define KWJ_TYPE_BACKUP_SCRIPT_H

#include "job/progress.h"
#include "type/files/directory.h"

/* No more bytes of a statement than these are told. */
#define KWJ_STATEMENT_TOLD	512

typedef struct KwjScripts KwjScripts;

/*
 * Has pg_restore written them: two scripts, in files of a directory, which stays open. In a transaction:
 * reads both, and returns how they compare in CurrentMemoryContext, or NULL if the job has to end.
 *
 * The scripts must hold no definitions but those of tables. These are not compared, nor are expressions that
 * follow USING, WITH CHECK and WHERE; all else is. Process: worker. Errors: of the file system.
 */
extern KwjScripts *kwj_scripts_read(const KwjDirectory *directory, const char *first, const char *second);

/*
 * Returns how the first statement begins, palloc'd, that only the first script has, or only the second one, or
 * more often than the other; NULL if there is none. In a transaction. Errors: of the file system.
 */
extern char *kwj_scripts_only_first(const KwjScripts *scripts);
extern char *kwj_scripts_only_second(const KwjScripts *scripts);

#endif
