/*
 * src/type/export/stage.h
 *	  Where an EXPORT writes its files before they are complete.
 *
 * Files are written into the directory .kwjobs-<job id>, the stage, in the directory of the job.
 * When all of them are complete and on disk, with a manifest that lists them, they are moved up, and
 * the manifest is moved last. So a directory that has a manifest.json has a complete export, and a
 * file outside of the stage is complete.
 *
 *     /dir/.kwjobs-42/n1.0.csv                         /dir/n1.0.csv
 *     /dir/.kwjobs-42/n1.1.csv        -- publish -->   /dir/n1.1.csv
 *     /dir/.kwjobs-42/manifest.json                    /dir/manifest.json
 *
 * So the next attempt, and the revert, can always tell what the job has written: all that is in the
 * stage and, while files are moved, what the manifest lists and is not in the stage any more.
 */
#ifndef KWJ_TYPE_EXPORT_STAGE_H
#define KWJ_TYPE_EXPORT_STAGE_H

#include "postgres.h"
#include "type/files/directory.h"
#include "utils/jsonb.h"

/* Files of an export beside those with rows. */
#define KWJ_MANIFEST	"manifest.json"
#define KWJ_META		"meta.sql"

/* The name of the manifest in the stage while it is written, so that nobody reads half of it. */
#define KWJ_MANIFEST_PART	".manifest"

/*
 * Errors: 58P02 if there is something in the directory, other than the stage of this job. job_id: 0
 * for a job that does not exist yet.
 */
extern void kwj_stage_check_empty(const KwjDirectory *directory, int64 job_id);

/*
 * Creates the stage, in CurrentMemoryContext. The directory is empty, and stays so for other jobs:
 * of two jobs that create their stages at the same time, at least one gets an error. Errors: as
 * kwj_stage_check_empty; of the file system.
 */
extern KwjDirectory *kwj_stage_begin(const KwjDirectory *directory, int64 job_id);

/* Opens the stage, which kwj_stage_begin has created. Errors: of the file system. */
extern KwjDirectory *kwj_stage_open(const KwjDirectory *directory, int64 job_id);

/*
 * Opens the directory of a table in the stage. path: "schema/table", or "" for the stage itself.
 * create: creates it if it does not exist. Errors: of the file system.
 */
extern KwjDirectory *kwj_stage_open_item(KwjDirectory *stage, const char *path, bool create);

/*
 * Moves all files up from the stage, whose files and directories are on disk, with the manifest as
 * KWJ_MANIFEST_PART, and removes the stage. Errors: 58P02 if a file is in the way; of the file system.
 */
extern void kwj_stage_publish(const KwjDirectory *directory, KwjDirectory *stage, int64 job_id);

/* Returns the manifest of this job, if it has been published completely; else NULL. */
extern Jsonb *kwj_stage_published(const KwjDirectory *directory, int64 job_id);

/*
 * Does what is left to do after the manifest was published: makes that durable, and removes the
 * stage. Errors: of the file system.
 */
extern void kwj_stage_finish(const KwjDirectory *directory, int64 job_id);

/*
 * Removes the stage, whatever is in it, before anything was published. Raises no error, so that it
 * can be called after one. Returns false if something is left.
 */
extern bool kwj_stage_drop(const KwjDirectory *directory, int64 job_id);

/*
 * Removes everything that the job has written into the directory, and nothing else. Can be repeated.
 * Errors: 55000 if something could not be removed; of the file system.
 */
extern void kwj_stage_remove(const KwjDirectory *directory, int64 job_id);

#endif
