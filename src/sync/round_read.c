/*
 * round_read.c - what do the endpoints show now?
 */
#include "sync/feed.h"
#include "sync/migrate.h"
#include "sync/round.h"

#include "model/clean.h"

#include "base/clock.h"
#include "base/fault.h"

/* ---- READ: rows at the other endpoints --------------------------------------------------------------- */

/* The source shows what is agreed and nobody else deviates: there is nothing to read anybody for. */
static bool adopts(const struct round *r, const struct subject *s)
{
	const struct vector *v = s->base;
	size_t source = r->side != NULL ? r->side->endpoint : SIZE_MAX;

	if (v == NULL || v->dead || source == SIZE_MAX || s->seen[source].what != OBSERVED_ROW || v->row == 0 ||
	    v->row != digest_row(s->seen[source].row) || s->moved || !value_is_null(s->rival))
		return false;
	for (size_t f = 0; f < v->n_fields; f++)
		if (v->fields[f].digest != digest_field(s->seen[source].digests[f]))
			return false;
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (e != source && (v->seen[e].owed || (v->seen[e].present && !v->seen[e].same)))
			return false;
	return true;
}

struct id_slot {
	struct value id;
	UT_hash_handle hh;
};

/* So that people find it: the key of a row that cannot be taken, when at least that is valid. */
static struct value key_of_invalid(struct round *r, const struct row *row)
{
	const struct entity_def *def = r->flow->def;
	struct value keys[KEY_FIELDS_MAX];
	struct clean_note note;

	for (size_t i = 0; i < def->n_key; i++)
		if (!clean_field(&def->fields[def->key[i]], row->columns[r->flow->first_column[def->key[i]]], &r->arena, &keys[i], &note, NULL))
			return VALUE_NULL;
	return record_key_encode(keys, def->n_key, &r->arena);
}

void round_take_row(struct round *r, struct side *side, struct subject *s, const struct row *row)
{
	struct observation *o = &s->seen[side->endpoint], before = *o;
	const struct field_def *field = NULL;
	struct err e = { 0 };

	if (!round_observe(r, side, row, o, &field, &e)) {
		o->what = OBSERVED_NOTHING;
		if (value_is_null(s->key))
			s->key = key_of_invalid(r, row);
		round_park_row(r, side, s, row->id, field, &e);
		s->invalid |= BIT(side->endpoint);
		return;
	}
	s->versions[side->endpoint] = row->version;
	if (before.what != OBSERVED_NOTHING && before.what == o->what && before.row == o->row)
		o->stamp = before.stamp;	/* read again and still the same: what the change log said holds */
	else
		s->reread = before.what != OBSERVED_NOTHING;
	if (value_is_null(s->key) && o->what == OBSERVED_ROW)
		s->key = record_key(r->flow->def, o->values, &r->arena);
}

/*
 * The row that the vector takes for this record is still there, under the same key: the news is a duplicate. Or under the key that it is known
 * to have there, while the record's is owed to it: that was given to two rows at once, each at its own side.
 */
static void judge_rival(struct round *r, struct subject *s, const struct row *row)
{
	struct observation o;
	const struct field_def *field;
	struct err e = { 0 };
	struct rid rid;

	if (!round_observe(r, r->side, row, &o, &field, &e) || o.what != OBSERVED_ROW)
		return;
	rid = rid_of(&sync_of(r)->store->key, r->flow->def, record_key(r->flow->def, o.values, &r->arena));
	if (rid_equal(&rid, &s->rid))
		err_set(&e, ERR_ROW, "duplicate-key", "another row of this table has the same key; remove or change one of the two");
	else if (round_shows_its_key(r, s->base, &o) && !fault("f16-whoever-comes-with-a-key-that-is-owed-has-it"))
		round_say_taken(r, &e);
	else
		return;
	round_park_row(r, r->side, s, s->source_id, NULL, &e);
	round_drop_subject(r, s, BOOKS_UNTOLD);
}

static bool has_rival(const struct round *r, const struct subject *s)
{
	return r->side != NULL && !value_is_null(s->source_id) && !value_is_null(s->rival);
}

static bool is_rival(const struct reading *rd, size_t i)
{
	const struct subject *s = rd->subjects[i];

	return has_rival(rd->round, s) && rd->endpoint == rd->round->side->endpoint && value_equal(rd->ids[i], s->rival);
}

/* The id that its row had; there may be another row by now, and that one is the record's. */
static bool is_former(const struct reading *rd, size_t i)
{
	const struct subject *s = rd->subjects[i];

	return s->renumbered && rd->endpoint == rd->round->side->endpoint && value_equal(rd->ids[i], s->former_id);
}

/*
 * The news is of a row that the vector does not know. Read again it may be gone: then whatever there is to tell of it comes as news of
 * its own. Or it has another key by now: then it is another record.
 */
static void judge_news(struct round *r, struct subject *s)
{
	struct observation *o = &s->seen[r->side->endpoint];
	struct value key;
	struct rid rid;

	if (o->what != OBSERVED_ROW) {
		round_drop_subject(r, s, BOOKS_MERGED);
		return;
	}
	key = record_key(r->flow->def, o->values, &r->arena);
	rid = rid_of(&sync_of(r)->store->key, r->flow->def, key);
	if (rid_equal(&rid, &s->rid))
		return;
	round_put_off(r, s);
	s->rid = rid;
	s->key = key;
}

/* It is no record's row but of the one whose key it has. */
static void go_own_way(struct round *r, struct subject *s)
{
	const struct observation *o = &s->seen[r->side->endpoint];

	round_put_off(r, s);
	s->former_id = VALUE_NULL;
	s->has_rid = o->what == OBSERVED_ROW;
	if (!s->has_rid)
		return;
	s->key = record_key(r->flow->def, o->values, &r->arena);
	s->rid = rid_of(&sync_of(r)->store->key, r->flow->def, s->key);
}

static struct id_slot *index_ids(const struct reading *rd, struct id_slot *slots)
{
	struct id_slot *table = NULL;

	for (size_t i = 0; i < rd->n; i++) {
		slots[i].id = rd->ids[i];
		HASH_ADD_KEYPTR(hh, table, slots[i].id.data, (unsigned)slots[i].id.len, &slots[i]);
	}
	return table;
}

static void take_rows(struct reading *rd, struct rowset *rows)
{
	struct round *r = rd->round;
	struct side *side = r->flow->sides[rd->endpoint];
	struct id_slot *slots = arena_zalloc(&r->arena, (rows->n + 1) * sizeof *slots), *table = NULL, *slot;
	const struct row **found = arena_zalloc(&r->arena, rd->n * sizeof *found);

	for (size_t i = 0; i < rows->n; i++) {
		slots[i].id = rows->rows[i].id;
		HASH_ADD_KEYPTR(hh, table, slots[i].id.data, (unsigned)slots[i].id.len, &slots[i]);
	}
	for (size_t i = 0; i < rd->n; i++) {	/* an id may have been asked for twice: as one's own, and as another one's former */
		HASH_FIND(hh, table, rd->ids[i].data, (unsigned)rd->ids[i].len, slot);
		if (slot != NULL)
			found[i] = &rows->rows[slot - slots];
	}
	HASH_CLEAR(hh, table);
	for (size_t i = 0; i < rd->n; i++) {
		struct subject *s = rd->subjects[i];

		if (is_former(rd, i))
			continue;
		if (found[i] != NULL && !is_rival(rd, i))
			round_take_row(r, side, s, found[i]);
		else if (found[i] == NULL && !is_rival(rd, i) && s->seen[rd->endpoint].what != OBSERVED_ABSENT)
			s->seen[rd->endpoint] = (struct observation){ .what = OBSERVED_ABSENT, .stamp = STAMP_NONE,
								      .evidence = s->evidence & BIT(rd->endpoint) };
	}
	for (size_t i = 0; i < rd->n; i++) {
		struct subject *s = rd->subjects[i];

		if (!is_rival(rd, i))
			continue;
		judge_news(r, s);
		if (is_live(s) && found[i] != NULL)
			judge_rival(r, s, found[i]);
	}
	for (size_t i = 0; i < rd->n; i++)
		if (found[i] != NULL && is_former(rd, i) && is_live(rd->subjects[i]))
			go_own_way(r, rd->subjects[i]);
}

static void endpoint_failed(struct round *r, size_t e)
{
	r->away |= BIT(e);
}

static void on_read(void *arg, struct rowset *rows, const struct err *e)
{
	struct reading *rd = arg;
	struct round *r = rd->round;

	if (e != NULL) {
		endpoint_failed(r, rd->endpoint);
		/* The news itself: it comes again, and must not pass for having been looked at. */
		if (r->side != NULL && rd->endpoint == r->side->endpoint)
			round_give_up(r, e);
	} else {
		side_note_read(r->flow->sides[rd->endpoint]);
		round_keep_rows(r, rows);
		round_count_read(r, rd->endpoint, rows->bytes, rd->asked_us);
		if (r->why.kind == 0)
			take_rows(rd, rows);
	}
	round_answered(r);
}

static void add_id(struct reading *rd, struct subject *s, struct value id)
{
	rd->subjects[rd->n] = s;
	rd->ids[rd->n++] = id;
}

/* Of what no vector tells of nothing newer has been seen. */
static bool is_stale(const struct round *r, const struct subject *s)
{
	return r->stale && (s->base != NULL || s->has_old);
}

/*
 * News that a row is gone is evidence about the row that was there then. Where the local id is the key, we (another round, before this one
 * had the record) or an application may have inserted one again under that id, and that one nobody has deleted.
 */
static bool may_be_back(const struct round *r, const struct subject *s)
{
	return is_live(s) && r->side != NULL && !value_is_null(s->source_id) && s->seen[r->side->endpoint].what == OBSERVED_ABSENT &&
	       !fault("f10-a-deleted-row-does-not-come-back-under-its-id");
}

/* What to read of a subject at an endpoint: of the news itself also the row that the vector takes for it. */
static void add_ids(struct reading *rd, struct subject *s)
{
	const struct round *r = rd->round;
	size_t e = rd->endpoint;
	enum observed what = s->seen[e].what;
	bool is_source = r->side != NULL && e == r->side->endpoint && !value_is_null(s->source_id);

	if (s->found != NULL && !value_is_null(s->found[e])) {
		add_id(rd, s, s->found[e]);
		return;
	}
	if (is_source && (what == OBSERVED_NOTHING || may_be_back(r, s) || (what == OBSERVED_ROW && (is_stale(r, s) || migrate_shows_past(r, s)))))
		add_id(rd, s, s->source_id);
	if (is_source && s->renumbered)
		add_id(rd, s, s->former_id);
	if (is_source && has_rival(r, s))
		add_id(rd, s, s->rival);
	if (!is_source && s->base != NULL && s->base->seen[e].present)
		add_id(rd, s, s->base->seen[e].id);
}

/* Its rows were listed completely: a record that has none there is absent. */
bool round_has_listed(const struct round *r, size_t e)
{
	return r->flow->sides[e]->surveyed || (r->plan != NULL && plan_has_listed(r->plan, e));
}

static void read_at(struct round *r, size_t e)
{
	struct reading *rd = arena_alloc(&r->arena, sizeof *rd);
	struct side *side = r->flow->sides[e];

	*rd = (struct reading){ .round = r, .endpoint = e, .asked_us = clock_mono_us() };
	rd->subjects = arena_alloc(&r->arena, 3 * r->n * sizeof *rd->subjects);
	rd->ids = arena_alloc(&r->arena, 3 * r->n * sizeof *rd->ids);
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];
		size_t before = rd->n;

		if (!is_live(s) || (!migrate_looks_anew(r) && adopts(r, s)))
			continue;
		add_ids(rd, s);
		if (rd->n == before && s->seen[e].what == OBSERVED_NOTHING &&
		    (round_has_listed(r, e) || (s->base != NULL && s->base->seen[e].known)))
			s->seen[e] = (struct observation){ .what = OBSERVED_ABSENT, .stamp = STAMP_NONE,
							   .evidence = s->evidence & BIT(e) };
	}
	if (rd->n == 0)
		return;
	r->waiting++;
	side->link->ops->read(side->link, rd->ids, rd->n, on_read, rd);
}

/*
 * The side that the news is of went away, and with it what it shows of records that were put off (or read before a write of ours), and
 * whether deleted rows are there again. What is not looked at must not pass for having nothing to say: the news comes again.
 */
static bool is_cut_off(const struct round *r)
{
	bool old = r->pass > 0 || r->stale || (r->part != NULL && r->part->past);

	for (size_t i = 0; !old && i < r->n; i++)
		old = may_be_back(r, &r->subjects[i]);
	return r->side != NULL && old && !reachable(r, r->side->endpoint);
}

void round_ask_read(struct round *r)
{
	struct err gone = { 0 };

	if (is_cut_off(r)) {
		err_set(&gone, ERR_TRANSIENT, "side-away", "%s went away before its rows were read again", r->side->mapping->endpoint->name);
		round_give_up(r, &gone);
		return;
	}
	round_ask_forwards(r);
	r->unasked = 0;
	for (size_t e = 0; e < n_endpoints(r); e++) {
		if (!reachable(r, e))
			r->unasked |= BIT(e);
		else if (r->n > 0)
			read_at(r, e);
	}
}

/* In a plan: what a listing found is another record's if its key was changed since; its rival is gone if it is still there. */
static void check_found(struct round *r, struct subject *s)
{
	if (!is_live(s))
		return;
	if (r->side != NULL) {
		plan_note_news(r, s);
		return;
	}
	for (size_t e = 0; e < n_endpoints(r); e++) {
		struct rid rid;

		if (s->seen[e].what != OBSERVED_ROW || value_is_null(s->found[e]))
			continue;
		rid = rid_of(&sync_of(r)->store->key, r->flow->def, record_key(r->flow->def, s->seen[e].values, &r->arena));
		if (!rid_equal(&rid, &s->rid))
			s->seen[e] = (struct observation){ .what = OBSERVED_ABSENT, .stamp = STAMP_NONE };
	}
}

/* Those that had to be read again here: only now can be told whether they have news. */
void round_got_read(struct round *r)
{
	for (size_t i = 0; r->side != NULL && r->pass > 0 && i < r->n; i++)
		if (is_live(&r->subjects[i]) && !value_is_null(r->subjects[i].source_id))
			round_drop_echo(r, &r->subjects[i]);
	for (size_t i = 0; r->plan != NULL && i < r->n; i++)
		check_found(r, &r->subjects[i]);
	for (size_t i = 0; r->side != NULL && i < r->n; i++)
		if (is_live(&r->subjects[i]))
			round_forward_judge(r, &r->subjects[i]);
}

/* ---- READ_KEYS: did an earlier insert happen? Is a row there that no vector tells of? ------------------ */

static bool is_in_doubt(const struct subject *s, size_t e)
{
	return s->base != NULL && s->base->seen[e].uncertain && !s->base->seen[e].present && !fault("f30-an-insert-in-doubt-is-sent-again");
}

static bool has_strangers(const struct mapping *m)
{
	return m->role == ROLE_TARGET || m->n_where > 0 || m->delete_mode == DELETE_SOFT;
}

/*
 * A target's own rows, those outside of the filter and those that were deleted softly have no vector. One with the record's key is the
 * record's all the same: inserted beside it, the record would be there twice. While tables meet for the first time, what the listing saw of this one spares the look.
 */
static bool may_meet_stranger(const struct round *r, const struct subject *s, size_t e)
{
	const struct side *side = r->flow->sides[e];

	if (side == NULL || side->mapping->role == ROLE_SOURCE || s->seen[e].what != OBSERVED_ABSENT || s->seen[e].outside)
		return false;
	if (!migrate_meets_strangers(r, e) &&
	    (!has_strangers(side->mapping) || ((r->is_page || r->part != NULL) && !side->strangers)))
		return false;
	return s->base == NULL || !s->base->seen[e].detached;
}

static bool wants_key_read(const struct round *r, const struct subject *s, size_t e)
{
	return is_live(s) && s->seen[e].what != OBSERVED_ROW && (is_in_doubt(s, e) || may_meet_stranger(r, s, e));
}

/* The key with which the insert was tried, where the record has got another one since; else empty. */
static struct value tried_key(const struct subject *s, size_t e)
{
	struct value key = s->base != NULL ? s->base->seen[e].tried_key : VALUE_NULL;

	return key.len > 0 && !value_equal(key, s->key) ? key : (struct value){ NULL, 0 };
}

/* A row that cannot be taken has the key all the same, and an insert would only run into it again. */
static void take_row_by_key(struct reading *rd, struct side *side, const struct row *row)
{
	struct round *r = rd->round;
	struct observation o = { .what = OBSERVED_NOTHING };
	const struct field_def *field = NULL;
	struct err bad = { 0 };
	bool valid = round_observe(r, side, row, &o, &field, &bad);
	struct value key = valid && o.what == OBSERVED_ROW ? record_key(r->flow->def, o.values, &r->arena) : key_of_invalid(r, row);

	for (size_t i = 0; i < rd->n; i++) {
		struct subject *s = rd->subjects[i];

		if (!is_live(s) || !value_equal(rd->ids[i], key) || s->seen[rd->endpoint].what == OBSERVED_ROW)
			continue;
		if (!value_equal(s->key, key) && !(valid && o.what == OBSERVED_ROW && round_is_our_insert(r, s, rd->endpoint, &o)))
			continue;
		if (!valid) {
			s->seen[rd->endpoint].what = OBSERVED_NOTHING;
			round_park_row(r, side, s, row->id, field, &bad);
			s->invalid |= BIT(rd->endpoint);
		} else if (o.outside) {
			s->seen[rd->endpoint].outside = true;
		} else if (!round_claim_row(r, s, rd->endpoint, o.id)) {
			round_put_off(r, s);
		} else if (o.what == OBSERVED_ABSENT) {
			s->seen[rd->endpoint].id = o.id;
			s->versions[rd->endpoint] = row->version;
			s->remains |= BIT(rd->endpoint);
		} else if (o.what == OBSERVED_ROW) {
			s->seen[rd->endpoint] = o;
			s->versions[rd->endpoint] = row->version;
			s->by_key |= BIT(rd->endpoint);
		}
	}
}

/* It was asked for rows and has gone since: what its vector takes for absent was not looked for. */
static void forget_absent(struct round *r, size_t e)
{
	r->unasked |= BIT(e);
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		if (wants_key_read(r, s, e) && !s->seen[e].evidence)
			s->seen[e].what = OBSERVED_NOTHING;
	}
}

static void on_read_keys(void *arg, struct rowset *rows, const struct err *e)
{
	struct reading *rd = arg;
	struct round *r = rd->round;
	struct side *side = r->flow->sides[rd->endpoint];

	if (e != NULL) {
		endpoint_failed(r, rd->endpoint);
		forget_absent(r, rd->endpoint);
		round_answered(r);
		return;
	}
	side_note_read(side);
	round_keep_rows(r, rows);
	round_count_read(r, rd->endpoint, rows->bytes, rd->asked_us);
	for (size_t i = 0; i < rows->n; i++)
		take_row_by_key(rd, side, &rows->rows[i]);
	for (size_t i = 0; i < rd->n; i++) {
		struct observation *seen = &rd->subjects[i]->seen[rd->endpoint];

		seen->looked_for = seen->what == OBSERVED_ABSENT && !seen->outside;
	}
	round_answered(r);
}

static void add_key(struct reading *rd, struct subject *s, struct value key, struct value *keys)
{
	if (key.len <= 0 || !record_key_decode(key, rd->n_keys, keys + rd->n * rd->n_keys))
		return;
	rd->ids[rd->n] = key;		/* here the n-th id is the key that was asked for */
	rd->subjects[rd->n++] = s;
}

static void read_keys_at(struct round *r, size_t e)
{
	struct reading *rd = arena_alloc(&r->arena, sizeof *rd);
	size_t n_key = r->flow->def->n_key;
	struct value *keys = arena_alloc(&r->arena, 2 * r->n * n_key * sizeof *keys);

	*rd = (struct reading){ .round = r, .endpoint = e, .asked_us = clock_mono_us(), .n_keys = n_key };
	rd->subjects = arena_alloc(&r->arena, 2 * r->n * sizeof *rd->subjects);
	rd->ids = arena_alloc(&r->arena, 2 * r->n * sizeof *rd->ids);
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		if (!wants_key_read(r, s, e))
			continue;
		if (value_is_null(s->key) && s->base != NULL && s->base->seen[e].tried_key.len > 0)
			s->key = s->base->seen[e].tried_key;	/* nobody shows it any more */
		add_key(rd, s, s->key, keys);
		add_key(rd, s, tried_key(s, e), keys);
	}
	if (rd->n == 0)
		return;
	r->waiting++;
	r->flow->sides[e]->link->ops->read_by_key(r->flow->sides[e]->link, keys, rd->n, on_read_keys, rd);
}

void round_ask_read_keys(struct round *r)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (reachable(r, e) && r->n > 0)
			read_keys_at(r, e);
		else
			forget_absent(r, e);
}

/* ---- OWNERS: is a row found by its key another record's? --------------------------------------------- */

static void on_owners(void *arg, const struct rid *rids, const bool *found, size_t n, const struct err *e)
{
	struct reading *rd = arg;
	struct round *r = rd->round;

	round_give_up(r, e);
	for (size_t i = 0; e == NULL && i < n; i++) {
		struct subject *s = rd->subjects[i];

		if (!found[i] && round_is_known_by_key(r, &s->seen[rd->endpoint]) && !fault("f16-a-row-that-nobody-knows-is-ours"))
			s->strange |= BIT(rd->endpoint);
		if (!found[i] || rid_equal(&rids[i], &s->rid))
			continue;
		if (!value_equal(s->key, record_key(r->flow->def, s->seen[rd->endpoint].values, &r->arena))) {
			/* Found by a key that it had once: not ours after all. */
			s->seen[rd->endpoint] = (struct observation){ .what = OBSERVED_ABSENT, .stamp = STAMP_NONE };
			continue;
		}
		s->seen[rd->endpoint] = (struct observation){ .what = OBSERVED_NOTHING, .stamp = STAMP_NONE };
		s->taken |= BIT(rd->endpoint);
	}
	round_answered(r);
}

void round_ask_owners(struct round *r)
{
	struct sync *sync = sync_of(r);

	for (size_t e = 0; e < n_endpoints(r); e++) {
		struct reading *rd = arena_alloc(&r->arena, sizeof *rd);

		*rd = (struct reading){ .round = r, .endpoint = e, .asked_us = clock_mono_us() };
		rd->subjects = arena_alloc(&r->arena, (r->n + 1) * sizeof *rd->subjects);
		rd->ids = arena_alloc(&r->arena, (r->n + 1) * sizeof *rd->ids);
		for (size_t i = 0; i < r->n; i++)
			if (is_live(&r->subjects[i]) && r->subjects[i].by_key & BIT(e)) {
				rd->subjects[rd->n] = &r->subjects[i];
				rd->ids[rd->n++] = r->subjects[i].seen[e].id;
			}
		if (rd->n == 0)
			continue;
		r->waiting++;
		sync->store->ops->lookup(sync->store, r->flow->index, (uint8_t)e, rd->ids, rd->n, on_owners, rd);
	}
}

/* ---- STAMPS: when was it changed, where nobody captured it yet --------------------------------------- */

static bool capture_brought(const struct round *r, const struct subject *s, size_t e)
{
	return r->captured != NULL && e == r->side->endpoint && r->pass == 0 && !s->reread;
}

/* What the change log told of a row that is parked holds until it tells more. */
static void recall_stamp(const struct round *r, struct subject *s, size_t e)
{
	const struct side *side = r->flow->sides[e];
	int64_t stamp = STAMP_NONE;

	if (side->parked_rows > 0 && is_live(s) && s->seen[e].what == OBSERVED_ROW && !capture_brought(r, s, e))
		stamp = parked_stamp(side, s->seen[e].id);
	if (stamp != STAMP_NONE && !fault("f22-a-parked-row-is-as-old-as-it-says"))
		s->seen[e].stamp = stamp;
}

static bool wants_stamp(const struct round *r, const struct subject *s, size_t e)
{
	if (!is_live(s) || s->seen[e].what != OBSERVED_ROW)
		return false;
	if (capture_brought(r, s, e))
		return false;
	if (s->base == NULL)		/* then a row's own will do, if it has one */
		return s->seen[e].stamp == STAMP_NONE && !fault("f22-only-of-known-records-the-log-is-asked");
	return s->seen[e].moved != 0 || !vector_shows(s->base, e, &s->seen[e]);
}

static void on_stamps(void *arg, const struct stamps *list, size_t n, const struct err *e)
{
	struct reading *rd = arg;
	struct side *side = rd->round->flow->sides[rd->endpoint];
	int64_t offset = endpoint_offset_us(side->link->endpoint);
	struct id_slot *slots = arena_alloc(&rd->round->arena, rd->n * sizeof *slots), *table, *slot;

	table = index_ids(rd, slots);
	for (size_t i = 0; e == NULL && i < rd->n; i++)
		rd->subjects[i]->unlogged |= BIT(rd->endpoint);
	for (size_t i = 0; e == NULL && i < n; i++) {
		HASH_FIND(hh, table, list[i].id.data, (unsigned)list[i].id.len, slot);
		if (slot == NULL)
			continue;
		rd->subjects[slot - slots]->seen[rd->endpoint].stamp = list[i].stamp - offset;
		rd->subjects[slot - slots]->unlogged &= ~BIT(rd->endpoint);
	}
	HASH_CLEAR(hh, table);
	round_answered(rd->round);
}

static void on_log(void *arg, const char *now, const struct err *e)
{
	struct reading *rd = arg;
	struct side *side = rd->round->flow->sides[rd->endpoint];

	if (e == NULL && log_is_as_left(side, now))
		rd->round->same_log |= BIT(rd->endpoint);
	round_answered(rd->round);
}

/* What the log does not tell of was not edited (fields_reformed()), if it is that log. */
static void ask_log(struct round *r, struct reading *rd)
{
	struct side *side = r->flow->sides[rd->endpoint];

	if (side->reformed == 0 || !side->captures)
		return;
	r->waiting++;
	side->link->ops->position_now(side->link, on_log, rd);
}

void round_ask_stamps(struct round *r)
{
	for (size_t e = 0; e < n_endpoints(r); e++) {
		struct reading *rd;

		if (r->n == 0 || !reachable(r, e) || !r->flow->sides[e]->link->promises.exact)
			continue;
		rd = arena_alloc(&r->arena, sizeof *rd);
		*rd = (struct reading){ .round = r, .endpoint = e, .asked_us = clock_mono_us() };
		rd->subjects = arena_alloc(&r->arena, r->n * sizeof *rd->subjects);
		rd->ids = arena_alloc(&r->arena, r->n * sizeof *rd->ids);
		for (size_t i = 0; i < r->n; i++) {
			recall_stamp(r, &r->subjects[i], e);
			if (!wants_stamp(r, &r->subjects[i], e))
				continue;
			rd->subjects[rd->n] = &r->subjects[i];
			rd->ids[rd->n++] = r->subjects[i].seen[e].id;
		}
		if (rd->n == 0)
			continue;
		r->waiting++;
		r->flow->sides[e]->link->ops->stamps(r->flow->sides[e]->link, rd->ids, rd->n, on_stamps, rd);
		ask_log(r, rd);
	}
}

/* References go by the keys of what they mean (round_follow.c), and with another key the record would be another one. */
static bool keeps_its_key(const struct entity_def *def, size_t f)
{
	for (uint64_t unit = decide_unit(def, f); unit != 0; unit &= unit - 1)
		if (def->fields[__builtin_ctzll(unit)].is_key)
			return false;
	return def->fields[f].type != FIELD_REFERENCE;
}

/* What the row shows by the new form of its fields, where nobody has edited it: as before. */
static uint64_t fields_reformed(const struct round *r, const struct subject *s, size_t e)
{
	const struct side *side = r->flow->sides[e];
	const struct observation *o = &s->seen[e];
	uint64_t mask = 0;

	if (s->base == NULL || !s->base->seen[e].present || o->what != OBSERVED_ROW || !value_equal(s->base->seen[e].id, o->id) ||
	    side->unaccounted || (side->parked_rows > 0 && parked_stamp(side, o->id) != STAMP_NONE))
		return 0;
	for (uint64_t rest = side->reformed; rest != 0; rest &= rest - 1) {
		size_t f = (size_t)__builtin_ctzll(rest);

		if (keeps_its_key(r->flow->def, f) && shown_digest(s->base, e, f) != 0 &&
		    shown_digest(s->base, e, f) != digest_field(o->digests[f]))
			mask |= BIT(f);
	}
	return mask;
}

void round_got_stamps(struct round *r)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		for (size_t i = 0; r->flow->sides[e] != NULL && r->flow->sides[e]->reformed != 0 && i < r->n; i++)
			if (is_live(&r->subjects[i]) && (r->subjects[i].unlogged & r->same_log & BIT(e)))
				r->subjects[i].seen[e].followed |= fields_reformed(r, &r->subjects[i], e);
}
