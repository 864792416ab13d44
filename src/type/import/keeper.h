/*
 * src/type/import/keeper.h
 *	  Tables whose rows another extension keeps elsewhere.
 *
 * Such an extension takes over COPY and queries of the table. COPY's own code, which
 * IMPORT calls, would fill the table itself, where nobody looks for rows.
 */
#ifndef KWJ_TYPE_IMPORT_KEEPER_H
#define KWJ_TYPE_IMPORT_KEEPER_H

#include "postgres.h"
#include "nodes/pg_list.h"

typedef struct KwjKept
{
	Oid			relid;			/* the table */
	const char *extension;		/* who keeps its rows */
} KwjKept;

/*
 * Returns whether one of these tables, or one that it is a part of (as a partition or by
 * inheritance), is kept by another extension; *kept tells which one.
 */
extern bool kwj_find_kept(List *relids, KwjKept *kept);

#endif
