/*
 * src/type/import/replay.h
 *	  When an IMPORT by several workers has failed: finds the error that one worker would have met.
 */
#ifndef KWJ_TYPE_IMPORT_REPLAY_H
#define KWJ_TYPE_IMPORT_REPLAY_H

#include "lifecycle/parts.h"

/* The replay() of IMPORT: see lifecycle/parts.h. */
extern void kwj_import_replay(KwjAttempt *attempt, KwjPiece *piece, const KwjError *error);

#endif
