/*
 * src/type/import/parts.h
 *	  The functions by which several workers carry an IMPORT together.
 */
#ifndef KWJ_TYPE_IMPORT_PARTS_H
#define KWJ_TYPE_IMPORT_PARTS_H

#include "lifecycle/parts.h"

extern const KwjParts kwj_import_parts;

#endif
