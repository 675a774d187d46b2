/*
 * images.c - before-images: what a round is about to write over, into the journal before it does.
 *
 *   image   of one write of one record: what the target shows, and what it is to show. The round has read the row, and the write is
 *           guarded by the row's version, so that is what will be written over. Fields that come of different sources' edits make
 *           images of their own. Of an insert there is nothing to keep but that there was no row, and, where nobody had had the
 *           record before, what would prove later that it is still what was inserted; of those of a first load, not even that.
 *           Where all others are away when it is taken in, the record's vector says that it is new, until the first of them is written.
 *           When an insert is tried again its record is known, like one that is copied: what it is tells the image of the first try.
 *           So one that cannot be tried at first, as its parent is not there yet, leaves an image all the same, as of one that failed.
 *   run     what people undo: all that comes of one source's edits until it has brought nothing new for a minute, for an hour
 *           at most, in one life of the process. What is brought over when a table is listed for the first time is apart from what
 *           comes after. An undo is a run of its own, also what it brings later to a side that was away; and so is what people decided
 *           about conflicts.
 *   failed  a write that the target refused is noted: its image is of something that never was. Of a write whose answer did not come
 *           nobody knows; who undoes it finds out from the row.
 */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "journal/journal_images.h"
#include "sync/migrate.h"
#include "sync/round.h"
#include "sync/undo.h"

enum { QUIET_US = 60 * 1000 * 1000 };
static const int64_t longest_us = INT64_C(3600) * 1000 * 1000;

/* ---- runs -------------------------------------------------------------------------------------------- */

/* A first load writes over nothing, and nothing of it can be taken back: it must not wait for a disk. */
static bool is_first_load(const struct round *r)
{
	return (r->is_page && r->side->listing.survey) || migrate_is_first_load(r);
}

static struct image_run *run_of_source(const struct round *r, uint8_t origin)
{
	struct sync *s = sync_of(r);
	size_t n = s->topology->n_endpoints;

	return &s->runs[(is_first_load(r) ? n + 1 : 0) + (origin < n ? origin : n)];
}

static const char *source_name(const struct sync *s, uint8_t origin)
{
	return origin < s->topology->n_endpoints ? s->topology->endpoints[origin].name : "(operator)";
}

/* Its number; 0: the journal cannot be written. */
static int64_t run_at(const struct round *r, uint8_t origin, int64_t now, struct err *e)
{
	struct image_run *run = run_of_source(r, origin);
	struct sync *s = sync_of(r);

	if (run->number == 0 || now - run->last_us > QUIET_US || now - run->began_us > longest_us) {
		run->number = journal_run_new(s->journal, source_name(s, origin), now, e);
		run->began_us = now;
	}
	run->last_us = now;
	return run->number;
}

static size_t count_runs(const struct sync *s)
{
	return 2 * (s->topology->n_endpoints + 1);
}

void image_runs_begin_group(struct sync *s)
{
	for (size_t i = 0; i < count_runs(s); i++) {
		s->runs[i].kept_number = s->runs[i].number;
		s->runs[i].kept_began_us = s->runs[i].began_us;
	}
}

/*
 * A number that was drawn in that group is nobody's. The run before it goes on, and a time in which nothing can be written is not one in which
 * its source brought nothing: who undoes it means all of it.
 */
void image_runs_roll_back(struct sync *s)
{
	int64_t now = clock_wall_us();

	for (size_t i = 0; i < count_runs(s); i++) {
		struct image_run *run = &s->runs[i];

		if (run->number == run->kept_number && now - run->last_us <= QUIET_US)
			run->last_us = now;
		run->number = fault("f28-a-run-ends-where-it-cannot-be-written-down") ? 0 : run->kept_number;
		run->began_us = run->kept_began_us;
	}
}

/* ---- one image --------------------------------------------------------------------------------------- */

struct keeping {			/* the images of a round */
	struct round *r;
	int64_t now_us;
	struct group {			/* of one run */
		int64_t run;
		struct image_batch batch;
		struct image_ref *refs;	/* whose they are, to be told the batch's number; a list */
	} *groups;			/* owned, in the round's arena */
	size_t n, cap;
	struct journal_image image;	/* the one in the making */
	struct buf key;
};

static struct image_text text_of(const struct field_def *field, struct value v)
{
	if (field->private_value)
		return (struct image_text){ NULL, IMAGE_NOT_KEPT };
	return (struct image_text){ v.data, v.len < 0 ? IMAGE_NULL : v.len };
}

struct writer {				/* whose edit is written */
	uint8_t origin;
	int64_t undo;			/* the run of the undo by which it was put back; 0: by none */
};

static bool same_writer(const struct writer *a, const struct writer *b)
{
	return a->origin == b->origin && a->undo == b->undo;
}

/*
 * No endpoint gave it. What was agreed before this decision goes to a side that was away then, and the journal knows whether it was an undo's.
 * It does not know of which fields; so sums, and fields that people decide about, are not asked for.
 */
static bool find_undo(struct keeping *k, const struct subject *s, const char *field, bool agreed_before, int64_t *run, struct err *e)
{
	*run = s->undo != NULL ? s->undo->run : 0;
	if (*run != 0 || !agreed_before)
		return true;
	return journal_undo_of(sync_of(k->r)->journal, k->r->flow->def->name, k->key.p, field, run, e);
}

static bool find_writer(struct keeping *k, const struct subject *s, size_t f, struct writer *w, struct err *e)
{
	const struct field_def *field = &k->r->flow->def->fields[f];
	const struct edit_key *now = &s->d.next->fields[f].key;
	bool before = s->base != NULL && same_key(&s->base->fields[f].key, now) && field->rule != RULE_ADD && field->rule != RULE_MANUAL;

	*w = (struct writer){ .origin = now->origin };
	return now->origin != ORIGIN_NONE || find_undo(k, s, field->name, before, &w->undo, e);
}

static bool find_deleter(struct keeping *k, const struct subject *s, struct writer *w, struct err *e)
{
	const struct edit_key *now = &s->d.next->deleted;
	bool before = s->base != NULL && s->base->dead && same_key(&s->base->deleted, now);

	*w = (struct writer){ .origin = now->origin };
	return now->origin != ORIGIN_NONE || find_undo(k, s, "", before, &w->undo, e);
}

static bool showed_agreed(const struct subject *s, size_t e, size_t f)
{
	return s->base != NULL && s->base->fields[f].digest == digest_field(s->seen[e].digests[f]);
}

static void add_value(struct keeping *k, const struct subject *s, size_t e, size_t f)
{
	const struct field_def *field = &k->r->flow->def->fields[f];

	k->image.values[k->image.n_values++] = (struct image_value){
		.field = field->name, .rule = rule_name(field->rule), .agreed = showed_agreed(s, e, f),
		.before = text_of(field, s->seen[e].values[f]), .after = text_of(field, s->d.values[f]) };
}

static struct group *group_of(struct keeping *k, const struct writer *w, struct err *e)
{
	int64_t run = w->undo != 0 ? w->undo : run_at(k->r, w->origin, k->now_us, e);

	for (size_t i = 0; i < k->n; i++)
		if (k->groups[i].run == run)
			return &k->groups[i];
	if (run == 0)
		return NULL;
	if (k->n == k->cap) {
		struct group *old = k->groups;

		k->cap = k->cap > 0 ? 2 * k->cap : 4;
		k->groups = arena_zalloc(&k->r->arena, k->cap * sizeof *k->groups);
		if (k->n > 0)
			memcpy(k->groups, old, k->n * sizeof *old);
	}
	k->groups[k->n].run = run;
	return &k->groups[k->n++];
}

static bool add_image(struct keeping *k, struct subject *s, size_t e, const struct writer *w, struct err *err)
{
	struct group *g = group_of(k, w, err);
	struct image_ref *ref;

	if (g == NULL)
		return false;
	ref = arena_zalloc(&k->r->arena, sizeof *ref);
	ref->endpoint = (uint8_t)e;
	ref->waits = s->d.orders[e].action == ACTION_NONE;
	ref->n = image_batch_add(&g->batch, sync_of(k->r)->journal, &k->image);
	ref->next_of_subject = s->images;
	ref->next = g->refs;
	s->images = g->refs = ref;
	return true;
}

/* ---- one record -------------------------------------------------------------------------------------- */

static void begin_image(struct keeping *k, const struct subject *s, size_t e, enum image_op op)
{
	const struct value key = s->key;

	k->image.op = op;
	k->image.created = false;
	k->image.n_values = 0;
	k->image.endpoint = sync_of(k->r)->topology->endpoints[e].name;
	k->image.key = k->key.p;
	k->image.code = (struct image_text){ key.data, key.len < 0 ? IMAGE_NULL : key.len };
	k->image.former = (struct image_text){ NULL, IMAGE_NULL };
	k->image.rule = "";
}

static uint64_t print_of(const struct round *r, const struct value *values)
{
	const struct entity_def *def = r->flow->def;
	struct image_text texts[FIELDS_MAX];

	for (size_t f = 0; f < def->n_fields; f++)
		texts[f] = (struct image_text){ values[f].data, values[f].len < 0 ? IMAGE_NULL : values[f].len };
	return journal_image_print(sync_of(r)->journal, texts, def->n_fields);
}

static bool is_new(const struct subject *s)
{
	return s->base == NULL || s->base->dead || s->base->newborn;
}

/* Nobody had the record before: its row at the source is new, and not only new to us. Or it was, and nobody could be written to until now. */
static bool is_created(const struct round *r, const struct subject *s)
{
	if (s->undo != NULL)
		return s->undo->imposed.what == IMPOSE_RECORD;
	if (s->base != NULL && !s->base->dead)
		return s->base->newborn && !fault("f24-what-was-new-to-nobody-there-is-a-copy");
	return r->side != NULL && r->side->surveyed;
}

static bool add_insert(struct keeping *k, struct subject *s, size_t e, struct err *err)
{
	struct writer w;

	begin_image(k, s, e, IMAGE_INSERT);
	k->image.created = is_created(k->r, s);
	if (k->image.created)
		k->image.print = print_of(k->r, s->d.values);
	return find_writer(k, s, 0, &w, err) && add_image(k, s, e, &w, err);
}

/* The record's key before, where this write gives it another one. */
static struct image_text former_key(struct keeping *k, const struct subject *s, size_t e)
{
	struct value former = record_key(k->r->flow->def, s->seen[e].values, &k->r->arena);

	return value_equal(former, s->key) ? (struct image_text){ NULL, IMAGE_NULL } : (struct image_text){ former.data, former.len };
}

/* What its group shows besides: half of a group is not put back. */
static void add_witnesses(struct keeping *k, const struct subject *s, size_t e, uint64_t written)
{
	const struct entity_def *def = k->r->flow->def;
	uint64_t unit = 0;

	if (def->n_groups == 0 && def->n_key <= 1)
		return;
	for (size_t f = 0; f < def->n_fields; f++)
		unit |= written & BIT(f) ? decide_unit(def, f) : 0;
	for (size_t f = 0; f < def->n_fields; f++)
		if ((unit & ~written & BIT(f)) && showed_agreed(s, e, f)) {
			add_value(k, s, e, f);
			k->image.values[k->image.n_values - 1].after = k->image.values[k->image.n_values - 1].before;
		}
}

/* Our own insert had left it out, as what it refers to was not there yet: nobody ever meant that it refers to nothing. */
static bool was_left_out(const struct round *r, const struct subject *s, size_t e, size_t f)
{
	const struct vdeviation *dev = s->base != NULL && s->base->seen[e].present ? vseen_deviation(&s->base->seen[e], f) : NULL;

	return r->flow->def->fields[f].type == FIELD_REFERENCE && r->flow->sides[e]->mapping->role != ROLE_TARGET && dev != NULL &&
	       dev->key.origin == ORIGIN_NONE && dev->key.eff == EFF_EMPTY && value_is_null(s->seen[e].values[f]);
}

static bool add_update(struct keeping *k, struct subject *s, size_t e, struct err *err)
{
	uint64_t rest = s->d.orders[e].fields;
	bool ok = true;

	for (size_t f = 0; f < k->r->flow->def->n_fields; f++)
		if ((rest & BIT(f)) && was_left_out(k->r, s, e, f))
			rest &= ~BIT(f);

	while (ok && rest != 0) {
		struct writer w, other;
		uint64_t before = rest;

		ok = find_writer(k, s, (size_t)__builtin_ctzll(rest), &w, err);
		begin_image(k, s, e, IMAGE_UPDATE);
		for (size_t f = 0; ok && f < k->r->flow->def->n_fields; f++)
			if ((rest & BIT(f)) && (ok = find_writer(k, s, f, &other, err)) && same_writer(&w, &other)) {
				add_value(k, s, e, f);
				rest &= ~BIT(f);
				if (k->r->flow->def->fields[f].is_key)
					k->image.former = former_key(k, s, e);
			}
		add_witnesses(k, s, e, before & ~rest);
		ok = ok && add_image(k, s, e, &w, err);
	}
	return ok;
}

static bool add_delete(struct keeping *k, struct subject *s, size_t e, struct err *err)
{
	struct value key = record_key(k->r->flow->def, s->seen[e].values, &k->r->arena);
	struct writer w;

	begin_image(k, s, e, IMAGE_DELETE);
	buf_clear(&k->key);
	record_key_print(&k->key, key, k->r->flow->def->n_key);
	k->image.key = k->key.p;
	k->image.code = (struct image_text){ key.data, key.len };
	k->image.rule = k->r->flow->def->deletes == DELETES_UPDATE_WINS ? "update-wins" : "delete-wins";
	for (size_t f = 0; f < k->r->flow->def->n_fields; f++)
		add_value(k, s, e, f);
	return find_deleter(k, s, &w, err) && add_image(k, s, e, &w, err);
}

/* It is new, and will be inserted there when the record that it points to is there. */
static bool waits_from_birth(const struct round *r, const struct subject *s, size_t e)
{
	return (s->orphaned & BIT(e)) && !s->d.next->seen[e].present && is_new(s) && is_created(r, s);
}

static bool leaves_image(const struct round *r, const struct subject *s, size_t e)
{
	if (s->d.orders[e].action == ACTION_NONE)
		return waits_from_birth(r, s, e);
	return s->d.orders[e].action != ACTION_INSERT || !is_first_load(r);
}

/* Of what has been taken in at one side alone no image says that it is new: that is known of the record, until one does. */
static bool is_newborn(const struct round *r, const struct subject *s)
{
	const struct vector *v = s->d.next;
	size_t rows = 0;

	if (v->dead || !is_new(s) || !is_created(r, s))
		return false;
	for (size_t e = 0; e < v->n_seen; e++)
		rows += v->seen[e].present || v->seen[e].uncertain;
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (leaves_image(r, s, e))
			return false;
	return rows == 1;
}

void round_note_newborn(struct round *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (is_live(&r->subjects[i]) && r->subjects[i].decided)
			r->subjects[i].d.next->newborn = is_newborn(r, &r->subjects[i]);
}

static bool may_leave_images(const struct round *r, const struct subject *s)
{
	return round_has_orders(r, s) || (is_live(s) && s->decided && s->orphaned != 0);
}

static bool add_record(struct keeping *k, struct subject *s, struct err *err)
{
	bool ok = true;

	s->images = NULL;
	buf_clear(&k->key);
	for (size_t e = 0; ok && e < n_endpoints(k->r); e++) {
		if (!leaves_image(k->r, s, e))
			continue;
		if (k->key.len == 0)
			round_print_key(k->r, s, &k->key);
		switch (s->d.orders[e].action) {
		case ACTION_NONE:
		case ACTION_INSERT:	ok = add_insert(k, s, e, err); break;
		case ACTION_UPDATE:	ok = add_update(k, s, e, err); break;
		case ACTION_DELETE:	ok = add_delete(k, s, e, err); break;
		}
	}
	return ok;
}

/* ---- all of a round ---------------------------------------------------------------------------------- */

static bool keep_group(struct keeping *k, struct group *g, struct err *err)
{
	int64_t id;

	if (!journal_images_keep(sync_of(k->r)->journal, &g->batch, k->r->flow->def->name, g->run, k->now_us, &id, err))
		return false;
	for (struct image_ref *ref = g->refs; ref != NULL; ref = ref->next) {
		ref->batch = id;
		if (ref->waits && !journal_image_failed(sync_of(k->r)->journal, id, ref->n, err))
			return false;
	}
	return true;
}

bool round_keep_images(struct round *r, struct err *err)
{
	struct keeping k = { .r = r, .now_us = clock_wall_us() };
	bool ok = true;

	for (size_t i = 0; ok && i < r->n; i++)
		if (may_leave_images(r, &r->subjects[i]))
			ok = add_record(&k, &r->subjects[i], err);
	for (size_t i = 0; i < k.n; i++) {
		ok = ok && keep_group(&k, &k.groups[i], err);
		image_batch_fini(&k.groups[i].batch);
	}
	buf_fini(&k.key);
	return ok;
}

void round_note_failed(struct round *r, const struct subject *s, size_t e)
{
	for (const struct image_ref *ref = s->images; ref != NULL; ref = ref->next_of_subject)
		if (ref->endpoint == e)
			journal_image_failed(sync_of(r)->journal, ref->batch, ref->n, NULL);
}
