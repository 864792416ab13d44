/*
 * src/type/import/position.c
 *	  A place in the files of an import, between two records, and how checkpoints keep it.
 *
 * Process: worker. Locks: none.
 */
#include "postgres.h"

#include "job/json.h"
#include "type/import/position.h"

bool
kwj_import_position_is_at_end(const KwjImportPosition *position, const KwjImportEnd *end)
{
	return position->file > end->file ||
		(position->file == end->file && position->offset >= end->offset);
}

void
kwj_import_position_next_file(KwjImportPosition *position)
{
	int			next = position->file + 1;

	memset(position, 0, sizeof(*position));
	position->file = next;
}

void
kwj_import_position_write(const KwjImportPosition *position, StringInfo json)
{
	appendStringInfo(json, "\"file\": %d, \"opened\": %d, \"size\": " INT64_FORMAT
					 ", \"mtime\": " INT64_FORMAT ", \"inode\": " INT64_FORMAT,
					 position->file, position->opened ? 1 : 0,
					 position->identity.size, position->identity.mtime,
					 position->identity.inode);
	appendStringInfo(json, ", \"offset\": " INT64_FORMAT ", \"stored\": " INT64_FORMAT
					 ", \"line\": " INT64_FORMAT ", \"line_end\": %d",
					 position->offset, position->stored, position->line, (int) position->line_end);
}

void
kwj_import_position_read(KwjImportPosition *position, Jsonb *json)
{
	position->file = kwj_json_int64(json, "file");
	position->opened = kwj_json_int64(json, "opened") != 0;
	position->identity.size = kwj_json_int64(json, "size");
	position->identity.mtime = kwj_json_int64(json, "mtime");
	position->identity.inode = kwj_json_int64(json, "inode");
	position->offset = kwj_json_int64(json, "offset");
	position->stored = kwj_json_int64_or(json, "stored", position->offset);
	position->line = kwj_json_int64(json, "line");
	position->line_end = kwj_json_int64(json, "line_end");
}

void
kwj_import_position_write_end(const KwjImportEnd *end, StringInfo json)
{
	appendStringInfo(json, "\"end_file\": %d, \"end_offset\": " INT64_FORMAT
					 ", \"end_size\": " INT64_FORMAT ", \"end_mtime\": " INT64_FORMAT
					 ", \"end_inode\": " INT64_FORMAT,
					 end->file, end->offset, end->identity.size, end->identity.mtime,
					 end->identity.inode);
}

void
kwj_import_position_read_end(KwjImportEnd *end, Jsonb *json)
{
	end->file = kwj_json_int64(json, "end_file");
	end->offset = kwj_json_int64(json, "end_offset");
	end->identity.size = kwj_json_int64(json, "end_size");
	end->identity.mtime = kwj_json_int64(json, "end_mtime");
	end->identity.inode = kwj_json_int64(json, "end_inode");
}
