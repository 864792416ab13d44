/*
 * src/job/extension.h
 *	  Whether the extension is installed in this database.
 */
#ifndef KWJ_JOB_EXTENSION_H
#define KWJ_JOB_EXTENSION_H

#include "compat.h"
#include "kwjobs.h"

/*
 * Returns whether the extension is installed. The caller is in a transaction. Without it, the
 * schemas kwjobs and kwdb_internal may be anybody's. With it they are its own: CREATE EXTENSION
 * fails if they exist, and they can be dropped only with the extension. So an object that is found
 * there by name, and locked or looked up before this function returns true, belongs to the
 * extension.
 */
extern bool kwj_extension_exists(void);

/*
 * Registers the callback by which PostgreSQL tells a process of changes. _PG_init calls this. If it
 * has not, kwj_extension_exists looks into the catalog each time.
 */
extern void kwj_extension_init(void);

/* Raise the error that the extension is not installed: 55000. */
pg_noreturn extern void kwj_extension_missing(void);

/*
 * An SQL condition that calls kwj_extension_exists. PostgreSQL has to evaluate it after it has
 * locked the relations of the query.
 */
#define KWJ_EXTENSION_EXISTS	"pg_catalog.kwjobs_installed()"

#endif
