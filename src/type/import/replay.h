/*
 * src/type/import/replay.h
 *	  When an IMPORT by several workers has failed: finds the error that one worker would have met.
 */
#ifndef KWJ_TYPE_IMPORT_REPLAY_H
#define KWJ_TYPE_IMPORT_REPLAY_H

#include "lifecycle/parts.h"
#include "lib/stringinfo.h"
#include "type/import/batch.h"

/* The function replay() of the type IMPORT (lifecycle/parts.h). */
extern void kwj_import_replay(KwjAttempt *attempt, KwjPiece *piece, const KwjError *error);

/* Writes how many records of the piece were left out as a member of the JSON object that is its state. */
extern void kwj_import_write_rejected(const KwjImport *import, const KwjPiece *piece, StringInfo json);

/*
 * Returns how many records were left out when all pieces are done, in a transaction. Errors: if these
 * are more than reject_limit says, that of the first one beyond.
 */
extern int64 kwj_import_check_limit(KwjAttempt *attempt);

#endif
