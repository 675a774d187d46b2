/*
 * round_write.c - decide, write down what is intended, and write.
 */
#include "sync/round.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "model/doubt.h"
#include "sync/migrate.h"
#include "sync/round_ahead.h"
#include "sync/undo.h"

/* ---- decide, and KEYS: is a changed key free? -------------------------------------------------------- */

static void make_policy(struct round *r, struct decide_policy *p, struct decide_endpoint ends[ENDPOINTS_MAX])
{
	memset(ends, 0, ENDPOINTS_MAX * sizeof *ends);
	for (size_t e = 0; e < n_endpoints(r); e++) {
		const struct side *side = r->flow->sides[e];

		if (side == NULL)
			continue;
		ends[e] = (struct decide_endpoint){
			.mapped = true, .votes = side->mapping->role != ROLE_TARGET, .writable = side->mapping->role != ROLE_SOURCE,
			.surveyed = round_has_listed(r, e), .ignores_deletes = side->mapping->delete_mode == DELETE_IGNORE,
		};
	}
	*p = (struct decide_policy){
		.entity = r->flow->def, .endpoints = ends, .n_endpoints = n_endpoints(r), .key = &sync_of(r)->store->key,
		.row_order = round_row_order(r),
		.now_us = clock_wall_us(), .max_ahead_us = sync_of(r)->topology->limits.max_ahead_us,
		.quantum_us = fault("f06-ticks-are-not-made-equal") ? 1 : r->flow->quantum_us,
	};
	migrate_shape(r, ends);
}

/* A row of a database that was put back is no edit of what others know: it loses to that, but for what was edited there since. */
static void mark_past(const struct round *r, struct subject *s)
{
	for (size_t e = 0; s->base != NULL && e < n_endpoints(r); e++)
		if (s->seen[e].what == OBSERVED_ROW && !s->base->seen[e].present && r->flow->sides[e] != NULL)
			s->seen[e].past = fields_past(r->flow->sides[e], s->base, &s->seen[e]);
}

/* What is deleted there for being of the past: the journal keeps all of it. When that was deleted, and by whom, nobody knows any more. */
static void lose_buried(struct round *r, struct subject *s)
{
	size_t e = r->side->endpoint, n = r->flow->def->n_fields;

	s->d.lost = arena_zalloc(&r->arena, n * sizeof *s->d.lost);
	s->d.n_lost = n;
	for (size_t f = 0; f < n; f++)
		s->d.lost[f] = (struct lost_edit){
			.kind = LOST_TO_DELETE, .field = (uint8_t)f, .loser = (uint8_t)e, .winner = ORIGIN_NONE,
			.loser_key = s->base->fields[f].key, .winner_key = { .eff = EFF_UNKNOWN, .origin = ORIGIN_NONE },
			.loser_value = s->seen[e].values[f], .winner_value = VALUE_NULL, .loser_digest = s->seen[e].digests[f],
			.tie_break = "put-back" };
}

/* And where that was written since, it is the delete that is lost, of whoever made it. */
static void lose_burial(struct round *r, struct subject *s)
{
	uint8_t e = (uint8_t)r->side->endpoint;
	struct lost_edit *list = arena_zalloc(&r->arena, (s->d.n_lost + 1) * sizeof *list);

	if (s->d.n_lost > 0)
		memcpy(list, s->d.lost, s->d.n_lost * sizeof *list);
	list[s->d.n_lost] = (struct lost_edit){
		.kind = LOST_DELETE, .field = FIELDS_MAX, .loser = ORIGIN_NONE, .winner = e, .winner_key = s->d.next->fields[0].key,
		.loser_value = VALUE_NULL, .winner_value = VALUE_NULL, .tie_break = "put-back" };
	s->d.lost = list;
	s->d.n_lost++;
}

/* With another key it is another write than the one that stood aside, whose line goes by the key that it had. */
static void try_anew(const struct round *r, struct subject *s)
{
	for (size_t e = 0; round_leaves(s) != NULL && e < n_endpoints(r); e++)
		s->d.next->seen[e].parked = false;
}

/* What the change log tells of the row that its vector has there: it was deleted, and this is another one. */
static void mark_replaced(const struct round *r, struct subject *s)
{
	const struct vseen *known = s->base != NULL && r->side != NULL ? &s->base->seen[r->side->endpoint] : NULL;

	if (known != NULL && known->present && !value_is_null(s->deleted_id) && value_equal(known->id, s->deleted_id))
		s->seen[r->side->endpoint].replaces = true;
}

enum { CAPTURE_FAILURES_MAX = 5 };	/* some seconds */

/*
 * Its change log has yet to be read up to a moment after that was found. Of a capture that fails again and again nothing is to be
 * had, nor of a table that is to be swept.
 */
static bool will_be_told(const struct side *side, int64_t since_us)
{
	return side->captures && side->mapping->endpoint->capture == CAPTURE_LISTEN && side->surveyed && !side->gap &&
	       side->capture_failures < CAPTURE_FAILURES_MAX && side_settled_us(side) < since_us;
}

/*
 * A row that is not there was deleted, or goes on under another id: where that is the key it was renamed. Brought back before the change log
 * has told which of the two, the record would be there twice. And one that has the record's key, and nobody knows, may be another record's that was
 * renamed to it. So the record is owed there what it is to get, and looked at again.
 */
static void wait_for_word(struct round *r, struct subject *s)
{
	if (s->base == NULL || s->base->dead || r->plan != NULL || r->migration != NULL || fault("f13-what-is-missing-is-brought-back-at-once"))
		return;
	for (size_t e = 0; e < n_endpoints(r); e++) {
		const struct observation *o = &s->seen[e];
		bool missing = (s->base->seen[e].present && o->what == OBSERVED_ABSENT && !o->evidence && !o->outside) || s->strange & BIT(e);

		if (missing && !(s->missing.at & BIT(e)))
			s->missing.since_us = clock_mono_us();
		s->missing.at = (s->missing.at & ~BIT(e)) | (missing ? BIT(e) : 0);
	}
	for (uint64_t rest = s->missing.at; rest != 0; rest &= rest - 1) {
		size_t e = (size_t)__builtin_ctzll(rest);
		struct side *side = r->flow->sides[e];

		if (!will_be_told(side, s->missing.since_us))
			continue;
		if (s->strange & BIT(e))
			s->seen[e] = (struct observation){ .what = OBSERVED_NOTHING, .stamp = STAMP_NONE };
		s->seen[e].unexplained = true;
		side->wanted |= !side->capturing;
	}
}

/* It is parked where another record's row has its key; and where it has ended it is not looked for any more, nor in that one's way. */
static void mind_taken(struct round *r, struct subject *s)
{
	for (uint64_t rest = s->taken; rest != 0; rest &= rest - 1) {
		size_t e = (size_t)__builtin_ctzll(rest);
		struct err why = { 0 };

		if (s->d.next->dead && !fault("f16-what-has-ended-keeps-its-key")) {
			s->d.next->seen[e] = (struct vseen){ .known = true };
			continue;
		}
		err_set(&why, ERR_ROW, "key-taken", "another %s still has its key there; give one of the two another key", r->flow->def->name);
		s->invalid |= BIT(e);
		round_park(r, r->flow->sides[e], false, &s->rid, s->key, VALUE_NULL, NULL, STAMP_NONE, &why);
	}
}

static void park_outside(struct round *r, struct subject *s, size_t e)
{
	struct err taken = { 0 };

	err_set(&taken, ERR_ROW, "key-taken", "a row outside of `where` has its key there; it is inserted when that row is gone or has another key");
	round_park(r, r->flow->sides[e], false, &s->next_rid, s->key, VALUE_NULL, NULL, STAMP_NONE, &taken);
}

static void decide_subject(struct round *r, struct subject *s, struct decide_policy *p)
{
	const struct entity_def *def = r->flow->def;
	const struct vector *base;
	bool have_key = true;

	for (size_t e = 0; e < n_endpoints(r); e++)
		if (s->seen[e].what == OBSERVED_ROW && (s->base == NULL || !s->base->seen[e].present))
			own_recognise(r->flow->sides[e], &s->seen[e]);
	mark_past(r, s);
	mark_replaced(r, s);
	wait_for_word(r, s);
	round_add_settlements(r, s, p);
	if (undo_finds_taken(r, s)) {
		round_drop_subject(r, s, BOOKS_UNCHANGED);
		return;
	}
	undo_impose(r, s, p);
	if (s->undo == NULL && r->migration == NULL)
		verify_impose(r, s, p);
	if (migrate_spares(r, s)) {
		round_drop_subject(r, s, BOOKS_UNCHANGED);
		return;
	}
	migrate_impose(r, s, p);
	base = migrate_base_of(r, s, round_base_of(r, s));
	decide_record(p, base, s->seen, &r->arena, &s->d);
	if (migrate_overrules(r, s, p))
		decide_record(p, base, s->seen, &r->arena, &s->d);
	if (round_holds(r, s))
		decide_record(p, s->base, s->seen, &r->arena, &s->d);
	if (s->buried && s->d.next->dead && s->seen[r->side->endpoint].what == OBSERVED_ROW)
		lose_buried(r, s);
	if (s->dug_up && !s->d.next->dead)
		lose_burial(r, s);
	if (s->base == NULL && s->d.edited == 0 && !s->d.next->dead) {	/* not so where its end is imposed */
		round_drop_subject(r, s, BOOKS_UNCHANGED);
		return;
	}
	s->decided = true;
	s->next_rid = s->rid;
	for (size_t i = 0; i < def->n_key; i++)
		have_key &= (s->d.have >> def->key[i]) & 1;
	if (have_key && !s->d.next->dead) {
		s->key = record_key(def, s->d.values, &r->arena);
		s->next_rid = rid_of(p->key, def, s->key);
	} else if (s->moved) {
		s->next_rid = s->old_rid;
	}
	round_keep_former(r, s, have_key && !s->d.next->dead);
	try_anew(r, s);
	mind_taken(r, s);
	for (size_t e = 0; e < n_endpoints(r); e++)
		s->later |= s->seen[e].unexplained && s->d.next->seen[e].owed;
	for (size_t e = 0; e < n_endpoints(r); e++) {	/* what cannot be reached or is not valid now stays owed */
		if (s->d.orders[e].action != ACTION_NONE && (!reachable(r, e) || s->invalid & BIT(e) || s->seen[e].unexplained || migrate_forbids(r, e)))
			s->d.orders[e].action = ACTION_NONE;
		/* What stood in the way may be over, and nobody will say so again: when that endpoint is back it is tried like anything else. */
		if (!reachable(r, e) && s->d.next->seen[e].owed && !(s->d.waits & ~s->d.have) && !fault("f23-who-is-away-is-not-tried-when-it-is-back"))
			s->d.next->seen[e].parked = false;
		if (s->gently && r->flow->sides[e] != NULL && s->base != NULL && s->base->seen[e].parked && s->d.next->seen[e].owed &&
		    round_leaves(s) == NULL && stays_parked(r->flow->sides[e], &s->rid)) {
			s->d.orders[e].action = ACTION_NONE;
			s->d.next->seen[e].parked = true;
		}
		/* Nor can what only an invalid row has be brought to others, or anything to where such a row has its key. */
		if (s->invalid != 0 && s->d.orders[e].action == ACTION_NONE && reachable(r, e) &&
		    (s->d.next->seen[e].known || s->invalid & BIT(e)))
			s->d.next->seen[e].parked = s->d.next->seen[e].owed;
		if (s->seen[e].outside && s->d.next->seen[e].owed)
			park_outside(r, s, e);
	}
}

/* False: there is nothing to keep, and the subject is over. */
static bool decide_nothing(struct round *r, struct subject *s)
{
	if (s->base == NULL) {
		round_drop_subject(r, s, BOOKS_UNTOLD);	/* its row is parked */
		return false;
	}
	s->d = (struct decision){ .next = vector_copy(&r->arena, s->base),
				  .orders = arena_zalloc(&r->arena, n_endpoints(r) * sizeof *s->d.orders) };
	round_let_go_of_next(r, s);
	s->next_rid = s->moved ? s->old_rid : s->rid;
	return true;
}

/* A row of it is parked, and with that row what is owed for the record. False: the subject is over. */
static bool stand_aside(struct round *r, struct subject *s)
{
	if (!decide_nothing(r, s))
		return false;
	s->aside = true;
	for (size_t e = 0; e < n_endpoints(r); e++)
		s->d.next->seen[e].parked = s->d.next->seen[e].owed;
	return true;
}

static bool has_rows(const struct vector *v)
{
	for (size_t e = 0; e < v->n_endpoints; e++)
		if (v->seen[e].present || v->seen[e].uncertain)
			return true;
	return false;
}

/*
 * Two rounds can take a row for two records at once: one found it by its key, the other by the key that it was given at
 * that moment. The row is the record's whose key it has; the other one goes on without.
 */
static bool let_go_of_foreign_rows(struct round *r, struct subject *s, struct value blob)
{
	struct rid owner = s->next_rid;
	const struct vector *v = round_vector(r, r->flow, blob);

	s->not_ours = 0;
	if (v == NULL || s->base == NULL)
		return false;
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (v->seen[e].present && s->base->seen[e].present && value_equal(v->seen[e].id, s->base->seen[e].id))
			s->not_ours |= BIT(e);
	if (s->not_ours == 0 || !decide_nothing(r, s))
		return false;
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (s->not_ours & BIT(e))
			s->d.next->seen[e] = (struct vseen){ .known = true, .owed = true };
	s->owner = owner;
	s->again = has_rows(s->d.next);
	if (!s->again)		/* all of it was the other record's: there never was one */
		*s->d.next = *vector_new(&r->arena, r->flow->def->n_fields, n_endpoints(r));
	s->d.next->dead = !s->again;
	return true;
}

static void decide_all(struct round *r)
{
	struct decide_policy p;
	struct decide_endpoint ends[ENDPOINTS_MAX];
	struct err failed = { 0 };

	make_policy(r, &p, ends);
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		if (is_live(s) && s->key_taken)
			s->decided = stand_aside(r, s);
		else if (is_live(s))
			decide_subject(r, s, &p);
	}
	if (!r->holding)
		return;
	r->holding = false;
	if (!journal_commit(sync_of(r)->journal, &failed)) {
		round_give_up(r, &failed);
		held_read_again(sync_of(r));
	}
}

static bool moves_to_unknown_key(const struct subject *s)
{
	return is_live(s) && s->decided && !rid_equal(&s->next_rid, &s->rid) &&
	       !(s->moved && rid_equal(&s->next_rid, &s->old_rid));
}

static void on_keys(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct recalling *c = arg;
	struct round *r = c->round;

	round_give_up(r, e);
	for (size_t i = 0; e == NULL && i < n; i++) {
		struct subject *s = c->list[i];
		struct err taken = { 0 };
		struct rid forward;

		if (value_is_null(blobs[i]) || vector_decode_forward(blobs[i], &forward) ||
		    fault("f13-a-key-that-another-one-has-is-free") || let_go_of_foreign_rows(r, s, blobs[i]))
			continue;
		if (s->undo != NULL && s->d.edited == 0) {
			if (!undo_key_taken(r, s))
				decide_nothing(r, s);
			continue;
		}
		if (round_waits_for_others(r, s))
			continue;
		round_say_taken(r, &taken);
		for (size_t o = 0; o < n_endpoints(r); o++)
			if (s->d.edited & BIT(o) && s->seen[o].what == OBSERVED_ROW)
				round_park_row(r, r->flow->sides[o], s, s->seen[o].id, NULL, &taken);
		stand_aside(r, s);
	}
	round_answered(r);
}

void round_ask_keys(struct round *r)
{
	struct recalling *c = round_recalling_new(r);
	struct rid *rids = arena_alloc(&r->arena, (r->n + 1) * sizeof *rids);
	struct subject **movers = arena_alloc(&r->arena, (r->n + 1) * sizeof *movers);
	size_t n_movers = 0, n = 0;

	decide_all(r);
	for (size_t i = 0; i < r->n; i++)
		if (moves_to_unknown_key(&r->subjects[i]))
			movers[n_movers++] = &r->subjects[i];
	round_find_exchanges(r, movers, n_movers);
	for (size_t i = 0; i < n_movers; i++) {
		struct subject *s = movers[i];

		if (s->exchanges)
			continue;
		if (!round_claim_next(r, s)) {
			round_put_off(r, s);
			continue;
		}
		rids[n] = s->next_rid;
		c->list[n++] = s;
	}
	if (n == 0)
		return;
	r->waiting++;
	sync_of(r)->store->ops->recall(sync_of(r)->store, r->flow->index, rids, n, on_keys, c);
}

/* ---- INTEND: the journal, then what is agreed and who is owed ---------------------------------------- */

bool round_has_orders(const struct round *r, const struct subject *s)
{
	for (size_t e = 0; is_live(s) && s->decided && e < n_endpoints(r); e++)
		if (s->d.orders[e].action != ACTION_NONE)
			return true;
	return false;
}

/* Where somebody else is to find the record again: its rows that are written, or what goes on to be put back of it. */
static bool is_intended(const struct round *r, const struct subject *s)
{
	return round_has_orders(r, s) || s->exchanges || undo_leaves(s);
}

static void on_intended(void *arg, const struct err *e)
{
	struct round *r = arg;

	round_give_up(r, e);
	round_answered(r);
}

/* The id under which the record's vector was, when it goes somewhere else; NULL otherwise. */
const struct rid *round_leaves(const struct subject *s)
{
	const struct rid *from = s->moved ? &s->old_rid : &s->rid;

	return s->base == NULL || rid_equal(from, &s->next_rid) ? NULL : from;
}

/* A row that may be there can be found by nothing else, once the record's other rows are gone or have another key. */
static void note_tried_key(const struct subject *s, struct vseen *seen)
{
	if (seen->uncertain && !seen->present && !value_is_null(s->key))
		seen->tried_key = s->key;
}

static void add_intent(struct round *r, struct subject *s, struct arena *scratch, struct buf *blob)
{
	struct vector *v = vector_copy(scratch, s->d.next);
	const struct rid *from = s->exchanges ? NULL : round_leaves(s);	/* there is another one by then */
	size_t len_at;

	for (size_t e = 0; e < n_endpoints(r); e++)
		if (s->d.orders[e].action != ACTION_NONE) {
			doubt_add(v, e, &s->d.orders[e], r->flow->def, &sync_of(r)->store->key, scratch);
			note_tried_key(s, &v->seen[e]);
		}
	buf_add(blob, s->next_rid.b, RID_BYTES);
	buf_addc(blob, (from != NULL ? INTENT_LEAVES : 0) | (s->base == NULL || s->buried || s->revived ? INTENT_NEW : 0) |
			     (round_forward_complete(r, s, v) ? INTENT_FORWARDS : 0));
	if (from != NULL)
		buf_add(blob, from->b, RID_BYTES);
	len_at = blob->len;
	buf_be32(blob, 0);
	vector_encode(v, &sync_of(r)->store->layouts[r->flow->index], blob);
	buf_put_be32(blob, len_at, (uint32_t)(blob->len - len_at - sizeof(uint32_t)));
}

void round_ask_intend(struct round *r)
{
	struct buf blob = { 0 };
	struct arena scratch;		/* of one intent: what is sent need not stay */
	struct err e = { 0 };
	bool any = false;

	round_note_newborn(r);
	if (!round_journal_all(r, &e)) {	/* a losing value must not go before it is written down */
		log_debug("conflict journal not writable, nothing is applied", LOG_S("entity", r->flow->def->name), LOG_ERR(&e));
		round_give_up(r, &e);
		return;
	}
	arena_init(&scratch);
	for (size_t i = 0; i < r->n; i++) {
		ahead_of_subject(r, i);
		if (!is_intended(r, &r->subjects[i]))
			continue;
		add_intent(r, &r->subjects[i], &scratch, &blob);
		arena_reset(&scratch);
		any = true;
	}
	arena_fini(&scratch);
	if (any) {
		snprintf(r->intent, sizeof r->intent, "%s.%llx.%llx.%u", r->flow->def->name,
			 (unsigned long long)sync_of(r)->life, (unsigned long long)r->number, r->pass);
		r->intent[sizeof r->intent - 1] = '\0';
		r->waiting++;
		sync_of(r)->store->ops->intend(sync_of(r)->store, r->intent, blob.p, blob.len, on_intended, r);
	}
	buf_fini(&blob);
}

/* ---- APPLY ------------------------------------------------------------------------------------------- */

static const enum write_op op_of[] = {
	[ACTION_INSERT] = WRITE_INSERT, [ACTION_UPDATE] = WRITE_UPDATE, [ACTION_DELETE] = WRITE_DELETE,
};

static void fill_write(struct round *r, struct subject *s, size_t e, struct write *w)
{
	const struct order *o = &s->d.orders[e];

	*w = (struct write){
		.op = o->action == ACTION_INSERT && s->remains & BIT(e) ? WRITE_UPDATE : op_of[o->action],
		.id = VALUE_NULL, .version = VALUE_NULL, .fields = o->fields, .subject = s,
		.retried = is_parked(r->flow->sides[e], false, &s->next_rid, VALUE_NULL) };
	if (w->op == WRITE_INSERT) {
		/* Looked for by its key and not found: let a collision of another kind say its name. */
		if (s->base != NULL && s->base->seen[e].uncertain)
			w->version = value_of("force");
	} else {
		w->id = s->seen[e].id;
		w->version = s->versions[e];
	}
	w->values = o->action == ACTION_DELETE ? NULL : round_values_with_parents(r, s, e);
}

static void on_written(void *arg, struct write_batch *batch)
{
	struct round *r = arg;

	for (size_t e = 0; e < n_endpoints(r); e++)
		if (r->batches[e] == batch) {
			r->writing_at &= ~BIT(e);
			r->flow->sides[e]->writing--;
			r->flow->sides[e]->written_us = clock_mono_us();
			round_claim_inserted(r, e);
			meter_written(&sync_of(r)->meters[e].volume, batch->bytes, r->sent_us[e], clock_mono_us());
			migrate_note_written(r, e, batch->bytes, clock_mono_us() - r->sent_us[e]);
		}
	round_answered(r);
}

static int64_t behind_since(const struct round *r, size_t e)
{
	int64_t oldest = INT64_MAX;

	for (size_t i = 0; i < r->batches[e]->n; i++) {
		const struct subject *s = r->batches[e]->list[i].subject;
		int64_t since;

		ahead_of_write(r->batches[e], i);
		since = vector_owed_since(s->d.next, e);
		if (since < oldest)
			oldest = since;
	}
	return oldest;
}

static void write_at(struct round *r, size_t e)
{
	struct write_batch *b = arena_zalloc(&r->arena, sizeof *b);

	b->arena = &r->arena;
	b->list = arena_alloc(&r->arena, r->n * sizeof *b->list);
	for (size_t i = 0; i < r->n; i++)
		if (is_live(&r->subjects[i]) && r->subjects[i].decided && r->subjects[i].d.orders[e].action != ACTION_NONE)
			fill_write(r, &r->subjects[i], e, &b->list[b->n++]);
	if (b->n == 0)
		return;
	r->batches[e] = b;
	r->flow->sides[e]->writing++;
	r->waiting++;
	r->writes_sent = true;
	r->touched |= BIT(e);
	r->writing_at |= BIT(e);
	r->sent_us[e] = clock_mono_us();
	r->written_for_us[e] = behind_since(r, e);
	r->flow->sides[e]->link->ops->write(r->flow->sides[e]->link, b, on_written, r);
}

void round_ask_apply(struct round *r)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (r->n > 0 && r->flow->sides[e] != NULL)
			write_at(r, e);
}

static void note_done(struct round *r, struct side *side, const struct subject *s, enum action action, int64_t now)
{
	side->meter.applied++;
	side->meter.inserts += action == ACTION_INSERT;
	side->meter.updates += action == ACTION_UPDATE;
	side->meter.deletes += action == ACTION_DELETE;
	if (r->captured == NULL || s->d.oldest_edit_us == STAMP_NONE || now <= s->d.oldest_edit_us)
		return;
	histogram_add(&r->flow->meter.propagation, (double)(now - s->d.oldest_edit_us) / 1e6);
}

static void write_parked(struct round *r, struct side *side, struct subject *s, const struct err *why)
{
	bool fresh = !is_parked(side, false, &s->next_rid, VALUE_NULL);

	s->d.next->seen[side->endpoint].parked = true;
	side->meter.failures++;
	undo_note_refused(r, s, why);
	round_park(r, side, false, &s->next_rid, s->key, VALUE_NULL, NULL, STAMP_NONE, why);
	round_ask_rivals(r, side, fresh, why);
}

/* A missing parent or a child still there mostly passes by itself: so often it is tried before it is parked. */
enum { FOREIGN_TRIES = 6, ALONE_US = 60 * 1000000 };

/* What was parked and is tried once more stays so until that succeeds: meanwhile nobody who waits is held up by it. */
static bool has_tried_enough(const struct side *side, struct subject *s)
{
	return ++s->tries >= FOREIGN_TRIES || fault("f15-what-others-still-refer-to-is-given-up") || is_parked(side, false, &s->next_rid, VALUE_NULL);
}

/*
 * Refused by itself, for what is no error of a row's: for so long something else may be the matter with it, which is mended or passes. And
 * it is its own only when others have been written in the same way meanwhile: what is wrong for all of them is nothing that parking mends.
 */
static bool is_its_own_fault(const struct round *r, struct side *side, struct subject *s, enum write_op op)
{
	if (s->alone_us == 0)
		s->alone_us = r->sent_us[side->endpoint];
	return has_tried_enough(side, s) &&
		((side->carried_us[op] > s->alone_us && clock_mono_us() - s->alone_us >= ALONE_US) || is_parked(side, false, &s->next_rid, VALUE_NULL));
}

static bool is_to_stand_aside(const struct round *r, struct side *side, struct subject *s, const struct write *w)
{
	if (w->alone)
		return is_its_own_fault(r, side, s, w->op);
	return w->err->kind == ERR_ROW && (strcmp(w->err->code, FOREIGN_KEY) != 0 || has_tried_enough(side, s));
}

static void try_astray_again(struct round *r, struct side *side, struct subject *s)
{
	struct err why = { 0 };

	if (!has_tried_enough(side, s)) {
		s->later = true;
		return;
	}
	round_wait_for_parents(r, s, side->endpoint);
	err_set(&why, ERR_ROW, "waits-for-parent", "the row that it points to has another key there; it follows by itself");
	write_parked(r, side, s, &why);
}

/* A digest_row(), also where not all was written that is agreed; 0: there is none, or something else was edited by it. */
static uint64_t row_written(struct round *r, const struct subject *s, size_t e, const struct observation *readback)
{
	const struct entity_def *def = r->flow->def;
	const struct order *o = &s->d.orders[e];
	const struct vector *next = s->d.next;
	const struct digest_key *key = &sync_of(r)->store->key;
	uint64_t *digests;

	if (o->action == ACTION_DELETE || o->edited != 0)
		return 0;
	if (readback != NULL)
		return digest_row(readback->row);
	if (next->seen[e].same && next->row != 0)
		return next->row;
	digests = arena_alloc(&r->arena, def->n_fields * sizeof *digests);
	for (size_t f = 0; f < def->n_fields; f++)
		digests[f] = o->fields & BIT(f) ? s->d.digests[f] :
			     o->action == ACTION_UPDATE ? s->seen[e].digests[f] : value_digest(key, def->fields[f].type, VALUE_NULL);
	return digest_row(row_digest(key, digests, def->n_fields, round_row_order(r)));
}

/* What the row is now. */
static void take_written(struct round *r, struct side *side, struct subject *s, const struct write *w, const struct decide_policy *p)
{
	size_t e = side->endpoint;
	enum action action = s->d.orders[e].action;
	struct observation back, *readback = NULL;
	const struct field_def *field;
	struct err bad = { 0 };

	if (w->readback != NULL && round_observe(r, side, w->readback, &back, &field, &bad))
		readback = back.what == OBSERVED_ROW ? &back : NULL;
	s->d.orders[e].astray = round_find_astray(r, s, e, readback);
	decide_applied(p, &s->d, e, readback, action == ACTION_DELETE ? s->seen[e].id : w->id, &r->arena);
	own_note(side, s->d.next, row_written(r, s, e, readback), action == ACTION_INSERT);
	s->again |= s->d.orders[e].edited != 0;
	/* What tells whether a row has to be read back is its own columns, and these are as they were sent. */
	s->again |= readback == NULL && s->own_keys & BIT(e) && !fault("f09-what-a-reference-came-to-show-is-not-looked-at");
}

static void write_done(struct round *r, struct side *side, struct subject *s, const struct write *w, const struct decide_policy *p)
{
	size_t e = side->endpoint;
	enum action action = s->d.orders[e].action;

	take_written(r, side, s, w, p);
	side->failures = 0;
	side->carried_us[w->op] = side->written_us;
	err_clear(&side->why);
	if (s->orphaned & BIT(e))
		s->d.next->seen[e].owed = s->d.next->seen[e].parked = true;
	else if (s->d.orders[e].astray != 0)
		try_astray_again(r, side, s);
	else
		unpark_record(side, false, &s->next_rid, VALUE_NULL);
	round_note_written(r, s, e);
	note_done(r, side, s, action, p->now_us);
	migrate_note_done(r, e, action);
}

static void write_failed(struct round *r, struct side *side, struct subject *s, const struct write *w)
{
	struct vseen *seen = &s->d.next->seen[side->endpoint];
	struct err silent = { 0 };

	if (w->outcome != WRITE_ERROR || !w->unanswered)
		round_note_failed(r, s, side->endpoint);
	seen->owed = !fault("f30-what-failed-is-not-tried-again");
	switch (w->outcome) {
	case WRITE_REFUSED:
		side->meter.refused++;
		seen->uncertain |= w->op == WRITE_INSERT;
		note_tried_key(s, seen);
		s->again = true;
		return;
	case WRITE_SILENT:
		err_set(&silent, ERR_ROW, "refused-silently",
			"the database did not carry out the write and gave no reason (a trigger, rule or policy)");
		write_parked(r, side, s, &silent);
		return;
	case WRITE_PENDING:
	case WRITE_DONE:
	case WRITE_ERROR:
		break;
	}
	if (w->unanswered)
		doubt_add(s->d.next, side->endpoint, &s->d.orders[side->endpoint], r->flow->def, &sync_of(r)->store->key, &r->arena);
	else if (w->op == WRITE_INSERT)
		seen->uncertain = true;
	note_tried_key(s, seen);
	if (is_to_stand_aside(r, side, s, w)) {
		if (w->alone)
			err_while(w->err, "others are written there, this one is not");
		if (w->op != WRITE_DELETE && strcmp(w->err->code, FOREIGN_KEY) == 0)
			round_wait_for_parents(r, s, side->endpoint);
		/* What stands in the way of a record that comes back may be that record, entered anew at this very moment. */
		s->again |= s->undo != NULL && w->op == WRITE_INSERT && !w->retried && park_says_taken(w->err->code);
		write_parked(r, side, s, w->err);
		return;
	}
	side->meter.failures++;
	side->why = *w->err;
	s->failed_at |= BIT(side->endpoint);
	undo_note_refused(r, s, w->err);
	s->later = seen->owed;
}

/* Rows that are listed for the first time, and that move nothing, would drive out all that is worth remembering. */
static bool is_worth_noting(const struct subject *s, size_t e, bool moves)
{
	return s->seen[e].what == OBSERVED_ROW && (moves || (s->d.edited & BIT(e) && s->base != NULL && s->base->seen[e].present)) &&
	       !fault("f22-what-was-taken-is-forgotten");
}

/* From where something is brought to others, and who shows it already. What is written comes after it. */
static void note_shown(struct round *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct subject *s = &r->subjects[i];
		bool moves = round_has_orders(r, s);

		ahead_of_subject(r, i);
		for (size_t e = 0; is_live(s) && s->decided && e < n_endpoints(r); e++)
			if (is_worth_noting(s, e, moves))
				own_note(r->flow->sides[e], s->d.next, digest_row(s->seen[e].row), false);
	}
}

void round_note_own(struct round *r)
{
	struct decide_policy p;
	struct decide_endpoint ends[ENDPOINTS_MAX];

	make_policy(r, &p, ends);
	note_shown(r);
	for (size_t e = 0; e < n_endpoints(r); e++)
		for (size_t i = 0; r->batches[e] != NULL && i < r->batches[e]->n; i++)
			if (r->batches[e]->list[i].outcome == WRITE_DONE)
				take_written(r, r->flow->sides[e], r->batches[e]->list[i].subject, &r->batches[e]->list[i], &p);
}

void round_got_apply(struct round *r)
{
	struct decide_policy p;
	struct decide_endpoint ends[ENDPOINTS_MAX];
	struct err failed = { 0 };

	make_policy(r, &p, ends);
	note_shown(r);
	journal_begin(sync_of(r)->journal);
	round_note_agreed(r);
	for (size_t e = 0; e < n_endpoints(r); e++) {
		struct write_batch *b = r->batches[e];
		bool trouble = false;

		for (size_t i = 0; b != NULL && i < b->n; i++) {
			ahead_of_write(b, i);
			if (b->list[i].outcome == WRITE_DONE)
				write_done(r, r->flow->sides[e], b->list[i].subject, &b->list[i], &p);
			else
				write_failed(r, r->flow->sides[e], b->list[i].subject, &b->list[i]);
			trouble |= b->list[i].outcome == WRITE_ERROR;
		}
		if (trouble)
			r->flow->sides[e]->failures++;
		if (b != NULL)	/* behind since the oldest edit was made, not since we heard of it */
			side_got(r->flow->sides[e], r->written_for_us[e]);
		r->batches[e] = NULL;
	}
	for (size_t i = 0; i < r->n; i++)
		if (is_live(&r->subjects[i]) && r->subjects[i].decided)
			round_note_paid(r, &r->subjects[i]);
	if (!journal_commit(sync_of(r)->journal, &failed))
		round_give_up(r, &failed);
}
