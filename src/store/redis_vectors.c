/*
 * redis_vectors.c - vectors in pieces: recall, write, scan.
 *
 * The first piece has the record's id as its field and begins with one byte: the number of pieces. Piece i > 0
 * has the id and a byte i as its field. So a vector of up to 63 bytes is one field, and what stands behind the
 * counted pieces does not matter.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/redis_store.h"
#include "store/resp.h"

enum {
	SCAN_BUCKETS = 16,		/* of a page */
	FIELD_MOST = RID_BYTES + 1,
	SEEN_MOST = 4096,		/* then the counts of pieces are halved: lately counts more */
	AHEAD = 8,			/* so many records before its own turn a record's place in the filter is fetched */
	BLOB_MOST = PIECES_MOST * PIECE_BYTES - 1,
};

static size_t pieces_of(size_t len)
{
	return len / PIECE_BYTES + 1;	/* the byte in front counted */
}

static void resp_field(struct buf *out, const struct rid *rid, size_t piece)
{
	char i = (char)piece;

	resp_joined(out, rid->b, RID_BYTES, &i, piece > 0 ? 1 : 0);
}

static void resp_bucket(struct buf *out, const struct redis_entity *ent, const struct rid *rid)
{
	resp_key(out, ent->vectors, ent->vectors_len, bucket_of(rid_hash(rid), ent->buckets));
}

/* ---- how many pieces to ask for ---------------------------------------------------------------------- */

static void pieces_note(struct redis_entity *ent, size_t pieces)
{
	if (++ent->pieces_seen[0] > SEEN_MOST)
		for (size_t i = 0; i <= PIECES_COUNTED; i++)
			ent->pieces_seen[i] /= 2;
	ent->pieces_seen[pieces < PIECES_COUNTED ? pieces : PIECES_COUNTED]++;
}

/* Enough for nine in ten: each piece more costs the server a walk over the bucket, a piece less a second question. */
static size_t pieces_guess(const struct redis_entity *ent)
{
	uint32_t total = ent->pieces_seen[0], covered = 0;

	for (size_t i = 1; i < PIECES_COUNTED; i++) {
		covered += ent->pieces_seen[i];
		if (covered >= total - total / 10)
			return i;
	}
	return PIECES_COUNTED;
}

/* ---- recall ------------------------------------------------------------------------------------------ */

struct short_one {
	size_t index, pieces;
};

struct recall_call {
	struct call call;
	store_vectors_fn *fn;
	void *arg;
	size_t entity, n;
	struct rid *rids;
	struct value *blobs;		/* while collecting, `data` is unset: the bytes still move */
	size_t *at;			/* where each begins in `bytes` */
	struct buf bytes;
	struct short_one *asked;	/* this question's */
	struct short_one *shorts;	/* these have more pieces than we asked for */
	size_t n_shorts;
};

/* The pieces of one record out of the elements of its HMGET. False: there are more than we asked for. */
static bool take_pieces(struct recall_call *r, size_t i, const struct reply *pieces, size_t n, size_t *wanted)
{
	const struct reply *first = &pieces[0];

	r->blobs[i] = VALUE_NULL;
	*wanted = 1;
	if (first->type != REPLY_STRING)
		return true;
	*wanted = first->len > 0 ? (unsigned char)first->str[0] : 1;
	if (*wanted > n)
		return false;
	r->at[i] = r->bytes.len;
	if (first->len > 1)
		buf_add(&r->bytes, first->str + 1, first->len - 1);
	/* A piece that is missing leaves a vector that cannot be decoded: the record is then without base. */
	for (size_t k = 1; k < *wanted && pieces[k].type == REPLY_STRING; k++)
		buf_add(&r->bytes, pieces[k].str, pieces[k].len);
	r->blobs[i].len = (int32_t)(r->bytes.len - r->at[i]);
	return true;
}

static bool recall_reply(struct call *call, size_t i, const struct reply *reply, struct err *e)
{
	struct recall_call *r = (struct recall_call *)call;
	size_t at = r->asked[i].index, wanted;

	if (reply->type != REPLY_ARRAY || reply->n == 0)
		return err_set(e, ERR_TRANSIENT, "reply", "Redis answered HMGET in a form that is not known");
	if (!take_pieces(r, at, reply->element, reply->n, &wanted)) {
		if (r->shorts == NULL)
			r->shorts = xcalloc(r->n, sizeof *r->shorts);
		r->shorts[r->n_shorts++] = (struct short_one){ .index = at, .pieces = wanted };
	} else if (r->blobs[at].len >= 0) {
		pieces_note(&call->s->entities[r->entity], wanted);
	}
	return true;
}

static void append_recall(struct redis_store *s, const struct redis_entity *ent, const struct rid *rid, size_t pieces)
{
	struct buf *out = redis_link_out(s->link);

	resp_command(out, 2 + pieces);
	resp_word(out, "HMGET");
	resp_bucket(out, ent, rid);
	for (size_t k = 0; k < pieces; k++)
		resp_field(out, rid, k);
}

static void recall_fini(struct recall_call *r)
{
	buf_fini(&r->bytes);
	free(r->rids);
	free(r->blobs);
	free(r->at);
	free(r->asked);
	free(r->shorts);
	free(r);
}

static void recall_tell(struct recall_call *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->blobs[i].len >= 0)
			r->blobs[i].data = r->blobs[i].len > 0 ? r->bytes.p + r->at[i] : "";
	r->fn(r->arg, r->blobs, r->n, NULL);
}

/* All pieces of a record in one command, from the first: what was read before may be of another write. */
static void recall_shorts(struct recall_call *r)
{
	struct redis_store *s = r->call.s;
	size_t n = r->n_shorts;

	free(r->asked);
	r->asked = r->shorts;
	r->shorts = NULL;
	r->n_shorts = 0;
	if (!call_begin(&r->call))
		return;
	for (size_t i = 0; i < n; i++)
		append_recall(s, &s->entities[r->entity], &r->rids[r->asked[i].index], r->asked[i].pieces);
	call_send(&r->call, n);
}

static void recall_answer(struct call *call, const struct err *e)
{
	struct recall_call *r = (struct recall_call *)call;

	if (e == NULL && r->n_shorts > 0) {
		recall_shorts(r);
		return;
	}
	if (e == NULL)
		recall_tell(r);
	else
		r->fn(r->arg, NULL, 0, e);
	recall_fini(r);
}

void redis_recall(struct store *store, size_t entity, const struct rid *rids, size_t n, store_vectors_fn *fn, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct recall_call *r = call_new(s, sizeof *r, recall_reply, recall_answer);
	const struct redis_entity *ent;
	size_t guess, asked = 0;

	r->fn = fn;
	r->arg = arg;
	r->entity = entity;
	r->n = n;
	if (!call_begin(&r->call))
		return;
	r->rids = xcalloc(n, sizeof *rids);
	if (n > 0)
		memcpy(r->rids, rids, n * sizeof *rids);
	r->blobs = xcalloc(n, sizeof *r->blobs);
	r->at = xcalloc(n, sizeof *r->at);
	r->asked = xcalloc(n, sizeof *r->asked);
	ent = &s->entities[entity];
	guess = pieces_guess(ent);
	for (size_t i = 0; i < n; i++) {
		r->blobs[i] = VALUE_NULL;
		if (ent->fresh != NULL && i + AHEAD < n)
			fresh_expect(ent->fresh, &rids[i + AHEAD]);
		if (ent->fresh != NULL && fresh_lacks(ent->fresh, &rids[i]))
			continue;
		r->asked[asked++].index = i;
		append_recall(s, ent, &rids[i], guess);
	}
	call_send_questions(&r->call, ent, asked);
}

/* ---- write ------------------------------------------------------------------------------------------- */

bool vectors_fit(const struct store_put *puts, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (puts[i].blob.len > BLOB_MOST)
			return err_set(e, ERR_ROW, "vector-size", "a last-seen vector of %d bytes is longer than the %d that fit",
				       (int)puts[i].blob.len, BLOB_MOST);
	return true;
}

static void append_put(struct buf *out, const struct redis_entity *ent, const struct store_put *put, size_t pieces)
{
	const char *from = put->blob.data;
	size_t left = (size_t)put->blob.len;
	char count = (char)pieces;

	resp_command(out, 2 + 2 * pieces);
	resp_word(out, "HSET");
	resp_bucket(out, ent, &put->rid);
	for (size_t k = 0; k < pieces; k++) {
		size_t room = k == 0 ? PIECE_BYTES - 1 : PIECE_BYTES, n = left < room ? left : room;

		resp_field(out, &put->rid, k);
		resp_joined(out, &count, k == 0 ? 1 : 0, from, n);
		from += n;
		left -= n;
	}
}

static void append_delete(struct buf *out, const struct redis_entity *ent, const struct rid *rid, size_t from, size_t to)
{
	resp_command(out, 2 + to - from);
	resp_word(out, "HDEL");
	resp_bucket(out, ent, rid);
	for (size_t k = from; k < to; k++)
		resp_field(out, rid, k);
}

static void shrunks_add(struct shrunks *to, size_t command, const struct rid *rid)
{
	if (to->n == to->room) {
		to->room = to->room > 0 ? to->room * 2 : 64;
		to->list = xrealloc(to->list, to->room * sizeof *to->list);
	}
	to->list[to->n++] = (struct shrunk){ .command = command, .rid = *rid };
}

/* The most pieces that any vector ever had stands in meta before the vector does: deleting relies on it. */
static size_t note_most(struct buf *out, const struct redis_store *s, struct redis_entity *ent, const struct store_put *puts, size_t n)
{
	unsigned most = ent->pieces_most;

	for (size_t i = 0; i < n; i++)
		if (puts[i].blob.len >= 0 && pieces_of((size_t)puts[i].blob.len) > most)
			most = (unsigned)pieces_of((size_t)puts[i].blob.len);
	if (most == ent->pieces_most)
		return 0;
	ent->pieces_most = most;
	resp_command(out, 4);
	resp_word(out, "HSET");
	resp_word(out, s->meta);
	resp_meta_field(out, ent, "pieces");
	resp_number(out, most);
	return 1;
}

size_t vectors_write(struct redis_store *s, size_t entity, const struct store_put *puts, size_t n, size_t first, struct shrunks *shrunks)
{
	struct redis_entity *ent = &s->entities[entity];
	struct buf *out = redis_link_out(s->link);
	size_t commands = note_most(out, s, ent, puts, n);

	for (size_t i = 0; i < n; i++) {
		size_t pieces;

		if (puts[i].blob.len < 0) {
			append_delete(out, ent, &puts[i].rid, 0, ent->pieces_most);
			commands++;
			continue;
		}
		if (ent->fresh != NULL && i + AHEAD < n)
			fresh_expect(ent->fresh, &puts[i + AHEAD].rid);
		pieces = pieces_of((size_t)puts[i].blob.len);
		pieces_note(ent, pieces);
		if (ent->fresh != NULL && !fresh_note(ent->fresh, &puts[i].rid))
			fresh_free(&ent->fresh);
		append_put(out, ent, &puts[i], pieces);
		commands++;
		if (pieces == ent->pieces_most)
			continue;
		/* Was it longer? Pieces have no gaps: deleting the next one tells. */
		append_delete(out, ent, &puts[i].rid, pieces, pieces + 1);
		shrunks_add(shrunks, first + commands, &puts[i].rid);
		commands++;
	}
	return commands;
}

/* A script, since a later write may meanwhile have given the record more pieces again. */
static const char trim_script[] =
	"local first = redis.call('HGET', KEYS[1], ARGV[1])\n"
	"local n = first and string.byte(first) or 0\n"
	"for i = math.max(n, 1), ARGV[2] - 1 do\n"
	"	redis.call('HDEL', KEYS[1], ARGV[1] .. string.char(i))\n"
	"end\n"
	"return n\n";

void vectors_trim(struct redis_store *s, size_t entity, const struct rid *rid)
{
	struct call *call = call_new(s, sizeof *call, NULL, call_forget);
	const struct redis_entity *ent;
	struct buf *out;

	if (!call_begin(call))
		return;
	ent = &s->entities[entity];
	out = redis_link_out(s->link);
	resp_command(out, 6);
	resp_word(out, "EVAL");
	resp_bytes(out, trim_script, sizeof trim_script - 1);
	resp_number(out, 1);
	resp_bucket(out, ent, rid);
	resp_bytes(out, rid->b, RID_BYTES);
	resp_number(out, ent->pieces_most);
	call_send(call, 1);
}

/* ---- scan -------------------------------------------------------------------------------------------- */

struct scan_call {
	struct call call;
	store_scan_fn *fn;
	void *arg;
	size_t entity;
	uint64_t next;			/* the bucket behind the page */
	struct rid *rids;
	struct value *blobs;
	size_t *at;
	size_t n, room;
	struct buf bytes;
};

static void scan_add(struct scan_call *c, const struct reply *bucket, size_t first)
{
	const struct reply *field = &bucket->element[first], *value = field + 1;
	size_t pieces = value->len > 0 ? (unsigned char)value->str[0] : 1;

	if (c->n == c->room) {
		c->room = c->room > 0 ? c->room * 2 : 512;
		c->rids = xrealloc(c->rids, c->room * sizeof *c->rids);
		c->blobs = xrealloc(c->blobs, c->room * sizeof *c->blobs);
		c->at = xrealloc(c->at, c->room * sizeof *c->at);
	}
	memcpy(c->rids[c->n].b, field->str, RID_BYTES);
	c->at[c->n] = c->bytes.len;
	if (value->len > 1)
		buf_add(&c->bytes, value->str + 1, value->len - 1);
	for (size_t k = 1; k < pieces; k++)
		for (size_t i = 0; i + 1 < bucket->n; i += 2) {
			const struct reply *other = &bucket->element[i];

			if (other->len == FIELD_MOST && (unsigned char)other->str[RID_BYTES] == k &&
			    memcmp(other->str, field->str, RID_BYTES) == 0) {
				buf_add(&c->bytes, other[1].str, other[1].len);
				break;
			}
		}
	c->blobs[c->n].len = (int32_t)(c->bytes.len - c->at[c->n]);
	c->n++;
}

static bool scan_reply(struct call *call, size_t i, const struct reply *bucket, struct err *e)
{
	struct scan_call *c = (struct scan_call *)call;

	if (bucket->type != REPLY_ARRAY)
		return err_set(e, ERR_TRANSIENT, "reply", "Redis answered HGETALL in a form that is not known");
	for (size_t k = 0; k + 1 < bucket->n; k += 2)
		if (bucket->element[k].type == REPLY_STRING && bucket->element[k].len == RID_BYTES &&
		    bucket->element[k + 1].type == REPLY_STRING)
			scan_add(c, bucket, k);
	return true;
}

static void scan_answer(struct call *call, const struct err *e)
{
	struct scan_call *c = (struct scan_call *)call;

	for (size_t i = 0; i < c->n; i++)
		c->blobs[i].data = c->blobs[i].len > 0 ? c->bytes.p + c->at[i] : "";
	/*
	 * The end is that of now, not of when we asked: what a split moved meanwhile went to a higher bucket, which
	 * is still to come, or was read here.
	 */
	if (e == NULL)
		c->fn(c->arg, c->rids, c->blobs, c->n, c->next < call->s->entities[c->entity].buckets ? c->next : 0, NULL);
	else
		c->fn(c->arg, NULL, NULL, 0, 0, e);
	buf_fini(&c->bytes);
	free(c->rids);
	free(c->blobs);
	free(c->at);
	free(c);
}

void redis_scan(struct store *store, size_t entity, uint64_t from, store_scan_fn *fn, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct scan_call *c = call_new(s, sizeof *c, scan_reply, scan_answer);
	const struct redis_entity *ent;
	struct buf *out;

	c->fn = fn;
	c->arg = arg;
	c->entity = entity;
	if (!call_begin(&c->call))
		return;
	ent = &s->entities[entity];
	out = redis_link_out(s->link);
	for (c->next = from; c->next < ent->buckets && c->next < from + SCAN_BUCKETS; c->next++) {
		resp_command(out, 2);
		resp_word(out, "HGETALL");
		resp_key(out, ent->vectors, ent->vectors_len, c->next);
	}
	call_send(&c->call, (size_t)(c->next - from));
}
