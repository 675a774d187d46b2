/*
 * check_books.c - do the books balance (meter/books.h), and is their stock what the store and the journal have?
 *
 * The first is asked after every event: what is open is counted by the daemon where it lies, so a change that is dropped without a word,
 * or settled twice, shows at once. The second is asked when it has become quiet, of the store's keys and the journal alone.
 */
#include "world.h"

#include <inttypes.h>

#include "base/arena.h"
#include "journal/journal.h"
#include "meter/books.h"
#include "model/vector.h"
#include "sync/sync.h"

void check_books(struct world *w)
{
	for (size_t i = 0; w->sync != NULL && i < sync_entities(w->sync); i++) {
		struct sync_entity_view v;
		const struct books *b = &v.books;

		sync_entity_view(w->sync, i, &v);
		if (!books_balance(b))
			world_fail(w, "books", "%s: captured %" PRIu64 ", applied %" PRIu64 ", unchanged %" PRIu64 ", lost %" PRIu64 ", merged %" PRIu64
				   ", pending %" PRId64 ", parked %" PRId64 ", waiting %" PRId64 ", held %" PRId64, v.conf->def.name, b->captured,
				   b->applied, b->unchanged, b->lost, b->merged, b->records[BOOKS_PENDING], books_parked(b),
				   b->records[BOOKS_WAITING], b->held);
	}
}

struct stock {
	struct world *world;
	const char *entity;
	int64_t owed, parked, rows, waiting;
	struct rid rids[1000];		/* that wait */
};

static bool count_row(void *arg, const struct journal_parked *p)
{
	struct stock *s = arg;

	s->rows += p->capture;
	return true;
}

static bool waits(const struct stock *s, const struct rid *rid)
{
	for (int64_t i = 0; i < s->waiting; i++)
		if (rid_equal(&s->rids[i], rid))
			return true;
	return false;
}

/* A record may wait in several fields. */
static bool count_waiting(void *arg, const struct journal_waiting *line)
{
	struct stock *s = arg;
	struct rid rid;

	for (size_t i = 0; i < RID_BYTES; i++)
		sscanf(line->rid + 2 * i, "%2hhx", &rid.b[i]);
	if (!waits(s, &rid))
		s->rids[s->waiting++] = rid;
	return s->waiting < 1000;
}

static void count_vectors(struct stock *s, size_t entity)
{
	const struct store_keys *keys = &s->world->keys;
	struct vector_layout layout = { .n_fields = s->world->topology->entities[entity].def.n_fields, .n_endpoints = s->world->plan.n_endpoints };
	struct arena arena;

	layout.fields_stored = (uint8_t)layout.n_fields;
	memcpy(layout.field_number, keys->field_number[entity], layout.n_fields);
	memcpy(layout.endpoint_number, keys->endpoint_number, layout.n_endpoints);
	arena_init(&arena);
	for (size_t i = 0; i < keys->n_vectors[entity]; i++) {
		const struct kept_vector *k = &keys->vectors[entity][i];
		bool owed = false, parked = false;
		struct vector *v;

		if (!vector_decode(k->p, (size_t)k->len, &layout, &arena, &v, NULL))
			continue;
		for (size_t e = 0; e < v->n_endpoints; e++) {
			owed |= v->seen[e].owed && !v->seen[e].parked;
			parked |= v->seen[e].owed;
		}
		s->owed += owed;
		s->parked += parked && !owed && !waits(s, &k->rid);
	}
	arena_fini(&arena);
}

/* What stands in the place of a vector, because an insert under that key is in doubt, is no record. */
static int64_t count_records(const struct store_keys *keys, size_t entity)
{
	int64_t n = 0;

	for (size_t i = 0; i < keys->n_vectors[entity]; i++) {
		const struct kept_vector *k = &keys->vectors[entity][i];
		struct rid to;

		n += !vector_decode_forward((struct value){ k->p, k->len }, &to);
	}
	return n;
}

void check_books_stock(struct world *w)
{
	for (size_t i = 0; i < sync_entities(w->sync); i++) {
		struct stock s = { .world = w, .entity = w->topology->entities[i].def.name };
		struct sync_entity_view v;

		sync_entity_view(w->sync, i, &v);
		if (v.records != count_records(&w->keys, i))
			world_fail(w, "books", "%s: %" PRId64 " records, but there are %" PRId64 " vectors", s.entity, v.records,
				   count_records(&w->keys, i));
		journal_parked_each(w->journal, s.entity, NULL, 0, SIZE_MAX, count_row, &s, NULL);
		journal_waiting_each(w->journal, s.entity, NULL, NULL, 0, 0, count_waiting, &s, NULL);
		count_vectors(&s, i);
		if (s.owed != v.books.records[BOOKS_PENDING] || s.parked != v.books.records[BOOKS_PARKED] ||
		    s.rows != v.books.parked_rows || s.waiting != v.books.records[BOOKS_WAITING])
			world_fail(w, "books", "%s: pending %" PRId64 ", parked %" PRId64 " and rows %" PRId64 ", waiting %" PRId64
				   ", but there are %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64, s.entity, v.books.records[BOOKS_PENDING],
				   v.books.records[BOOKS_PARKED], v.books.parked_rows, v.books.records[BOOKS_WAITING], s.owed, s.parked, s.rows,
				   s.waiting);
		w->sometimes->books_lost += v.books.lost;
		w->sometimes->books_merged += v.books.merged;
	}
}
