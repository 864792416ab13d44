/*
 * src/job/json.h
 *	  Reading the payloads and checkpoints of jobs, and building them from text.
 */
#ifndef KWJ_JOB_JSON_H
#define KWJ_JOB_JSON_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* Each of these: a key that is missing is an internal error unless said so. */
extern int64 kwj_json_int64(Jsonb *jb, const char *key);
extern char *kwj_json_text(Jsonb *jb, const char *key);
extern Jsonb *kwj_json_object(Jsonb *jb, const char *key);

/* NULL if the key is missing. */
extern char *kwj_json_text_or_null(Jsonb *jb, const char *key);

/* A list of palloc'd strings; NIL if the key is missing. */
extern List *kwj_json_texts(Jsonb *jb, const char *key);

/* A palloc'd array of *n numbers; *n = 0 if the key is missing. */
extern int64 *kwj_json_int64s(Jsonb *jb, const char *key, int *n);

extern Jsonb *kwj_json_parse(const char *text);

#endif
