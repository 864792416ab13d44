/*
 * src/type/import/bad_records.h
 *	  Imports the good records among bad ones: on_error = 'skip'.
 */
#ifndef KWJ_TYPE_IMPORT_BAD_RECORDS_H
#define KWJ_TYPE_IMPORT_BAD_RECORDS_H

#include "type/import/batch.h"

/*
 * Does what kwj_import_records does up to the end of the file, but leaves out each record that cannot
 * be imported, and writes it into the reject table if there is one. Returns how many bytes it went
 * ahead. Errors: also that of a record, if as many as reject_limit says were left out before.
 */
extern int64 kwj_import_good_records(KwjImport *import, int64 bytes);

#endif
