/*
 * src/statement/hint.c
 *	  What to type instead of a job statement that is refused.
 */
#include "postgres.h"

#include "statement/internal.h"
