/*
 * redis_lease.c - one writer, fenced (SEMANTICS I10, F31).
 *
 *   PREFIX:lease   hash: holder (a random word of that process), until (milliseconds by Redis's clock)
 *   PREFIX:fence   hash: n, the fencing number; changes when the lease changes hands, and only then
 *
 * The lease says who may begin; it is a hint, because a process that was stopped does not know that its time is over.
 * The fence is what refuses: every connection watches it, so that the transaction of whoever was overtaken does nothing.
 * A watch ends with each EXEC. The next one is asked for right behind it, together with the number, and no further write leaves
 * before that is answered (redis_link.h, in_turn): it is always behind a watch that began while the number was ours.
 * That costs the server two short commands a transaction. Checking in a script instead would run every write through Lua.
 *
 * Nothing expires: a key with a time to live could be lost to a wrong clock together with the number that must not go back.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "loop/loop.h"
#include "store/redis_store.h"
#include "store/resp.h"

enum {
	LEASE_MS = 4000,		/* a killed daemon is missed for so long at most */
	RENEW_MS = 700,
	HOLDER_CHARS = 2 * DIGEST_KEY_BYTES,
};

/*
 * Answers the fencing number, or 0 while another one holds the lease. A lease that ends later than any could is one of before
 * Redis's clock was put back.
 */
static const char take_script[] =
	"local t = redis.call('TIME')\n"
	"local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
	"local holder = redis.call('HGET', KEYS[1], 'holder')\n"
	"local ours = holder == ARGV[1]\n"
	"local over = tonumber(redis.call('HGET', KEYS[1], 'until') or '0')\n"
	"if holder and not ours and over > now and over <= now + 2 * ARGV[2] then return 0 end\n"
	"local fence = tonumber(redis.call('HGET', KEYS[2], 'n') or '0')\n"
	"if not ours or fence <= tonumber(ARGV[3]) then\n"
	"	fence = math.max(fence, tonumber(ARGV[3])) + 1\n"
	"	redis.call('HSET', KEYS[2], 'n', string.format('%.0f', fence))\n"
	"end\n"
	"redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', string.format('%.0f', now + ARGV[2]))\n"
	"return fence\n";

static const char leave_script[] =
	"if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end\n"
	"redis.call('HSET', KEYS[1], 'until', '0')\n"
	"return 1\n";

/* Of this process: a topology that is loaded anew goes on under the same lease. */
static const char *holder(void)
{
	static char word[HOLDER_CHARS + 1];
	struct digest_key random;

	if (word[0] != '\0')
		return word;
	digest_key_random(&random);
	for (size_t i = 0; i < HOLDER_CHARS; i++)
		word[i] = "0123456789abcdef"[random.secret[i / 2] >> (i % 2 * 4) & 15];
	return word;
}

void lease_append_take(struct redis_store *s, struct buf *out)
{
	s->lease_asked_us = clock_mono_us();
	resp_command(out, 8);
	resp_word(out, "EVAL");
	resp_bytes(out, take_script, sizeof take_script - 1);
	resp_number(out, 2);
	resp_word(out, s->lease);
	resp_word(out, s->fence);
	resp_word(out, holder());
	resp_number(out, LEASE_MS);
	resp_number(out, s->floor);
}

/* Counted from when it was asked for: the server's part of the time is shorter. */
bool lease_take(struct redis_store *s, const struct reply *r)
{
	if (r->type != REPLY_INTEGER || r->integer <= 0)
		return false;
	s->store.fence = r->integer;
	s->lease_until_us = s->lease_asked_us + LEASE_MS * INT64_C(1000);
	s->store.proven_us = s->lease_asked_us;
	return true;
}

bool lease_is_over(const struct redis_store *s)
{
	return clock_mono_us() >= s->lease_until_us && !fault("f31-nobody-else-is-thought-of");
}

size_t guard_append_watch(struct redis_store *s, struct buf *out)
{
	resp_command(out, 2);
	resp_word(out, "WATCH");
	resp_word(out, fault("f31-nobody-else-is-thought-of") ? s->names : s->fence);
	resp_command(out, 3);
	resp_word(out, "HGET");
	resp_word(out, s->fence);
	resp_word(out, "n");
	return GUARD_WATCH;
}

bool guard_is_ours(const struct redis_store *s, const struct reply *n)
{
	char text[24];

	if (n->type != REPLY_STRING || n->len >= sizeof text)
		return false;
	memcpy(text, n->str, n->len);
	text[n->len] = '\0';
	return strtoll(text, NULL, 10) == s->store.fence || fault("f31-nobody-else-is-thought-of");
}

bool guard_refuse(struct err *e)
{
	return err_set(e, ERR_TRANSIENT, "fenced", "another crmsyncd took over");
}

/* ---- keeping it -------------------------------------------------------------------------------------- */

static bool renew_reply(struct call *call, size_t i, const struct reply *r, struct err *e)
{
	int64_t fence = call->s->store.fence;

	call->s->renewing = false;
	return (lease_take(call->s, r) && call->s->store.fence == fence) || fault("f31-nobody-else-is-thought-of") || guard_refuse(e);
}

static void on_renew(void *arg)
{
	struct redis_store *s = arg;
	struct call *call;
	struct err why = { 0 };

	if (!s->store.ready)
		return;
	loop_timer_set(s->renew, RENEW_MS);
	if (s->renewing)
		return;		/* a server that does not answer is given up by the link; until then call_begin() refuses */
	if (lease_is_over(s)) {
		err_set(&why, ERR_TRANSIENT, "lease-over", "the lease could not be renewed in time");
		redis_link_fail(s->link, &why);
		return;
	}
	call = call_new(s, sizeof *call, renew_reply, call_forget);
	if (!call_begin(call))
		return;
	s->renewing = true;
	lease_append_take(s, redis_link_out(s->link));
	call_send(call, 1);
}

void lease_keep(struct redis_store *s)
{
	if (s->renew == NULL)
		s->renew = loop_timer_new(s->loop, on_renew, s);
	s->renewing = false;
	loop_timer_set(s->renew, RENEW_MS);
}

void redis_outrank(struct store *store, int64_t fence)
{
	struct redis_store *s = (struct redis_store *)store;
	struct err why = { 0 };

	if (fence > s->floor)
		s->floor = fence;
	err_set(&why, ERR_TRANSIENT, "outranked", "a database has seen a higher fencing number than Redis gave: taking a new one");
	redis_link_fail(s->link, &why);
}

/* ---- giving it up ------------------------------------------------------------------------------------ */

struct leave_call {
	struct call call;
	store_done_fn *done;
	void *arg;
};

static void leave_answer(struct call *call, const struct err *e)
{
	struct leave_call *l = (struct leave_call *)call;

	l->done(l->arg, e);
	free(l);
}

void redis_leave(struct store *store, store_done_fn *done, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct leave_call *l = call_new(s, sizeof *l, NULL, leave_answer);
	struct buf *out;

	l->done = done;
	l->arg = arg;
	if (!call_begin(&l->call))
		return;
	loop_timer_stop(s->renew);
	out = redis_link_out(s->link);
	resp_command(out, 5);
	resp_word(out, "EVAL");
	resp_bytes(out, leave_script, sizeof leave_script - 1);
	resp_number(out, 1);
	resp_word(out, s->lease);
	resp_word(out, holder());
	call_send(&l->call, 1);
}
