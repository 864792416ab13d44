/*
 * src/type/sql/places.h
 *	  Where the parameters stand in the text of a SQL job.
 */
#ifndef KWJ_TYPE_SQL_PLACES_H
#define KWJ_TYPE_SQL_PLACES_H

#include "postgres.h"

/* A parameter in the text: $1 or :name. */
typedef struct KwjPlace
{
	int			start;			/* of its first byte */
	int			end;			/* behind its last byte */
	int			argument;		/* number of the argument that it stands for, from 0; -1: unknown */
} KwjPlace;

/*
 * Finds all $1 and, if names, all :name. Returns them in the order of the text, palloc'd, and their
 * number in *n.
 *
 * PostgreSQL's scanner finds the parameters, so that nothing within a string, an identifier or a
 * comment is one. :name is a parameter where an expression may begin; after an operand, and right
 * after the [ of a subscript, the colon belongs to a slice or to JSON_OBJECT.
 *
 * Errors: those of the scanner; 42601 if :name stands right behind a word. The caller has an error
 * context that makes the position one in the text.
 */
extern KwjPlace *kwj_sql_find_places(const char *text, bool names, int *n);

#endif
