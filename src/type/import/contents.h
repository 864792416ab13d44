/*
 * src/type/import/contents.h
 *	  Recognizes by its first bytes what a file holds.
 */
#ifndef KWJ_TYPE_IMPORT_CONTENTS_H
#define KWJ_TYPE_IMPORT_CONTENTS_H

#include "postgres.h"

#include <sys/stat.h>

/*
 * Refuses a file whose first bytes show that it is no text in this encoding (0A000), and a file of
 * size 0 that is not empty (42809). Returns where the text begins: after a byte order mark, if there
 * is one.
 */
extern int64 kwj_import_check_contents(int fd, const char *path, const struct stat *st, int charset);

#endif
