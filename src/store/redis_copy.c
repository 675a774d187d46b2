/*
 * redis_copy.c - for backups: what they take along besides vectors, the writes that go on meanwhile, and a state that is filled from one.
 *
 * While a state is filled its format is "restoring": whoever opens it then, be it after a crash in the middle, says so and leaves it
 * alone. It becomes a state like any other with the last command.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/redis_store.h"
#include "store/resp.h"

/* ---- names and positions ----------------------------------------------------------------------------- */

struct facts_call {
	struct call call;
	store_facts_fn *fn;
	void *arg;
	struct store_fact *facts;
	size_t n;
	struct buf bytes;
};

/* The bytes move while they grow: a fact's texts are offsets until all are there. */
static void add_text(struct facts_call *f, struct value *text, const struct reply *r)
{
	*text = (struct value){ (const char *)(uintptr_t)f->bytes.len, (int32_t)r->len };
	buf_add(&f->bytes, r->str, r->len);
}

static bool facts_reply(struct call *call, size_t i, const struct reply *r, struct err *e)
{
	struct facts_call *f = (struct facts_call *)call;

	if (r->type != REPLY_ARRAY || r->n % 2 != 0)
		return err_set(e, ERR_TRANSIENT, "reply", "Redis answered HGETALL in a form that is not known");
	f->facts = xrealloc(f->facts, (f->n + r->n / 2 + 1) * sizeof *f->facts);
	for (size_t k = 0; k < r->n; k += 2) {
		struct store_fact *fact = &f->facts[f->n++];

		fact->what = i == 0 ? FACT_NAME : FACT_POSITION;
		add_text(f, &fact->name, &r->element[k]);
		add_text(f, &fact->text, &r->element[k + 1]);
	}
	return true;
}

static void facts_answer(struct call *call, const struct err *e)
{
	struct facts_call *f = (struct facts_call *)call;

	for (size_t i = 0; i < f->n; i++) {
		f->facts[i].name.data = f->bytes.p + (uintptr_t)f->facts[i].name.data;
		f->facts[i].text.data = f->bytes.p + (uintptr_t)f->facts[i].text.data;
	}
	f->fn(f->arg, f->facts, e == NULL ? f->n : 0, e);
	buf_fini(&f->bytes);
	free(f->facts);
	free(f);
}

void redis_facts(struct store *store, store_facts_fn *fn, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct facts_call *f = call_new(s, sizeof *f, facts_reply, facts_answer);
	const char *keys[] = { s->names, s->positions };
	struct buf *out;

	f->fn = fn;
	f->arg = arg;
	if (!call_begin(&f->call))
		return;
	out = redis_link_out(s->link);
	for (size_t i = 0; i < countof(keys); i++) {
		resp_command(out, 2);
		resp_word(out, "HGETALL");
		resp_word(out, keys[i]);
	}
	call_send(&f->call, countof(keys));
}

/* ---- writes, for who copies meanwhile ---------------------------------------------------------------- */

struct tapped {
	size_t entity, n;
	struct store_put *puts;
	char *bytes;
};

struct tapped *tapped_new(const struct redis_store *s, size_t entity, const struct store_put *puts, size_t n)
{
	struct tapped *t;
	size_t bytes = 0;

	if (s->store.tap.written == NULL || n == 0)
		return NULL;
	t = xcalloc(1, sizeof *t);
	t->entity = entity;
	t->n = n;
	t->puts = xcalloc(n, sizeof *t->puts);
	memcpy(t->puts, puts, n * sizeof *puts);
	for (size_t i = 0; i < n; i++)
		bytes += puts[i].blob.len > 0 ? (size_t)puts[i].blob.len : 0;
	t->bytes = xmalloc(bytes + 1);
	bytes = 0;
	for (size_t i = 0; i < n; i++) {
		if (puts[i].blob.len <= 0)
			continue;
		memcpy(t->bytes + bytes, puts[i].blob.data, (size_t)puts[i].blob.len);
		t->puts[i].blob.data = t->bytes + bytes;
		bytes += (size_t)puts[i].blob.len;
	}
	return t;
}

void tapped_tell(struct redis_store *s, struct tapped *t)
{
	if (s->store.tap.written != NULL)
		s->store.tap.written(s->store.tap.arg, t->entity, t->puts, t->n);
}

void tapped_free(struct tapped **tp)
{
	if (*tp == NULL)
		return;
	free((*tp)->puts);
	free((*tp)->bytes);
	free(*tp);
	*tp = NULL;
}

/* ---- a state that is filled -------------------------------------------------------------------------- */

/*
 * Answers how many records are in the way. ARGV: replace, format, key, born, generation characters; then names and their numbers. What a
 * restore before this one has left is no state.
 */
static const char begin_script[] =
	"local born = redis.call('HGET', KEYS[1], 'born')\n"
	"if born and ARGV[1] == '0' and redis.call('HGET', KEYS[1], 'format') ~= ARGV[2] then\n"
	"	local all, records = redis.call('HGETALL', KEYS[1]), 0\n"
	"	for i = 1, #all, 2 do\n"
	"		if string.match(all[i], '^e%d+:records$') then records = records + tonumber(all[i + 1]) end\n"
	"	end\n"
	"	if records > 0 then return records end\n"
	"end\n"
	"redis.call('UNLINK', KEYS[1], KEYS[2])\n"
	"redis.call('HSET', KEYS[1], 'format', ARGV[2], 'key', ARGV[3], 'born', ARGV[4])\n"
	"if born then redis.call('HSET', KEYS[1], 'stale', string.sub(born, 1, ARGV[5])) end\n"
	"for i = 6, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end\n"
	"return 0\n";

size_t restore_append(struct redis_store *s, struct buf *out)
{
	const struct store_restore *r = s->restore;
	char born[BORN_CHARS], key[2 * DIGEST_KEY_BYTES];

	if (r == NULL || s->restoring)
		return 0;
	born_random(born);
	key_to_hex(&r->key, key);
	resp_command(out, 3 + 2 + 5 + 2 * r->n_names);
	resp_word(out, "EVAL");
	resp_bytes(out, begin_script, sizeof begin_script - 1);
	resp_number(out, 2);
	resp_word(out, s->meta);
	resp_word(out, s->names);
	resp_number(out, r->replace);
	resp_word(out, FORMAT_RESTORING);
	resp_bytes(out, key, sizeof key);
	resp_bytes(out, born, sizeof born);
	resp_number(out, GENERATION_CHARS);
	for (size_t i = 0; i < r->n_names; i++) {
		resp_bytes(out, r->names[i].name.data, (size_t)r->names[i].name.len);
		resp_bytes(out, r->names[i].text.data, (size_t)r->names[i].text.len);
	}
	return 1;
}

bool restore_begun(struct redis_store *s, const struct reply *r, struct err *e)
{
	if (r->type != REPLY_INTEGER)
		return err_set(e, ERR_TRANSIENT, "reply", "Redis answered EVAL in a form that is not known");
	if (r->integer > 0)
		return err_set(e, ERR_CONFIG, "not-empty", "the state in Redis is not empty: it knows %lld records. With --replace they are given up for "
			       "what the backup knows", (long long)r->integer);
	s->restoring = true;
	return true;
}

struct restored_call {
	struct call call;
	store_done_fn *done;
	void *arg;
};

static bool restored_reply(struct call *call, size_t i, const struct reply *r, struct err *e)
{
	return r->element[0].type != REPLY_ERROR || redis_reply_err(&r->element[0], e);
}

static void restored_answer(struct call *call, const struct err *e)
{
	struct restored_call *r = (struct restored_call *)call;

	r->done(r->arg, e);
	free(r);
}

void redis_restored(struct store *store, store_done_fn *done, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct restored_call *r = call_new(s, sizeof *r, restored_reply, restored_answer);
	struct buf *out;

	r->done = done;
	r->arg = arg;
	if (!call_begin(&r->call))
		return;
	out = redis_link_out(s->link);
	call_begin_guarded(&r->call);
	resp_command(out, 4);
	resp_word(out, "HSET");
	resp_word(out, s->meta);
	resp_word(out, "format");
	resp_number(out, 1);
	call_send_guarded(&r->call, 1);
}
