/*
 * undo_fold.c - many images of a record make one item: what it showed before the first of those writes, as far as that can be told.
 *
 * From the newest image to the oldest, field by field. The newest one says what has to be there still (expect) and what was there before
 * it (want). An older one goes on from there if what it wrote is what the newer one found: then what it found is wanted. Where it is not
 * so somebody else wrote in between, and it stays with what is wanted so far: that somebody's value. Images of one and the same step at
 * several targets tell the same; where they tell different values, what was agreed on before counts, and where no target showed that,
 * nobody can say. Of a record that is brought back the fields of a group go back together or not at all.
 *
 * A record may have had several lives: deleted, and inserted anew, be it by an undo. An insert that made it begins a life, a delete ends
 * one. What counts is the oldest life that is told: what it was before is wanted. The newest one says what has to be there still.
 *
 * An update or a delete that a target has refused counts like any other: it never was there, but it is what is agreed, it is shown where it
 * was made, and the target is owed it; the image says what it was before. An insert that is tried again looks like one of a record that is copied: that
 * it is none is told by its first try, which failed. Where that is all that is told, the record is not ended: what was in its way may be
 * somebody's own row, and an end would be that one's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "sync/undo.h"

struct folded_value {
	struct folded_value *next;	/* of the same record */
	size_t field;			/* its name's number */
	struct image_text want, expect, wrote;	/* wrote: by the step that `want` was found by */
	uint64_t targets;		/* that this step wrote to */
	bool agreed;			/* want was what was agreed on */
	bool closed;			/* older images tell nothing more */
};

struct folded_values {
	struct folded_value *first;
	size_t n;
};

struct folded {
	const char *name;		/* entity and key */
	size_t name_len;
	struct folded *real;		/* it had another key then; NULL: this is the record */
	const char *entity, *key;
	struct image_text code;
	enum undo_what what;
	bool closed;
	bool born;			/* by the image before: what is older was a life that had ended */
	bool copied;			/* by an insert, for all that is told of this life so far */
	bool refused;			/* all that is told is that an insert of it was */
	uint64_t print;
	struct folded_values values;	/* of the life that is looked at */
	struct folded_values since;	/* UNDO_AGAIN: of the one that it has now */
	UT_hash_handle hh;
};

struct fold {
	struct arena *arena;
	const char *targets[64];	/* in the arena; beyond that they are taken for one */
	size_t n_targets;
	const char **fields;		/* owned; names in the arena */
	size_t n_fields, cap_fields;
	struct folded *table;
	size_t n;
};

struct fold *fold_new(struct arena *arena)
{
	struct fold *f = xcalloc(1, sizeof *f);

	f->arena = arena;
	return f;
}

void fold_free(struct fold **fp)
{
	if (*fp == NULL)
		return;
	HASH_CLEAR(hh, (*fp)->table);
	free((*fp)->fields);
	free(*fp);
	*fp = NULL;
}

size_t fold_count(const struct fold *f)
{
	return f->n;
}

/* ---- which record ------------------------------------------------------------------------------------ */

static struct image_text keep(struct fold *f, struct image_text t)
{
	return t.len <= 0 ? t : (struct image_text){ arena_dup(f->arena, t.p, (size_t)t.len), t.len };
}

static struct folded *find(struct fold *f, const char *entity, struct image_text code, struct buf *name)
{
	struct folded *r;

	buf_clear(name);
	buf_add(name, entity, strlen(entity) + 1);
	buf_add(name, code.p, (size_t)code.len);
	HASH_FIND(hh, f->table, name->p, name->len, r);
	return r;
}

static struct folded *add(struct fold *f, const struct buf *name)
{
	struct folded *r = arena_zalloc(f->arena, sizeof *r);

	r->name = arena_dup(f->arena, name->p, name->len);
	r->name_len = name->len;
	HASH_ADD_KEYPTR(hh, f->table, r->name, r->name_len, r);
	return r;
}

static struct folded *record_of(struct fold *f, const struct journal_image *image, bool *fresh)
{
	struct buf name = { 0 };
	struct folded *r = find(f, image->entity, image->code, &name);

	*fresh = r == NULL;
	if (r == NULL) {
		r = add(f, &name);
		r->entity = r->name;
		r->key = arena_dup(f->arena, image->key, strlen(image->key));
		r->code = keep(f, image->code);
		f->n++;
	}
	buf_fini(&name);
	return r->real != NULL ? r->real : r;
}

/* What is older of it is under its former key. */
static void note_former(struct fold *f, struct folded *r, const struct journal_image *image)
{
	struct buf name = { 0 };

	if (image->former.len >= 0 && find(f, image->entity, image->former, &name) == NULL)
		add(f, &name)->real = r;
	buf_fini(&name);
}

/* ---- its values -------------------------------------------------------------------------------------- */

/* A name is kept once, however many records have it. */
static size_t field_number(struct fold *f, const char *field)
{
	size_t i = 0;

	while (i < f->n_fields && strcmp(f->fields[i], field) != 0)
		i++;
	if (i < f->n_fields)
		return i;
	if (i == f->cap_fields) {
		f->cap_fields = 2 * i + 16;
		f->fields = xrealloc(f->fields, f->cap_fields * sizeof(const char *));
	}
	f->fields[f->n_fields++] = arena_dup(f->arena, field, strlen(field));
	return i;
}

static uint64_t target_bit(struct fold *f, const char *target)
{
	size_t i = 0;

	while (i < f->n_targets && strcmp(f->targets[i], target) != 0)
		i++;
	if (i == f->n_targets && i < countof(f->targets))
		f->targets[f->n_targets++] = arena_dup(f->arena, target, strlen(target));
	return BIT(i < countof(f->targets) ? i : countof(f->targets) - 1);
}

static struct folded_value *folded_value_in(const struct folded_values *values, size_t number)
{
	for (struct folded_value *v = values->first; v != NULL; v = v->next)
		if (v->field == number)
			return v;
	return NULL;
}

static struct folded_value *folded_value_of(struct fold *f, const struct folded *r, const char *field)
{
	size_t number = field_number(f, field);

	return folded_value_in(&r->values, number);
}

static struct folded_value *folded_value_new(struct fold *f, struct folded *r, const char *field)
{
	struct folded_value *v, **end = &r->values.first;

	if (r->values.n == IMAGE_VALUES_MAX)
		return NULL;
	v = arena_zalloc(f->arena, sizeof *v);
	v->field = field_number(f, field);
	while (*end != NULL)
		end = &(*end)->next;
	*end = v;
	r->values.n++;
	return v;
}

static void begin_step(struct fold *f, struct folded_value *v, const struct image_value *i, const char *target)
{
	v->want = keep(f, i->before);
	v->wrote = keep(f, i->after);
	v->agreed = i->agreed;
	v->targets = target_bit(f, target);
}

/* Nothing was written there; it only tells what the rest of its group was written with. */
static bool is_witness(const struct folded_value *v)
{
	return image_text_equal(v->want, v->wrote);
}

enum relation { SAME_STEP, STEP_BEFORE, APART };

/* How what an image tells of a field stands to what is known of it by newer ones. */
static enum relation relation_of(struct fold *f, const struct folded_value *v, const struct image_value *i, const char *target)
{
	if (v->closed)
		return APART;
	/* At another target; or there once more: the write before was refused, or cut off. */
	if (!is_witness(v) && image_text_equal(v->wrote, i->after) && (!(v->targets & target_bit(f, target)) || image_text_equal(v->want, i->before)))
		return SAME_STEP;
	return v->want.len >= IMAGE_NULL && image_text_equal(v->want, i->after) ? STEP_BEFORE : APART;
}

/* ---- groups: all of a unit, in one image ------------------------------------------------------------- */

struct unit {
	struct fold *fold;
	struct folded *record;
	const struct journal_image *image;
	uint64_t members;		/* of the image's values */
};

static const struct image_value *member(const struct unit *u, size_t i)
{
	return u->members & BIT(i) ? &u->image->values[i] : NULL;
}

static struct folded_value *known(const struct unit *u, const struct image_value *i)
{
	return folded_value_of(u->fold, u->record, i->field);
}

/* Is that so of every value that the image tells of the unit? */
static bool every(const struct unit *u, bool (*is)(const struct folded_value *, const struct image_value *))
{
	for (size_t i = 0; i < u->image->n_values; i++)
		if (member(u, i) != NULL && !is(known(u, member(u, i)), member(u, i)))
			return false;
	return true;
}

static bool is_equal(const struct folded_value *v, const struct image_value *i)
{
	return v != NULL && image_text_equal(v->want, i->before);
}

static bool was_agreed(const struct folded_value *v, const struct image_value *i)
{
	return v != NULL && v->agreed;
}

static bool is_agreed(const struct folded_value *v, const struct image_value *i)
{
	return i->agreed;
}

static void take_step(const struct unit *u, const struct image_value *i)
{
	struct folded_value *v = known(u, i);

	if (v == NULL) {
		v = folded_value_new(u->fold, u->record, i->field);
		if (v == NULL)
			return;
		v->expect = keep(u->fold, i->after);
	}
	begin_step(u->fold, v, i, u->image->endpoint);
}

/* The same step at another target: what was agreed on before counts, as a whole. */
static void compare_step(const struct unit *u)
{
	bool equal = every(u, is_equal), keeps = every(u, was_agreed), takes = every(u, is_agreed);

	for (size_t i = 0; i < u->image->n_values; i++) {
		struct folded_value *v = member(u, i) != NULL ? known(u, member(u, i)) : NULL;
		uint64_t targets = v != NULL ? v->targets : 0;

		if (member(u, i) == NULL)
			continue;
		if (v == NULL || (!equal && !keeps && takes)) {
			take_step(u, member(u, i));
			v = known(u, member(u, i));
		} else if (equal) {
			v->agreed |= member(u, i)->agreed;
		} else if (!keeps) {
			v->want = (struct image_text){ NULL, IMAGE_SEVERAL };
		}
		if (v != NULL)
			v->targets |= targets | target_bit(u->fold, u->image->endpoint);
	}
}

static void fold_unit(const struct unit *u, bool whole)
{
	bool apart = !whole, same = false;

	for (size_t i = 0; i < u->image->n_values; i++) {
		struct folded_value *v = member(u, i) != NULL ? known(u, member(u, i)) : NULL;
		enum relation relation = v != NULL ? relation_of(u->fold, v, member(u, i), u->image->endpoint) : STEP_BEFORE;

		apart |= relation == APART;
		same |= relation == SAME_STEP;
	}
	if (!apart && same) {
		compare_step(u);
		return;
	}
	for (size_t i = 0; i < u->image->n_values; i++) {
		struct folded_value *v = member(u, i) != NULL ? known(u, member(u, i)) : NULL;

		if (member(u, i) != NULL && !apart)
			take_step(u, member(u, i));
		else if (v != NULL)
			v->closed = true;
	}
}

/* ---- one image --------------------------------------------------------------------------------------- */

static size_t field_named(const struct entity_def *def, const char *name)
{
	size_t i = 0;

	while (i < def->n_fields && strcmp(def->fields[i].name, name) != 0)
		i++;
	return i;
}

static bool is_brought_back(const struct folded *r)
{
	return r->what == UNDO_RECORD || r->what == UNDO_AGAIN;
}

/*
 * A group, and the parts of a key, as one: half of it would come back with the other half of somebody else. Of a record that is
 * brought back all of it has to be told, since nobody is left who could say that the rest was edited in between.
 */
static void fold_update(struct fold *f, struct folded *r, const struct journal_image *image, const struct entity_def *def, const char *rule)
{
	uint64_t done = 0;

	for (size_t n = 0; n < image->n_values; n++) {
		size_t field = field_named(def, image->values[n].field);
		uint64_t fields = field < def->n_fields ? decide_unit(def, field) : 0, told = 0;
		struct unit u = { f, r, image, BIT(n) };

		if ((done & BIT(n)) || (rule != NULL && strcmp(rule, image->values[n].rule) != 0))
			continue;
		for (size_t m = 0; m < image->n_values; m++) {
			size_t other = field_named(def, image->values[m].field);

			if (other == def->n_fields || !(fields & BIT(other)))
				continue;
			u.members |= BIT(m);
			told |= BIT(other);
		}
		done |= u.members;
		fold_unit(&u, !is_brought_back(r) || (fields & ~told) == 0);
	}
	note_former(f, r, image);
}

/* The life that this delete ended. What is known so far is of the one after it, which is there still or has ended, too. */
static void begin_life(struct folded *r)
{
	r->since = r->what == UNDO_END ? r->values : (struct folded_values){ 0 };
	r->what = r->what == UNDO_END ? UNDO_AGAIN : UNDO_RECORD;
	r->values = (struct folded_values){ 0 };
	r->born = r->copied = false;
}

/* Of several targets' rows of one delete the one that showed more of what was agreed on. */
static void fold_delete(struct fold *f, struct folded *r, const struct journal_image *image, bool fresh)
{
	if (fresh || r->born) {
		begin_life(r);
	} else if (!is_brought_back(r)) {
		r->closed = true;	/* what was inserted since is not told: nobody could say whether it is there still */
		return;
	}
	for (size_t i = 0; i < image->n_values; i++) {
		struct folded_value *v = folded_value_of(f, r, image->values[i].field);

		if (v == NULL && (v = folded_value_new(f, r, image->values[i].field)) == NULL)
			continue;
		if (v->targets == 0 || (image->values[i].agreed && !v->agreed && v->wrote.len == IMAGE_NOT_KEPT)) {
			begin_step(f, v, &image->values[i], image->endpoint);
			v->expect = v->wrote = (struct image_text){ NULL, IMAGE_NOT_KEPT };
		}
	}
}

/* The record did not exist before: it is to be ended; where it was deleted since, there is nothing left to do. */
static void fold_birth(struct folded *r, const struct journal_image *image)
{
	if (r->what == UNDO_AGAIN) {
		r->what = UNDO_END;	/* of the life that it has now, whose print this one's is not */
		r->values = r->since;
	} else {
		if (!r->born)		/* else by the same insert at another target */
			r->what = r->what == UNDO_RECORD ? UNDO_NOTHING : UNDO_END;
		r->print = image->print;
	}
	r->born = true;
	r->copied = false;
}

static void fold_insert(struct folded *r, const struct journal_image *image, bool fresh)
{
	r->refused = false;		/* not at this target */
	if (image->created) {
		fold_birth(r, image);
		return;
	}
	if (fresh)
		r->what = UNDO_NOTHING;
	r->copied = true;
}

/* The first try of an insert; it ends the record only where a later one is told that was carried out. */
static void fold_first_try(struct folded *r, const struct journal_image *image, bool fresh)
{
	if (fresh) {
		r->what = UNDO_NOTHING;
		r->refused = true;
	} else if (r->copied && !r->closed) {
		fold_birth(r, image);
	}
}

void fold_add(struct fold *f, const struct journal_image *image, const struct entity_def *def, const char *rule)
{
	struct folded *r;
	bool fresh;

	if (image->code.len < 0 || (rule != NULL && image->op == IMAGE_INSERT) ||
	    (rule != NULL && image->op == IMAGE_DELETE && strcmp(rule, image->rule) != 0) ||
	    (image->failed && image->op == IMAGE_INSERT && !image->created))
		return;
	r = record_of(f, image, &fresh);
	if (image->failed && image->op == IMAGE_INSERT) {
		fold_first_try(r, image, fresh);
		return;
	}
	r->closed |= (r->born || r->refused) && image->op == IMAGE_UPDATE;	/* of a life whose end is not told */
	if (r->closed)
		return;
	switch (image->op) {
	case IMAGE_UPDATE:
		if (r->what == UNDO_NOTHING)
			r->what = UNDO_VALUES;
		fold_update(f, r, image, def, rule);
		break;
	case IMAGE_DELETE:
		fold_delete(f, r, image, fresh);
		break;
	case IMAGE_INSERT:
		fold_insert(r, image, fresh);
		break;
	}
}

static struct undo_value value_to_put_back(const struct fold *f, const struct folded *r, const struct folded_value *v)
{
	const struct image_text unknown = { NULL, IMAGE_NOT_KEPT };
	const struct folded_value *since = folded_value_in(&r->since, v->field);

	if (r->what != UNDO_AGAIN)
		return (struct undo_value){ f->fields[v->field], v->want, v->expect, unknown };
	return (struct undo_value){ f->fields[v->field], v->want, since != NULL ? since->expect : unknown, since != NULL ? since->want : unknown };
}

void fold_each(struct fold *f, void (*fn)(void *arg, const struct undo_item *), void *arg)
{
	struct undo_item *item = xcalloc(1, sizeof *item);
	struct folded *r, *tmp;

	HASH_ITER(hh, f->table, r, tmp) {
		if (r->real != NULL || (r->what == UNDO_VALUES && r->values.n == 0))
			continue;
		memset(item, 0, sizeof *item);
		*item = (struct undo_item){ .entity = r->entity, .key = r->key, .code = r->code, .what = r->what, .print = r->print };
		if (r->refused) {
			item->code_word = "refused";
			item->cause = "its insert was refused, or had to wait: it is only where it was entered; delete it there where it is not wanted";
		}
		for (const struct folded_value *v = r->values.first; v != NULL; v = v->next)
			item->values[item->n_values++] = value_to_put_back(f, r, v);
		fn(arg, item);
	}
	free(item);
}
