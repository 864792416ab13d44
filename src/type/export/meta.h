/*
 * src/type/export/meta.h
 *	  meta.sql: the definitions of the tables that an EXPORT writes, for psql.
 */
#ifndef KWJ_TYPE_EXPORT_META_H
#define KWJ_TYPE_EXPORT_META_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "type/export/options.h"

/*
 * Returns the text of meta.sql for these items (KwjExportItem), palloc'd. Needs an active snapshot;
 * reads the catalogs only.
 */
extern char *kwj_meta_text(const List *items, const KwjExportOptions *options);

#endif
