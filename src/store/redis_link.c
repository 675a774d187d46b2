/*
 * redis_link.c
 *
 *   RESTING -> RESOLVING -> DIALLING -> OPEN        any failure -> RESTING
 *
 * Output: commands are appended to `out`; positions in the stream are counted from the connection's start.
 * `fed` is how far hiredis has got them. A barrier ask stops feeding at its own end until it is answered, one that is in turn
 * at the beginning of the next of its kind.
 */
#include "config.h"	/* _GNU_SOURCE: strerrorname_np */

#include "store/redis_link.h"

#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "store/resolve.h"
#include "store/store.h"

enum {
	FEED_BYTES = 64 * 1024,		/* given to hiredis at a time: it moves the rest down after each partial write */
	TURN_CHUNKS = 16,		/* reads or writes of one turn; then others have their turn */
	READ_CHUNK = 16 * 1024,		/* hiredis reads that much at a time */
	KEEP_BYTES = 1024 * 1024,	/* buffers larger than this are given back when empty */
	ELEMENTS_MOST = 4 * 1024 * 1024,
	TICK_MS = 1000,
	SILENT_TICKS = 5,		/* nothing came although a reply is owed */
	IDLE_TICKS = 5,			/* nothing was asked: ask something */
	STABLE_TICKS = 10,		/* up for that long: the next failure rests shortly again */
	REST_FIRST_MS = 100,
	REST_MOST_MS = 10000,
};

enum link_state { LINK_RESTING, LINK_RESOLVING, LINK_DIALLING, LINK_OPEN };

struct ask_queue {
	struct redis_ask *first, **last;
	size_t barriers;		/* also those in turn */
};

struct redis_link {
	/* given at birth */
	struct loop *loop;
	struct redis_where where;
	struct redis_link_events events;
	/* the connection */
	enum link_state state;
	struct resolve *resolve;
	char addresses[RESOLVE_MOST][RESOLVE_TEXT];
	size_t n_addresses, address;
	redisContext *hiredis;
	struct loop_watch *watch;
	struct arena replies;		/* of the reply that is being parsed */
	struct ask_queue asked;
	struct buf out;
	size_t out_at;			/* bytes at the front of `out` that were fed already */
	uint64_t fed, asked_end;	/* asked_end: of the last ask */
	bool hiredis_has_output;
	bool settled;
	/* over connections */
	struct ask_queue unasked;	/* answered next turn, without Redis */
	struct loop_timer *rest, *tick, *soon;
	unsigned tries;
	unsigned silent, idle, stable;	/* ticks */
	unsigned depth;			/* callbacks under way */
	bool dead;
	int64_t bytes_sent, bytes_received;
};

static void dial(struct redis_link *l);

/* ---- queues of asks ---------------------------------------------------------------------------------- */

static void queue_init(struct ask_queue *q)
{
	q->first = NULL;
	q->last = &q->first;
	q->barriers = 0;
}

static void queue_add(struct ask_queue *q, struct redis_ask *ask)
{
	ask->next = NULL;
	*q->last = ask;
	q->last = &ask->next;
	q->barriers += ask->barrier || ask->in_turn;
}

static struct redis_ask *queue_pop(struct ask_queue *q)
{
	struct redis_ask *ask = q->first;

	q->first = ask->next;
	if (q->first == NULL)
		q->last = &q->first;
	q->barriers -= ask->barrier || ask->in_turn;
	ask->next = NULL;
	return ask;
}

/* ---- entering and leaving: who is freed inside a callback is released when the last one has returned --- */

static void enter(struct redis_link *l)
{
	l->depth++;
}

static void leave(struct redis_link *l)
{
	struct redis_link_events events = l->events;

	if (--l->depth > 0 || !l->dead)
		return;
	loop_timer_free(&l->rest);
	loop_timer_free(&l->tick);
	loop_timer_free(&l->soon);
	buf_fini(&l->out);
	arena_fini(&l->replies);
	free(l);
	events.released(events.arg);
}

/* ---- replies: hiredis parses into the arena, arrays as one piece ------------------------------------- */

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static struct reply *reply_new(const redisReadTask *task, enum reply_type type)
{
	struct redis_link *l = task->privdata;
	struct reply *r;

	if (task->parent != NULL)
		r = &((struct reply *)task->parent->obj)->element[task->idx];
	else
		r = arena_alloc(&l->replies, sizeof *r);
	*r = (struct reply){ .type = type };
	return r;
}

static void *reply_string(const redisReadTask *task, char *str, size_t len)
{
	struct redis_link *l = task->privdata;
	struct reply *r = reply_new(task, (enum reply_type)task->type);

	r->str = arena_dup(&l->replies, str, len);
	r->len = len;
	return r;
}

static void *reply_array(const redisReadTask *task, element_count n)
{
	struct redis_link *l = task->privdata;
	struct reply *r;

	if ((uint64_t)n > ELEMENTS_MOST)
		return NULL;	/* hiredis then reports a failure; nothing of ours asks for that much */
	r = reply_new(task, REPLY_ARRAY);
	r->n = (size_t)n;
	r->element = arena_alloc(&l->replies, r->n * sizeof *r->element);
	return r;
}

static void *reply_integer(const redisReadTask *task, long long v)
{
	struct reply *r = reply_new(task, REPLY_INTEGER);

	r->integer = v;
	return r;
}

static void *reply_nil(const redisReadTask *task)
{
	return reply_new(task, REPLY_NIL);
}

static void reply_free(void *reply)
{
	/* the arena's */
}

static redisReplyObjectFunctions reply_functions = {
	.createString = reply_string,
	.createArray = reply_array,
	.createInteger = reply_integer,
	.createNil = reply_nil,
	.freeObject = reply_free,
};

static const struct {
	const char *word;
	enum err_kind kind;
	bool ends;		/* the connection is of no use any more: introduce ourselves anew */
	const char *text;
} reply_words[] = {
	{ "WRONGPASS", ERR_CONFIG, true, "Redis refuses the user or the password: correct state.redis or state.password_file" },
	{ "NOAUTH", ERR_CONFIG, true, "Redis asks for a password: name its file in state.password_file" },
	{ "NOPERM", ERR_CONFIG, true, "the Redis user may not do what is needed: allow it keys crmsync:TOPOLOGY:* and the commands auth, select, "
	  "info, client, multi, exec, watch, time, eval, exists, hget, hset, hsetnx, hmget, hgetall, hdel, hincrby, setrange, getrange, "
	  "zadd, zscore, zremrangebyrank, scan and unlink" },
	{ "LOADING", ERR_TRANSIENT, true, "Redis is still loading its data" },
	{ "READONLY", ERR_TRANSIENT, true, "Redis is a read-only replica" },
	{ "MASTERDOWN", ERR_TRANSIENT, true, "Redis is a replica that lost its master" },
	{ "OOM", ERR_TRANSIENT, false, "Redis has reached its maxmemory and refuses writes: raise maxmemory" },
	{ "MISCONF", ERR_TRANSIENT, false, "Redis cannot save to disk and refuses writes: see its log" },
	{ "BUSY", ERR_TRANSIENT, false, "Redis is busy with somebody's script" },
	{ "WRONGTYPE", ERR_CONFIG, false, "a key below crmsync:TOPOLOGY: in Redis was written by something else: remove it" },
};

static bool word_ends_connection(const char *word)
{
	for (size_t i = 0; i < countof(reply_words); i++)
		if (strcmp(word, reply_words[i].word) == 0)
			return reply_words[i].ends;
	return false;
}

bool redis_reply_err(const struct reply *r, struct err *e)
{
	char word[sizeof e->code];
	size_t n = 0;

	while (n < r->len && n + 1 < sizeof word && ((r->str[n] >= 'A' && r->str[n] <= 'Z') || r->str[n] == '_'))
		n++;
	memcpy(word, r->str, n);
	word[n] = '\0';
	for (size_t i = 0; i < countof(reply_words); i++)
		if (strcmp(word, reply_words[i].word) == 0)
			return err_set(e, reply_words[i].kind, word, "%s", reply_words[i].text);
	return err_set(e, ERR_TRANSIENT, word, "Redis refused a command (%s)", n > 0 ? word : "no reason");
}

/* ---- the end of a connection ------------------------------------------------------------------------- */

static void answer_all(struct redis_link *l, struct ask_queue *q, const struct err *e)
{
	while (q->first != NULL) {
		struct redis_ask *ask = queue_pop(q);

		if (e != NULL)
			ask->err = *e;
		if (ask->err.kind == ERR_CONFIG)
			ask->err.kind = ERR_TRANSIENT;	/* the operator's matter, told by closed(); askers rest */
		ask->done(ask, ask->err.kind != 0 ? &ask->err : NULL);
	}
}

static void hang_up(struct redis_link *l)
{
	resolve_cancel(&l->resolve);
	loop_watch_free(&l->watch);
	if (l->hiredis != NULL)
		redisFree(l->hiredis);
	l->hiredis = NULL;
	l->state = LINK_RESTING;
	loop_timer_stop(l->tick);
	buf_clear(&l->out);
	l->out_at = 0;
	l->fed = l->asked_end = 0;
	l->hiredis_has_output = false;
	l->settled = false;
	l->silent = l->idle = l->stable = 0;
}

void redis_link_fail(struct redis_link *l, const struct err *why)
{
	struct err e = *why;		/* it may live in what ends now */
	struct ask_queue asked;

	if (l->state == LINK_RESTING)
		return;
	enter(l);
	hang_up(l);
	asked = l->asked;
	if (asked.first == NULL)
		asked.last = &asked.first;
	queue_init(&l->asked);
	if (!l->dead)
		loop_timer_set(l->rest, loop_backoff_ms(l->tries++, REST_FIRST_MS, REST_MOST_MS));
	l->events.closed(l->events.arg, &e);
	answer_all(l, &asked, &e);
	leave(l);
}

static void fail_io(struct redis_link *l, int error, const char *doing, const char *otherwise)
{
	const char *name = error != 0 ? strerrorname_np(error) : NULL;
	struct err e = { 0 };

	err_set(&e, ERR_TRANSIENT, name != NULL ? name : "", "%s", error != 0 ? strerrordesc_np(error) : otherwise);
	err_while(&e, "Redis at %s: %s", l->where.unix_path != NULL ? l->where.unix_path : l->where.host, doing);
	redis_link_fail(l, &e);
}

/* ---- sending ----------------------------------------------------------------------------------------- */

/* How far the stream may be sent: to the end, or to what has to wait for an answer. */
static uint64_t send_limit(const struct redis_link *l)
{
	bool taken = false;

	for (const struct redis_ask *ask = l->asked.first; l->asked.barriers > 0 && ask != NULL; ask = ask->next) {
		if (ask->barrier)
			return ask->end;
		if (ask->in_turn && taken)
			return ask->begin;
		taken |= ask->in_turn;
	}
	return l->fed + (l->out.len - l->out_at);
}

static void out_tidy(struct redis_link *l)
{
	if (l->out_at == l->out.len) {
		if (l->out.cap > KEEP_BYTES)
			buf_fini(&l->out);
		else
			buf_clear(&l->out);
		l->out_at = 0;
	} else if (l->out_at > KEEP_BYTES && l->out_at > l->out.len / 2) {
		memmove(l->out.p, l->out.p + l->out_at, l->out.len - l->out_at);
		l->out.len -= l->out_at;
		l->out_at = 0;
	}
}

static bool feed_hiredis(struct redis_link *l, uint64_t limit)
{
	size_t n = limit - l->fed < FEED_BYTES ? (size_t)(limit - l->fed) : FEED_BYTES;

	if (redisAppendFormattedCommand(l->hiredis, l->out.p + l->out_at, n) != REDIS_OK)
		return false;
	l->out_at += n;
	l->fed += n;
	l->bytes_sent += (int64_t)n;
	l->hiredis_has_output = true;
	return true;
}

/* False: the link failed. */
static bool write_some(struct redis_link *l)
{
	uint64_t limit = send_limit(l);

	for (int i = 0; i < TURN_CHUNKS && (l->hiredis_has_output || l->fed < limit); i++) {
		int done = 0;

		if ((!l->hiredis_has_output && !feed_hiredis(l, limit)) ||
		    redisBufferWrite(l->hiredis, &done) != REDIS_OK) {
			fail_io(l, l->hiredis->err == REDIS_ERR_IO ? errno : 0, "write", l->hiredis->errstr);
			return false;
		}
		l->hiredis_has_output = !done;
		if (!done)
			break;
	}
	out_tidy(l);
	loop_watch_set(l->watch, LOOP_READ | (l->hiredis_has_output || l->fed < limit ? LOOP_WRITE : 0u));
	return true;
}

void redis_link_send(struct redis_link *l, struct redis_ask *ask, size_t commands)
{
	assert(l->state == LINK_OPEN && commands > 0);
	if (l->asked.first == NULL)
		l->silent = 0;
	ask->replies = commands;
	ask->got = 0;
	ask->begin = l->asked_end;
	ask->end = l->asked_end = l->fed + (l->out.len - l->out_at);
	err_clear(&ask->err);
	queue_add(&l->asked, ask);
	l->idle = 0;
	/* Written at the end of the turn: what is asked meanwhile goes along. */
	loop_watch_set(l->watch, LOOP_READ | LOOP_WRITE);
}

bool redis_link_waits(const struct redis_link *l, const struct redis_ask *ask)
{
	return l->fed <= ask->begin;
}

void redis_link_extend(struct redis_link *l, struct redis_ask *ask, size_t trail, size_t len, size_t commands)
{
	char *at = l->out.p + l->out_at + (size_t)(ask->end - l->fed) - trail, *new = l->out.p + l->out.len - len;
	size_t behind = (size_t)(new - at);
	char *kept = xmalloc(behind);

	assert(redis_link_waits(l, ask));
	memcpy(kept, at, behind);
	memmove(at, new, len);
	memcpy(at + len, kept, behind);
	free(kept);
	ask->end += len;
	ask->replies += commands;
	for (ask = ask->next; ask != NULL; ask = ask->next) {
		ask->begin += len;
		ask->end += len;
	}
	l->asked_end += len;
}

static void answer_next_turn(struct redis_link *l, struct redis_ask *ask)
{
	queue_add(&l->unasked, ask);
	if (!l->dead)
		loop_timer_set(l->soon, 0);
}

void redis_link_refuse(struct redis_link *l, struct redis_ask *ask, const struct err *e)
{
	ask->err = *e;
	answer_next_turn(l, ask);
}

void redis_link_spare(struct redis_link *l, struct redis_ask *ask)
{
	err_clear(&ask->err);
	answer_next_turn(l, ask);
}

static void on_soon(void *arg)
{
	struct redis_link *l = arg;
	struct ask_queue unasked = l->unasked;

	/* Only those that were there: who asks again at once must not keep us in this loop. */
	if (unasked.first == NULL)
		unasked.last = &unasked.first;
	queue_init(&l->unasked);
	enter(l);
	answer_all(l, &unasked, NULL);
	leave(l);
}

/* ---- receiving --------------------------------------------------------------------------------------- */

/* False: the connection ended. */
static bool ask_over(struct redis_link *l)
{
	struct redis_ask *ask = l->asked.first;

	if (ask->err.kind != 0 && (ask->vital || ask->barrier || ask->in_turn || word_ends_connection(ask->err.code))) {
		redis_link_fail(l, &ask->err);
		return false;
	}
	queue_pop(&l->asked);
	if (ask->barrier || ask->in_turn)
		loop_watch_set(l->watch, LOOP_READ | LOOP_WRITE);
	ask->done(ask, ask->err.kind != 0 ? &ask->err : NULL);
	return l->state == LINK_OPEN;
}

static bool take_reply(struct redis_link *l, const struct reply *r)
{
	struct redis_ask *ask = l->asked.first;
	struct err e = { 0 };

	if (ask == NULL) {
		fail_io(l, 0, "read", "a reply that nobody asked for");
		return false;
	}
	if (r->type == REPLY_ERROR && !ask->takes_errors) {
		if (ask->err.kind == 0)		/* the first says why; the others follow from it */
			redis_reply_err(r, &ask->err);
	} else if (ask->reply != NULL && !ask->reply(ask, ask->got, r, &e)) {
		redis_link_fail(l, &e);
		return false;
	}
	return ++ask->got < ask->replies || ask_over(l);
}

static bool deliver(struct redis_link *l)
{
	for (;;) {
		void *reply = NULL;

		if (redisReaderGetReply(l->hiredis->reader, &reply) != REDIS_OK) {
			fail_io(l, 0, "read", "this is not the Redis protocol");
			return false;
		}
		if (reply == NULL)
			return true;
		if (!take_reply(l, reply))
			return false;
		arena_reset(&l->replies);
	}
}

static bool read_some(struct redis_link *l)
{
	for (int i = 0; i < TURN_CHUNKS; i++) {
		size_t had = l->hiredis->reader->len, got;

		if (redisBufferRead(l->hiredis) != REDIS_OK) {
			fail_io(l, l->hiredis->err == REDIS_ERR_IO ? errno : 0, "read", "the server closed the connection");
			return false;
		}
		got = l->hiredis->reader->len - had;
		l->bytes_received += (int64_t)got;
		if (got > 0)
			l->silent = 0;
		if (!deliver(l))
			return false;
		if (got < READ_CHUNK)
			break;
	}
	return true;
}

/* ---- connecting -------------------------------------------------------------------------------------- */

static void next_address(struct redis_link *l, int error, const char *otherwise)
{
	loop_watch_free(&l->watch);
	redisFree(l->hiredis);
	l->hiredis = NULL;
	if (++l->address < l->n_addresses)
		dial(l);
	else
		fail_io(l, error, "connect", otherwise);
}

static void on_dialled(struct redis_link *l)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(l->hiredis->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0) {
		next_address(l, error, "");
		return;
	}
	l->state = LINK_OPEN;
	loop_watch_set(l->watch, LOOP_READ);
	l->events.opened(l->events.arg);
}

static void on_watch(void *arg, unsigned what)
{
	struct redis_link *l = arg;

	enter(l);
	if (l->state == LINK_DIALLING)
		on_dialled(l);
	else if (!(what & LOOP_READ) || read_some(l))
		write_some(l);
	leave(l);
}

static void dial(struct redis_link *l)
{
	redisContext *c;
	int error;

	l->state = LINK_DIALLING;
	l->silent = 0;
	loop_timer_set(l->tick, TICK_MS);
	/* Addresses are literal here, so that hiredis has nothing to look up and does not block. */
	errno = 0;
	c = l->where.unix_path != NULL ? redisConnectUnixNonBlock(l->where.unix_path)
				       : redisConnectNonBlock(l->addresses[l->address], l->where.port);
	error = errno;
	if (c == NULL)
		abort();	/* out of memory: as in base/mem */
	l->hiredis = c;
	if (c->err != 0) {
		next_address(l, c->err == REDIS_ERR_IO ? error : 0, c->errstr);
		return;
	}
	c->reader->fn = &reply_functions;
	c->reader->privdata = l;
	c->reader->maxbuf = KEEP_BYTES;
	arena_reset(&l->replies);
	loop_send_room(c->fd);
	l->watch = loop_watch_new(l->loop, c->fd, on_watch, l);
	loop_watch_set(l->watch, LOOP_WRITE);
}

static void on_resolved(void *arg, char (*addresses)[RESOLVE_TEXT], size_t n, const char *why)
{
	struct redis_link *l = arg;

	l->resolve = NULL;
	enter(l);
	l->n_addresses = n;
	l->address = 0;
	memcpy(l->addresses, addresses, sizeof l->addresses);
	if (why != NULL)
		fail_io(l, 0, "look up the host", why);
	else
		dial(l);
	leave(l);
}

static void connect_now(void *arg)
{
	struct redis_link *l = arg;

	enter(l);
	if (l->where.unix_path == NULL && !resolve_is_literal(l->where.host)) {
		l->state = LINK_RESOLVING;
		l->silent = 0;
		loop_timer_set(l->tick, TICK_MS);
		l->resolve = resolve_start(l->loop, l->where.host, on_resolved, l);
	} else {
		l->n_addresses = 1;
		l->address = 0;
		if (l->where.unix_path == NULL)
			strncpy(l->addresses[0], l->where.host, RESOLVE_TEXT - 1);
		dial(l);
	}
	leave(l);
}

/* ---- once a second ----------------------------------------------------------------------------------- */

/*
 * Deadlines are counted in ticks, not in time: when this process itself was stopped for a while, replies
 * may be waiting in the socket, and the server is not to blame.
 */
static void on_tick(void *arg)
{
	struct redis_link *l = arg;
	bool waiting = l->state != LINK_OPEN || l->asked.first != NULL;

	enter(l);
	loop_timer_set(l->tick, TICK_MS);
	if (l->settled && ++l->stable == STABLE_TICKS)
		l->tries = 0;
	if (waiting && ++l->silent > SILENT_TICKS)
		fail_io(l, ETIMEDOUT, l->state == LINK_OPEN ? "wait for an answer" : "connect", "");
	else if (!waiting && l->settled && ++l->idle >= IDLE_TICKS)
		l->events.idle(l->events.arg);
	leave(l);
}

/* ---- birth, death, and the small things -------------------------------------------------------------- */

struct redis_link *redis_link_new(struct loop *loop, const struct redis_where *where, const struct redis_link_events *events)
{
	struct redis_link *l = xcalloc(1, sizeof *l);

	l->loop = loop;
	l->where = *where;
	l->events = *events;
	queue_init(&l->asked);
	queue_init(&l->unasked);
	arena_init(&l->replies);
	l->rest = loop_timer_new(loop, connect_now, l);
	l->tick = loop_timer_new(loop, on_tick, l);
	l->soon = loop_timer_new(loop, on_soon, l);
	loop_timer_set(l->rest, 0);
	return l;
}

void redis_link_free(struct redis_link **lp)
{
	struct redis_link *l = *lp;
	struct err e = { 0 };

	if (l == NULL)
		return;
	*lp = NULL;
	enter(l);
	l->dead = true;
	err_set(&e, ERR_TRANSIENT, "closed", "the connection to Redis is being closed");
	redis_link_fail(l, &e);
	answer_all(l, &l->unasked, NULL);
	loop_timer_stop(l->rest);
	loop_timer_stop(l->tick);
	loop_timer_stop(l->soon);
	leave(l);
}

struct buf *redis_link_out(struct redis_link *l)
{
	assert(l->state == LINK_OPEN);
	return &l->out;
}

void redis_link_settled(struct redis_link *l)
{
	l->settled = true;
	l->stable = l->idle = 0;
}

int64_t redis_link_bytes_sent(const struct redis_link *l)
{
	return l->bytes_sent;
}

int64_t redis_link_bytes_received(const struct redis_link *l)
{
	return l->bytes_received;
}

const char *redis_library(char *out, size_t size)
{
	snprintf(out, size, "hiredis built with %d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
	return out;
}
