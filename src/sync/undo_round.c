/*
 * undo_round.c - an item of an undo in a round: what it asks for goes into the decision (model/decide_imposed.c), which says whether
 * it stands; then the round writes, marks and journals as ever.
 *
 *   waits    until a round has its record. It may be any round: one of an edit that was made meanwhile, too
 *   begun    noted before the round writes: from then on what is agreed may be the value that is put back, while nobody shows it yet.
 *            It is given to every decision about the record until somebody does. Where the record gets another key it goes along
 *   over     restored, or skipped with the reason; a value that was touched since does not hold up the others of its record.
 *            Not before all have it who can be reached: a row that has been changed under a write of ours shows an edit that nobody knew
 *            of, which stands, and then that is the reason. A record's end is over when it is gone wherever it can be reached: a side may refuse that for as long as others refer to it
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/failpoint.h"
#include "base/fault.h"
#include "base/log.h"
#include "sync/round.h"
#include "sync/undo.h"

/* ---- which item -------------------------------------------------------------------------------------- */

/* A dry run of an undo is about its own items; any other plan says what a round would make of those that are under way. */
static struct undo_target *targets_of(const struct round *r)
{
	struct undo_target **planned = r->plan != NULL ? plan_undos(r->plan) : NULL;

	return planned != NULL ? *planned : r->flow->undos;
}

static struct undo_target *target_of(const struct round *r, const struct rid *rid)
{
	struct undo_target *all = targets_of(r), *t = NULL;

	if (all != NULL)
		HASH_FIND(hh, all, rid, sizeof *rid, t);
	return t;
}

static const struct rid *rid_now(const struct subject *s)
{
	return s->moved ? &s->old_rid : &s->rid;
}

static struct undo_target *target_of_undoing(const struct round *r, const struct subject *s)
{
	return target_of(r, &s->undo->rid);
}

/* NULL: it is not read, or is over: another daemon with this journal has taken over, and carried it out. */
static struct undo_item *item_of(struct round *r, const struct undo_target *t)
{
	struct undo_item *item = NULL;
	struct err e = { 0 };

	if (t->item != NULL) {
		item = arena_alloc(&r->arena, undo_item_size(t->item));
		memcpy(item, t->item, undo_item_size(t->item));
	} else if (!journal_undo_get(sync_of(r)->journal, t->id, &r->arena, &item, &e)) {
		round_give_up(r, &e);
	}
	return item != NULL && item->state > UNDO_BEGUN ? NULL : item;
}

void undo_targets_free(struct undo_target **table)
{
	struct undo_target *t, *tmp;

	HASH_ITER(hh, *table, t, tmp) {
		HASH_DEL(*table, t);
		free(t);
	}
}

/* ---- a record that is nowhere ------------------------------------------------------------------------ */

/*
 * As if it had ended everywhere before anything that anybody shows. Its key is looked for before anything is inserted; and who enters it
 * anew at that very moment stands against what comes back.
 */
bool undo_revive(struct round *r, struct subject *s)
{
	const struct undo_target *t = target_of(r, &s->rid);
	const struct undo_item *item = t != NULL && t->what == UNDO_RECORD ? item_of(r, t) : NULL;

	if (item == NULL)
		return false;
	s->base = vector_new(&r->arena, r->flow->def->n_fields, n_endpoints(r));
	s->base->dead = true;
	s->base->deleted = (struct edit_key){ .eff = EFF_UNKNOWN - r->flow->quantum_us, .n = 1, .origin = ORIGIN_NONE };
	for (size_t e = 0; e < n_endpoints(r); e++)
		s->base->seen[e] = (struct vseen){ .known = true, .uncertain = r->flow->sides[e] != NULL };
	s->key = (struct value){ item->code.p, item->code.len };
	s->revived = true;
	return true;
}

bool undo_finds_taken(struct round *r, struct subject *s)
{
	struct undo_target *t = s->revived ? target_of(r, &s->rid) : NULL;
	bool taken = s->invalid != 0;

	for (size_t e = 0; e < n_endpoints(r); e++)
		taken |= s->seen[e].what == OBSERVED_ROW;
	if (t == NULL || !taken)
		return false;
	s->undo = arena_zalloc(&r->arena, sizeof *s->undo);
	s->undo->item = item_of(r, t);
	s->undo->rid = s->rid;
	s->undo->code = "there-again";
	s->undo->cause = "a record with its key is there again";
	return true;
}

#define KEY_TAKEN "the key that it had is another record's by now"

bool undo_key_taken(struct round *r, struct subject *s)
{
	struct undo_target *t = target_of_undoing(r, s);

	if (t == NULL || t->key_taken || fault("f13-an-undo-without-the-key-is-none")) {
		s->undo->code = "key-taken";
		s->undo->cause = KEY_TAKEN;
		return false;
	}
	t->key_taken = true;
	s->key = VALUE_NULL;		/* not the one that it was to have */
	round_put_off(r, s);
	return true;
}

/* ---- what it asks for -------------------------------------------------------------------------------- */

static size_t field_named(const struct entity_def *def, const char *name)
{
	size_t f = 0;

	while (f < def->n_fields && strcmp(def->fields[f].name, name) != 0)
		f++;
	return f;
}

static struct value value_of_text(struct image_text t)
{
	return t.len < 0 ? VALUE_NULL : (struct value){ t.p, t.len };
}

/* NULL: it can be put back, as far as the item tells. */
static const char *why_not_value(const struct round *r, const struct undoing *u, const struct undo_value *v, const char **cause)
{
	size_t f = field_named(r->flow->def, v->field);
	bool expects = u->item->what == UNDO_VALUES;

	if (f == r->flow->def->n_fields)
		return *cause = "the topology does not have that field any more", "no-such-field";
	if (v->want.len == IMAGE_SEVERAL)
		return *cause = "its sides showed different values before; undo with --endpoint says whose is to come back", "several-values";
	if (v->want.len == IMAGE_NOT_KEPT || (expects && v->expect.len == IMAGE_NOT_KEPT))
		return *cause = "only digests of it are kept (private)", "private";
	if (u->key_taken && (decide_unit(r->flow->def, r->flow->def->key[0]) & BIT(f)))
		return *cause = KEY_TAKEN, "key-taken";
	return NULL;
}

/* A group, and the parts of a key, go back as a whole or not at all. */
static const char *why_not_unit(const struct round *r, const struct undoing *u, const struct undo_value *v, const char **cause)
{
	const struct undo_item *item = u->item;
	const struct entity_def *def = r->flow->def;
	size_t f = field_named(def, v->field);
	const char *code = why_not_value(r, u, v, cause);

	for (size_t i = 0; code == NULL && i < item->n_values; i++) {
		size_t other = field_named(def, item->values[i].field);

		if (other < def->n_fields && (decide_unit(def, f) & BIT(other)))
			code = why_not_value(r, u, &item->values[i], cause);
	}
	return code;
}

/* It was there when the record was inserted, and something else was written in its place since. */
static const struct image_text *written_over(const struct undo_item *item, const struct undo_value *v)
{
	if (item->what == UNDO_AGAIN)
		return v->expect.len != IMAGE_NOT_KEPT ? &v->inserted : NULL;
	return &v->want;
}

/*
 * A reference names its record by the key that this had when the undo was ordered. The undo may have given it another one since, which is
 * no edit of the reference. then: the other way round.
 */
static struct image_text follow(struct round *r, const struct undo_item *item, size_t f, bool then, struct image_text t)
{
	const struct entity_def *parent = r->flow->def->fields[f].type == FIELD_REFERENCE ? r->flow->def->fields[f].refers : NULL;
	struct err e = { 0 };

	if (parent != NULL && t.len >= 0 && !fault("f13-an-undo-takes-references-by-their-word") &&
	    !journal_undo_key(sync_of(r)->journal, item->run, parent->name, then, &r->arena, &t, &e))
		round_give_up(r, &e);
	return t;
}

/* What was inserted, when what was undone of it since is put in its place: is it that? */
static bool is_as_inserted(struct round *r, const struct undo_item *item, const struct observation *o, bool followed)
{
	const struct entity_def *def = r->flow->def;
	struct image_text texts[FIELDS_MAX];

	for (size_t f = 0; f < def->n_fields; f++) {
		texts[f] = (struct image_text){ o->values[f].data, value_is_null(o->values[f]) ? IMAGE_NULL : o->values[f].len };
		if (followed)
			texts[f] = follow(r, item, f, true, texts[f]);
	}
	for (size_t i = 0; i < item->n_values; i++) {
		const struct image_text *inserted = written_over(item, &item->values[i]);
		size_t f = field_named(def, item->values[i].field);

		if (inserted == NULL)
			continue;
		if (f == def->n_fields || inserted->len < IMAGE_NULL || !image_text_equal(texts[f], item->values[i].expect))
			return false;
		texts[f] = *inserted;
	}
	return journal_image_print(sync_of(r)->journal, texts, def->n_fields) == item->print;
}

static bool any_refers(const struct entity_def *def)
{
	for (size_t f = 0; f < def->n_fields; f++)
		if (def->fields[f].refers != NULL)
			return true;
	return false;
}

/* It shows the edit that is agreed, whatever key the record that it means has there. */
static bool shows_reference(const struct subject *s, size_t e, size_t f)
{
	const struct vseen *known = &s->base->seen[e];
	const struct vdeviation *dev = known->same ? NULL : vseen_deviation(known, f);

	return known->present && (dev == NULL || same_key(&dev->key, &s->base->fields[f].key));
}

/* What decides is what is agreed: a side that is behind shows what was inserted, whatever has been made of it since. */
static bool shows_agreed(const struct round *r, const struct subject *s, size_t e)
{
	for (size_t f = 0; f < r->flow->def->n_fields; f++)
		if (s->base->fields[f].digest != digest_field(s->seen[e].digests[f]) &&
		    (r->flow->def->fields[f].type != FIELD_REFERENCE || !shows_reference(s, e, f)))
			return fault("f10-who-is-behind-tells-what-is-there");
	return true;
}

static bool row_is_as_inserted(struct round *r, const struct subject *s, size_t e, const struct undo_item *item)
{
	return is_as_inserted(r, item, &s->seen[e], false) || (any_refers(r->flow->def) && is_as_inserted(r, item, &s->seen[e], true));
}

static const struct observation *row_as_inserted(struct round *r, const struct subject *s, const struct undo_item *item)
{
	for (size_t e = 0; s->base != NULL && e < n_endpoints(r); e++)
		if (s->seen[e].what == OBSERVED_ROW && shows_agreed(r, s, e) && row_is_as_inserted(r, s, e, item))
			return &s->seen[e];
	return NULL;
}

bool undo_is_to_end(const struct flow *flow, const struct rid *rid)
{
	const struct undo_target *t;

	HASH_FIND(hh, flow->undos, rid, sizeof *rid, t);
	return t != NULL && t->what == UNDO_END;
}

bool undo_ends(struct round *r, const struct subject *s)
{
	const struct undo_item *item = s->base != NULL && !s->base->dead && undo_is_to_end(r->flow, rid_now(s)) ? item_of(r, target_of(r, rid_now(s))) : NULL;

	return item != NULL && row_as_inserted(r, s, item) != NULL;
}

/* It waits for those to go. */
static void note_referred(struct round *r, struct subject *s, struct undo_target *t)
{
	t->referred = r->flow->undos_referred = true;
	s->undo->refused = true;
	s->undo->item->code_word = "referred-to";
	s->undo->item->cause = "a record that stays refers to it; it goes once none does";
}

static bool may_be_ended(struct round *r, const struct subject *s, const struct undo_item *item)
{
	return row_as_inserted(r, s, item) != NULL || (s->base != NULL && s->base->dead);
}

/* It takes the place of what was inserted anew, as long as that is as it was, as a whole. What it had then already is as it was. */
static void expect_as_inserted(struct round *r, const struct subject *s, struct undoing *u, uint64_t *expected)
{
	const struct observation *now = row_as_inserted(r, s, u->item);

	for (size_t f = 0; f < r->flow->def->n_fields; f++) {
		uint64_t wanted = u->imposed.digests[f];

		expected[f] = now != NULL && now->digests[f] != wanted ? now->digests[f] : ~wanted;	/* ~: nobody shows that */
	}
}

static uint64_t digest_of(const struct round *r, size_t f, struct image_text t)
{
	return value_digest(&sync_of(r)->store->key, r->flow->def->fields[f].type, value_of_text(t));
}

static bool is_agreed_text(const struct round *r, const struct subject *s, size_t f, struct image_text t)
{
	return s->base != NULL && s->base->fields[f].digest == digest_field(digest_of(r, f, t));
}

/* It will be what is agreed, since rows show it that are found to point where they did (round_follow.c). */
static bool is_followed_text(const struct round *r, const struct subject *s, size_t f, struct image_text t)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if ((s->seen[e].followed & BIT(f)) && s->seen[e].digests[f] == digest_of(r, f, t))
			return true;
	return false;
}

/* Of a reference: by whichever key it is agreed. Once it is begun, that may be the one by which it was to be put back. */
static struct image_text expected_text(struct round *r, const struct subject *s, const struct undo_item *item, size_t f, const struct undo_value *v)
{
	struct image_text followed = follow(r, item, f, false, v->expect);

	if (r->flow->def->fields[f].type != FIELD_REFERENCE)
		return v->expect;
	if (item->state == UNDO_BEGUN && is_agreed_text(r, s, f, v->want))
		return v->want;
	return is_agreed_text(r, s, f, followed) || is_followed_text(r, s, f, followed) ? followed : v->expect;
}

static bool fill_values(struct round *r, const struct subject *s, struct undoing *u)
{
	const struct entity_def *def = r->flow->def;
	struct value *values = arena_alloc(&r->arena, def->n_fields * sizeof *values);
	uint64_t *digests = arena_alloc(&r->arena, def->n_fields * sizeof *digests);
	uint64_t *expected = arena_zalloc(&r->arena, def->n_fields * sizeof *expected);

	for (size_t f = 0; f < def->n_fields; f++) {
		values[f] = VALUE_NULL;		/* of a record: a field that was not there then */
		digests[f] = value_digest(&sync_of(r)->store->key, def->fields[f].type, VALUE_NULL);
	}
	for (size_t i = 0; i < u->item->n_values; i++) {
		const struct undo_value *v = &u->item->values[i];
		const char *cause, *code = why_not_unit(r, u, v, &cause);
		size_t f = field_named(def, v->field);

		if (code != NULL && u->item->what == UNDO_RECORD && f < def->n_fields) {
			u->code = code;
			u->cause = cause;
		}
		if (code != NULL)
			continue;
		values[f] = value_of_text(follow(r, u->item, f, false, v->want));
		digests[f] = value_digest(&sync_of(r)->store->key, def->fields[f].type, values[f]);
		expected[f] = digest_of(r, f, expected_text(r, s, u->item, f, v));
		u->imposed.fields |= BIT(f);
	}
	u->imposed.values = values;
	u->imposed.digests = digests;
	u->imposed.expected = expected;
	if (u->item->what == UNDO_AGAIN)
		expect_as_inserted(r, s, u, expected);
	return u->code == NULL;
}

void undo_impose(struct round *r, struct subject *s, struct decide_policy *p)
{
	static const enum impose as[] = { [UNDO_VALUES] = IMPOSE_VALUES, [UNDO_RECORD] = IMPOSE_RECORD, [UNDO_END] = IMPOSE_END,
						    [UNDO_AGAIN] = IMPOSE_VALUES };
	struct undo_target *t = target_of(r, rid_now(s));
	struct undo_item *item = t != NULL ? item_of(r, t) : NULL;
	struct undoing *u;

	p->imposed = NULL;
	s->undo = NULL;
	if (item == NULL || item->what == UNDO_NOTHING)
		return;
	u = s->undo = arena_zalloc(&r->arena, sizeof *u);
	*u = (struct undoing){ .item = item, .rid = *rid_now(s), .run = item->run, .key_taken = t->key_taken,
			       .imposed = { .what = as[item->what], .begun = item->state == UNDO_BEGUN } };
	if (s->referred)
		note_referred(r, s, t);
	else if (item->what == UNDO_END ? may_be_ended(r, s, item) : fill_values(r, s, u))
		p->imposed = &u->imposed;
}

bool undo_note_begun(struct round *r, struct err *e)
{
	bool ok = true;

	for (size_t i = 0; ok && r->flow->undos != NULL && i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		if (!is_live(s) || !s->decided || s->undo == NULL || s->d.put_back == 0 || s->undo->item->state != UNDO_WAITS)
			continue;
		s->undo->item->state = UNDO_BEGUN;
		ok = journal_undo_set(sync_of(r)->journal, s->undo->item, e);
	}
	return ok;
}

/* ---- it goes with its record ------------------------------------------------------------------------- */

bool undo_leaves(const struct subject *s)
{
	return is_live(s) && s->decided && s->undo != NULL && s->undo->item != NULL && round_leaves(s) != NULL;
}

bool undo_rename(struct flow *flow, struct undo_item *item, struct value code, struct arena *arena, struct err *e)
{
	struct buf key = { 0 };

	record_key_print(&key, code, flow->def->n_key);
	item->key = arena_dup(arena, key.p, key.len);
	item->code = (struct image_text){ code.data, code.len };
	buf_fini(&key);
	return journal_undo_rename(flow->sync->journal, item, e);
}

static bool any_leaves(const struct round *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (undo_leaves(&r->subjects[i]))
			return true;
	return false;
}

static void move_targets(struct round *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		if (!undo_leaves(s))
			continue;
		undos_move(r->flow, &s->undo->rid, &s->next_rid);
		s->undo->rid = s->next_rid;
	}
}

/*
 * By then the intent says where the record is, whatever becomes of the round; before, it may yet be where it was. Whoever is killed in between
 * finds the intent again, and does this then (recover.c).
 */
void undo_follow(struct round *r)
{
	struct journal *journal = sync_of(r)->journal;
	struct err e = { 0 };

	if (r->flow->undos == NULL || !any_leaves(r) || fault("f29-an-undo-stays-behind-where-its-record-was"))
		return;
	failpoint("undo", "move", "before");
	journal_begin(journal);
	for (size_t i = 0; i < r->n; i++)
		if (undo_leaves(&r->subjects[i]))
			undo_rename(r->flow, r->subjects[i].undo->item, r->subjects[i].key, &r->arena, NULL);
	if (journal_commit(journal, &e))
		move_targets(r);
	else
		round_give_up(r, &e);
	failpoint("undo", "move", "answered");
}

struct value undo_key_wanted(const struct flow *flow, const struct undo_item *item, struct arena *arena)
{
	const struct entity_def *def = flow->def;
	struct value values[FIELDS_MAX];
	uint64_t told = 0;

	for (size_t i = 0; i < item->n_values; i++) {
		size_t f = field_named(def, item->values[i].field);

		if (f == def->n_fields || item->values[i].want.len < 0)
			continue;
		values[f] = value_of_text(item->values[i].want);
		told |= BIT(f);
	}
	for (size_t k = 0; k < def->n_key; k++)
		if (!(told & BIT(def->key[k])))
			return VALUE_NULL;
	return record_key(def, values, arena);
}

void undo_note_refused(struct round *r, struct subject *s, const struct err *why)
{
	if (s->undo == NULL)
		return;
	s->undo->refused = true;
	s->undo->item->code_word = arena_dup(&r->arena, why->code, strlen(why->code));
	s->undo->item->cause = arena_dup(&r->arena, why->text, strlen(why->text));
}

/* ---- what came of it --------------------------------------------------------------------------------- */

/* Who is away gets its delete later; but one side at least shows that the record is gone. */
static bool is_gone(const struct round *r, const struct vector *v)
{
	bool gone = false, owed = false;

	for (size_t e = 0; e < v->n_endpoints; e++) {
		bool stays = r->flow->sides[e] != NULL && v->seen[e].present && v->seen[e].owed;

		if (stays && reachable(r, e))
			return false;
		owed |= stays;
		gone |= v->seen[e].known && !v->seen[e].present;
	}
	return gone || !owed;
}

/*
 * A side that can be reached has yet to get it, or is looked at once more: its row has just been changed, is locked, or has been entered anew. It may
 * show somebody's edit.
 */
static bool is_under_way(const struct round *r, const struct subject *s)
{
	const struct vector *v = s->d.next;

	if (s->again)
		return true;
	for (size_t e = 0; e < v->n_endpoints; e++)
		if (v->seen[e].owed && !v->seen[e].parked && reachable(r, e))
			return true;
	return false;
}

/* Somebody shows it, so nobody has to bring it along any more, and all have it who can be reached and do not refuse it. */
static bool is_shown(const struct round *r, const struct subject *s)
{
	const struct vector *v = s->d.next;

	if (v->dead)
		return s->undo->item->what == UNDO_END && is_gone(r, v);
	if (is_under_way(r, s))
		return false;
	for (size_t e = 0; e < v->n_endpoints; e++) {
		bool all = v->seen[e].present && !v->seen[e].uncertain;

		for (size_t f = 0; all && f < v->n_fields; f++)
			all = !(s->d.put_back & BIT(f)) || v->seen[e].same || vseen_deviation(&v->seen[e], f) == NULL;
		if (all)
			return true;
	}
	return false;
}

static void note_reason(struct undo_item *item, const char *code, const char *cause)
{
	if (item->code_word == NULL) {
		item->code_word = code;
		item->cause = cause;
	}
}

/* A witness, there and back again, or as it was when the record was inserted anew: others of the record tell what became of it. */
static bool is_unchanged(const struct subject *s, const struct undo_value *v, size_t f)
{
	if (s->undo->item->what == UNDO_AGAIN)
		return s->decided && (s->d.already & BIT(f));
	return v->expect.len != IMAGE_NOT_KEPT && image_text_equal(v->want, v->expect);
}

static void judge_value(struct round *r, struct subject *s, const struct undo_value *v, struct buf *fields)
{
	struct undo_item *item = s->undo->item;
	size_t f = field_named(r->flow->def, v->field);
	const char *cause = NULL, *code = s->undo->code != NULL ? s->undo->code : why_not_unit(r, s->undo, v, &cause);

	if (is_unchanged(s, v, f))
		return;
	if (code == NULL && s->decided && (s->d.put_back & BIT(f))) {
		item->n_restored++;
		return;
	}
	if (s->undo->code != NULL)
		cause = s->undo->cause;
	item->n_skipped++;
	buf_addf(fields, "%s%s", fields->len > 0 ? "," : "", v->field);
	if (code == NULL && s->decided && (s->d.already & BIT(f)))
		note_reason(item, "already", "it is as it was before already");
	else
		note_reason(item, code != NULL ? code : "changed-since", code != NULL ? cause : "it was changed since");
}

/* None of its values had to be put back. */
static void judge_unchanged(struct subject *s)
{
	struct undo_item *item = s->undo->item;
	uint64_t as_before = s->d.put_back | s->d.already;

	item->n_skipped = 1;
	if (s->undo->code != NULL)
		note_reason(item, s->undo->code, s->undo->cause);
	else if (s->decided && (s->undo->imposed.fields & ~as_before) == 0)
		note_reason(item, "already", "it is as it was before already");
	else
		note_reason(item, "changed-since", "it was changed since");
}

static void judge_values(struct round *r, struct subject *s, struct buf *fields)
{
	struct undo_item *item = s->undo->item;

	for (size_t i = 0; i < item->n_values; i++)
		judge_value(r, s, &item->values[i], fields);
	if (item->n_restored + item->n_skipped == 0)
		judge_unchanged(s);
}

static void judge_whole(struct subject *s)
{
	struct undo_item *item = s->undo->item;
	int64_t n = item->what == UNDO_RECORD ? (int64_t)item->n_values : 1;

	if (s->undo->code == NULL && s->decided && s->d.put_back != 0 && s->d.next->dead == (item->what == UNDO_END)) {
		item->n_restored = n;
		return;
	}
	item->n_skipped = n;
	if (s->undo->code != NULL)
		note_reason(item, s->undo->code, s->undo->cause);
	else if (s->decided && s->d.already != 0)
		note_reason(item, "already", "it is as it was before already");
	else if (item->what == UNDO_RECORD)
		note_reason(item, "there-again", "a record with its key is there again");
	else
		note_reason(item, "changed-since", "it was changed since");
}

static void judge(struct round *r, struct subject *s)
{
	struct undo_item *item = s->undo->item;
	struct buf fields = { 0 };

	item->n_restored = item->n_skipped = 0;
	item->code_word = item->cause = NULL;
	if (item->what == UNDO_VALUES || item->what == UNDO_AGAIN)
		judge_values(r, s, &fields);
	else
		judge_whole(s);
	item->fields = fields.len > 0 ? arena_dup(&r->arena, fields.p, fields.len) : "";
	item->state = item->n_skipped == 0 ? UNDO_RESTORED : item->n_restored > 0 ? UNDO_PARTLY : UNDO_SKIPPED;
	buf_fini(&fields);
}

/* There is no such record any more: it ended, or has another key now. */
static bool judge_gone(struct round *r, struct subject *s)
{
	struct undo_target *t = is_nobody(r, s) ? target_of(r, &s->rid) : NULL;
	struct undo_item *item = t != NULL ? item_of(r, t) : NULL;

	if (item == NULL)
		return false;
	s->undo = arena_zalloc(&r->arena, sizeof *s->undo);
	*s->undo = (struct undoing){ .item = item, .rid = s->rid, .code = item->what == UNDO_END ? "already" : "gone",
				     .cause = "the record is gone" };
	return true;
}

/* No later undo is about it. */
static bool is_still_asked_for(const struct round *r, const struct subject *s)
{
	const struct undo_target *t = target_of_undoing(r, s);

	return s->undo->item != NULL && t != NULL && t->id == s->undo->item->id;
}

/*
 * Whether it is still what was inserted is told by a row that shows what is agreed, or by one of a side that is behind, where that shows what was
 * inserted. Who has one was away: it may be there again by now.
 */
static bool is_out_of_sight(struct round *r, const struct subject *s)
{
	enum undo_what what = s->undo->item->what;
	bool away = false;

	if ((what != UNDO_END && what != UNDO_AGAIN) || s->base == NULL || s->base->dead || (s->d.put_back | s->d.already) != 0 ||
	    fault("f13-what-nobody-shows-was-changed"))
		return false;
	for (size_t e = 0; e < n_endpoints(r); e++) {
		if (s->seen[e].what == OBSERVED_ROW && (shows_agreed(r, s, e) || row_is_as_inserted(r, s, e, s->undo->item)))
			return false;
		away |= s->base->seen[e].present && ((r->away | r->unasked) & BIT(e));
	}
	return away;
}

/* Nothing more is to be done about it: judged. */
static bool is_over(struct round *r, struct subject *s)
{
	if (s->fate == FATE_BUSY || (!judge_gone(r, s) && s->undo == NULL) || !is_still_asked_for(r, s))
		return false;
	if (s->undo->code == NULL && (!is_live(s) || !s->decided || is_out_of_sight(r, s)))
		return false;
	if (r->plan == NULL && s->undo->code == NULL && s->d.put_back != 0 && !is_shown(r, s))
		return false;
	if (s->referred && s->d.edited == 0)
		return false;
	judge(r, s);
	return true;
}

static void target_end(struct flow *flow, struct undo_target *t)
{
	HASH_DEL(flow->undos, t);
	free(t);
}

/* After the vectors are marked: what is told to be over must not be needed again. */
void round_settle_undos(struct round *r)
{
	struct journal *journal = sync_of(r)->journal;
	struct err e = { 0 };
	bool *over;

	if (r->flow->undos == NULL)
		return;
	over = arena_zalloc(&r->arena, (r->n + 1) * sizeof *over);
	journal_begin(journal);
	for (size_t i = 0; i < r->n; i++) {
		const struct subject *s = &r->subjects[i];

		over[i] = is_over(r, &r->subjects[i]);
		if (over[i] || (s->undo != NULL && s->undo->refused && is_still_asked_for(r, s)))
			journal_undo_set(journal, s->undo->item, NULL);
	}
	if (!journal_commit(journal, &e)) {
		log_error("what was put back is not noted in the journal; it is looked at again", LOG_S("entity", r->flow->def->name), LOG_ERR(&e));
		for (size_t i = 0; i < r->n; i++)
			if (over[i])
				flow_look_later(r->flow, &(struct again){ .rid = r->subjects[i].undo->rid }, 0);
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		if (over[i]) {
			target_end(r->flow, target_of_undoing(r, &r->subjects[i]));
			undos_settled(sync_of(r));
		}
}

/* Of a dry run. */
void undo_note_planned(struct round *r)
{
	for (size_t i = 0; plan_undos(r->plan) != NULL && i < r->n; i++) {
		struct subject *s = &r->subjects[i];
		struct undo_target *t;

		if (!is_over(r, s))
			continue;
		t = target_of_undoing(r, s);
		t->state = s->undo->item->state;
		t->n_restored = s->undo->item->n_restored;
		t->n_skipped = s->undo->item->n_skipped;
		t->code = s->undo->item->code_word;
		t->cause = s->undo->item->cause;
		t->fields = plan_keep(r->plan, s->undo->item->fields);
		for (size_t e = 0; s->decided && e < n_endpoints(r); e++)
			t->at |= s->d.orders[e].action != ACTION_NONE ? BIT(e) : 0;
	}
}
