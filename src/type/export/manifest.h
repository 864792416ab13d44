/*
 * src/type/export/manifest.h
 *	  The manifest of an EXPORT: a file that says what the job has written, and from which snapshot.
 *	  doc/users/export.md describes its members.
 */
#ifndef KWJ_TYPE_EXPORT_MANIFEST_H
#define KWJ_TYPE_EXPORT_MANIFEST_H

#include "postgres.h"
#include "access/xlogdefs.h"
#include "nodes/pg_list.h"
#include "type/export/options.h"
#include "type/export/output.h"
#include "utils/timestamp.h"

typedef struct KwjManifest
{
	int64		job_id;
	const KwjExportSpec *spec;
	TimestampTz snapshot_at;	/* when the snapshot was taken */
	char	   *snapshot;		/* as pg_current_snapshot() shows it */
	XLogRecPtr	lsn;			/* the end of the WAL, right after that */
	char	   *settings;		/* on which the text of values depends, a JSON object */
	List	   *items;			/* KwjExportItem */
	KwjExportFile *meta;		/* NULL: there is none */
} KwjManifest;

/* The sums of all items. */
typedef struct KwjExportSums
{
	int64		files;
	int64		rows;
	int64		bytes;
} KwjExportSums;

extern void kwj_manifest_sums(const List *items, KwjExportSums *sums);

/* Returns the text of the manifest, palloc'd. */
extern char *kwj_manifest_text(const KwjManifest *manifest);

#endif
