/*
 * src/track/new_file.h
 *	  Notes the file of the new table that the statement of a job writes.
 */
#ifndef KWJ_TRACK_NEW_FILE_H
#define KWJ_TRACK_NEW_FILE_H

#include "kwjobs.h"

/* Sets the hook. The postmaster calls this once. */
extern void kwj_new_file_init(void);

#endif
