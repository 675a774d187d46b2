/*
 * recover.c - after (re)connecting to the store: intents, positions, marks, who is new; then work.
 *
 * An intent that is still there is of a round that was interrupted: what it had agreed on is put back, and settling
 * finds out which of its writes happened. Each side also hears whether it was surveyed and where its capture stood.
 */
#include "sync/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/failpoint.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/restore.h"
#include "sync/undo.h"

struct recovery {
	struct sync *sync;
	size_t open;
	bool failed, enrolled;
	char **members;			/* owned; by entity: the endpoints that it was mapped at; NULL: not known */
	char *entities;			/* owned; those that the topology had; NULL: not known */
	char *journal;			/* owned; the one that was in use last; NULL: not known */
	uint64_t *met;			/* owned; by entity: the endpoints that were surveyed, be it as another topology described them */
};

static void enrol(struct recovery *rc);

static void recovery_free(struct recovery *rc)
{
	for (size_t i = 0; i < rc->sync->topology->n_entities; i++)
		free(rc->members[i]);
	free(rc->members);
	free(rc->entities);
	free(rc->journal);
	free(rc->met);
	free(rc);
}

/*
 * A journal was lost, or another daemon has been at work with its own. Rows that could not be taken and deletes that were held stood in that
 * one alone: a sweep finds them. Writes that stand aside and values that wait for a person are known from their vectors (scan.c).
 */
static void look_for_what_was_lost(struct sync *s)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (s->flows[i].sides[e] != NULL && s->flows[i].sides[e]->unaccounted)
				sweep_order(s->flows[i].sides[e], JOB_DAEMON);
}

/*
 * Who stood by, or was overtaken, may share its journal with the one that was at work. The version is asked for first: what is written
 * while the lines are read makes another one.
 */
bool lines_read(struct sync *s)
{
	int64_t version = journal_version(s->journal);
	struct err e = { 0 };

	if (s->read_version > 0 && (s->read_version == version || fault("f31-nobody-else-writes-this-journal")))
		return true;
	if (!fault("f31-nobody-else-owes"))
		journal_count_anew(s->journal);
	if (!fault("f31-nobody-else-puts-back"))
		undos_read_again(s);
	if (!park_load(s, &e) || !held_load(s, &e) || !waiting_load(s, &e)) {
		if (log_streak_begins(&s->unread))
			log_error("what the journal says of records that stand aside is not read; nothing is done meanwhile", LOG_ERR(&e));
		return fault("f31-a-journal-that-is-not-read-says-nothing");
	}
	log_streak_ends(&s->unread, "what the journal says of records that stand aside is read");
	s->read_version = version;
	return true;
}

static void recovery_step(struct recovery *rc)
{
	struct sync *s = rc->sync;

	if (--rc->open > 0)
		return;
	if (!rc->enrolled && !rc->failed && !s->closing && s->store->ready) {
		rc->enrolled = true;
		rc->open = 1;
		enrol(rc);
		return;
	}
	s->recovering = false;
	if (!s->closing && !rc->failed && s->store->ready) {
		s->recovered = true;
		look_for_what_was_lost(s);
		s->open_us = clock_mono_us();
		undos_tick(s);
		epoch_look(s);
		for (size_t i = 0; i < s->topology->n_entities; i++)
			flow_pump(&s->flows[i]);
	}
	recovery_free(rc);
	if (!s->closing && !s->recovered && s->store->ready && journal_trouble(s->journal) == NULL)	/* else by the next tick */
		flow_recover(s);	/* went away and came back in between */
}

/* ---- marks and positions ----------------------------------------------------------------------------- */

/* In the place of a survey's mark, until it has been found out what is still true of that side's rows. */
#define JOINED "joined"

struct mark_load {
	struct recovery *rc;
	struct side *side;
};

static void on_survey_mark(void *arg, struct value text, const struct err *e)
{
	struct mark_load *m = arg;

	if (e != NULL) {
		m->rc->failed = true;
	} else {
		m->side->joined = value_equal(text, value_of(JOINED));
		m->side->moved_columns = m->side->reformed = 0;
		m->side->surveyed = (!value_is_null(text) && survey_holds(m->side, text)) ||
				    (m->side->surveyed && fault("f22-a-lost-state-is-gone-on-with"));
		if (!value_is_null(text) && !m->side->surveyed && !m->side->joined) {
			log_info("the topology says something new of this table: it is listed again",
				 LOG_S("entity", m->side->flow->def->name), LOG_S("endpoint", m->side->mapping->endpoint->name));
			survey_compare(m->side, text);
		}
		if (!value_is_null(text) && !m->side->joined)
			m->rc->met[m->side->flow->index] |= BIT(m->side->endpoint);
		m->side->survey_known = m->side->wanted = true;
		if (!value_is_null(text))	/* also while it is away */
			flow_note_quantum(m->side->flow, survey_quantum_us(text));
	}
	recovery_step(m->rc);
	free(m);
}

static void on_unaccounted_mark(void *arg, struct value text, const struct err *e)
{
	struct mark_load *m = arg;

	if (e != NULL)
		m->rc->failed = true;
	else
		m->side->unaccounted = !value_is_null(text) && !fault("f29-what-is-looked-for-is-found-at-once");
	recovery_step(m->rc);
	free(m);
}

static void on_poll_mark(void *arg, struct value text, const struct err *e)
{
	struct mark_load *m = arg;

	if (e != NULL)
		m->rc->failed = true;
	else if (!value_is_null(text)) {
		free(m->side->position);
		m->side->position = xstrndup(text.data, (size_t)text.len);
	}
	recovery_step(m->rc);
	free(m);
}

static void load_mark(struct recovery *rc, struct side *side, const char *kind, store_text_fn *done)
{
	struct mark_load *m = xcalloc(1, sizeof *m);
	char name[200];

	m->rc = rc;
	m->side = side;
	rc->open++;
	side_name_mark(side, kind, name);
	rc->sync->store->ops->position(rc->sync->store, name, done, m);
}

/* ---- who is new -------------------------------------------------------------------------------------- */

/*
 * An endpoint that was not mapped for a while has heard of nothing meanwhile, and its survey of then says nothing about now; nor does that a
 * row was there then tell that somebody has deleted it. So what an entity was mapped at stands in the store, too; who was not there is met as
 * for the first time, after what vectors know of its rows was compared with them (rebase.c).
 */
static void name_members(const struct flow *flow, char out[200])
{
	snprintf(out, 200, "members/%s", flow->def->name);
}

static void add_members(const struct flow *flow, struct buf *out)
{
	buf_addc(out, ' ');
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL)
			buf_addf(out, "%s ", flow->sides[e]->mapping->endpoint->name);
}

/* The same of whole entities. */
#define ENTITIES "entities"

static void add_entities(const struct sync *s, struct buf *out)
{
	buf_addc(out, ' ');
	for (size_t i = 0; i < s->topology->n_entities; i++)
		buf_addf(out, "%s ", s->flows[i].def->name);
}

static bool is_among(const char *names, const char *name)
{
	char word[200];

	snprintf(word, sizeof word, " %s ", name);
	return strstr(names, word) != NULL;
}

struct members_load {
	struct recovery *rc;
	const struct flow *flow;
};

static void on_members(void *arg, struct value text, const struct err *e)
{
	struct members_load *m = arg;

	m->rc->failed |= e != NULL;
	if (e == NULL && !value_is_null(text))
		m->rc->members[m->flow->index] = xstrndup(text.data, (size_t)text.len);
	recovery_step(m->rc);
	free(m);
}

static void load_members(struct recovery *rc, const struct flow *flow)
{
	struct members_load *m = xcalloc(1, sizeof *m);
	char name[200];

	m->rc = rc;
	m->flow = flow;
	rc->open++;
	name_members(flow, name);
	rc->sync->store->ops->position(rc->sync->store, name, on_members, m);
}

static void on_entities(void *arg, struct value text, const struct err *e)
{
	struct recovery *rc = arg;

	rc->failed |= e != NULL;
	if (e == NULL && !value_is_null(text))
		rc->entities = xstrndup(text.data, (size_t)text.len);
	recovery_step(rc);
}

static void load_entities(struct recovery *rc)
{
	rc->open++;
	rc->sync->store->ops->position(rc->sync->store, ENTITIES, on_entities, rc);
}

static void on_enrolled(void *arg, const struct err *e)
{
	struct recovery *rc = arg;

	rc->failed |= e != NULL;
	recovery_step(rc);
}

static void forget_survey(struct side *side, struct store_write *w, struct store_position *p, char (*names)[200])
{
	log_info("this table was not in the topology before: it is met as for the first time", LOG_S("entity", side->flow->def->name),
		 LOG_S("endpoint", side->mapping->endpoint->name));
	for (size_t k = 0; k < SIDE_MARKS; k++) {
		side_name_mark(side, side_marks[k], names[w->n_positions]);
		p[w->n_positions] = (struct store_position){ names[w->n_positions], k == 0 ? JOINED : NULL };
		w->n_positions++;
	}
	side->joined = !fault("f12-what-is-gone-where-nobody-listened-was-deleted");
	side->surveyed = false;
	free(side->position);
	side->position = NULL;
}

/* The state was lost while nobody looked, and the key of the digests with it: lines in the journal that go by records are about none. */
static void forget_lines(struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL)
			held_forget(flow->sides[e]);
	waiting_forget(flow, NULL);
	owed_forget(flow, NULL);
}

/* In one piece: an endpoint must not become a member while its old survey stands. */
static void enrol_at(struct recovery *rc, struct flow *flow)
{
	bool left_out = rc->entities != NULL && !is_among(rc->entities, flow->def->name) && !fault("f12-what-is-gone-where-nobody-listened-was-deleted");
	const char *members = left_out ? "" : rc->members[flow->index];
	struct store_position p[SIDE_MARKS * ENDPOINTS_MAX + 1];
	char names[SIDE_MARKS * ENDPOINTS_MAX + 1][200];
	struct store_write w = { .positions = p };
	struct buf now = { 0 };

	add_members(flow, &now);
	if (members != NULL && strcmp(members, now.p) == 0) {
		buf_fini(&now);
		return;
	}
	if (members == NULL && !fault("f22-a-lost-state-is-gone-on-with"))
		forget_lines(flow);
	for (size_t e = 0; members != NULL && e < rc->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL && !is_among(members, flow->sides[e]->mapping->endpoint->name))
			forget_survey(flow->sides[e], &w, p, names);
	name_members(flow, names[w.n_positions]);
	p[w.n_positions] = (struct store_position){ names[w.n_positions], now.p };
	w.n_positions++;
	rc->open++;
	rc->sync->store->ops->write(rc->sync->store, flow->index, &w, on_enrolled, rc);
	buf_fini(&now);
}

/* After their members: one that comes back is to be known as such until all of it stands. */
static void enrol_entities(struct recovery *rc)
{
	struct buf now = { 0 };
	struct store_position p = { ENTITIES, NULL };
	struct store_write w = { .positions = &p, .n_positions = 1 };

	add_entities(rc->sync, &now);
	p.text = now.p;
	if (rc->entities == NULL || strcmp(rc->entities, now.p) != 0) {
		rc->open++;
		rc->sync->store->ops->write(rc->sync->store, 0, &w, on_enrolled, rc);
	}
	buf_fini(&now);
}

/* ---- which journal is in use ------------------------------------------------------------------------- */

#define JOURNAL "journal"

static void on_journal(void *arg, struct value text, const struct err *e)
{
	struct recovery *rc = arg;

	rc->failed |= e != NULL;
	if (e == NULL && !value_is_null(text))
		rc->journal = xstrndup(text.data, (size_t)text.len);
	recovery_step(rc);
}

static void load_journal(struct recovery *rc)
{
	rc->open++;
	rc->sync->store->ops->position(rc->sync->store, JOURNAL, on_journal, rc);
}

/*
 * Of whom nothing was known nothing can have been held. Who is to be listed anew was known: a survey does not find what is gone. Who has
 * joined again is asked for that before anything else (rebase.c).
 */
static bool may_lack_lines(const struct recovery *rc, const struct flow *flow, size_t e)
{
	const struct side *side = flow->sides[e];

	if (side == NULL || side->joined)
		return false;
	return side->surveyed || ((rc->met[flow->index] & BIT(e)) && !fault("f31-who-is-listed-anew-was-never-known"));
}

static void mark_unaccounted(struct side *side, struct store_write *w, struct store_position *p, char (*names)[200])
{
	side->unaccounted = true;
	side_name_mark(side, "unaccounted", names[w->n_positions]);
	p[w->n_positions] = (struct store_position){ names[w->n_positions], "1" };
	w->n_positions++;
}

/* A state that earlier versions have written does not say: only a new journal is known to be another one then. */
static bool is_another_journal(const struct recovery *rc, const char *identity)
{
	if (rc->journal == NULL && !fault("f31-nobody-says-so-it-is-another"))
		return journal_is_new(rc->sync->journal);
	return rc->journal == NULL || strcmp(rc->journal, identity) != 0;
}

/*
 * In one piece: from now on this journal is the one in use, so by then it has to be written down what it may lack. Each side's mark goes with the
 * end of the sweep, so that a daemon that is killed before that, or another one that takes over, looks as well.
 */
static void enrol_journal(struct recovery *rc)
{
	const struct topology *t = rc->sync->topology;
	char identity[JOURNAL_IDENTITY], (*names)[200];
	struct store_position *p;
	struct store_write w = { 0 };
	bool another;

	journal_identity(rc->sync->journal, identity);
	another = is_another_journal(rc, identity);
	if ((!another && rc->journal != NULL) || fault("f31-there-is-no-other-journal"))
		return;
	w.positions = p = xcalloc(t->n_entities * t->n_endpoints + 1, sizeof *p);
	names = xcalloc(t->n_entities * t->n_endpoints, sizeof *names);
	for (size_t i = 0; i < t->n_entities; i++)
		for (size_t e = 0; e < t->n_endpoints; e++)
			if (another && may_lack_lines(rc, &rc->sync->flows[i], e))
				mark_unaccounted(rc->sync->flows[i].sides[e], &w, p, names);
	if (w.n_positions > 0)
		log_warn("this journal is not the one that was in use last: all rows are compared, and what its lines are about is looked at again");
	p[w.n_positions++] = (struct store_position){ JOURNAL, identity };
	rc->open++;
	failpoint("recover", "journal", "before");
	rc->sync->store->ops->write(rc->sync->store, 0, &w, on_enrolled, rc);
	failpoint("recover", "journal", "sent");
	free(names);
	free(p);
}

/* ---- all of it --------------------------------------------------------------------------------------- */

static void enrol(struct recovery *rc)
{
	for (size_t i = 0; i < rc->sync->topology->n_entities; i++)
		enrol_at(rc, &rc->sync->flows[i]);
	enrol_entities(rc);
	enrol_journal(rc);
	recovery_step(rc);
}

struct epoch_load {
	struct recovery *rc;
	size_t endpoint;
};

static void on_epoch_mark(void *arg, struct value text, const struct err *e)
{
	struct epoch_load *m = arg;

	if (e != NULL)
		m->rc->failed = true;
	else if (!m->rc->sync->shakes[m->endpoint].greeted)	/* else we know better: it is our own */
		epoch_mark_read(m->rc->sync, m->endpoint, text);
	recovery_step(m->rc);
	free(m);
}

static void on_restored_mark(void *arg, struct value text, const struct err *e)
{
	struct epoch_load *m = arg;

	if (e != NULL)
		m->rc->failed = true;
	else
		m->rc->sync->shakes[m->endpoint].restored_us = restore_mark_read(text);
	recovery_step(m->rc);
	free(m);
}

static void load_of_endpoint(struct recovery *rc, size_t endpoint, const char *name, store_text_fn *done)
{
	struct epoch_load *m = xcalloc(1, sizeof *m);

	m->rc = rc;
	m->endpoint = endpoint;
	rc->open++;
	rc->sync->store->ops->position(rc->sync->store, name, done, m);
}

static void load_marks_of_endpoint(struct recovery *rc, size_t endpoint)
{
	char epoch[EPOCH_TEXT], restored[RESTORE_MARK];

	epoch_name_mark(rc->sync, endpoint, epoch);
	load_of_endpoint(rc, endpoint, epoch, on_epoch_mark);
	restore_name_mark(rc->sync->topology->endpoints[endpoint].name, restored);
	load_of_endpoint(rc, endpoint, restored, on_restored_mark);
}

/* ---- intents ----------------------------------------------------------------------------------------- */

static void on_intent_restored(void *arg, const struct err *e)
{
	struct recovery *rc = arg;

	rc->failed |= e != NULL;
	recovery_step(rc);
}

static struct flow *flow_of_intent(struct sync *s, struct value name)
{
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		const char *entity = s->flows[i].def->name;
		size_t n = strlen(entity);
		int dots = 0;

		for (int32_t k = (int32_t)n; k < name.len; k++)
			dots += name.data[k] == '.';
		if ((size_t)name.len > n && strncmp(name.data, entity, n) == 0 && name.data[n] == '.' && dots == 3)
			return &s->flows[i];
	}
	return NULL;
}

struct restored {			/* of one intent */
	struct store_put *puts;
	struct store_map_put *maps;
	size_t n_puts, cap_puts, n_maps;
	int64_t added;
	struct arena arena;
};

static void restore_put(struct restored *x, const struct rid *rid, struct value blob)
{
	if (x->n_puts == x->cap_puts) {
		x->cap_puts = x->cap_puts > 0 ? 2 * x->cap_puts : 64;
		x->puts = xrealloc(x->puts, x->cap_puts * sizeof *x->puts);
	}
	x->puts[x->n_puts++] = (struct store_put){ .rid = *rid, .blob = blob };
}

/* Its rows are found by their local ids: those of a new record, or of one whose key changes, are not there yet. */
static void put_back_maps(struct restored *x, const struct vector *v, const struct rid *rid)
{
	x->maps = xrealloc(x->maps, (x->n_maps + v->n_endpoints) * sizeof *x->maps);
	for (size_t e = 0; e < v->n_endpoints; e++)
		if (v->seen[e].present)
			x->maps[x->n_maps++] = (struct store_map_put){ (uint8_t)e, v->seen[e].id, *rid, false };
}

/* True: one stands where its vector was. */
static bool restore_forwards(struct restored *x, const struct flow *flow, const struct vector *v, const struct rid *rid, const struct rid *left,
			     bool complete)
{
	struct rid at[ENDPOINTS_MAX];
	size_t n = forward_restore(flow->sync, flow, v, rid, left, complete, at);
	bool there = false;

	for (size_t i = 0; i < n; i++) {
		struct buf blob = { 0 };

		vector_encode_forward(rid, &blob);
		restore_put(x, &at[i], (struct value){ arena_dup(&x->arena, blob.p, blob.len), (int32_t)blob.len });
		buf_fini(&blob);
		there |= left != NULL && rid_equal(&at[i], left);
	}
	return there;
}

/* False: what is to be put back of one of them is not read, and cannot be sent after it. */
static bool restore_records(struct restored *x, struct flow *flow, struct value blob)
{
	const struct vector_layout *layout = &flow->sync->store->layouts[flow->index];
	struct cut c = cut_of(blob.data, (size_t)blob.len);
	bool followed = true;

	while (!c.bad && cut_left(&c) > 0) {
		const void *p = cut_bytes(&c, RID_BYTES);
		uint8_t flags = cut_u8(&c);
		const void *old = flags & INTENT_LEAVES ? cut_bytes(&c, RID_BYTES) : NULL;
		uint32_t len = cut_be32(&c);
		struct value encoded = { cut_bytes(&c, len), (int32_t)len };
		struct vector *v = NULL;
		struct rid rid, left;
		bool forwarded = false;

		if (c.bad)
			break;
		memcpy(rid.b, p, RID_BYTES);
		if (old != NULL)
			memcpy(left.b, old, RID_BYTES);
		if (vector_decode(encoded.data, (size_t)encoded.len, layout, &x->arena, &v, NULL)) {
			put_back_maps(x, v, &rid);
			forwarded = restore_forwards(x, flow, v, &rid, old != NULL ? &left : NULL, flags & INTENT_FORWARDS);
		}
		if (old != NULL && !forwarded)
			restore_put(x, &left, VALUE_NULL);
		if (old != NULL)
			followed &= undos_recover(flow, &left, &rid);
		restore_put(x, &rid, encoded);
		x->added += (flags & INTENT_NEW) != 0;
	}
	return followed;
}

static void restored_fini(struct restored *x)
{
	arena_fini(&x->arena);
	free(x->puts);
	free(x->maps);
}

/* False: the journal cannot be read or written, and the intent stays for the next time. */
static bool restore_all(struct restored *x, struct flow *flow, struct value blob)
{
	bool followed;

	journal_begin(flow->sync->journal);
	followed = restore_records(x, flow, blob);
	if (journal_commit(flow->sync->journal, NULL) && followed)
		return true;
	undos_read_again(flow->sync);
	return false;
}

/* What was agreed before the writes of that round; whether they happened is found out by settling. */
static void restore_intent(struct recovery *rc, struct value name, struct value blob)
{
	struct sync *s = rc->sync;
	struct flow *flow = flow_of_intent(s, name);
	struct restored x = { 0 };
	char *intent = xstrndup(name.data, (size_t)name.len);
	struct store_write w = { .intent_done = intent };

	arena_init(&x.arena);
	if (flow != NULL && !restore_all(&x, flow, blob)) {
		rc->failed = true;
		restored_fini(&x);
		free(intent);
		return;
	}
	w.puts = x.puts;
	w.n_puts = x.n_puts;
	w.maps = x.maps;
	w.n_maps = x.n_maps;
	w.records_added = x.added;
	rc->open++;
	log_info("intent of an interrupted round put back", LOG_S("intent", intent), LOG_I("records", x.n_puts));
	s->store->ops->write(s->store, flow != NULL ? flow->index : 0, &w, on_intent_restored, rc);
	restored_fini(&x);
	free(intent);
}

/* ---- one after the other ----------------------------------------------------------------------------- */

static void on_intents(void *arg, const struct value *names, const struct value *blobs, size_t n, const struct err *e)
{
	struct recovery *rc = arg;
	struct sync *s = rc->sync;

	if (e != NULL) {
		rc->failed = true;
		recovery_step(rc);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (!value_is_null(blobs[i]) && !fault("f29-what-was-in-work-is-forgotten"))
			restore_intent(rc, names[i], blobs[i]);
	for (size_t k = 0; k < s->topology->n_endpoints; k++)
		load_marks_of_endpoint(rc, k);
	load_entities(rc);
	load_journal(rc);
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		load_members(rc, &s->flows[i]);
		for (size_t k = 0; k < s->topology->n_endpoints; k++)
			if (s->flows[i].sides[k] != NULL) {
				load_mark(rc, s->flows[i].sides[k], "survey", on_survey_mark);
				load_mark(rc, s->flows[i].sides[k], "poll", on_poll_mark);
				load_mark(rc, s->flows[i].sides[k], "unaccounted", on_unaccounted_mark);
			}
	}
	recovery_step(rc);
}

/* A sweep that was under way has not told yet what it found. */
static void give_up_listing(struct side *side)
{
	if (side->listing.state != LISTING_IDLE && !side->listing.survey)
		sweep_again(side);
	listing_over(side);
}

void flow_recover(struct sync *s)
{
	struct recovery *rc;

	if (s->recovering)
		return;
	/* Rounds of before must be over: their intents are about to be put back. */
	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (s->flows[i].n_rounds > 0)
			return;
	if (!lines_read(s))
		return;			/* the next tick tries again */
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		struct flow *flow = &s->flows[i];

		flow->counted = flow->settle_wanted = flow->audited = false;
		flow->scan = (struct scan){ .kind = SCAN_NONE };
		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (flow->sides[e] != NULL) {
				side_owes_nothing(flow->sides[e]);
				give_up_listing(flow->sides[e]);
			}
	}
	rc = xcalloc(1, sizeof *rc);
	rc->sync = s;
	rc->members = xcalloc(s->topology->n_entities, sizeof *rc->members);
	rc->met = xcalloc(s->topology->n_entities, sizeof *rc->met);
	rc->open = 1;
	s->recovering = true;
	s->store->ops->intents(s->store, on_intents, rc);
}
