/*
 * src/type/import/wal.h
 *	  Has the WAL of an import written while the import goes on.
 */
#ifndef KWJ_TYPE_IMPORT_WAL_H
#define KWJ_TYPE_IMPORT_WAL_H

/*
 * Wakes PostgreSQL's WAL writer if this transaction has written enough WAL since the last time that it
 * is worth a flush. To be called often while an import runs.
 */
extern void kwj_import_push_wal(void);

#endif
