/*
 * src/session/subscription.h
 *	  Logical replication leaves our tables out.
 */
#ifndef KWJ_SESSION_SUBSCRIPTION_H
#define KWJ_SESSION_SUBSCRIPTION_H

/*
 * Removes the extension's tables from the subscription of that name. If it had any, a NOTICE says
 * so.
 */
extern void kwj_subscription_release(const char *name);

#endif
