/*
 * src/type/restart.h
 *	  RESTART: a start of the server. Such a job is over when it is created.
 */
#ifndef KWJ_TYPE_RESTART_H
#define KWJ_TYPE_RESTART_H

#include "type/type.h"

extern const KwjType kwj_type_restart;

#endif
