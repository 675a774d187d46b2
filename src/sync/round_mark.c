/*
 * round_mark.c - what everybody shows now goes into the store.
 */
#include "sync/round.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "sync/migrate.h"
#include "sync/round_ahead.h"
#include "sync/undo.h"

/* ---- MARK: what everybody shows now ------------------------------------------------------------------ */

struct marking {
	struct store_put *puts;
	struct store_map_put *maps;
	size_t n_puts, n_maps;
	struct store_put *forwards;	/* owned */
	size_t n_forwards, cap_forwards;
	int64_t added;
	struct buf bytes;		/* encoded vectors, one after the other */
};

static void mark_put(struct marking *m, const struct rid *rid, size_t at, size_t len)
{
	/* The address is filled in at the end: the buffer may still move. */
	m->puts[m->n_puts++] = (struct store_put){ .rid = *rid, .blob = { (const char *)(uintptr_t)at, (int32_t)len } };
}

/* True: one stands at that id. */
static bool mark_forwards(struct round *r, const struct subject *s, const struct rid *at, struct marking *m)
{
	struct store_put *forwards;
	size_t n = round_forward_mark(r, s, &forwards);
	bool there = false;

	for (size_t i = 0; i < n; i++) {
		there |= at != NULL && rid_equal(at, &forwards[i].rid);
		if (m->n_forwards == m->cap_forwards) {
			m->cap_forwards = m->cap_forwards > 0 ? 2 * m->cap_forwards : 16;
			m->forwards = xrealloc(m->forwards, m->cap_forwards * sizeof *m->forwards);
		}
		m->forwards[m->n_forwards++] = forwards[i];
	}
	return there;
}

static void mark_vector(struct round *r, struct subject *s, struct marking *m)
{
	const struct vector *v = s->d.next;
	const struct rid *from = round_leaves(s);
	bool spent = vector_spent(v);
	size_t at = m->bytes.len;

	if (!mark_forwards(r, s, from, m) && from != NULL && (!s->exchanges || fault("f13-where-another-one-comes-is-cleared")))
		m->puts[m->n_puts++] = (struct store_put){ .rid = *from, .blob = VALUE_NULL };
	if (spent) {
		m->puts[m->n_puts++] = (struct store_put){ .rid = s->next_rid, .blob = VALUE_NULL };
		m->added -= s->base != NULL && !s->buried && !s->revived;
		return;
	}
	vector_encode(v, &sync_of(r)->store->layouts[r->flow->index], &m->bytes);
	mark_put(m, &s->next_rid, at, m->bytes.len - at);
	m->added += s->base == NULL || s->buried || s->revived;
}

/* Of few records, if any. */
static struct store_put *with_forwards(struct round *r, const struct marking *m)
{
	struct store_put *all;

	if (m->n_forwards == 0)
		return m->puts;
	all = arena_alloc(&r->arena, (m->n_puts + m->n_forwards) * sizeof *all);
	memcpy(all, m->puts, m->n_puts * sizeof *all);
	memcpy(all + m->n_puts, m->forwards, m->n_forwards * sizeof *all);
	return all;
}

static void mark_ids(struct round *r, struct subject *s, struct marking *m)
{
	for (size_t e = 0; e < n_endpoints(r); e++) {
		const struct vseen *before = s->base != NULL ? &s->base->seen[e] : NULL, *now = &s->d.next->seen[e];
		bool had = before != NULL && before->present;
		bool moved = round_leaves(s) != NULL;

		if (s->not_ours & BIT(e)) {
			m->maps[m->n_maps++] = (struct store_map_put){ (uint8_t)e, before->id, s->owner, false };
			continue;
		}
		if (s->renumbered && e == r->side->endpoint)
			m->maps[m->n_maps++] = (struct store_map_put){ (uint8_t)e, s->former_id, s->next_rid, true };
		if (had && (!now->present || !value_equal(before->id, now->id)))
			m->maps[m->n_maps++] = (struct store_map_put){ (uint8_t)e, before->id, s->next_rid, true };
		if (now->present && (!had || moved || (s->renumbered && e == r->side->endpoint) || !value_equal(before->id, now->id)))
			m->maps[m->n_maps++] = (struct store_map_put){ (uint8_t)e, now->id, s->next_rid, false };
	}
}

static void count_debts(struct round *r, const struct subject *s)
{
	for (size_t e = 0; e < n_endpoints(r); e++) {
		struct side *side = r->flow->sides[e];
		bool before, now;

		if (side == NULL)
			continue;
		before = s->base != NULL && !s->buried && s->base->seen[e].owed && !s->base->seen[e].parked;
		now = s->d.next->seen[e].owed && !s->d.next->seen[e].parked && !vector_spent(s->d.next);
		if (before)
			side_pays(side, vector_owed_since(s->base, e));
		if (now)
			side_owes(side, vector_owed_since(s->d.next, e));
	}
}

static void on_marked(void *arg, const struct err *e)
{
	struct round *r = arg;

	round_give_up(r, e);
	round_answered(r);
}

static void note_contact(struct round *r, const struct subject *s)
{
	struct meter_entity *m = &r->flow->meter;

	m->first_contact_equal += s->d.contact == CONTACT_EQUAL;
	m->first_contact_merged += s->d.contact == CONTACT_MERGED;
	m->first_contact_copied += s->d.contact == CONTACT_COPIED;
}

void round_ask_mark(struct round *r)
{
	struct marking m = { 0 };
	struct store_write w = { 0 };
	struct store_position positions[3];
	char name[200], mark[EPOCH_TEXT], text[EPOCH_TEXT], migration[200], *sums;
	struct err unsure = { 0 };

	if (!migrate_count_brought(r)) {
		err_set(&unsure, ERR_TRANSIENT, "interrupted", "what the migration has counted is not known any more");
		round_give_up(r, &unsure);
		return;
	}
	m.puts = arena_alloc(&r->arena, (r->n + 1) * 3 * sizeof *m.puts);
	m.maps = arena_alloc(&r->arena, (r->n + 1) * 2 * n_endpoints(r) * sizeof *m.maps);
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		ahead_of_subject(r, i);
		if (!is_live(s) || !s->decided)
			continue;
		mark_vector(r, s, &m);
		mark_ids(r, s, &m);
		note_contact(r, s);
	}
	for (size_t i = 0; i < m.n_puts; i++)
		if (!value_is_null(m.puts[i].blob))
			m.puts[i].blob.data = m.bytes.p + (uintptr_t)m.puts[i].blob.data;
	w.puts = with_forwards(r, &m);
	w.n_puts = m.n_puts + m.n_forwards;
	w.maps = m.maps;
	w.n_maps = m.n_maps;
	w.records_added = m.added;
	w.intent_done = r->intent[0] != '\0' ? r->intent : NULL;
	if (r->captured != NULL && r->captured->position != NULL) {
		snprintf(name, sizeof name, "poll/%s/%s", r->flow->def->name, r->side->mapping->endpoint->name);
		positions[0] = (struct store_position){ name, r->captured->position };
		w.n_positions = 1;
		for (size_t i = 0; i < r->n; i++)	/* not past records that are still to be worked on */
			if (r->subjects[i].fate == FATE_BUSY)
				w.n_positions = 0;
	}
	/* The acknowledgement will leave this number there: it has to be known here before. */
	r->epoch = r->captured != NULL && r->captured->ack != NULL && r->side->mapping->endpoint->capture == CAPTURE_LISTEN ?
		epoch_next(sync_of(r), r->side->endpoint) : 0;
	if (r->epoch != 0) {
		epoch_name_mark(sync_of(r), r->side->endpoint, mark);
		epoch_mark_text(&sync_of(r)->shakes[r->side->endpoint], text);
		positions[w.n_positions++] = (struct store_position){ mark, text };
	}
	sums = migrate_mark_brought(r, migration);
	if (sums != NULL)
		positions[w.n_positions++] = (struct store_position){ migration, sums };
	w.positions = positions;
	if (w.n_puts > 0 || w.n_maps > 0 || w.n_positions > 0 || w.intent_done != NULL) {
		r->waiting++;
		sync_of(r)->store->ops->write(sync_of(r)->store, r->flow->index, &w, on_marked, r);
	}
	buf_fini(&m.bytes);
	free(m.forwards);
	free(sums);
}

/* Its row there shows something else now in any of these fields; or it is gone. */
static bool lets_go_of(const struct subject *s, size_t e, const uint8_t *fields, size_t n)
{
	if (s->base == NULL || !s->base->seen[e].present || !s->d.next->seen[e].present)
		return s->base != NULL && s->base->seen[e].present;
	for (size_t i = 0; i < n; i++) {
		size_t f = fields != NULL ? fields[i] : i;

		if (shown_digest(s->base, e, f) != shown_digest(s->d.next, e, f))
			return true;
	}
	return false;
}

bool round_lets_go_of_key(const struct round *r, const struct subject *s, size_t e)
{
	return lets_go_of(s, e, r->flow->def->key, r->flow->def->n_key);
}

/* It was the record's, which somebody's row may have been parked for also where that had none. */
static bool gives_up_key(const struct subject *s)
{
	return round_leaves(s) != NULL || (s->base != NULL && vector_spent(s->d.next));
}

static bool frees_key(const struct round *r, const struct subject *s, size_t e)
{
	if (fault("f16-who-never-had-a-row-frees-nothing") && s->base != NULL && !s->base->seen[e].present)
		return false;
	return round_lets_go_of_key(r, s, e) || gives_up_key(s);
}

enum { FREED_MS = 5000 };

/*
 * Which columns have to be unique only the database knows: any change may make room. So that is tried now and then, and by every sweep;
 * what makes room soon after the last time is tried when its turn comes.
 */
static bool has_rested(struct side *side)
{
	int64_t now = clock_mono_us(), rests_ms = FREED_MS - (now - side->freed_us) / 1000;

	if (side->taken == 0 || retry_comes(side))
		return false;
	if (rests_ms > 0) {
		if (!fault("f14-room-that-is-made-soon-after-is-missed"))
			retry_keys_in(side, rests_ms);
		return false;
	}
	side->freed_us = now;
	return true;
}

static bool may_free_value(struct side *side, const struct subject *s)
{
	return side->taken > 0 && lets_go_of(s, side->endpoint, NULL, side->flow->def->n_fields) && has_rested(side);
}

static void look_at_duplicates(struct round *r)
{
	for (size_t e = 0; e < n_endpoints(r); e++) {
		struct side *side = r->flow->sides[e];
		bool freed;

		if (side == NULL || side->parked + side->discarded == 0)
			continue;
		freed = side == r->side && r->makes_room && has_rested(side);
		for (size_t i = 0; i < r->n; i++) {
			const struct subject *s = &r->subjects[i];

			freed |= is_live(s) && s->decided && (frees_key(r, s, e) || may_free_value(side, s));
		}
		if (freed)
			retry_wanted(side, RETRY_KEYS);
	}
}

/* What is owed no more is parked no more, whoever paid; nor what goes by a key that the record has no more. */
static void settle_parked(struct round *r, const struct subject *s)
{
	const struct rid *from = s->exchanges ? NULL : round_leaves(s);

	for (size_t e = 0; e < n_endpoints(r); e++) {
		if (r->flow->sides[e] != NULL && from != NULL)
			unpark_record(r->flow->sides[e], false, from, VALUE_NULL);
		if (r->flow->sides[e] != NULL && !s->d.next->seen[e].owed)
			unpark_record(r->flow->sides[e], false, &s->next_rid, VALUE_NULL);
	}
}

/* Another daemon has ended it, and our journal was not in use then. */
static void let_go_of_nobody(struct round *r, const struct subject *s)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (r->flow->sides[e] != NULL)
			unpark_record(r->flow->sides[e], false, &s->rid, VALUE_NULL);
}

/* A row of it went away, or points elsewhere. */
static bool lets_go_of_parents(const struct round *r, const struct subject *s)
{
	const struct entity_def *def = r->flow->def;

	for (size_t e = 0; s->base != NULL && e < n_endpoints(r); e++)
		if (s->base->seen[e].present && !s->d.next->seen[e].present)
			return true;
	for (size_t f = 0; s->base != NULL && f < def->n_fields; f++)
		if (def->fields[f].type == FIELD_REFERENCE && s->base->fields[f].digest != s->d.next->fields[f].digest)
			return true;
	return false;
}

/* Where there was none, or another one: a row that vanished and was put back in one go has a new local id for references to it. */
static bool is_new_row(const struct subject *s, size_t e)
{
	return s->d.next->seen[e].present &&
	       (s->base == NULL || !s->base->seen[e].present || !value_equal(s->base->seen[e].id, s->d.next->seen[e].id));
}

/* It has another key there by now, and references to it show that. */
static bool shows_another_key(const struct round *r, const struct subject *s, size_t e)
{
	return s->d.next->seen[e].present && round_lets_go_of_key(r, s, e) && !fault("f13-who-waits-for-a-key-is-not-told");
}

static void tell_who_waits(struct round *r, const struct subject *s)
{
	bool comes = false;

	for (size_t e = 0; e < n_endpoints(r); e++) {
		struct rid row;

		comes |= is_new_row(s, e) || shows_another_key(r, s, e);
		if (!is_new_row(s, e))
			continue;
		row = round_rid_of_row(r, e, s->d.next->seen[e].id);
		orphans_release(r->flow, &row);
	}
	if (comes)
		orphans_release(r->flow, &s->next_rid);
}

/* Whoever can tell is not there, or not as far. */
static bool is_unclear(const struct round *r, const struct subject *s)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (s->seen[e].unclear != 0)
			return true;
	return false;
}

/* It was away when rows were read and is there by now: when it came up, it did not know of this debt, or could not tell yet; and nobody else remembers. */
static bool came_up_meanwhile(const struct round *r, const struct subject *s, size_t e)
{
	const struct side *side = r->flow->sides[e];

	return side != NULL && (r->unasked & BIT(e)) && side_usable(side) &&
	       (is_unclear(r, s) || (s->d.next->seen[e].owed && !s->d.next->seen[e].parked));
}

void round_got_mark(struct round *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		ahead_of_subject(r, i);
		if (is_nobody(r, s))
			let_go_of_nobody(r, s);
		if (!is_live(s) || !s->decided)
			continue;
		if (!s->aside)
			round_let_go_of_parked(r, s);
		settle_parked(r, s);
		count_debts(r, s);
		if (!fault("f15-who-waits-for-a-parent-is-not-told"))
			tell_who_waits(r, s);
		if (lets_go_of_parents(r, s) && !fault("f15-what-others-still-refer-to-is-given-up"))
			blocked_release(r->flow);
		r->flow->unheard |= is_unclear(r, s);
		for (size_t e = 0; e < n_endpoints(r); e++)
			r->flow->settle_wanted |= came_up_meanwhile(r, s, e);
		if (s->again)
			flow_look_again(r->flow, &s->next_rid, 0);
		if (s->later)
			flow_look_later(r->flow, &(struct again){ .rid = s->next_rid, .tries = s->tries, .alone_us = s->alone_us, .missing = s->missing },
					s->failed_at);
	}
	look_at_duplicates(r);
	round_look_at_children(r);
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (r->touched & BIT(e))
			epoch_touched(sync_of(r), e);
	round_settle_held(r);
	round_settle_waiting(r);
	for (size_t i = 0; i < r->n; i++)
		if (r->subjects[i].fate != FATE_BUSY)
			round_book(r, &r->subjects[i]);
	round_settle_undos(r);
	r->intent[0] = '\0';
	r->counting = false;
	round_unclaim_all(r);
	if (r->writes_sent)
		r->flow->last_write_us = clock_mono_us();
	r->writes_sent = false;
}
