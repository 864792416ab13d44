/*
 * src/lifecycle/withdraw.c
 *	  Withdrawing an errand: a statement that was to change a job of another database.
 *
 * Process: sessions, and workers whose statement withdraws one. The session only leaves a row of
 * kwjobs.errand_withdrawn. Only the coordinator changes errands, and it knows which ones are in the
 * hands of another database (coordinator/errands_out.c).
 *
 *     session                          coordinator
 *     writes the row, COMMIT --------> takes the mail back, unless the other database has it
 *                                      the errand counts as refused: "withdrawn by ..."
 *                                      or it has taken effect: nothing is left to withdraw
 *
 * Locks: none but those of the queries. If the session dies before its commit, nothing is withdrawn.
 */
#include "postgres.h"

#include "job/databases.h"
#include "lifecycle/admin.h"
#include "lifecycle/control.h"
#include "lifecycle/control_log.h"
#include "lifecycle/withdraw.h"
#include "miscadmin.h"
#include "store/errands.h"
#include "utils/acl.h"

/* Returns the errand; NULL if there is none that the user may withdraw. */
static const KwjErrandLeft *
find_errand(int64 number)
{
	List	   *left = kwj_store_errands_left(&number, 1);
	const KwjErrandLeft *errand = left != NIL ? linitial(left) : NULL;

	if (errand == NULL || (!kwj_is_admin() && !has_privs_of_role(GetUserId(), errand->role)))
		return NULL;
	return errand;
}

void
kwj_withdraw_errand(int64 number)
{
	const KwjErrandLeft *errand;

	kwj_check_writable("kwjobs.withdraw_errand()");
	errand = find_errand(number);
	if (errand == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("errand " INT64_FORMAT " does not exist", number),
				 errhint("It may have taken effect. SELECT * FROM kwjobs.errands lists those that have not.")));
	if (errand->refused)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("errand " INT64_FORMAT " will not take effect anyway: %s", number,
						errand->error ? errand->error : "it was refused"),
				 errhint("The last errands that were refused are kept in kwjobs.errands.")));
	kwj_store_withdraw_errand(number, errand->job_id);
	kwj_control_log(psprintf("errand " INT64_FORMAT " (%s, database \"%s\") withdrawn", number,
							 kwj_deed_text(errand->deed, errand->job_id),
							 kwj_database_name(errand->database)), NULL);
}
