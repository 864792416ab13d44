/*
 * src/session/subscription.h
 *	  Logical replication leaves our tables out.
 */
#ifndef KWJ_SESSION_SUBSCRIPTION_H
#define KWJ_SESSION_SUBSCRIPTION_H

/*
 * Remove the extension's tables from the subscription of that name. A NOTICE says so if it had any.
 */
extern void kwj_subscription_release(const char *name);

#endif
