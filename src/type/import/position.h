/*
 * src/type/import/position.h
 *	  A place in the files of an import, between two records.
 */
#ifndef KWJ_TYPE_IMPORT_POSITION_H
#define KWJ_TYPE_IMPORT_POSITION_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "type/import/csv_scan.h"
#include "type/source/source.h"
#include "utils/jsonb.h"

/* Where an import is: at the next record to read. */
typedef struct KwjImportPosition
{
	int			file;			/* index in the list of files */
	bool		opened;			/* the job has opened this file: what follows is valid */
	KwjSourceIdentity identity;
	int64		offset;
	int64		stored;			/* how many bytes of the file, as it is stored, are done */
	int64		line;			/* number of the line before the next record */
	KwjLineEnd	line_end;
} KwjImportPosition;

/* Where an import, or a piece of it, ends. */
typedef struct KwjImportEnd
{
	int			file;			/* index in the list of files */
	int64		offset;			/* 0: the file before this one is read to its end */
	KwjSourceIdentity identity;	/* of the file, if offset is not 0 */
} KwjImportEnd;

/* Returns whether the position is at the end. */
extern bool kwj_import_position_is_at_end(const KwjImportPosition *position, const KwjImportEnd *end);

/* Goes to the start of the next file. */
extern void kwj_import_position_next_file(KwjImportPosition *position);

/*
 * Write a position, or an end, as members of a JSON object, with a comma between them. Read it from
 * an object that has such members; errors: XX000.
 */
extern void kwj_import_position_write(const KwjImportPosition *position, StringInfo json);
extern void kwj_import_position_read(KwjImportPosition *position, Jsonb *json);
extern void kwj_import_position_write_end(const KwjImportEnd *end, StringInfo json);
extern void kwj_import_position_read_end(KwjImportEnd *end, Jsonb *json);

#endif
