/*
 * src/session/subscription.h
 *	  Logical replication leaves our tables alone.
 */
#ifndef KWJ_SESSION_SUBSCRIPTION_H
#define KWJ_SESSION_SUBSCRIPTION_H

/* Take the extension's tables out of the subscription of that name, if it has any of them. */
extern void kwj_subscription_release(const char *name);

#endif
