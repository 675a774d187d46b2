/*
 * notify.h - tells the service manager how we are: sd_notify(3) without its library, one datagram each.
 *
 * Every call does nothing when nobody asked (NOTIFY_SOCKET is not set) and never blocks: a message that does
 * not fit into the socket is lost, which the next one mends.
 */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Each returns whether a message went out. */
bool notify_ready(void);			/* started, or a reload is over */
bool notify_reloading(void);
bool notify_stopping(void);
bool notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* one line for people */
bool notify_watchdog(void);			/* alive; send it at least every notify_watchdog_us() / 2 */

/* How long the manager waits for a sign of life, microseconds; 0: it does not watch us. */
int64_t notify_watchdog_us(void);

#endif
