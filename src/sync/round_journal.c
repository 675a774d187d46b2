/*
 * round_journal.c - what a round decided, for people: one decision for each record and field.
 *
 * It is written before anything is applied, since a losing value may be gone after. It names the winner, everybody whose edit
 * lost, and who else showed a value at that moment; where it has yet to be written is noted as owed, and as written once that
 * endpoint has answered, in this round or a later one. An endpoint that takes part twice (its agreed value and a newer edit)
 * makes two decisions of it: a decision has one value of each. What waits for a person is a decision without a winner, and a
 * line of the queue (waiting.c).
 */
#include "sync/round.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/decide.h"
#include "sync/undo.h"

static const char *const lost_kinds[] = {
	[LOST_CONFLICT] = "conflict", [LOST_FIRST_CONTACT] = "first-contact", [LOST_DELETE] = "delete-update",
	[LOST_TO_DELETE] = "delete-update",
};

static int64_t word_stamp(const struct subject *s, size_t e, size_t f)
{
	const struct vdeviation *dev = vseen_deviation(&s->d.next->seen[e], f);

	return dev != NULL ? dev->key.eff : EFF_UNKNOWN;
}

static const char *endpoint_name(const struct round *r, size_t e)
{
	return sync_of(r)->topology->endpoints[e].name;
}

/* Where the row is gone and nobody who has another can be asked, a local id is all that is left to tell which record it was. */
void round_print_key(const struct round *r, const struct subject *s, struct buf *out)
{
	buf_adds(out, "");
	if (!value_is_null(s->key)) {
		record_key_print(out, s->key, r->flow->def->n_key);
		return;
	}
	for (size_t e = 0; s->base != NULL && e < n_endpoints(r); e++)
		if (s->base->seen[e].present) {
			buf_addf(out, "id %.*s at %s", (int)s->base->seen[e].id.len, s->base->seen[e].id.data,
				 sync_of(r)->topology->endpoints[e].name);
			return;
		}
}

static const char *rid_text(struct round *r, const struct rid *rid)
{
	char text[2 * RID_BYTES + 1];

	rid_print(rid, text);
	return arena_printf(&r->arena, "%s", text);
}

/* By which its vector stands in the store until this round is marked; that is how the journal knows it until the round's writes are answered. */
static const char *stored_rid(struct round *r, const struct subject *s)
{
	const struct rid *from = round_leaves(s);

	return rid_text(r, from != NULL ? from : &s->next_rid);
}

/* ---- the sides --------------------------------------------------------------------------------------- */

struct telling {			/* one decision in the making */
	struct round *r;
	const struct subject *s;
	const struct lost_edit *lost;	/* the first of those that it is about; NULL: what waits for a person */
	const struct field_def *field;	/* NULL: about the record as a whole */
	size_t index;			/* of the field */
	bool hide;
	const char *nobody;		/* of what no endpoint of the topology gave: "(undo)", "(removed)", "(unknown)" */
	struct journal_decision *d;
};

static const char *name_of(const struct telling *t, uint8_t origin)
{
	return origin < n_endpoints(t->r) ? endpoint_name(t->r, origin) : t->nobody;
}

static const char *text_of(const struct telling *t, struct value v)
{
	return t->hide || value_is_null(v) ? NULL : arena_dup(&t->r->arena, v.data, (size_t)v.len);
}

static struct journal_side *side_of(struct journal_decision *d, const char *endpoint)
{
	for (size_t i = 0; i < d->n_sides; i++)
		if (strcmp(d->sides[i].endpoint, endpoint) == 0)
			return &d->sides[i];
	return NULL;
}

static struct journal_side *add_side(const struct telling *t, const char *endpoint, struct value v, int64_t stamp_us, uint64_t digest)
{
	struct journal_decision *d = t->d;

	if (d->n_sides == countof(d->sides))
		return NULL;
	d->sides[d->n_sides] = (struct journal_side){
		.endpoint = endpoint, .value = text_of(t, v), .stamp_us = stamp_us,
		.digest = arena_printf(&t->r->arena, "%016llx", (unsigned long long)digest) };
	return &d->sides[d->n_sides++];
}

static void add_competitor(const struct telling *t, uint8_t e, struct value v, const struct edit_key *key, uint64_t digest, bool deleted)
{
	struct journal_side *side = add_side(t, name_of(t, e), v, key->eff, digest);

	if (side != NULL) {
		side->competed = true;
		side->deleted = deleted;
	}
}

static int64_t shown_since(const struct subject *s, size_t e, size_t f)
{
	const struct vdeviation *dev;

	if (s->base == NULL || !s->base->seen[e].present)
		return s->seen[e].stamp != STAMP_NONE ? s->seen[e].stamp : EFF_UNKNOWN;
	dev = vseen_deviation(&s->base->seen[e], f);
	return dev != NULL ? dev->key.eff : s->base->fields[f].key.eff;
}

static void add_bystanders(const struct telling *t)
{
	const struct subject *s = t->s;

	for (size_t e = 0; t->field != NULL && e < n_endpoints(t->r); e++)
		if (s->seen[e].what == OBSERVED_ROW && side_of(t->d, endpoint_name(t->r, e)) == NULL)
			add_side(t, endpoint_name(t->r, e), s->seen[e].values[t->index], shown_since(s, e, t->index),
				 s->seen[e].digests[t->index]);
}

/* It is what is agreed now: of several decisions that a round makes of one field only the last one is. */
static bool stands(const struct telling *t)
{
	const struct vector *v = t->s->d.next;

	if (t->lost->kind == LOST_TO_DELETE || v->dead)
		return t->lost->kind == LOST_TO_DELETE && v->dead;
	return t->field == NULL || digest_field(t->lost->winner_digest) == v->fields[t->index].digest;
}

/* Is what was decided here still to be written there? */
static bool is_owed_at(const struct telling *t, size_t e)
{
	const struct order *o = &t->s->d.orders[e];
	const struct vseen *seen = &t->s->d.next->seen[e];

	if (t->r->flow->sides[e] == NULL)
		return false;
	if (o->action == ACTION_UPDATE)
		return t->field != NULL && (o->fields & BIT(t->index));
	if (o->action != ACTION_NONE)
		return true;
	return seen->owed && (t->field == NULL || !seen->present || t->s->d.next->dead || vseen_deviation(seen, t->index) != NULL);
}

static void note_owed(const struct telling *t)
{
	for (size_t e = 0; stands(t) && e < n_endpoints(t->r); e++) {
		const char *name = endpoint_name(t->r, e);
		struct journal_side *side;

		if (!is_owed_at(t, e))
			continue;
		side = side_of(t->d, name);
		if (side == NULL)
			side = add_side(t, name, VALUE_NULL, EFF_UNKNOWN, 0);
		if (side != NULL)
			side->written = JOURNAL_OWED;
	}
}

/* The vector keeps only a digest of it, but for where a rule counts or compares by the value; maybe somebody still shows it. */
static void find_base(const struct telling *t, uint64_t digest)
{
	const struct value *kept;

	if (digest == 0)
		return;
	t->d->base_digest = arena_printf(&t->r->arena, "%06llx", (unsigned long long)digest);
	for (size_t e = 0; t->field != NULL && e < n_endpoints(t->r); e++)
		if (t->s->seen[e].what == OBSERVED_ROW && digest_field(t->s->seen[e].digests[t->index]) == digest)
			t->d->base = text_of(t, t->s->seen[e].values[t->index]);
	kept = t->d->base == NULL && t->field != NULL && t->s->base != NULL ? vector_amount(t->s->base, t->index, digest_field(digest)) : NULL;
	if (kept != NULL)
		t->d->base = text_of(t, *kept);
}

/* ---- one decision ------------------------------------------------------------------------------------ */

/* The same question: the same field, or the record's life, and the same kind of answer. */
static bool belongs_to(const struct lost_edit *first, const struct lost_edit *l)
{
	return l->field == first->field && l->kind == first->kind && l->winner == first->winner;
}

/* Nobody's value: a person gave it. */
static bool is_given(const struct lost_edit *l)
{
	return l->winner == ORIGIN_NONE && strcmp(l->tie_break, "operator") == 0;
}

/* Nobody's value: the differences of several. */
static bool is_sum(const struct lost_edit *l)
{
	return l->winner == ORIGIN_NONE && strcmp(l->tie_break, "doubt") == 0;
}

static const char *winner_name(const struct telling *t, const struct lost_edit *l)
{
	return is_given(l) ? "(operator)" : is_sum(l) ? "(sum)" : name_of(t, l->winner);
}

/* What a person gave is of now; its key only says what it has to beat. */
static void add_given(const struct telling *t, const struct lost_edit *l)
{
	int64_t stamp_us = is_given(l) ? t->d->time_us : l->winner_key.eff;
	struct journal_side *side = add_side(t, winner_name(t, l), l->winner_value, stamp_us, l->winner_digest);

	if (side == NULL)
		return;
	side->competed = true;
	side->given = is_given(l);
}

static void begin(struct telling *t, const struct lost_edit *l, const char *key)
{
	const struct entity_def *def = t->r->flow->def;
	bool about_life = l->kind == LOST_DELETE || l->kind == LOST_TO_DELETE;

	t->lost = l;
	t->index = l->field;
	t->field = l->field < def->n_fields ? &def->fields[l->field] : NULL;
	t->hide = t->field != NULL && t->field->private_value;
	t->d = arena_zalloc(&t->r->arena, sizeof *t->d);
	*t->d = (struct journal_decision){
		.entity = def->name, .key = key, .rid = stored_rid(t->r, t->s), .field = t->field != NULL ? t->field->name : "",
		.rule = !about_life ? rule_name(t->field->rule) : def->deletes == DELETES_UPDATE_WINS ? "update-wins" : "delete-wins",
		.kind = lost_kinds[l->kind], .winner = winner_name(t, l), .tie_break = l->tie_break,
		.time_us = clock_wall_us(), .base_digest = "", .round = t->r->number,
	};
	find_base(t, l->base_digest);
	if (is_given(l) || is_sum(l))
		add_given(t, l);
	else
		add_competitor(t, l->winner, l->winner_value, &l->winner_key, l->winner_digest, l->kind == LOST_TO_DELETE);
}

/* What a plan only would decide goes to whoever asked for it. */
static bool keep_decision(const struct telling *t, struct err *e)
{
	if (t->r->plan == NULL)
		return journal_decided(sync_of(t->r)->journal, t->d, e);
	plan_note_decision(t->r->plan, t->d);
	return true;
}

static bool involves_nobody(const struct telling *t, size_t first)
{
	const struct decision *d = &t->s->d;

	for (size_t i = first; i < d->n_lost; i++)
		if (belongs_to(&d->lost[first], &d->lost[i]) && (d->lost[i].winner >= n_endpoints(t->r) || d->lost[i].loser >= n_endpoints(t->r)))
			return true;
	return false;
}

/* What the line knows of a side that cannot be asked now, and that still says the same, stays; and what was agreed, where nobody shows that now. */
static bool take_known_values(void *arg, const struct journal_waiting *line)
{
	struct telling *t = arg;

	if (strcmp(line->field, t->field->name) != 0)
		return true;
	if (value_is_null(t->s->key))
		t->d->key = arena_printf(&t->r->arena, "%s", line->key);
	if (t->d->base == NULL && line->base != NULL && strcmp(line->base_digest, t->d->base_digest) == 0)
		t->d->base = arena_printf(&t->r->arena, "%s", line->base);
	for (size_t i = 0; i < line->n_sides; i++) {
		const struct journal_side *known = &line->sides[i];
		struct journal_side *side = side_of(t->d, known->endpoint);

		if (side == NULL || !journal_is_unseen(side) || journal_is_unseen(known) ||
		    digest_field(strtoull(known->digest, NULL, 16)) != strtoull(side->digest, NULL, 16))
			continue;
		side->digest = arena_printf(&t->r->arena, "%s", known->digest);
		if (known->value != NULL)
			side->value = arena_printf(&t->r->arena, "%s", known->value);
	}
	return true;
}

static bool any_unseen(const struct journal_decision *d)
{
	for (size_t i = 0; i < d->n_sides; i++)
		if (journal_is_unseen(&d->sides[i]))
			return true;
	return false;
}

/* Where a line of the record is that was written before this round. */
static const struct rid *line_before(const struct subject *s)
{
	return s->moved ? &s->old_rid : &s->rid;
}

static bool find_known_values(struct telling *t, const struct rid *rid, struct err *e)
{
	char text[2 * RID_BYTES + 1];

	if (!any_unseen(t->d))
		return true;
	rid_print(rid, text);
	return journal_waiting_each(sync_of(t->r)->journal, t->d->entity, text, NULL, 0, 0, take_known_values, t, e);
}

/* A vector only says that no endpoint of the topology gave a value; whether an undo did, the journal knows. */
static bool find_nobody(struct telling *t, size_t first, const char *key, struct err *e)
{
	const struct entity_def *def = t->r->flow->def;
	uint8_t f = t->s->d.lost[first].field;
	int64_t undone = 0;

	if (strcmp(t->s->d.lost[first].tie_break, "put-back") == 0) {	/* of who had deleted it before, nothing is left */
		t->nobody = "(unknown)";
		return true;
	}
	if (involves_nobody(t, first) &&
	    !journal_undo_of(sync_of(t->r)->journal, def->name, key, f < def->n_fields ? def->fields[f].name : "", &undone, e))
		return false;
	t->nobody = undone != 0 ? "(undo)" : "(removed)";
	return true;
}

/* The first that is not told yet, with all that belong to it. */
static bool tell(struct telling *t, size_t first, bool *told, const char *key, struct err *e)
{
	const struct decision *d = &t->s->d;
	bool alone = d->lost[first].loser == d->lost[first].winner;

	if (!find_nobody(t, first, key, e))
		return false;
	begin(t, &d->lost[first], key);
	for (size_t i = first; i < d->n_lost; i++) {
		const struct lost_edit *l = &d->lost[i];

		if (told[i] || !belongs_to(&d->lost[first], l))
			continue;
		if (i > first && (alone || side_of(t->d, name_of(t, l->loser)) != NULL))
			continue;
		add_competitor(t, l->loser, l->loser_value, &l->loser_key, l->loser_digest, l->kind == LOST_DELETE);
		told[i] = true;
	}
	add_bystanders(t);
	note_owed(t);
	return (t->field == NULL || find_known_values(t, line_before(t->s), e)) && keep_decision(t, e);
}

static void count(struct round *r, const struct lost_edit *l)
{
	if (r->plan != NULL)
		return;
	r->flow->decisions++;
	r->flow->meter.conflicts[l->field < r->flow->def->n_fields ? r->flow->def->fields[l->field].rule : r->flow->def->rule]++;
}

static bool tell_all(struct round *r, const struct subject *s, struct err *e)
{
	struct telling t = { .r = r, .s = s };
	bool *told = arena_zalloc(&r->arena, s->d.n_lost * sizeof *told), ok = true;
	struct buf key = { 0 };

	round_print_key(r, s, &key);
	for (size_t i = 0; ok && i < s->d.n_lost; i++)
		if (!told[i]) {
			ok = tell(&t, i, told, key.p, e);
			count(r, &s->d.lost[i]);
		}
	buf_fini(&key);
	return ok;
}

/* ---- what waits for a person ------------------------------------------------------------------------- */

/* As one decision more, in which nobody has won yet: the words are kept with that whatever becomes of them. */
static void tell_words(struct telling *t, const char *key)
{
	const struct subject *s = t->s;

	t->hide = t->field->private_value;
	t->d = arena_zalloc(&t->r->arena, sizeof *t->d);
	*t->d = (struct journal_decision){
		.entity = t->r->flow->def->name, .key = key, .field = t->field->name, .rule = rule_name(t->field->rule),
		.kind = s->base == NULL ? "first-contact" : "conflict", .winner = "", .tie_break = "", .time_us = clock_wall_us(),
		.base_digest = "", .round = t->r->number,
	};
	if (s->base != NULL)
		find_base(t, s->base->fields[t->index].digest);
	for (size_t e = 0; e < n_endpoints(t->r); e++) {
		const struct observation *o = &s->seen[e];
		struct edit_key said = { .eff = word_stamp(s, e, t->index) };
		bool at_hand = o->what == OBSERVED_ROW;

		if (!(s->d.words[t->index] & BIT(e)))
			continue;
		add_competitor(t, (uint8_t)e, at_hand ? o->values[t->index] : VALUE_NULL, &said,
			       at_hand ? o->digests[t->index] : shown_digest(s->d.next, e, t->index), false);
	}
	add_bystanders(t);
}

static bool note_waiting(struct telling *t, const char *key, struct err *e)
{
	const struct subject *s = t->s;
	struct journal_waiting *w = arena_zalloc(&t->r->arena, sizeof *w);
	char rid[2 * RID_BYTES + 1];
	bool fresh;

	tell_words(t, key);
	if (t->r->plan != NULL)
		return keep_decision(t, e);
	rid_print(&s->next_rid, rid);
	if (!find_known_values(t, &s->next_rid, e))
		return false;
	*w = (struct journal_waiting){
		.entity = t->d->entity, .rid = rid, .key = t->d->key, .field = t->d->field, .since_us = t->d->time_us,
		.mark = s->d.marks[t->index], .base_digest = t->d->base_digest, .base = t->d->base, .n_sides = t->d->n_sides };
	memcpy(w->sides, t->d->sides, t->d->n_sides * sizeof *w->sides);
	if (!journal_wait(sync_of(t->r)->journal, w, &fresh, e))
		return false;
	if (!fresh)
		return true;
	t->r->flow->lonely |= (s->d.words[t->index] & (s->d.words[t->index] - 1)) == 0;
	t->r->flow->waiting++;		/* counted anew when the round is marked */
	t->r->flow->decisions++;
	t->r->flow->meter.conflicts[RULE_MANUAL]++;
	return journal_decided(sync_of(t->r)->journal, t->d, e);
}

static bool differs(const struct subject *s, size_t f)
{
	uint32_t first = 0;

	for (size_t e = 0; e < s->d.next->n_endpoints; e++) {
		uint32_t digest = s->d.words[f] & BIT(e) ? shown_digest(s->d.next, e, f) : 0;

		if (first != 0 && digest != 0 && digest != first)
			return true;
		first = digest != 0 ? digest : first;
	}
	return false;
}

/*
 * Of a group only the members that differ: the others have nothing to choose. Where none does (all words are the same, and who says
 * them cannot be asked for the value), all.
 */
static bool has_line(const struct round *r, const struct subject *s, size_t f)
{
	uint64_t unit = decide_unit(r->flow->def, f);

	for (uint64_t rest = unit & ~BIT(f); !differs(s, f) && rest != 0; rest &= rest - 1)
		if (differs(s, (size_t)__builtin_ctzll(rest)))
			return false;
	return true;
}

/* The old line goes when the record's vector stands under its new key (waiting.c): until then the record may yet have its old one. */
static bool copy_lines(struct round *r, const struct subject *s, const char *key, struct err *e)
{
	char old[2 * RID_BYTES + 1], new[2 * RID_BYTES + 1];

	rid_print(round_leaves(s), old);
	rid_print(&s->next_rid, new);
	return journal_wait_copy(sync_of(r)->journal, r->flow->def->name, old, new, key, e);
}

static bool note_all_waiting(struct round *r, const struct subject *s, struct err *e)
{
	struct telling t = { .r = r, .s = s };
	struct buf key = { 0 };
	bool ok = true;

	round_print_key(r, s, &key);
	if (r->plan == NULL && r->flow->waiting > 0 && round_leaves(s) != NULL)
		ok = copy_lines(r, s, key.p, e);
	for (size_t f = 0; ok && f < r->flow->def->n_fields; f++) {
		if (!(s->d.waits & BIT(f)) || !has_line(r, s, f))
			continue;
		t.index = f;
		t.field = &r->flow->def->fields[f];
		ok = note_waiting(&t, key.p, e);
	}
	buf_fini(&key);
	return ok;
}

/* ---- what had lost unseen ---------------------------------------------------------------------------- */

/* Its side was away when it lost, and is here now: before it is written over there, the journal gets it. */
static bool tell_seen_at(struct round *r, const struct subject *s, size_t e, const char *rid, struct err *why)
{
	const struct entity_def *def = r->flow->def;
	const struct order *o = &s->d.orders[e];
	bool ok = true;

	if (s->seen[e].what != OBSERVED_ROW || (o->action != ACTION_UPDATE && o->action != ACTION_DELETE))
		return true;
	for (size_t f = 0; ok && f < def->n_fields; f++) {
		struct telling t = { .r = r, .s = s, .hide = def->fields[f].private_value };
		struct journal_seen seen = { .entity = def->name, .rid = rid, .field = def->fields[f].name, .endpoint = endpoint_name(r, e) };

		if (o->action == ACTION_UPDATE && !(o->fields & BIT(f)))
			continue;
		seen.value = text_of(&t, s->seen[e].values[f]);
		seen.digest = arena_printf(&r->arena, "%016llx", (unsigned long long)s->seen[e].digests[f]);
		ok = journal_seen(sync_of(r)->journal, &seen, why);
	}
	return ok;
}

static bool tell_seen(struct round *r, struct err *e)
{
	bool ok = true;

	if (!journal_owes(sync_of(r)->journal))
		return true;
	for (size_t i = 0; ok && i < r->n; i++) {
		const struct subject *s = &r->subjects[i];
		const char *rid;

		if (!round_has_orders(r, s))
			continue;
		rid = stored_rid(r, s);
		for (size_t o = 0; ok && o < n_endpoints(r); o++)
			ok = tell_seen_at(r, s, o, rid, e);
	}
	return ok;
}

/* ---- all --------------------------------------------------------------------------------------------- */

static bool has_something_to_say(const struct round *r, const struct subject *s)
{
	return is_live(s) && s->decided && (s->d.n_lost > 0 || s->d.waits != 0);
}

static bool tell_decisions(struct round *r, struct err *e)
{
	bool ok = true;

	for (size_t i = 0; ok && i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		if (has_something_to_say(r, s))
			ok = (s->d.n_lost == 0 || tell_all(r, s, e)) && (s->d.waits == 0 || note_all_waiting(r, s, e));
	}
	return ok;
}

static bool has_to_be_journalled(const struct round *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct subject *s = &r->subjects[i];

		if (has_something_to_say(r, s) || round_has_orders(r, s) || s->orphaned != 0 || s->undo != NULL)
			return true;
	}
	return false;
}

bool round_journal_all(struct round *r, struct err *e)
{
	struct journal *journal = sync_of(r)->journal;
	bool ok;

	if (r->plan != NULL)
		return tell_decisions(r, e);
	if (!has_to_be_journalled(r))
		return true;
	journal_begin(journal);
	image_runs_begin_group(sync_of(r));
	ok = tell_seen(r, e) && tell_decisions(r, e) && undo_note_begun(r, e) && round_keep_images(r, e);
	if (journal_commit(journal, e) && ok)
		return true;
	image_runs_roll_back(sync_of(r));
	return false;
}

/* ---- where it was written ---------------------------------------------------------------------------- */

/* A crash before the round is marked repeats that: of two that exchanged their keys it is undone then. Nothing but these lines depends on it. */
static void note_renamed(struct round *r)
{
	struct journal_rename *list = arena_alloc(&r->arena, (r->n + 1) * sizeof *list);
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct subject *s = &r->subjects[i];

		if (is_live(s) && s->decided && round_leaves(s) != NULL)
			list[n++] = (struct journal_rename){ stored_rid(r, s), rid_text(r, &s->next_rid) };
	}
	if (n > 0 && !fault("f13-what-is-owed-goes-by-the-former-key"))
		journal_renamed(sync_of(r)->journal, r->flow->def->name, list, n, NULL);
}

/* What had been decided before this round, and is not what is agreed now. */
static void note_overtaken(struct round *r, const struct subject *s)
{
	const struct entity_def *def = r->flow->def;
	const struct vector *before = s->base, *now = s->d.next;
	struct journal_standing standing = { .entity = def->name, .rid = rid_text(r, &s->next_rid), .dead = now->dead };

	if (before->dead != now->dead)
		journal_overtaken(sync_of(r)->journal, &standing, NULL);
	for (size_t f = 0; !now->dead && f < def->n_fields; f++) {
		if (before->fields[f].digest == now->fields[f].digest)
			continue;
		standing.field = def->fields[f].name;
		standing.digest = arena_printf(&r->arena, "%06x", (unsigned)now->fields[f].digest);
		journal_overtaken(sync_of(r)->journal, &standing, NULL);
	}
}

void round_note_agreed(struct round *r)
{
	if (!journal_owes(sync_of(r)->journal))
		return;
	note_renamed(r);
	for (size_t i = 0; i < r->n; i++) {
		const struct subject *s = &r->subjects[i];

		if (is_live(s) && s->decided && s->base != NULL && !fault("f10-whatever-is-written-is-what-was-decided"))
			note_overtaken(r, s);
	}
}

void round_note_written(struct round *r, const struct subject *s, size_t e)
{
	const struct entity_def *def = r->flow->def;
	const struct order *o = &s->d.orders[e];
	struct journal *journal = sync_of(r)->journal;
	const char *rid;

	if (!journal_owes(journal))
		return;
	rid = rid_text(r, &s->next_rid);
	if (o->action != ACTION_UPDATE)
		journal_written(journal, def->name, rid, NULL, endpoint_name(r, e), NULL);
	for (size_t f = 0; o->action == ACTION_UPDATE && f < def->n_fields; f++)
		if (o->fields & BIT(f))
			journal_written(journal, def->name, rid, def->fields[f].name, endpoint_name(r, e), NULL);
}

/* Something of it may have been owed there until now; also by a round that did not come to its end. */
static bool was_owed(const struct subject *s, size_t e)
{
	return s->d.n_lost > 0 || (s->base != NULL && (s->base->seen[e].owed || s->d.orders[e].action != ACTION_NONE));
}

/* Also where it was there already, or is wanted there no more. */
void round_note_paid(struct round *r, const struct subject *s)
{
	struct journal *journal = sync_of(r)->journal;
	const char *rid;

	if (!journal_owes(journal))
		return;
	rid = rid_text(r, &s->next_rid);
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (was_owed(s, e) && !s->d.next->seen[e].owed)
			journal_owed_no_more(journal, r->flow->def->name, rid, endpoint_name(r, e), NULL);
}

void owed_forget(struct flow *flow, const char *endpoint)
{
	struct err e = { 0 };

	if (!fault("f22-what-was-owed-is-still-owed") && !journal_owed_forget(flow->sync->journal, flow->def->name, endpoint, &e))
		log_error("what is owed to somebody is not taken out of the journal", LOG_S("entity", flow->def->name), LOG_ERR(&e));
}
