/*
 * src/type/import/keeper.h
 *	  Tables whose rows another extension keeps elsewhere.
 *
 * Such an extension takes over COPY and queries of the table. IMPORT calls COPY's own code, which
 * would fill the table itself, where the extension does not look for rows.
 */
#ifndef KWJ_TYPE_IMPORT_KEEPER_H
#define KWJ_TYPE_IMPORT_KEEPER_H

#include "postgres.h"
#include "nodes/pg_list.h"

typedef struct KwjKept
{
	Oid			relid;			/* the table */
	const char *extension;		/* the extension that keeps its rows */
} KwjKept;

/*
 * Returns whether another extension keeps one of these tables or one of their ancestors (by
 * partitioning or inheritance). *kept tells which table, and which extension.
 */
extern bool kwj_find_kept(List *relids, KwjKept *kept);

#endif
