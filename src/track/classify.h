/*
 * src/track/classify.h
 *	  Which utility statements are jobs of type SCHEMA CHANGE or CREATE_STATS.
 *
 * Process: any. doc/developers/tracking.md says what is tracked and why.
 */
#ifndef KWJ_TRACK_CLASSIFY_H
#define KWJ_TRACK_CLASSIFY_H

#include "kwjobs.h"
#include "nodes/parsenodes.h"

typedef enum KwjTrackKind
{
	KWJ_TRACK_NOTHING,			/* the statement is no job */
	KWJ_TRACK_ROUTINE,			/* CALL, DO: no job, but the statements in it are */
	KWJ_TRACK_TEXT,				/* a job; its text is its description */
	KWJ_TRACK_NAME,				/* a job; the text may have a secret, so its object describes it */
} KwjTrackKind;

/* What a statement that commits in between may leave behind if it fails after that. */
typedef enum KwjTrackRemains
{
	KWJ_LEAVES_NOTHING,
	KWJ_LEAVES_INDEX,			/* CREATE INDEX CONCURRENTLY: an INVALID index */
	KWJ_LEAVES_INDEXES,			/* REINDEX CONCURRENTLY: INVALID copies of indexes */
	KWJ_LEAVES_DROPPED_INDEX,	/* DROP INDEX CONCURRENTLY: an INVALID index */
	KWJ_LEAVES_PARTITION,		/* DETACH PARTITION CONCURRENTLY: a partition that is half detached */
} KwjTrackRemains;

typedef struct KwjTrackClass
{
	KwjTrackKind kind;
	const char *job_type;
	KwjTrackRemains remains;
	bool		is_final;		/* a rollback would not undo what it has done to files */
	bool		creates;		/* creates the relation, which may turn out to be temporary */
	const RangeVar *relation;	/* what the statement is about; NULL: no relation, or several */
} KwjTrackClass;

/*
 * Returns whether the table in classify.c has a row for this kind of statement, so that it may be a
 * job, or have jobs in it. Other statements cost no more than this look into an array. May be
 * called anywhere.
 */
extern bool kwj_track_has_row(const Node *statement);

/*
 * Returns what the statement is. The statement must have a row. If it is only about temporary
 * objects, the kind is KWJ_TRACK_NOTHING. To find that out, this function looks into the catalog
 * caches, so it must be called in a transaction that has not failed. Takes no lock on a relation,
 * and changes nothing in the tree. Errors: those of a look into the catalog caches.
 */
extern KwjTrackClass kwj_track_classify(const Node *statement);

/*
 * Returns the table of this name, or the table of the index of this name; InvalidOid if there is
 * none, or if the table is partitioned. The relation must not be temporary. Takes no lock. Errors:
 * those of a look into the catalog caches.
 */
extern Oid	kwj_track_table(const RangeVar *relation);

/*
 * Returns the relation of this name among this session's temporary ones; InvalidOid if there is
 * none. Errors: those of a look into the catalog caches.
 */
extern Oid	kwj_track_temporary_relation(const char *name);

#endif
