#include "meter/timeline.h"

#include <math.h>
#include <string.h>

enum { SECOND_US = 1000000 };

/* ---- ratios ------------------------------------------------------------------------------------------ */

const char *const window_names[WINDOWS + 1] = { "1h", "24h", "30d", NULL };

static double seconds(int64_t us)
{
	return (double)us / SECOND_US;
}

double spent_seconds(const struct spent *s, enum meter_state state)
{
	return seconds(s->us[state]);
}

double spent_bad_seconds(const struct spent *s)
{
	return seconds(s->us[METER_BAD] + s->us[METER_LATE] + s->us[METER_ASIDE]);
}

double spent_all_seconds(const struct spent *s)
{
	int64_t sum = 0;

	for (int i = 0; i < METER_STATES; i++)
		sum += s->us[i];
	return seconds(sum);
}

static double share(double part, double whole)
{
	return whole > 0 ? part / whole : (double)NAN;
}

struct ratio ratio_of(const struct spent *s, enum ratio_kind kind)
{
	double young = kind == RATIO_TIMELY ? spent_seconds(s, METER_BAD) : 0;
	double good = spent_seconds(s, METER_GOOD) + young, bad = spent_bad_seconds(s) - young;
	double unknown = spent_seconds(s, METER_UNKNOWN), all = good + bad + unknown;

	return (struct ratio){
		.value = share(good, good + bad), .coverage = share(good + bad, all),
		.lower = share(good, all), .upper = share(good + unknown, all),
	};
}

/* ---- rings of slots: settled time -------------------------------------------------------------------- */

static const struct {
	int64_t width_us;
	int64_t n;
	size_t first;			/* of its slots */
} rings[WINDOWS] = {
	[WINDOW_HOUR]	= { INT64_C(60) * SECOND_US, TIMELINE_MINUTES, 0 },
	[WINDOW_DAY]	= { INT64_C(900) * SECOND_US, TIMELINE_QUARTERS, TIMELINE_MINUTES },
	[WINDOW_MONTH]	= { INT64_C(21600) * SECOND_US, TIMELINE_SIXTHS, TIMELINE_MINUTES + TIMELINE_QUARTERS },
};

static size_t slot_at(int ring, int64_t number)
{
	return rings[ring].first + (size_t)(number % rings[ring].n);
}

/* Empties the slots of the time that went by since the newest one. */
static void ring_advance(struct timeline *t, int ring, int64_t number)
{
	int64_t from = t->newest[ring] + 1;

	if (number - from >= rings[ring].n)
		from = number - rings[ring].n + 1;
	for (int64_t i = from; i <= number; i++)
		memset(&t->slots[slot_at(ring, i)], 0, sizeof t->slots[0]);
	if (number > t->newest[ring])
		t->newest[ring] = number;
}

static void ring_add(struct timeline *t, int ring, enum meter_state state, int64_t from, int64_t to)
{
	int64_t width = rings[ring].width_us, last = (to - 1) / width, first = from / width;

	ring_advance(t, ring, last);
	if (first <= last - rings[ring].n)
		first = last - rings[ring].n + 1;
	for (int64_t i = first; i <= last; i++) {
		int64_t begin = i * width > from ? i * width : from, end = (i + 1) * width < to ? (i + 1) * width : to;

		t->slots[slot_at(ring, i)].us[state] += end - begin;
	}
}

static void book(struct timeline *t, enum meter_state state, int64_t from, int64_t to)
{
	if (to <= from)
		return;
	t->total.us[state] += to - from;
	for (int ring = 0; ring < WINDOWS; ring++)
		ring_add(t, ring, state, from, to);
	if (state == METER_GOOD)
		t->good_us = to;
}

/* A slot that is older than the ring is long, or still to come, holds nothing of that number. */
static struct spent slot_of(const struct timeline *t, int ring, int64_t number)
{
	if (number > t->newest[ring] || number <= t->newest[ring] - rings[ring].n || number < 0)
		return (struct spent){ { 0 } };
	return t->slots[slot_at(ring, number)];
}

/* ---- reading ----------------------------------------------------------------------------------------- */

struct spent timeline_total(const struct timeline *t)
{
	return t->total;
}

struct spent timeline_window(const struct timeline *t, enum window w)
{
	int64_t current = t->now_us / rings[w].width_us;
	struct spent sum = { { 0 } };

	for (int64_t i = current - rings[w].n + 1; i <= current; i++) {
		struct spent slot = slot_of(t, (int)w, i);

		for (int s = 0; s < METER_STATES; s++)
			sum.us[s] += slot.us[s];
	}
	return sum;
}

struct spent timeline_minute(const struct timeline *t, unsigned ago)
{
	return slot_of(t, WINDOW_HOUR, t->now_us / rings[WINDOW_HOUR].width_us - (int64_t)ago);
}

/* ---- provisional time -------------------------------------------------------------------------------- */

static int severity(enum meter_state state)
{
	switch (state) {
	case METER_GOOD:	return 0;
	case METER_UNKNOWN:	return 1;
	case METER_BAD:		return 2;
	case METER_ASIDE:	return 3;
	case METER_LATE:	return 4;
	case METER_PAUSED:	return 5;
	case METER_STATES:	break;
	}
	return 0;
}

static enum meter_state worse(enum meter_state a, enum meter_state b)
{
	if ((a == METER_ASIDE && b == METER_BAD) || (a == METER_BAD && b == METER_ASIDE))
		return METER_LATE;	/* not by those alone that stand aside, and the oldest difference is theirs */
	return severity(a) > severity(b) ? a : b;
}

static enum meter_state unseen(enum meter_state was, enum meter_state by)
{
	return was == METER_PAUSED ? was : by;
}

static int64_t piece_end(const struct timeline *t, size_t i)
{
	return i + 1 < t->n_pieces ? t->pieces[i + 1].from_us : t->now_us;
}

static void remove_piece(struct timeline *t, size_t i)
{
	memmove(&t->pieces[i], &t->pieces[i + 1], (t->n_pieces - i - 1) * sizeof t->pieces[0]);
	t->n_pieces--;
}

/* Neighbours in one state are one piece; and a piece of no length is none, but for the last, which is what is from now on. */
static void tidy(struct timeline *t)
{
	for (size_t i = 0; i + 1 < t->n_pieces; )
		if (t->pieces[i + 1].from_us <= t->pieces[i].from_us) {
			remove_piece(t, i);
		} else if (t->pieces[i + 1].state == t->pieces[i].state) {
			remove_piece(t, i + 1);
		} else {
			i++;
		}
}

static void settle_first(struct timeline *t, int64_t until)
{
	book(t, t->pieces[0].state, t->settled_us, until);
	t->settled_us = t->pieces[0].from_us = until;
	if (t->n_pieces > 1 && t->pieces[1].from_us <= until)
		remove_piece(t, 0);
}

/*
 * Room for two more. Where there is none, the shortest good piece between two others is given up: what cannot be told apart counts
 * against us.
 */
static void make_room(struct timeline *t)
{
	while (t->n_pieces + 2 > TIMELINE_PIECES) {
		size_t shortest = 0;

		for (size_t i = 1; i + 1 < t->n_pieces; i++)
			if (t->pieces[i].state == METER_GOOD &&
			    (shortest == 0 || piece_end(t, i) - t->pieces[i].from_us < piece_end(t, shortest) - t->pieces[shortest].from_us))
				shortest = i;
		if (shortest == 0) {	/* none is good: then the oldest one has waited long enough */
			settle_first(t, t->pieces[1].from_us);
			continue;
		}
		t->pieces[shortest].state = t->pieces[shortest - 1].state;
		tidy(t);
	}
}

/* Makes `at` the begin of a piece, and says of which. */
static size_t split(struct timeline *t, int64_t at)
{
	size_t i = t->n_pieces;

	while (i > 0 && t->pieces[i - 1].from_us >= at)
		i--;
	if (i < t->n_pieces && t->pieces[i].from_us == at)
		return i;
	memmove(&t->pieces[i + 1], &t->pieces[i], (t->n_pieces - i) * sizeof t->pieces[0]);
	t->pieces[i] = (struct piece){ at, t->pieces[i - 1].state };
	t->n_pieces++;
	return i;
}

static void change(struct timeline *t, int64_t from, int64_t to, enum meter_state (*how)(enum meter_state was, enum meter_state by),
		   enum meter_state by)
{
	if (from < t->settled_us)
		from = t->settled_us;
	if (t->since_us == 0 || to <= from)
		return;
	if (to > t->now_us)
		t->now_us = to;
	make_room(t);
	split(t, to);
	for (size_t i = split(t, from); i < t->n_pieces && t->pieces[i].from_us < to; i++)
		t->pieces[i].state = how(t->pieces[i].state, by);
	tidy(t);
}

enum meter_state timeline_state(const struct timeline *t)
{
	return t->n_pieces > 0 ? t->pieces[t->n_pieces - 1].state : METER_UNKNOWN;
}

void timeline_set(struct timeline *t, enum meter_state state, int64_t now)
{
	if (t->since_us == 0) {
		t->since_us = t->settled_us = t->now_us = now;
		t->pieces[0] = (struct piece){ now, state };
		t->n_pieces = 1;
		return;
	}
	if (now > t->now_us)
		t->now_us = now;
	if (timeline_state(t) == state)
		return;
	make_room(t);
	t->pieces[t->n_pieces++] = (struct piece){ t->now_us, state };
	tidy(t);
}

void timeline_worsen(struct timeline *t, enum meter_state state, int64_t from, int64_t to)
{
	change(t, from, to, worse, state);
}

void timeline_unseen(struct timeline *t, int64_t from, int64_t to)
{
	change(t, from, to, unseen, METER_UNKNOWN);
}

void timeline_settle(struct timeline *t, int64_t until)
{
	if (until > t->now_us)
		until = t->now_us;
	while (t->settled_us < until) {
		int64_t end = piece_end(t, 0);

		settle_first(t, end < until ? end : until);
	}
}

void timeline_expire(struct timeline *t, int64_t until)
{
	if (until > t->now_us)
		until = t->now_us;
	timeline_worsen(t, METER_UNKNOWN, t->settled_us, until);
	timeline_settle(t, until);
}

/* ---- keeping ----------------------------------------------------------------------------------------- */

/* From the slot of `from` to the slot before that of `to`, where there is anything. */
static size_t keep_slots(const struct timeline *t, int ring, int64_t from, int64_t to, struct timeline_row *rows)
{
	int64_t width = rings[ring].width_us, first = from / width, end = to / width;
	size_t n = 0;

	if (first <= t->newest[ring] - rings[ring].n)
		first = t->newest[ring] - rings[ring].n + 1;
	if (end > t->newest[ring] + 1)
		end = t->newest[ring] + 1;
	for (int64_t i = first > 0 ? first : 0; i < end; i++) {
		rows[n] = (struct timeline_row){ ring, i * width, slot_of(t, ring, i) };
		n += spent_all_seconds(&rows[n].spent) > 0;
	}
	return n;
}

int64_t timeline_oldest_us(enum window ring, int64_t now)
{
	return (now / rings[ring].width_us - rings[ring].n + 1) * rings[ring].width_us;
}

size_t timeline_keep(struct timeline *t, struct timeline_row *rows)
{
	struct timeline shown = *t;
	size_t n = 0;

	if (t->since_us == 0)
		return 0;
	timeline_expire(&shown, shown.now_us);
	rows[n++] = (struct timeline_row){ -1, t->since_us, shown.total };
	n += keep_slots(&shown, WINDOW_HOUR, t->kept_us, shown.now_us + rings[WINDOW_HOUR].width_us, &rows[n]);
	for (int ring = WINDOW_DAY; ring < WINDOWS; ring++)	/* the last ones follow from the finer ring */
		n += keep_slots(t, ring, t->kept_us, t->settled_us, &rows[n]);
	t->kept = t->total;
	t->kept_us = t->settled_us;
	return n;
}

void timeline_lost(struct timeline *t)
{
	t->kept_us = 0;
}

const struct spent *timeline_kept(const struct timeline *t)
{
	return &t->kept;
}

void timeline_restore(struct timeline *t, const struct timeline_row *row, int64_t now)
{
	int64_t number;

	if (row->ring < 0) {
		t->since_us = row->start_us;
		t->total = row->spent;
		return;
	}
	if (row->ring >= WINDOWS || row->start_us < 0 || row->start_us > now)
		return;
	number = row->start_us / rings[row->ring].width_us;
	if (number <= t->newest[row->ring] - rings[row->ring].n)
		return;
	ring_advance(t, row->ring, number);
	t->slots[slot_at(row->ring, number)] = row->spent;
}

/* Those slots that were not yet settled to their end when they were kept: two at most. */
static void restore_last(struct timeline *t, int ring)
{
	int64_t times = rings[ring].width_us / rings[ring - 1].width_us, last = t->settled_us / rings[ring].width_us;

	ring_advance(t, ring, last);
	for (int64_t i = last - 1; i <= last; i++) {
		struct spent *slot = &t->slots[slot_at(ring, i)];

		memset(slot, 0, sizeof *slot);
		for (int64_t k = i * times; k < (i + 1) * times; k++)
			for (int s = 0; s < METER_STATES; s++)
				slot->us[s] += slot_of(t, ring - 1, k).us[s];
	}
}

/* Where good time is known from, to the slot: too early by less than a slot's width. */
static int64_t last_good(const struct timeline *t)
{
	for (int ring = 0; ring < WINDOWS; ring++)
		for (int64_t i = t->newest[ring]; i > t->newest[ring] - rings[ring].n && i > 0; i--)
			if (slot_of(t, ring, i).us[METER_GOOD] > 0)
				return i * rings[ring].width_us;
	return 0;
}

void timeline_resume(struct timeline *t, int64_t now)
{
	if (t->since_us == 0)
		return;
	t->settled_us = t->since_us;
	for (int i = 0; i < METER_STATES; i++)
		t->settled_us += t->total.us[i];
	if (t->settled_us > now)	/* of a time that is still to come: that axis was another one */
		t->settled_us = now;
	for (int ring = WINDOW_DAY; ring < WINDOWS; ring++)
		restore_last(t, ring);
	t->now_us = now;
	t->good_us = last_good(t);
	t->kept_us = t->settled_us;
	t->pieces[0] = (struct piece){ t->settled_us, METER_UNKNOWN };
	t->n_pieces = 1;
	timeline_settle(t, now);
	t->kept = t->total;
}
