/*
 * src/store/key.h
 *	  Who has the key of a job, read without waiting.
 */
#ifndef KWJ_STORE_KEY_H
#define KWJ_STORE_KEY_H

#include "kwjobs.h"

/*
 * Returns the id of a job of this owner that has the key and is not over, also if the transaction that
 * creates, changes or ends it is not over; then to insert a job with this key would wait for that
 * transaction. 0: none. The transaction has a snapshot. Errors: as kwj_store_check_owner.
 */
extern int64 kwj_store_who_has_key(Oid owner, const char *key);

#endif
