/*
 * fuzz_rules.c - the rules on a small world made of the input's bytes: up to three endpoints with one record, edits, deletes, clocks, looks at
 * some of them, writes that fail or whose answer is lost.
 *
 *   laws   edits made side by side: whoever is seen first, and whatever is seen together, the same is agreed; seen again, nothing
 *          changes; and whoever wrote all of a record at one moment with others has it as a whole or not at all
 *   life   a longer story; at its end all show the same (C2), nobody wants to write any more (C3), and every value, and every group of
 *          values, is one that somebody gave the record (C5)
 *
 * SEMANTICS 9; check_algebra.c does the same exhaustively for one field. FUZZ_TELL=1 in the environment has the story told.
 */
#include "fuzz.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "model/decide.h"
#include "model/doubt.h"
#include "model/record.h"

enum { ENDPOINTS = 3, FIELDS = 4, VALUES = 6, STEPS = 3, OPS = 60, SETTLING = 12, TUPLES = 128 };

static const uint8_t in_order[FIELDS] = { 0, 1, 2, 3 };

#define US INT64_C(1000000)
#define T(s) ((INT64_C(1767225600) + (s)) * US)

const char *const fuzz_examples[] = { NULL };

struct row {
	bool there;
	int id;
	struct value v[FIELDS];
	int64_t stamp;
};

struct game {
	struct choices in;
	struct arena arena;
	struct field_def fields[FIELDS];
	struct entity_def entity;
	struct decide_endpoint ends[ENDPOINTS];
	struct digest_key key;
	struct decide_policy policy;
	size_t n;			/* endpoints */
	struct vector *base;
	struct row rows[ENDPOINTS];
	int64_t now;
	int ids;
	struct value tuples[TUPLES][FIELDS];	/* what rows showed when somebody had edited them */
	size_t n_tuples;
	bool forgot;			/* there was no room for one more of these */
	bool tells;
};

#define tell(g, ...) do { if ((g)->tells) fprintf(stderr, __VA_ARGS__); } while (0)

static void tell_row(const struct game *g, size_t e, const char *how)
{
	const struct row *r = &g->rows[e];

	tell(g, "%" PRId64 " %zu %s", (r->stamp - T(0)) / (US / 10), e, how);
	for (size_t f = 1; r->there && f < FIELDS; f++)
		tell(g, " <%.*s>", r->v[f].len < 0 ? 4 : (int)r->v[f].len, r->v[f].len < 0 ? "NULL" : r->v[f].data);
	tell(g, "%s\n", r->there ? "" : " gone");
}

static void tell_vector(const struct game *g, const struct vector *v)
{
	if (v == NULL || !g->tells)
		return;
	fprintf(stderr, "    %s", v->dead ? "dead" : "agreed");
	for (size_t f = 1; f < v->n_fields; f++)
		fprintf(stderr, " %06x(%" PRId64 " %u n%u)", v->fields[f].digest, (v->fields[f].key.eff - T(0)) / (US / 10), v->fields[f].key.origin,
			v->fields[f].key.n);
	for (size_t e = 0; e < v->n_endpoints; e++)
		fprintf(stderr, " %zu:%s%s%s%s", e, v->seen[e].known ? v->seen[e].present ? v->seen[e].same ? "same" : "other" : "none" : "?",
			v->seen[e].owed ? " owed" : "", v->seen[e].uncertain ? " doubt" : "", v->seen[e].former ? " former" : "");
	fputc('\n', stderr);
}

/* ---- the game ---------------------------------------------------------------------------------------- */

static struct value some_value(struct game *g, size_t f)
{
	static const char *const texts[VALUES] = { "x", "y", "", "z", "xx", NULL };
	static const char *const numbers[VALUES] = { "10", "7", "-2", "100", "0", NULL };
	const char *s = (g->fields[f].type == FIELD_INTEGER ? numbers : texts)[choose(&g->in, VALUES)];

	return s != NULL ? value_of(s) : VALUE_NULL;
}

static void make_fields(struct game *g)
{
	static const enum rule rules[] = { RULE_LAST_WRITER_WINS, RULE_SOURCE_PRIORITY, RULE_MIRROR, RULE_NEWEST_FILLED, RULE_MAX, RULE_MIN,
		RULE_ADD, RULE_MANUAL };
	bool group = choose(&g->in, 2);

	g->entity = (struct entity_def){ .fields = g->fields, .n_fields = FIELDS, .key = { 0 }, .n_key = 1, .n_groups = group };
	for (size_t f = 0; f < FIELDS; f++) {
		struct field_def *x = &g->fields[f];

		*x = (struct field_def){ .type = FIELD_TEXT, .group = -1, .is_key = f == 0 };
		if (f == 0)
			continue;
		x->rule = rules[choose(&g->in, sizeof rules / sizeof *rules)];
		if (x->rule == RULE_ADD || choose(&g->in, 3) == 0)
			x->type = FIELD_INTEGER;
	}
	for (size_t f = 1; group && f <= 2; f++) {	/* such rules are refused for groups by conf/ */
		if (g->fields[1].rule == RULE_ADD || g->fields[1].rule == RULE_MAX || g->fields[1].rule == RULE_MIN ||
		    g->fields[1].rule == RULE_NEWEST_FILLED)
			g->fields[1].rule = RULE_LAST_WRITER_WINS;
		g->fields[f].group = 0;
		g->fields[f].rule = g->fields[1].rule;
	}
}

static void begin_game(struct game *g, const uint8_t *data, size_t size)
{
	unsigned first;

	memset(g, 0, sizeof *g);
	g->in = (struct choices){ data, data + size };
	arena_init(&g->arena);
	make_fields(g);
	g->entity.deletes = choose(&g->in, 2) ? DELETES_DELETE_WINS : DELETES_UPDATE_WINS;
	g->n = 2 + choose(&g->in, 2);
	first = choose(&g->in, ENDPOINTS);
	for (size_t e = 0; e < ENDPOINTS; e++) {
		g->entity.rank[e] = (uint8_t)((e + first) % ENDPOINTS);
		g->ends[e] = (struct decide_endpoint){ .mapped = e < g->n, .votes = true, .writable = true, .surveyed = true };
	}
	for (size_t i = 0; i < DIGEST_KEY_BYTES; i++)	/* not all the same: then two fields could change places unnoticed */
		g->key.secret[i] = (unsigned char)(i * 151 + 7 * (i >> 3) + 13);
	g->now = T(100);
	g->tells = getenv("FUZZ_TELL") != NULL;
	for (size_t f = 1; f < FIELDS; f++)
		tell(g, "field %zu: %s%s%s\n", f, rule_name(g->fields[f].rule), g->fields[f].type == FIELD_INTEGER ? ", integer" : "",
		     g->fields[f].group >= 0 ? ", group" : "");
	tell(g, "%zu endpoints, %u first, %s\n", g->n, (ENDPOINTS - first) % ENDPOINTS,
	     g->entity.deletes == DELETES_DELETE_WINS ? "delete wins" : "update wins");
	g->policy = (struct decide_policy){ .entity = &g->entity, .endpoints = g->ends, .n_endpoints = g->n, .key = &g->key,
		.row_order = in_order, .now_us = g->now, .max_ahead_us = 60 * US, .quantum_us = choose(&g->in, 2) ? US : 1 };
}

static struct observation observe(struct game *g, const struct row *r)
{
	struct value *values = arena_alloc(&g->arena, FIELDS * sizeof *values);
	uint64_t *digests = arena_alloc(&g->arena, FIELDS * sizeof *digests);

	if (!r->there)
		return (struct observation){ .what = OBSERVED_ABSENT, .evidence = true, .stamp = r->stamp };
	for (size_t f = 0; f < FIELDS; f++) {
		values[f] = r->v[f];
		digests[f] = value_digest(&g->key, g->fields[f].type, r->v[f]);
	}
	return (struct observation){ .what = OBSERVED_ROW, .stamp = r->stamp, .id = value_of(arena_printf(&g->arena, "%d", r->id)), .values = values,
		.digests = digests, .row = row_digest(&g->key, digests, FIELDS, in_order) };
}

/* As the store keeps it. */
static struct vector *stored(struct game *g, const struct vector *v)
{
	struct vector_layout layout = { .n_fields = FIELDS, .n_endpoints = g->n, .fields_stored = FIELDS };
	struct buf b = { 0 };
	struct vector *back = NULL;
	char *kept;

	for (size_t f = 0; f < FIELDS; f++)
		layout.field_number[f] = (uint8_t)f;
	for (size_t e = 0; e < g->n; e++)
		layout.endpoint_number[e] = (uint8_t)e;
	vector_encode(v, &layout, &b);
	kept = arena_dup(&g->arena, b.p, b.len);
	fuzz_check(vector_decode(kept, b.len, &layout, &g->arena, &back, NULL), "a vector that was written cannot be read");
	buf_fini(&b);
	return back;
}

/* Of what waits for a person only that it does: until then whoever was heard first stands. */
static bool same_state(const struct vector *a, const struct vector *b, uint64_t waits, bool keys)
{
	if (a->dead != b->dead)
		return false;
	for (size_t f = 0; f < FIELDS && !a->dead; f++) {
		const struct edit_key *ka = &a->fields[f].key, *kb = &b->fields[f].key;

		if (waits & UINT64_C(1) << f)
			continue;
		if (a->fields[f].digest != b->fields[f].digest || (keys && (ka->eff != kb->eff || ka->origin != kb->origin)))
			return false;
	}
	return true;
}

/* ---- laws -------------------------------------------------------------------------------------------- */

static struct vector *look(struct game *g, const struct vector *base, const struct observation *seen, struct decision *d)
{
	decide_record(&g->policy, base, seen, &g->arena, d);
	return base == NULL && d->edited == 0 ? NULL : stored(g, d->next);
}

/* Each endpoint is seen first at the step that `way` names for it; then all are, twice. */
static struct vector *watch(struct game *g, const struct vector *base, const struct observation *all, unsigned way, struct decision *d)
{
	struct vector *once, *twice;

	for (unsigned step = 0; step < STEPS; step++) {
		struct observation seen[ENDPOINTS];
		unsigned rest = way;
		bool any = false;

		for (size_t e = 0; e < g->n; e++, rest /= STEPS) {
			seen[e] = rest % STEPS == step ? all[e] : (struct observation){ .what = OBSERVED_NOTHING, .stamp = STAMP_NONE };
			any |= rest % STEPS == step;
		}
		if (any)
			base = look(g, base, seen, d);
		if (any)
			tell_vector(g, base);
	}
	once = look(g, base, all, d);
	if (once == NULL)
		return NULL;
	twice = look(g, once, all, d);
	fuzz_check(same_state(once, twice, 0, true), "seen again, something else is agreed");
	return twice;
}

static bool has_rule(const struct game *g, enum rule rule)
{
	for (size_t f = 1; f < FIELDS; f++)
		if (g->fields[f].rule == rule)
			return true;
	return false;
}

/* Everybody edits once, or not, at one of three moments; or deletes. Returns whether somebody deleted. */
static bool edit_side_by_side(struct game *g, bool known)
{
	bool deleted = false;

	for (size_t e = 0; e < g->n; e++) {
		struct row *r = &g->rows[e];
		unsigned what = choose(&g->in, 8);

		r->stamp = T(110 + choose(&g->in, 3));
		if (what == 0) {
			r->there = false;
			deleted |= known;
		} else if (what == 1 && known) {
			r->stamp = T(0);
		}
		for (size_t f = 1; f < FIELDS && what > 1; f++)
			if (choose(&g->in, 3) > 0 || !known)
				r->v[f] = some_value(g, f);
	}
	return deleted;
}

/* ---- who has to win, by the words of each rule -------------------------------------------------------- */

static bool is_blank(struct value v)
{
	return v.len <= 0;
}

/* Under an extreme rule: is a the one that stands? */
static bool is_better(const struct field_def *f, struct value a, struct value b)
{
	int order;

	if (value_is_null(a) || value_is_null(b))
		return !value_is_null(a);
	order = value_compare(f->type, a, b);
	return f->rule == RULE_MAX ? order > 0 : order < 0;
}

/* Of two edits of one field, both made on what all began with. */
static bool is_over(const struct game *g, const struct field_def *f, size_t a, size_t b, struct value va, struct value vb)
{
	bool first = g->entity.rank[a] < g->entity.rank[b];

	switch (f->rule) {
	case RULE_SOURCE_PRIORITY:
		return first;
	case RULE_NEWEST_FILLED:
		if (is_blank(va) != is_blank(vb))
			return is_blank(vb);
		break;
	default:
		break;
	}
	return g->rows[a].stamp != g->rows[b].stamp ? g->rows[a].stamp > g->rows[b].stamp : first;
}

static struct value sum_of(struct game *g, size_t f, struct value began)
{
	long long begin = value_is_null(began) ? 0 : atoll(began.data), sum = begin;
	bool any = false;

	for (size_t e = 0; e < g->n; e++) {
		struct value v = g->rows[e].v[f];

		any |= !value_equal(v, began);
		sum += (value_is_null(v) ? 0 : atoll(v.data)) - begin;
	}
	return any ? value_of(arena_printf(&g->arena, "%lld", sum)) : began;
}

static struct value expected(struct game *g, size_t f, struct value began)
{
	const struct field_def *field = &g->fields[f];
	size_t winner = ENDPOINTS;
	bool all = true;

	if (field->rule == RULE_ADD)
		return sum_of(g, f, began);
	for (size_t e = 0; field->rule == RULE_MIRROR && e < g->n; e++)
		if (g->entity.rank[e] == 0)	/* it began with that, too */
			return g->rows[e].v[f];
	for (size_t e = 0; e < g->n; e++) {
		struct value v = g->rows[e].v[f];

		if (value_equal(v, began))
			all = false;
		else if (winner == ENDPOINTS || (field->rule == RULE_MAX || field->rule == RULE_MIN ? is_better(field, v, g->rows[winner].v[f]) :
						 is_over(g, field, e, winner, v, g->rows[winner].v[f])))
			winner = e;
	}
	if (winner == ENDPOINTS)
		return began;
	if (all)		/* nobody shows any more what all began with, so it cannot come back */
		return g->rows[winner].v[f];
	if (field->rule == RULE_NEWEST_FILLED && is_blank(g->rows[winner].v[f]) && !is_blank(began))
		return began;
	if ((field->rule == RULE_MAX || field->rule == RULE_MIN) && is_better(field, began, g->rows[winner].v[f]))
		return began;
	return g->rows[winner].v[f];
}

static void check_winners(struct game *g, const struct vector *v, const struct value *began)
{
	for (size_t f = 1; f < FIELDS; f++) {
		struct value is = expected(g, f, began[f]);

		if (g->fields[f].group >= 0 || g->fields[f].rule == RULE_MANUAL)
			continue;
		fuzz_check(v->fields[f].digest == digest_field(value_digest(&g->key, g->fields[f].type, is)), "field %zu is not <%.*s>", f,
			   is.len < 0 ? 4 : (int)is.len, is.len < 0 ? "NULL" : is.data);
	}
}

static void start_rows(struct game *g)
{
	for (size_t e = 0; e < g->n; e++) {
		g->rows[e] = (struct row){ .there = true, .id = ++g->ids, .stamp = T(0) };
		g->rows[e].v[0] = value_of("k");
		for (size_t f = 1; f < FIELDS; f++)
			g->rows[e].v[f] = e == 0 ? some_value(g, f) : g->rows[0].v[f];
	}
}

/* Two who wrote every field at the same moment: none of them is mixed with the other. */
static void check_tie(struct game *g, const struct vector *v)
{
	for (size_t f = 2; f < FIELDS; f++)
		fuzz_check(v->dead || v->fields[f].key.origin == v->fields[1].key.origin, "field %zu is of %u, field 1 of %u", f,
			   v->fields[f].key.origin, v->fields[1].key.origin);
}

static void tie(struct game *g, const struct vector *base)
{
	static const char *const own[FIELDS][ENDPOINTS] = { { "k", "k", "k" }, { "31", "32", "33" }, { "41", "42", "43" }, { "51", "52", "53" } };
	struct observation all[ENDPOINTS];
	struct decision d;
	struct vector *v;

	for (size_t f = 1; f < FIELDS; f++)
		if (g->fields[f].rule != g->fields[1].rule || g->fields[f].rule == RULE_MAX || g->fields[f].rule == RULE_MIN ||
		    g->fields[f].rule == RULE_ADD || g->fields[f].rule == RULE_MANUAL)
			return;
	for (size_t e = 0; e < g->n; e++) {
		for (size_t f = 0; f < FIELDS; f++)
			g->rows[e].v[f] = value_of(own[f][e]);
		g->rows[e].stamp = T(120);
		g->rows[e].there = true;
		all[e] = observe(g, &g->rows[e]);
	}
	v = watch(g, base, all, choose(&g->in, 27), &d);
	check_tie(g, v);
}

static void laws(struct game *g)
{
	struct observation all[ENDPOINTS];
	struct decision a, b;
	struct vector *base = NULL, *one, *other;
	bool known = choose(&g->in, 4) > 0, deleted;
	struct value began[FIELDS];
	unsigned way, another;

	start_rows(g);
	memcpy(began, g->rows[0].v, sizeof began);
	for (size_t e = 0; e < g->n; e++)
		all[e] = observe(g, &g->rows[e]);
	if (known)
		base = look(g, NULL, all, &a);
	deleted = edit_side_by_side(g, known);
	tell_vector(g, base);
	for (size_t e = 0; e < g->n; e++)
		tell_row(g, e, "shows");
	for (size_t e = 0; e < g->n; e++)
		all[e] = observe(g, &g->rows[e]);
	way = choose(&g->in, 27);
	another = choose(&g->in, 27);
	tell(g, "way %u\n", way);
	one = watch(g, base, all, way, &a);
	tell_vector(g, one);
	tell(g, "way %u\n", another);
	other = watch(g, base, all, another, &b);
	tell_vector(g, other);
	if (one == NULL || other == NULL) {
		fuzz_check(one == other, "a record that is nowhere");
		return;
	}
	/*
	 * Against a delete this depends on who is looked at together: what is added to a dead record has nothing to be added to. It is
	 * written down.
	 */
	if (deleted && has_rule(g, RULE_ADD))
		return;
	fuzz_check(a.waits == b.waits, "seen by the ways %u and %u, other fields wait", way, another);
	fuzz_check(same_state(one, other, a.waits, !deleted && !has_rule(g, RULE_MANUAL)), "seen by the ways %u and %u, another state is agreed", way, another);
	if (known && !deleted)
		check_winners(g, one, began);
	if (known)
		tie(g, base);
}

/* ---- life -------------------------------------------------------------------------------------------- */

static bool same_values(const struct value *a, const struct value *b, size_t from, size_t to)
{
	for (size_t f = from; f < to; f++)
		if (!value_equal(a[f], b[f]))
			return false;
	return true;
}

static void note_tuple(struct game *g, const struct row *r)
{
	if (g->n_tuples == TUPLES)
		g->forgot = true;
	else
		memcpy(g->tuples[g->n_tuples++], r->v, sizeof r->v);
}

static void somebody_edits(struct game *g, struct row *r)
{
	if (!r->there) {
		*r = (struct row){ .there = true, .id = ++g->ids };
		r->v[0] = value_of("k");
		for (size_t f = 1; f < FIELDS; f++)
			r->v[f] = some_value(g, f);
	} else {
		for (unsigned n = 1 + choose(&g->in, 2); n > 0; n--) {
			size_t f = 1 + choose(&g->in, FIELDS - 1);

			r->v[f] = some_value(g, f);
		}
	}
	r->stamp = g->now;
	note_tuple(g, r);
	tell_row(g, (size_t)(r - g->rows), "edits");
}

/* What a write does to the row; false: it is refused. */
static bool write_row(struct game *g, const struct decision *d, size_t e)
{
	struct row *r = &g->rows[e];

	switch (d->orders[e].action) {
	case ACTION_NONE:
		return false;
	case ACTION_DELETE:
		r->there = false;
		return true;
	case ACTION_INSERT:
		if (r->there)
			return false;
		*r = (struct row){ .there = true, .id = ++g->ids };
		break;
	case ACTION_UPDATE:
		break;
	}
	for (size_t f = 0; f < FIELDS; f++)
		if (d->orders[e].fields & UINT64_C(1) << f) {
			fuzz_check(d->have & UINT64_C(1) << f, "a value is to be written that nobody has");
			r->v[f] = d->values[f];
		}
	r->stamp = g->now;
	return true;
}

enum { ANSWERED, FAILED, LOST_BEFORE, LOST_AFTER };

static void carry_out(struct game *g, struct decision *d, size_t e, unsigned how)
{
	struct vseen *seen = &d->next->seen[e];
	bool insert = d->orders[e].action == ACTION_INSERT;

	tell(g, "    %zu is sent %s of %" PRIx64 "%s\n", e, insert ? "an insert" : d->orders[e].action == ACTION_DELETE ? "a delete" : "an update",
	     d->orders[e].fields, how == FAILED ? ", fails" : how == LOST_BEFORE ? ", is lost" : how == LOST_AFTER ? ", is done and the answer lost" : "");
	if (how == FAILED)
		return;
	if (how == LOST_BEFORE || how == LOST_AFTER) {
		doubt_add(d->next, e, &d->orders[e], &g->entity, &g->key, &g->arena);
		if (how == LOST_AFTER)
			write_row(g, d, e);
	} else if (write_row(g, d, e)) {
		decide_applied(&g->policy, d, e, NULL, value_of(arena_printf(&g->arena, "%d", g->rows[e].id)), &g->arena);
	} else {
		seen->owed = true;
		seen->uncertain |= insert;
	}
}

static void settle(struct game *g, const struct decision *waiting, struct settlement *s)
{
	size_t n = 0;

	for (size_t f = 1; f < FIELDS; f++)
		for (size_t e = 0; e < g->n; e++)
			if ((waiting->waits & UINT64_C(1) << f) && (waiting->words[f] & UINT64_C(1) << e)) {
				s[n++] = (struct settlement){ .field = (uint8_t)f, .endpoint = (uint8_t)e, .mark = waiting->marks[f] };
				break;
			}
	g->policy.settlements = s;
	g->policy.n_settlements = n;
}

/* One round: some are looked at, what is decided is carried out there. True: there is nothing to do. */
static bool round_of(struct game *g, unsigned mask, bool well)
{
	struct observation seen[ENDPOINTS];
	struct settlement s[FIELDS];
	struct decision d;
	bool idle;

	g->policy.now_us = g->now;
	g->policy.n_settlements = 0;
	for (size_t e = 0; e < g->n; e++)
		seen[e] = mask & 1u << e ? observe(g, &g->rows[e]) : (struct observation){ .what = OBSERVED_NOTHING, .stamp = STAMP_NONE };
	decide_record(&g->policy, g->base, seen, &g->arena, &d);
	if (well && d.waits != 0) {
		settle(g, &d, s);
		decide_record(&g->policy, g->base, seen, &g->arena, &d);
	}
	if (g->base == NULL && d.edited == 0)
		return true;
	idle = d.edited == 0;
	tell(g, "look at %x: edited %" PRIx64 ", waits %" PRIx64 "\n", mask, d.edited, d.waits);
	for (size_t e = 0; e < g->n; e++) {
		if (d.orders[e].action == ACTION_NONE)
			continue;
		idle = false;
		carry_out(g, &d, e, well ? ANSWERED : (mask & 1u << e) == 0 ? FAILED : choose(&g->in, 4));
	}
	g->base = vector_spent(d.next) ? NULL : stored(g, d.next);
	tell_vector(g, g->base);
	return idle;
}

static void check_end(const struct game *g)
{
	const struct row *first = &g->rows[0];

	for (size_t e = 1; e < g->n; e++)
		fuzz_check(g->rows[e].there == first->there && (!first->there || same_values(g->rows[e].v, first->v, 0, FIELDS)),
			   "endpoint %zu does not show what the first one does", e);
	if (!first->there || g->forgot)
		return;
	for (size_t f = 1; f < FIELDS; f++) {
		size_t from = g->fields[f].group >= 0 ? 1 : f, to = g->fields[f].group >= 0 ? 3 : f + 1, i = 0;

		while (i < g->n_tuples && !same_values(g->tuples[i], first->v, from, to))
			i++;
		fuzz_check(i < g->n_tuples || g->fields[f].rule == RULE_ADD, "field %zu ends as what nobody gave the record", f);
	}
}

static void life(struct game *g)
{
	unsigned ops = 0, rounds = 0;

	for (size_t e = 0; e < g->n; e++)
		if (choose(&g->in, 3) > 0)
			somebody_edits(g, &g->rows[e]);
	while (g->in.p < g->in.end && ops++ < OPS) {
		unsigned what = choose(&g->in, 10);
		struct row *r = &g->rows[choose(&g->in, (unsigned)g->n)];

		g->now += choose(&g->in, 3) * US / 2;
		if (what < 4) {
			somebody_edits(g, r);
		} else if (what == 4) {
			r->there = false;
			r->stamp = g->now;
			tell_row(g, (size_t)(r - g->rows), "deletes");
		} else {
			round_of(g, 1 + choose(&g->in, (1u << g->n) - 1), false);
		}
	}
	g->now += US;
	while (!round_of(g, (1u << g->n) - 1, true))
		fuzz_check(++rounds < SETTLING, "it does not come to rest");
	check_end(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct game g;

	begin_game(&g, data, size);
	if (choose(&g.in, 2))
		laws(&g);
	else
		life(&g);
	arena_fini(&g.arena);
	return 0;
}
