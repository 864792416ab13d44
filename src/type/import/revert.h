/*
 * src/type/import/revert.h
 *	  Removes the rows that an IMPORT inserted.
 */
#ifndef KWJ_TYPE_IMPORT_REVERT_H
#define KWJ_TYPE_IMPORT_REVERT_H

#include "job/current.h"
#include "type/import/target.h"

/*
 * Removes the rows of the job and ends its revert: the type's revert() (type/type.h). Errors:
 * 55000 if the rows cannot be told from others, or cannot be removed.
 */
extern void kwj_import_revert(KwjAttempt *attempt);

/*
 * A crash of the server empties unlogged tables. Before an import goes on after its last
 * checkpoint, this checks that the rows before it are still there. Errors: 55000.
 */
extern void kwj_import_check_not_emptied(KwjAttempt *attempt,
										 const KwjStorageMap *storage);

#endif
