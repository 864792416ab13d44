/*
 * src/type/import/parts.h
 *	  An IMPORT by several workers.
 */
#ifndef KWJ_TYPE_IMPORT_PARTS_H
#define KWJ_TYPE_IMPORT_PARTS_H

#include "lifecycle/parts.h"

extern const KwjParts kwj_import_parts;

#endif
