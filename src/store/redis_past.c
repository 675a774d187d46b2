/*
 * redis_past.c - records that were deleted, and states that are given up.
 *
 *   PREFIX:G:gone:E   sorted set of record ids by the second when their vector went: what a database that is put back to an
 *                     older state still shows and must not bring back. The oldest go first beyond half a million.
 *   meta: stale       generation of a state that was given up, while its keys are being removed
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/redis_store.h"
#include "store/resp.h"

enum { GONE_MOST = 500000, CLEAR_KEYS = 500 };

static void resp_gone(struct buf *out, const struct redis_store *s, size_t entity)
{
	char tail[32];
	int len = snprintf(tail, sizeof tail, "gone:%u", s->entities[entity].number);

	resp_joined(out, s->prefix, strlen(s->prefix), tail, (size_t)len);
}

static bool is_buried(const struct store_put *put)
{
	return put->blob.len < 0 && !put->unburied;
}

size_t bury(struct redis_store *s, size_t entity, const struct store_put *puts, size_t n)
{
	struct buf *out = redis_link_out(s->link);
	int64_t now = clock_wall_us() / 1000000;
	size_t gone = 0;

	for (size_t i = 0; i < n; i++)
		gone += is_buried(&puts[i]);
	if (gone == 0)
		return 0;
	resp_command(out, 2 + 2 * gone);
	resp_word(out, "ZADD");
	resp_gone(out, s, entity);
	for (size_t i = 0; i < n; i++)
		if (is_buried(&puts[i])) {
			resp_number(out, now);
			resp_bytes(out, puts[i].rid.b, RID_BYTES);
		}
	resp_command(out, 4);
	resp_word(out, "ZREMRANGEBYRANK");
	resp_gone(out, s, entity);
	resp_number(out, 0);
	resp_number(out, -GONE_MOST - 1);
	return 2;
}

/* ---- who is buried? ---------------------------------------------------------------------------------- */

struct buried_call {
	struct call call;
	store_rids_fn *fn;
	void *arg;
	size_t n;
	struct rid *rids;
	bool *found;
};

static bool buried_reply(struct call *call, size_t i, const struct reply *r, struct err *e)
{
	((struct buried_call *)call)->found[i] = r->type == REPLY_STRING;
	return true;
}

static void buried_answer(struct call *call, const struct err *e)
{
	struct buried_call *b = (struct buried_call *)call;

	b->fn(b->arg, b->rids, b->found, e == NULL ? b->n : 0, e);
	free(b->rids);
	free(b->found);
	free(b);
}

void redis_buried(struct store *store, size_t entity, const struct rid *rids, size_t n, store_rids_fn *fn, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct buried_call *b = call_new(s, sizeof *b, buried_reply, buried_answer);
	struct buf *out;

	b->fn = fn;
	b->arg = arg;
	b->n = n;
	b->rids = xcalloc(n + 1, sizeof *b->rids);
	b->found = xcalloc(n + 1, sizeof *b->found);
	if (n > 0)
		memcpy(b->rids, rids, n * sizeof *rids);
	if (!call_begin(&b->call))
		return;
	out = redis_link_out(s->link);
	for (size_t i = 0; i < n; i++) {
		resp_command(out, 3);
		resp_word(out, "ZSCORE");
		resp_gone(out, s, entity);
		resp_bytes(out, rids[i].b, RID_BYTES);
	}
	call_send(&b->call, n);
}

/* ---- giving the state up ----------------------------------------------------------------------------- */

/* Another `born` makes it another state; the reply behind this finds it changed, and that is told as its loss. */
void redis_renew(struct store *store)
{
	struct redis_store *s = (struct redis_store *)store;
	struct call *call = call_new(s, sizeof *call, NULL, call_forget);
	char born[BORN_CHARS];
	struct buf *out;

	if (!call_begin(call))
		return;
	born_random(born);
	out = redis_link_out(s->link);
	call_begin_guarded(call);
	resp_command(out, 6);
	resp_word(out, "HSET");
	resp_word(out, s->meta);
	resp_word(out, "born");
	resp_bytes(out, born, sizeof born);
	resp_word(out, "stale");
	resp_bytes(out, s->born, GENERATION_CHARS);
	resp_command(out, 2 + s->topology->n_entities);
	resp_word(out, "HDEL");
	resp_word(out, s->meta);
	for (size_t i = 0; i < s->topology->n_entities; i++)
		resp_meta_field(out, &s->entities[i], "records");
	call_send_guarded(call, 2);
}

/* ---- its keys ---------------------------------------------------------------------------------------- */

struct clear_call {
	struct call call;
	char cursor[24];
	char stale[GENERATION_CHARS + 1];
};

static const char clear_script[] =
	"local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])\n"
	"for _, key in ipairs(page[2]) do redis.call('UNLINK', key) end\n"
	"if page[1] == '0' then redis.call('HDEL', KEYS[1], 'stale') end\n"
	"return page[1]\n";

static void clear_page(struct clear_call *c);

static bool clear_reply(struct call *call, size_t i, const struct reply *r, struct err *e)
{
	struct clear_call *c = (struct clear_call *)call;

	if (r->type != REPLY_STRING || r->len >= sizeof c->cursor)
		return err_set(e, ERR_TRANSIENT, "reply", "Redis answered SCAN in a form that is not known");
	memcpy(c->cursor, r->str, r->len);
	c->cursor[r->len] = '\0';
	return true;
}

static void clear_answer(struct call *call, const struct err *e)
{
	struct clear_call *c = (struct clear_call *)call;

	if (e == NULL && strcmp(c->cursor, "0") != 0)
		clear_page(c);
	else
		free(c);	/* after an error the next connection goes on: `stale` is still there */
}

static void clear_page(struct clear_call *c)
{
	struct redis_store *s = c->call.s;
	struct buf *out;
	char *pattern;

	if (!call_begin(&c->call))
		return;
	pattern = xasprintf("crmsync:%s:%s:*", s->topology->name, c->stale);
	out = redis_link_out(s->link);
	resp_command(out, 7);
	resp_word(out, "EVAL");
	resp_bytes(out, clear_script, sizeof clear_script - 1);
	resp_number(out, 1);
	resp_word(out, s->meta);
	resp_word(out, c->cursor);
	resp_word(out, pattern);
	resp_number(out, CLEAR_KEYS);
	call_send(&c->call, 1);
	free(pattern);
}

void clear_stale(struct redis_store *s, const char *stale)
{
	struct clear_call *c;

	if (stale[0] == '\0' || strncmp(stale, s->born, GENERATION_CHARS) == 0)
		return;
	c = call_new(s, sizeof *c, clear_reply, clear_answer);
	snprintf(c->cursor, sizeof c->cursor, "0");
	snprintf(c->stale, sizeof c->stale, "%s", stale);
	clear_page(c);
}
