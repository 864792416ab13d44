/*
 * src/type/import/revert.h
 *	  Removes the rows that an IMPORT inserted.
 */
#ifndef KWJ_TYPE_IMPORT_REVERT_H
#define KWJ_TYPE_IMPORT_REVERT_H

#include "job/current.h"
#include "type/import/target.h"

extern void kwj_import_revert(KwjAttempt *attempt);

/*
 * A server crash empties unlogged tables. Before an import goes on after its last
 * checkpoint, check that this did not happen to the rows before it (55000).
 */
extern void kwj_import_check_not_emptied(KwjAttempt *attempt,
										 const KwjStorageMap *storage);

#endif
