/*
 * src/type/import/extend.h
 *	  Gives a table into which several workers import new pages, many at once, and its indexes, too.
 */
#ifndef KWJ_TYPE_IMPORT_EXTEND_H
#define KWJ_TYPE_IMPORT_EXTEND_H

#include "postgres.h"
#include "storage/block.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/* What this process knows of the pages that it has added to the table. All zeros: nothing. */
typedef struct KwjExtend
{
	Oid			table;
	BlockNumber mark;			/* one of them: when it is used, it is time to add more */
	BufferAccessStrategy strategy;	/* how they get buffers */
} KwjExtend;

/*
 * Adds empty pages to the table and its B-trees where there are few of them. To be called often while several
 * workers import. The table is open, and locked for an INSERT. *extend keeps something in the context. Errors:
 * of the file system.
 */
extern void kwj_import_extend(KwjExtend *extend, Relation table, MemoryContext context);

#endif
