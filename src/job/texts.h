/*
 * src/job/texts.h
 *	  Lists of strings as SQL has them: arrays of type text[].
 */
#ifndef KWJ_JOB_TEXTS_H
#define KWJ_JOB_TEXTS_H

#include "kwjobs.h"
#include "nodes/pg_list.h"
#include "utils/array.h"

/*
 * Returns the elements of a text[] as a list of palloc'd strings; NIL if the array is NULL.
 * Errors: 22004 with the message null_error if an element is NULL.
 */
extern List *kwj_texts_of_array(ArrayType *array, const char *null_error);

/* Returns a text[] with these strings, palloc'd; an array without elements for NIL. */
extern ArrayType *kwj_array_of_texts(const List *texts);

/* Returns a text[] with these n strings, palloc'd. An element is NULL where the string is. */
extern ArrayType *kwj_array_of_strings(const char *const *strings, int n);

#endif
