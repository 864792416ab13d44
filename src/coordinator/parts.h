/*
 * src/coordinator/parts.h
 *	  More workers for attempts that several may carry.
 *
 * Process: coordinator.
 */
#ifndef KWJ_COORDINATOR_PARTS_H
#define KWJ_COORDINATOR_PARTS_H

#include "coordinator/pass.h"

/* A step of a pass, after claiming jobs: assigns workers to attempts that want more. */
extern void kwj_parts_assign(KwjPass *pass);

#endif
