#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/redis_store.h"
#include "store/resp.h"

enum { SPLITS_AT_LEAST = 4, WRITES_PER_SPLIT = 16 };

/*
 * Linear hashing: with n buckets and m the power of two at or below n, the buckets below n - m have been split
 * in two by bit m of the hash. Bucket n is made out of bucket n - m.
 */
uint64_t bucket_of(uint32_t hash, uint64_t buckets)
{
	uint64_t m = UINT64_C(1) << (63 - __builtin_clzll(buckets)), b = hash & (m - 1);

	return b < buckets - m ? hash & (2 * m - 1) : b;
}

void resp_meta_field(struct buf *out, const struct redis_entity *ent, const char *what)
{
	char head[24];

	resp_joined(out, head, (size_t)snprintf(head, sizeof head, "e%u:", ent->number), what, strlen(what));
}

/*
 * One split, atomically: moves what has the bit, then counts the new bucket. The first pair of keys are vectors,
 * which begin with their hash; the others are local ids, with the hash behind the record id in the value.
 */
static const char split_script[] =
	"if tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '1') ~= tonumber(ARGV[2]) then\n"
	"	return redis.error_reply('SPLIT the buckets were counted otherwise')\n"
	"end\n"
	"local m = tonumber(ARGV[3])\n"
	"for k = 2, #KEYS, 2 do\n"
	"	local all, put, del = redis.call('HGETALL', KEYS[k]), {}, {}\n"
	"	local function move()\n"
	"		if #del > 0 then\n"
	"			redis.call('HSET', KEYS[k + 1], unpack(put))\n"
	"			redis.call('HDEL', KEYS[k], unpack(del))\n"
	"			put, del = {}, {}\n"
	"		end\n"
	"	end\n"
	"	for i = 1, #all, 2 do\n"
	"		local text, at = all[i], 1\n"
	"		if k > 2 then text, at = all[i + 1], 11 end\n"
	"		local a, b, c, d = string.byte(text, at, at + 3)\n"
	"		if math.floor((((a * 256 + b) * 256 + c) * 256 + d) / m) % 2 == 1 then\n"
	"			put[#put + 1], put[#put + 2], del[#del + 1] = all[i], all[i + 1], all[i]\n"
	"			if #del == 1000 then move() end\n"
	"		end\n"
	"	end\n"
	"	move()\n"
	"end\n"
	"redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] + 1)\n"
	"return 1\n";

/* Where no bucket was used yet, there may be any number of them. */
static const char presize_script[] =
	"if tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '1') ~= 1 then return 0 end\n"
	"for k = 2, #KEYS do\n"
	"	if redis.call('EXISTS', KEYS[k]) ~= 0 then return 0 end\n"
	"end\n"
	"redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\n"
	"return 1\n";

static size_t count_texts(const struct redis_entity *ent)
{
	size_t n = 0;

	for (size_t i = 0; i < countof(ent->texts); i++)
		n += ent->texts[i];
	return n;
}

static void resp_text_key(struct buf *out, const struct redis_store *s, const struct redis_entity *ent, size_t number, uint64_t bucket)
{
	char tail[64];
	int len = snprintf(tail, 40, "t:%u:%zu:", ent->number, number);

	resp_joined(out, s->prefix, strlen(s->prefix), tail, (size_t)(resp_hex(tail + len, bucket) - tail));
}

static void append_split(struct redis_store *s, struct redis_entity *ent)
{
	struct buf *out = redis_link_out(s->link);
	uint64_t m = UINT64_C(1) << (63 - __builtin_clzll(ent->buckets));
	uint64_t from = ent->buckets - m, to = ent->buckets;
	size_t keys = 1 + 2 * (1 + count_texts(ent));

	resp_command(out, 3 + keys + 3);
	resp_word(out, "EVAL");
	resp_bytes(out, split_script, sizeof split_script - 1);
	resp_number(out, (int64_t)keys);
	resp_word(out, s->meta);
	resp_key(out, ent->vectors, ent->vectors_len, from);
	resp_key(out, ent->vectors, ent->vectors_len, to);
	for (size_t i = 0; i < countof(ent->texts); i++)
		if (ent->texts[i]) {
			resp_text_key(out, s, ent, i, from);
			resp_text_key(out, s, ent, i, to);
		}
	resp_meta_field(out, ent, "buckets");
	resp_number(out, (int64_t)ent->buckets);
	resp_number(out, (int64_t)m);
	ent->buckets++;
}

void buckets_keep_up(struct redis_store *s, size_t entity, size_t writes)
{
	struct redis_entity *ent = &s->entities[entity];
	size_t splits = 0, most = SPLITS_AT_LEAST + writes / WRITES_PER_SPLIT;
	struct call *call;

	if (ent->expected <= (int64_t)ent->buckets * RECORDS_PER_BUCKET)
		return;
	call = call_new(s, sizeof *call, NULL, call_forget);
	if (!call_begin(call))
		return;
	for (; splits < most && ent->expected > (int64_t)ent->buckets * RECORDS_PER_BUCKET; splits++)
		append_split(s, ent);
	call->ask.barrier = true;
	call_send(call, splits);
}

/* ---- sizing ------------------------------------------------------------------------------------------ */

struct presize_call {
	struct call call;
	store_done_fn *done;
	void *arg;
	size_t entity;
};

static bool presize_reply(struct call *call, size_t i, const struct reply *r, struct err *e)
{
	struct presize_call *p = (struct presize_call *)call;

	if (r->type == REPLY_INTEGER && r->integer == 1) {
		call->s->entities[p->entity].fresh_proven = true;
		return true;
	}
	/* Somebody wrote before us. What we have written behind this counts on the new size: it must not leave. */
	call->s->entities[p->entity].fixed = true;
	return err_set(e, ERR_TRANSIENT, "presize", "another size of the state was agreed meanwhile");
}

static void presize_answer(struct call *call, const struct err *e)
{
	struct presize_call *p = (struct presize_call *)call;

	p->done(p->arg, e);
	free(p);
}

static void append_presize(struct redis_store *s, const struct redis_entity *ent, uint64_t buckets)
{
	struct buf *out = redis_link_out(s->link);
	size_t keys = 2 + count_texts(ent);

	resp_command(out, 3 + keys + 2);
	resp_word(out, "EVAL");
	resp_bytes(out, presize_script, sizeof presize_script - 1);
	resp_number(out, (int64_t)keys);
	resp_word(out, s->meta);
	resp_key(out, ent->vectors, ent->vectors_len, 0);
	for (size_t i = 0; i < countof(ent->texts); i++)
		if (ent->texts[i])
			resp_text_key(out, s, ent, i, 0);
	resp_meta_field(out, ent, "buckets");
	resp_number(out, (int64_t)buckets);
}

void redis_presize(struct store *store, size_t entity, int64_t records, store_done_fn *done, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct presize_call *p = call_new(s, sizeof *p, presize_reply, presize_answer);
	struct redis_entity *ent;

	p->done = done;
	p->arg = arg;
	p->entity = entity;
	if (!call_begin(&p->call))
		return;
	ent = &s->entities[entity];
	if (ent->buckets > 1 || ent->expected > 0 || ent->fixed || records <= RECORDS_PER_BUCKET) {
		call_send(&p->call, 0);
		return;
	}
	ent->buckets = (uint64_t)(records / RECORDS_PER_BUCKET);
	if (ent->buckets > UINT32_MAX)
		ent->buckets = UINT32_MAX;
	append_presize(s, ent, ent->buckets);
	ent->fresh = fresh_new(records);	/* the script proves it, or the connection ends */
	ent->fresh_proven = false;
	maps_begin(s, ent);
	p->call.ask.barrier = true;
	call_send(&p->call, 1);
}
