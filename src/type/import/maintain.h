/*
 * src/type/import/maintain.h
 *	  ANALYZE and VACUUM (FREEZE) of the target as the last step of an IMPORT: the options analyze and
 *	  freeze.
 */
#ifndef KWJ_TYPE_IMPORT_MAINTAIN_H
#define KWJ_TYPE_IMPORT_MAINTAIN_H

#include "type/import/batch.h"

/* Returns whether the options ask for the last step. */
extern bool kwj_import_maintains(const KwjImportOptions *options);

/*
 * Checks that the current user may do what the options ask for to this target. Errors: 42501, as ANALYZE
 * and VACUUM would only warn; 0A000.
 */
extern void kwj_import_check_maintains(const KwjImportOptions *options, Relation target);

/*
 * Does what the options `analyze` and `freeze` ask for, when all rows are committed. The caller is
 * outside a transaction; this begins and commits some. Errors: those of ANALYZE and VACUUM, and of
 * the check.
 */
extern void kwj_import_maintain(KwjImport *import);

#endif
