/*
 * redis_link.h - one connection to Redis on the event loop: pipelined, watched, reconnecting.
 *
 * hiredis opens the socket, moves the bytes and parses the replies. Its async layer is not used: it
 * allocates and calls back once a command, and a round has thousands. Here the unit is the *ask*: any
 * number of commands, written straight into redis_link_out(), answered by one call of done().
 *
 * Asks are answered in the order they were sent. When the connection ends, whatever the reason, all that
 * are outstanding are answered with ERR_TRANSIENT, and a new connection is tried after a growing rest. A server
 * that says nothing for five seconds while it owes us a reply is taken for gone; while nothing is asked for
 * five seconds, idle() is told to ask something.
 */
#ifndef STORE_REDIS_LINK_H
#define STORE_REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct loop;
struct redis_link;

/* The numbers are those of REDIS_REPLY_ in hiredis. */
enum reply_type { REPLY_STRING = 1, REPLY_ARRAY, REPLY_INTEGER, REPLY_NIL, REPLY_STATUS, REPLY_ERROR };

/* Valid until the function it was handed to returns. */
struct reply {
	enum reply_type type;
	int64_t integer;
	const char *str;		/* REPLY_STRING, STATUS, ERROR; not NUL-terminated */
	size_t len;
	struct reply *element;		/* REPLY_ARRAY */
	size_t n;
};

/*
 * Part of the caller's own struct; the link's from redis_link_send(), _refuse() or _spare() until done() is called. An
 * ask may be sent again from its own done().
 */
struct redis_ask {
	/*
	 * Reply i of the commands. False: this connection cannot be trusted any more (*e says why), it ends. NULL:
	 * not interested. Error replies do not come here, but to done(), unless takes_errors is set.
	 */
	bool (*reply)(struct redis_ask *, size_t i, const struct reply *, struct err *e);
	/* All replies were seen (e NULL), or what went wrong first. Never called before send or refuse has returned. */
	void (*done)(struct redis_ask *, const struct err *e);
	bool takes_errors;
	bool vital;			/* an error reply to it ends the connection */
	/*
	 * Vital, and what was written behind this ask leaves only when it has been answered without error. For
	 * commands whose effect later commands take for granted (a bucket was split).
	 */
	bool barrier;
	/* Vital, and leaves only when the one of its kind before it has been answered without error; others do not wait for that. */
	bool in_turn;

	/* the link's own */
	struct redis_ask *next;
	size_t replies, got;
	uint64_t begin, end;		/* where its commands are in the stream */
	struct err err;
};

struct redis_where {
	const char *unix_path;		/* or */
	const char *host;		/* name or literal address */
	uint16_t port;
};

struct redis_link_events {
	void (*opened)(void *arg);			/* the socket is connected: introduce yourself */
	/* The connection ended or could not be made. Called before outstanding asks are answered. */
	void (*closed)(void *arg, const struct err *e);
	/* Settled, and nothing was asked for a while: asks something, so that a dead server is noticed. */
	void (*idle)(void *arg);
	/* After redis_link_free(): no callback is under way any more, nothing of the link is left. */
	void (*released)(void *arg);
	void *arg;
};

/* Starts connecting. *where must outlive the link. */
struct redis_link *redis_link_new(struct loop *, const struct redis_where *where, const struct redis_link_events *);
/* Answers what is outstanding, then ends; allowed inside any callback. Also the asks made by those answers are answered. */
void redis_link_free(struct redis_link **);

/* Only while open (between opened and closed): */
struct buf *redis_link_out(struct redis_link *);	/* append whole commands, then: */
void redis_link_send(struct redis_link *, struct redis_ask *, size_t commands);

/* Nothing of that ask has left yet. */
bool redis_link_waits(const struct redis_link *, const struct redis_ask *);
/* The last `len` bytes that were written, which no ask has yet, become `commands` of that ask, which waits, `trail` bytes before its end. */
void redis_link_extend(struct redis_link *, struct redis_ask *, size_t trail, size_t len, size_t commands);

/* Answers the ask with *e on the next turn; any time. */
void redis_link_refuse(struct redis_link *, struct redis_ask *, const struct err *e);
/* There is nothing to be asked: done() is told on the next turn. */
void redis_link_spare(struct redis_link *, struct redis_ask *);
/* Ends the connection for that reason and tries again after a rest. */
void redis_link_fail(struct redis_link *, const struct err *e);
/* The introduction is over: from now on idle() is told. */
void redis_link_settled(struct redis_link *);

int64_t redis_link_bytes_sent(const struct redis_link *);
int64_t redis_link_bytes_received(const struct redis_link *);

/* An error reply as an error: its first word becomes the code; its text, which may quote values, is not used. Always false. */
bool redis_reply_err(const struct reply *, struct err *e);

#endif
