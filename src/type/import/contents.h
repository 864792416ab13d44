/*
 * src/type/import/contents.h
 *	  What a file holds, by its first bytes.
 */
#ifndef KWJ_TYPE_IMPORT_CONTENTS_H
#define KWJ_TYPE_IMPORT_CONTENTS_H

#include "postgres.h"

#include <sys/stat.h>

/*
 * Checks that the file is not of a kind that cannot be UTF-8 text (0A000), and that a file of size
 * 0 is really empty (42809). Returns where the text begins, which is after a byte order mark.
 */
extern int64 kwj_import_check_contents(int fd, const char *path, const struct stat *st);

#endif
