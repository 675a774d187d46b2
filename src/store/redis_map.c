/*
 * redis_map.c - which record has that local id at that endpoint?
 *
 * Ids that count up (most primary keys) stand in pages of consecutive ids, in one of two forms:
 *
 *   loose page   a hash: place in the page -> record id. A listpack keeps so small a number in one byte.
 *   dense page   a string: the record ids one behind the other, zeros where there is none. Only made by a write
 *                that fills half a page, as a first load does: a third less memory, and one command for a run.
 *
 * A page may have both; what the loose one says of an id counts, and there an empty text says "none". Any other
 * id stands in a bucket by hash, which is split together with the vectors; the hash is kept behind the record
 * id, so that the splitting script need not compute it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/redis_store.h"
#include "store/resp.h"

enum {
	PAGE_IDS = 127,			/* both forms then just fit a size that the allocator has: 1280 and 1792 bytes */
	DENSE_LEAST = PAGE_IDS / 2 + 1,
	PAGED_DIGITS = 12,		/* larger numbers are seldom dense: snowflakes, random ones */
	TEXT_FIELD_MOST = 64,		/* a longer field would turn the bucket into a table */
	HASH_BYTES = 4,
	DIGEST_BYTES = 16,
};

/* The canonical text of a number that counts: no sign, no leading zero. */
static bool id_is_paged(struct value id, uint64_t *out)
{
	uint64_t v = 0;

	if (id.len <= 0 || id.len > PAGED_DIGITS || (id.data[0] == '0' && id.len > 1))
		return false;
	for (int32_t i = 0; i < id.len; i++) {
		unsigned digit = (unsigned)(unsigned char)id.data[i] - '0';

		if (digit > 9)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

/* ---- one id in a bucket by hash ---------------------------------------------------------------------- */

static uint32_t text_hash(const struct redis_store *s, struct value id)
{
	return (uint32_t)digest64(&s->store.key, id.data, (size_t)id.len);
}

static void resp_text_field(struct buf *out, const struct redis_store *s, struct value id)
{
	unsigned char digest[1 + DIGEST_BYTES] = { 0 };		/* no id has a NUL in front */

	if (id.len <= TEXT_FIELD_MOST) {
		resp_bytes(out, id.data, (size_t)id.len);
		return;
	}
	digest128(&s->store.key, id.data, (size_t)id.len, digest + 1);
	resp_bytes(out, digest, sizeof digest);
}

static void resp_text(struct buf *out, const struct redis_store *s, const struct redis_entity *ent, const struct map_keys *keys,
		      struct value id)
{
	resp_key(out, keys->texts, keys->len, bucket_of(text_hash(s, id), ent->buckets));
	resp_text_field(out, s, id);
}

static void resp_text_value(struct buf *out, const struct redis_store *s, const struct store_map_put *put)
{
	uint32_t hash = text_hash(s, put->id);
	unsigned char bytes[HASH_BYTES] = { (unsigned char)(hash >> 24), (unsigned char)(hash >> 16), (unsigned char)(hash >> 8),
					    (unsigned char)hash };

	resp_joined(out, put->rid.b, RID_BYTES, bytes, HASH_BYTES);
}

/* ---- write ------------------------------------------------------------------------------------------- */

/* The next entry of that endpoint from i on; n when there is none. */
static size_t next_of(const struct store_map_put *maps, size_t i, size_t n, uint8_t endpoint)
{
	while (i < n && maps[i].endpoint != endpoint)
		i++;
	return i;
}

/* Entries of one endpoint, one page, one kind. */
struct run {
	const struct store_map_put *maps[PAGE_IDS];
	uint8_t places[PAGE_IDS];	/* in the page */
	size_t count;
	size_t end;			/* of the array: the next entry that is not in the run */
	uint64_t page;
	bool gone;
};

static void run_take(struct run *run, const struct store_map_put *maps, size_t first, size_t n, uint64_t id)
{
	run->count = 0;
	run->end = first;
	run->page = id / PAGE_IDS;
	run->gone = maps[first].gone;
	do {
		run->places[run->count] = (uint8_t)(id % PAGE_IDS);
		run->maps[run->count++] = &maps[run->end];
		run->end = next_of(maps, run->end + 1, n, maps[first].endpoint);
	} while (run->count < PAGE_IDS && run->end < n && maps[run->end].gone == run->gone && id_is_paged(maps[run->end].id, &id) &&
		 id / PAGE_IDS == run->page);
}

/* One id behind the other, from the first to the last of the page. */
static bool is_whole_page(const struct run *run)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->places[i] != i)
			return false;
	return run->count == PAGE_IDS;
}

/* From now on an id of that endpoint may stand in that form. */
static size_t note_form(struct buf *out, const struct redis_store *s, const struct redis_entity *ent, bool *known, const char *form,
			uint8_t endpoint_number)
{
	char field[16], *end = field + strlen(form);

	if (*known)
		return 0;
	*known = true;
	memcpy(field, form, strlen(form));
	*digits_put(end, endpoint_number) = '\0';
	resp_command(out, 4);
	resp_word(out, "HSET");
	resp_word(out, s->meta);
	resp_meta_field(out, ent, field);
	resp_number(out, 1);
	return 1;
}

static void append_loose(struct buf *out, const struct map_keys *keys, const struct run *run, bool may_be_dense)
{
	bool deletes = run->gone && !may_be_dense;

	resp_command(out, 2 + run->count * (deletes ? 1 : 2));
	resp_word(out, deletes ? "HDEL" : "HSET");
	resp_key(out, keys->pages, keys->len, run->page);
	for (size_t i = 0; i < run->count; i++) {
		resp_number(out, run->places[i]);
		if (!deletes)
			resp_bytes(out, run->maps[i]->rid.b, run->gone ? 0 : RID_BYTES);
	}
}

/* Neighbours in the page are written as one piece. Answers how many pieces there were. */
static size_t append_pieces(struct buf *out, const struct map_keys *keys, const struct run *run)
{
	unsigned char piece[PAGE_IDS * RID_BYTES];
	size_t pieces = 0, i = 0;

	while (i < run->count) {
		size_t place = run->places[i], n = 0;

		do
			memcpy(piece + n++ * RID_BYTES, run->maps[i++]->rid.b, RID_BYTES);
		while (i < run->count && run->places[i] == place + n);
		resp_command(out, 4);
		resp_word(out, "SETRANGE");
		resp_key(out, keys->dense, keys->len, run->page);
		resp_number(out, (int64_t)(place * RID_BYTES));
		resp_bytes(out, piece, n * RID_BYTES);
		pieces++;
	}
	return pieces;
}

/* What a loose page says of these ids, if there is one. */
static void append_unloose(struct buf *out, const struct map_keys *keys, const struct run *run)
{
	bool whole = is_whole_page(run);	/* as most are in a first load: then the ids need not be named */

	resp_command(out, whole ? 2 : 2 + run->count);
	resp_word(out, whole ? "UNLINK" : "HDEL");
	resp_key(out, keys->pages, keys->len, run->page);
	for (size_t i = 0; !whole && i < run->count; i++)
		resp_number(out, run->places[i]);
}

static size_t append_dense(struct buf *out, const struct map_keys *keys, const struct run *run)
{
	size_t pieces;

	/* The byte behind the last place, first: a string made with its full length has no room to spare, one that grows has. */
	resp_command(out, 4);
	resp_word(out, "SETRANGE");
	resp_key(out, keys->dense, keys->len, run->page);
	resp_number(out, PAGE_IDS * RID_BYTES);
	resp_bytes(out, "", 1);
	pieces = append_pieces(out, keys, run);
	append_unloose(out, keys, run);
	return pieces + 2;
}

static size_t append_run(struct redis_store *s, struct redis_entity *ent, const struct map_keys *keys, const struct run *run)
{
	struct buf *out = redis_link_out(s->link);
	bool *dense = &ent->dense[keys->endpoint_number];

	if (run->count < DENSE_LEAST || run->gone) {
		append_loose(out, keys, run, *dense);
		return 1;
	}
	return note_form(out, s, ent, dense, "dense:", keys->endpoint_number) + append_dense(out, keys, run);
}

static size_t append_text(struct redis_store *s, struct redis_entity *ent, const struct map_keys *keys, const struct store_map_put *put)
{
	struct buf *out = redis_link_out(s->link);
	size_t commands = 0;

	if (!put->gone)	/* splits must move these too */
		commands = note_form(out, s, ent, &ent->texts[keys->endpoint_number], "texts:", keys->endpoint_number);
	resp_command(out, put->gone ? 3 : 4);
	resp_word(out, put->gone ? "HDEL" : "HSET");
	resp_text(out, s, ent, keys, put->id);
	if (!put->gone)
		resp_text_value(out, s, put);
	return commands + 1;
}

static void note_ids(struct map_keys *keys, const struct run *run)
{
	for (size_t i = 0; i < run->count; i++) {
		uint64_t id = run->page * PAGE_IDS + run->places[i];

		keys->least = id < keys->least ? id : keys->least;
		keys->most = id > keys->most ? id : keys->most;
	}
}

static size_t map_write_endpoint(struct redis_store *s, struct redis_entity *ent, const struct store_map_put *maps, size_t i, size_t n)
{
	uint8_t endpoint = maps[i].endpoint;
	struct map_keys *keys = &ent->maps[endpoint];
	size_t commands = 0;
	struct run run;
	uint64_t id;

	while (i < n) {
		if (id_is_paged(maps[i].id, &id)) {
			run_take(&run, maps, i, n, id);
			note_ids(keys, &run);
			commands += append_run(s, ent, keys, &run);
			i = run.end;
		} else {
			commands += append_text(s, ent, keys, &maps[i]);
			i = next_of(maps, i + 1, n, endpoint);
		}
	}
	return commands;
}

/* Endpoint by endpoint: entries of several endpoints mostly come in turns, and then no two neighbours share a page. */
size_t map_write(struct redis_store *s, size_t entity, const struct store_map_put *maps, size_t n)
{
	size_t commands = 0;

	for (size_t endpoint = 0; endpoint < s->topology->n_endpoints; endpoint++) {
		size_t i = next_of(maps, 0, n, (uint8_t)endpoint);

		if (i < n)
			commands += map_write_endpoint(s, &s->entities[entity], maps, i, n);
	}
	return commands;
}

/* ---- lookup ------------------------------------------------------------------------------------------ */

void maps_begin(struct redis_store *s, struct redis_entity *ent)
{
	for (size_t endpoint = 0; endpoint < s->topology->n_endpoints; endpoint++) {
		ent->maps[endpoint].least = UINT64_MAX;
		ent->maps[endpoint].most = 0;
	}
}

/* Its entity was empty, and whatever was written since is of other ids: a first load comes with ever higher ones. */
static bool is_new(const struct redis_entity *ent, const struct map_keys *keys, struct value id)
{
	uint64_t number;

	return ent->fresh != NULL && id_is_paged(id, &number) && (number < keys->least || number > keys->most);
}

/* What one command of a lookup asks for. */
struct looked {
	size_t first, count;		/* ids */
	size_t place;			/* dense: the first that was read */
	bool dense;
};

struct lookup_call {
	struct call call;
	store_rids_fn *fn;
	void *arg;
	struct rid *rids;
	bool *found;
	uint8_t *places;		/* in their pages, of those that are paged */
	size_t n;
	struct looked *looked;		/* by command */
	size_t commands;
};

static void take_dense(struct lookup_call *l, const struct looked *looked, const struct reply *r)
{
	static const struct rid none;

	for (size_t i = looked->first; i < looked->first + looked->count; i++) {
		size_t at = (l->places[i] - looked->place) * RID_BYTES;

		if (at + RID_BYTES > r->len)
			continue;
		memcpy(l->rids[i].b, r->str + at, RID_BYTES);
		l->found[i] = !rid_equal(&l->rids[i], &none);
	}
}

/* Comes behind the dense page, and overrules it. */
static void take_loose(struct lookup_call *l, size_t i, const struct reply *r)
{
	if (r->type != REPLY_STRING)
		return;
	/* Too short an entry says that there is none. */
	l->found[i] = r->len >= RID_BYTES;
	if (l->found[i])
		memcpy(l->rids[i].b, r->str, RID_BYTES);
}

static bool lookup_reply(struct call *call, size_t i, const struct reply *r, struct err *e)
{
	struct lookup_call *l = (struct lookup_call *)call;
	const struct looked *looked = &l->looked[i];

	if (looked->dense && r->type == REPLY_STRING) {
		take_dense(l, looked, r);
		return true;
	}
	if (looked->dense || r->type != REPLY_ARRAY || r->n != looked->count)
		return err_set(e, ERR_TRANSIENT, "reply", "Redis answered HMGET or GETRANGE in a form that is not known");
	for (size_t k = 0; k < r->n; k++)
		take_loose(l, looked->first + k, &r->element[k]);
	return true;
}

static void lookup_answer(struct call *call, const struct err *e)
{
	struct lookup_call *l = (struct lookup_call *)call;

	if (e == NULL)
		l->fn(l->arg, l->rids, l->found, l->n, NULL);
	else
		l->fn(l->arg, NULL, NULL, 0, e);
	free(l->rids);
	free(l->found);
	free(l->places);
	free(l->looked);
	free(l);
}

static void ask_text(struct lookup_call *l, const struct redis_entity *ent, const struct map_keys *keys, struct value id, size_t i)
{
	struct buf *out = redis_link_out(l->call.s->link);

	resp_command(out, 3);
	resp_word(out, "HMGET");
	resp_text(out, l->call.s, ent, keys, id);
	l->looked[l->commands++] = (struct looked){ .first = i, .count = 1 };
}

static void ask_dense(struct lookup_call *l, const struct map_keys *keys, uint64_t page, size_t first, size_t count)
{
	struct buf *out = redis_link_out(l->call.s->link);
	size_t low = PAGE_IDS, high = 0;

	for (size_t i = first; i < first + count; i++) {
		low = l->places[i] < low ? l->places[i] : low;
		high = l->places[i] > high ? l->places[i] : high;
	}
	resp_command(out, 4);
	resp_word(out, "GETRANGE");
	resp_key(out, keys->dense, keys->len, page);
	resp_number(out, (int64_t)(low * RID_BYTES));
	resp_number(out, (int64_t)((high + 1) * RID_BYTES - 1));
	l->looked[l->commands++] = (struct looked){ .first = first, .count = count, .place = low, .dense = true };
}

static void ask_loose(struct lookup_call *l, const struct map_keys *keys, uint64_t page, size_t first, size_t count)
{
	struct buf *out = redis_link_out(l->call.s->link);

	resp_command(out, 2 + count);
	resp_word(out, "HMGET");
	resp_key(out, keys->pages, keys->len, page);
	for (size_t i = first; i < first + count; i++)
		resp_number(out, l->places[i]);
	l->looked[l->commands++] = (struct looked){ .first = first, .count = count };
}

/* Asks for ids[i] and those behind it that stand in the same page; answers how many. */
static size_t append_lookup(struct lookup_call *l, const struct redis_entity *ent, const struct map_keys *keys, const struct value *ids, size_t i)
{
	uint64_t first, id;
	size_t count = 0;

	if (!id_is_paged(ids[i], &first)) {
		ask_text(l, ent, keys, ids[i], i);
		return 1;
	}
	for (id = first; id / PAGE_IDS == first / PAGE_IDS;) {
		l->places[i + count++] = (uint8_t)(id % PAGE_IDS);
		if (i + count == l->n || !id_is_paged(ids[i + count], &id))
			break;
	}
	if (ent->dense[keys->endpoint_number])
		ask_dense(l, keys, first / PAGE_IDS, i, count);
	ask_loose(l, keys, first / PAGE_IDS, i, count);
	return count;
}

void redis_lookup(struct store *store, size_t entity, uint8_t endpoint, const struct value *ids, size_t n, store_rids_fn *fn, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct lookup_call *l = call_new(s, sizeof *l, lookup_reply, lookup_answer);
	const struct redis_entity *ent;

	l->fn = fn;
	l->arg = arg;
	l->n = n;
	if (!call_begin(&l->call))
		return;
	l->rids = xcalloc(n, sizeof *l->rids);
	l->found = xcalloc(n, sizeof *l->found);
	l->places = xcalloc(n, sizeof *l->places);
	l->looked = xcalloc(2 * n, sizeof *l->looked);
	ent = &s->entities[entity];
	for (size_t i = 0; i < n;)
		i += is_new(ent, &ent->maps[endpoint], ids[i]) ? 1 : append_lookup(l, ent, &ent->maps[endpoint], ids, i);
	call_send_questions(&l->call, ent, l->commands);
}
