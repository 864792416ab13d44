/*
 * src/lifecycle/withdraw.h
 *	  Withdrawing an errand: a statement that was to change a job of another database.
 */
#ifndef KWJ_LIFECYCLE_WITHDRAW_H
#define KWJ_LIFECYCLE_WITHDRAW_H

#include "kwjobs.h"

/*
 * Has the coordinator withdraw the errand when the current transaction commits. An errand that the
 * other database has in hand by then takes effect all the same. The user must have asked for the
 * errand, or have the admin role.
 *
 * Errors: 42704 if there is no such errand, or the user may not see it; 55000 if it was refused
 * already; 25006 on a standby and in a read-only transaction.
 */
extern void kwj_withdraw_errand(int64 number);

#endif
