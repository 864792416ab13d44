/*
 * src/job/encoding.h
 *	  Texts of other databases, which may have another encoding.
 */
#ifndef KWJ_JOB_ENCODING_H
#define KWJ_JOB_ENCODING_H

#include "postgres.h"

/*
 * Returns the text in the encoding of this database, palloc'd. What cannot be converted becomes a
 * question mark, because no text of another database may make a query of this one fail. Needs a
 * transaction.
 */
extern char *kwj_text_from_encoding(const char *text, int encoding);

#endif
