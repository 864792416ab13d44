/*
 * src/type/import_revert.h
 *	  Removes the rows that an IMPORT inserted.
 */
#ifndef KWJ_TYPE_IMPORT_REVERT_H
#define KWJ_TYPE_IMPORT_REVERT_H

#include "job/attempt.h"

extern void kwj_import_revert(KwjAttempt *attempt);

#endif
