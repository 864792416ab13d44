/*
 * src/statement/init.c
 *	  Sets up job statements.
 *
 * Process: the postmaster or a single-user server, when it loads the library.
 */
#include "postgres.h"

#include "statement/internal.h"
#include "statement/statement.h"

void
kwj_statement_init(void)
{
	static bool initialised = false;

	if (initialised)
		return;
	initialised = true;
	kwj_fallback_init();
	kwj_show_init();
	kwj_statement_self_test();
}
