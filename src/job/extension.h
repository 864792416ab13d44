/*
 * src/job/extension.h
 *	  Whether the extension is installed in this database.
 */
#ifndef KWJ_JOB_EXTENSION_H
#define KWJ_JOB_EXTENSION_H

#include "compat.h"
#include "kwjobs.h"

/*
 * Whether it is; in a transaction. Without it, schemas kwjobs and kwdb_internal may be anybody's.
 * With it they are its own: CREATE EXTENSION fails if they exist, and what it has made
 * cannot be dropped but with it. So an object that is found there by name, and locked or
 * looked up before this returns true, is the extension's.
 */
extern bool kwj_extension_exists(void);

/* Raise the error that it is not installed: 55000. */
pg_noreturn extern void kwj_extension_missing(void);

/* The same as a condition of SQL, to be checked once the relations before it are locked. */
#define KWJ_EXTENSION_EXISTS	"pg_catalog.kwjobs_installed()"

#endif
