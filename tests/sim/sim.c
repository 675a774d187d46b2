/*
 * sim.c - the daemon's core under a seeded scheduler: random edits, delays, failures and deaths, then quiet, then checks.
 *
 *	sim [--seeds A..B] [--seconds S] [--quiet]	runs seeds until one fails; prints "N passed, N failed"
 *	sim --seed N --verbose				one seed with a readable trace
 *	sim ... --without crashes,deletes		leaves kinds of events out, to find the least that fails
 *	sim --mutate NAME [--seeds A..B]		with a fault put in on purpose: fails unless some seed catches it
 *
 * Safety: people edit, things break. Liveness: nothing breaks any more; then all must be equal, and stay untouched.
 */
#include "world.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "loop/loop.h"
#include "sync/sync.h"

enum {
	OPERATED_US = 60 * SECOND, OPERATE_MOST = 50,
	LIVENESS_US = 300 * SECOND,	/* three sweeps and the longest rest */
	STILL_US = 200 * SECOND,	/* and two more sweeps of each table in which nothing may be written */
	STILL_SWEEPS = 5,		/* or more; each that finds the row of a parked record tries it again */
};

static volatile sig_atomic_t running_now;
static uint64_t running_seed;

/* ---- the daemon's lives --------------------------------------------------------------------------------------- */

static void daemon_start(struct world *w, void *arg)
{
	struct sync_seams seams = { .endpoint_new = fake_endpoint_new, .store_new = fake_store_new, .arg = w };

	if (w->sync != NULL)
		return;
	world_trace(w, "the daemon starts");
	w->loop = loop_new_virtual();
	w->sync = sync_new(w->loop, w->topology, w->journal, &seams);
}

static bool any_open(const struct world *w)
{
	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		for (size_t x = 0; x < SIM_TXS; x++)
			if (w->dbs[e].txs[x].open)
				return true;
	return false;
}

void daemon_kill(struct world *w)
{
	struct sometimes *s = w->sometimes;

	w->kill = false;
	if (w->sync == NULL)
		return;
	world_trace(w, "the daemon dies%s", w->intended ? w->applied ? " between apply and mark" : " between intend and apply" : "");
	s->crash++;
	s->crash_intended += w->intended && !w->applied;
	s->crash_applied += w->intended && w->applied;
	s->crash_marked += w->marked;
	s->open_at_crash += any_open(w);
	w->intended = w->applied = w->marked = false;
	history_forgot(w);
	sync_free(&w->sync);
	loop_free(&w->loop);
	world_after(w, rng_span(&w->rng, 1000, 5 * SECOND), daemon_start, NULL);
}

static void nothing_happens(struct world *w, void *arg)
{
	(void)w;
	(void)arg;
}

/* Dying waits for the end of an event, and there may be none any more. */
static void finished(void *arg)
{
	struct world *w = arg;

	w->kill = true;
	if (w->n_events == 0)
		world_after(w, 0, nothing_happens, NULL);
}

/* ---- what goes wrong -------------------------------------------------------------------------------------------- */

static void fate(struct world *w, void *arg);

static void fate_again(struct world *w)
{
	world_after(w, rng_span(&w->rng, SECOND / 4, 8 * SECOND), fate, NULL);
}

static void endpoint_back(struct world *w, void *arg)
{
	if (((struct db *)arg)->away)
		fake_endpoint_away(arg, false);
}

static void store_back(struct world *w, void *arg)
{
	if (w->keys.away)
		fake_store_away(w, false);
}

static void fate(struct world *w, void *arg)
{
	struct db *db = &w->dbs[rng_below(&w->rng, (uint32_t)w->plan.n_endpoints)];
	uint32_t dice = rng_below(&w->rng, 100);

	if (w->quiet)
		return;
	if (dice < 30 && w->plan.outages && !db->away) {
		fake_endpoint_away(db, true);
		world_after(w, rng_span(&w->rng, SECOND / 10, 20 * SECOND), endpoint_back, db);
	} else if (dice < 50 && w->plan.store_outages && !w->keys.away) {
		fake_store_away(w, true);
		world_after(w, rng_span(&w->rng, SECOND / 10, 8 * SECOND), store_back, NULL);
	} else if (dice < 60 && w->plan.flushes) {
		fake_store_flush(w);
	} else if (dice < 75 && w->plan.crashes) {
		w->kill = true;
	} else if (dice < 80 && w->plan.crashes && w->sync != NULL) {
		world_trace(w, "the daemon is asked to finish");
		sync_finish(w->sync, 5000, finished, w);
	} else if (dice >= 85 && w->plan.store_outages) {
		fake_store_refuse(w, world_now(w) + rng_span(&w->rng, SECOND / 10, 2 * SECOND));
	}
	fate_again(w);
}

/* Deaths at the steps that matter are too rare when left to the clock alone. */
static void strike(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	if (w->plan.crashes && (w->intended || w->marked) && rng_chance(&w->rng, 4))
		w->kill = true;
	world_after(w, rng_span(&w->rng, 500, 30000), strike, NULL);
}

/* ---- the operator: decides what waits, by one of the sides ---------------------------------------------------------- */

struct picked {				/* a line of the list, and a side of it */
	char *entity, *key, *field, *rid, *endpoint;
};

struct looking {
	struct world *w;
	struct picked list[20];
	size_t n;
};

static bool pick_side(void *arg, const struct journal_waiting *line)
{
	struct looking *l = arg;
	const struct journal_side *sides[SIM_ENDPOINTS];
	uint32_t n = 0;

	for (size_t i = 0; i < line->n_sides; i++)
		if (line->sides[i].competed)
			sides[n++] = &line->sides[i];
	if (n > 0 && line->verdict == VERDICT_NONE)
		l->list[l->n++] = (struct picked){ xstrdup(line->entity), xstrdup(line->key), xstrdup(line->field), xstrdup(line->rid),
			xstrdup(sides[rng_below(&l->w->operator, n)]->endpoint) };
	return l->n < countof(l->list);
}

static void judge(struct world *w, const struct picked *p)
{
	struct sync_verdict v = { .entity = p->entity, .key = p->key, .field = p->field, .endpoint = p->endpoint };
	struct err e = { 0 };
	struct rid rid;

	if (w->sync == NULL)
		return;
	for (size_t i = 0; i < RID_BYTES; i++)
		sscanf(p->rid + 2 * i, "%2hhx", &rid.b[i]);
	for (size_t i = 0; i < w->n_records; i++)
		w->records[i].judged |= rid_equal(&w->records[i].rid, &rid);
	world_trace(w, "the operator decides %s/%s.%s: %s", p->entity, p->key, p->field, p->endpoint);
	if (sync_decide(w->sync, &v, &e))
		w->sometimes->judged++;
}

/* percent: of what waits, so much is decided. True: something was. */
static bool operate(struct world *w, unsigned percent)
{
	struct looking l = { .w = w };
	bool any = false;

	journal_waiting_each(w->journal, NULL, NULL, NULL, 0, 0, pick_side, &l, NULL);
	for (size_t i = 0; i < l.n; i++) {
		struct picked *p = &l.list[i];

		if (rng_chance(&w->operator, percent)) {
			judge(w, p);
			any = true;
		}
		free(p->entity);
		free(p->key);
		free(p->field);
		free(p->rid);
		free(p->endpoint);
	}
	return any;
}

/* Where nothing can, a seed's story is what it was before there was an operator. */
static bool anything_can_wait(const struct world *w)
{
	for (size_t i = 0; i < w->topology->n_entities; i++)
		for (size_t f = 0; f < w->topology->entities[i].def.n_fields; f++)
			if (w->topology->entities[i].def.fields[f].rule == RULE_MANUAL)
				return true;
	return false;
}

static void operator_looks(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	operate(w, 30);
	world_after(w, rng_span(&w->operator, SECOND, 6 * SECOND), operator_looks, NULL);
}

static void mend(struct world *w)
{
	w->quiet = true;
	apps_settle(w);
	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		if (w->dbs[e].away)
			fake_endpoint_away(&w->dbs[e], false);
	if (w->keys.away)
		fake_store_away(w, false);
	world_trace(w, "quiet: no more edits, nothing breaks");
}

/* ---- one seed ----------------------------------------------------------------------------------------------------- */

struct waited {
	bool done, settled;
	char pending[512];
};

static void waited(void *arg, bool settled, const char *pending, int64_t parked)
{
	struct waited *x = arg;

	x->done = true;
	x->settled = settled;
	snprintf(x->pending, sizeof x->pending, "%s", pending != NULL ? pending : "");
}

/* The daemon's own word: `wait` answers "settled", and the views show nothing pending. */
static void check_words(struct world *w)
{
	struct waited x = { 0 };

	if (w->failed)
		return;
	sync_wait(w->sync, 60 * (int64_t)SECOND, waited, &x);
	world_run_until(w, world_now(w) + 70 * (int64_t)SECOND);
	if (!w->failed && (!x.done || !x.settled))
		world_fail(w, "wait", "after quiet, wait says: %s", x.done ? x.pending : "nothing");
	for (size_t i = 0; i < sync_entities(w->sync); i++) {
		struct sync_entity_view v;

		sync_entity_view(w->sync, i, &v);
		if (v.pending != 0)
			world_fail(w, "wait", "%s: %" PRId64 " pending after quiet", v.conf->def.name, v.pending);
	}
}

static void run(struct world *w)
{
	uint64_t before, attempts, may, reads, rows;

	apps_populate(w);
	daemon_start(w, NULL);
	apps_start(w);
	fate_again(w);
	strike(w, NULL);
	if (anything_can_wait(w))
		operator_looks(w, NULL);
	world_run_until(w, world_now(w) + w->plan.edit_us);
	mend(w);
	world_run_until(w, world_now(w) + LIVENESS_US);
	for (unsigned times = 0; !w->failed && operate(w, 100); times++) {
		if (times == OPERATE_MOST)
			world_fail(w, "manual", "what the operator decides waits all the same");
		world_run_until(w, world_now(w) + OPERATED_US);
	}
	if (w->failed)
		return;
	before = world_written(w);
	attempts = world_attempted(w);
	reads = world_reads(w);
	world_trace(w, "from here on nothing may be written");
	world_run_until(w, world_now(w) + STILL_US);
	if (world_written(w) != before)
		world_fail(w, "C3", "%" PRIu64 " writes after quiet", world_written(w) - before);
	may = STILL_SWEEPS * world_parked(w);
	attempts = world_attempted(w) - attempts;
	if (attempts > may)
		world_fail(w, "C3", "%" PRIu64 " writes were tried after quiet, %" PRIu64 " may be", attempts, may);
	/* Sweeps read what stands aside, and each row a few times; whoever reads more turns in circles. */
	reads = world_reads(w) - reads;
	rows = world_rows(w);
	if (reads > 200 + 20 * rows)
		world_fail(w, "C3", "%" PRIu64 " reads of %" PRIu64 " rows while nothing happens", reads, rows);
	check_all(w);
	check_words(w);
	if (!w->failed)
		check_books_stock(w);
}

static bool run_seed(uint64_t seed, enum mutation m, uint32_t left_out, FILE *trace, struct sometimes *sometimes, char why[1024])
{
	struct world *w;
	bool ok;

	running_seed = seed;
	running_now = 1;
	w = world_new(seed, m, left_out, trace, sometimes);
	if (!w->failed)
		run(w);
	ok = !w->failed;
	memcpy(why, w->why, sizeof w->why);
	w->quiet = true;
	sync_free(&w->sync);
	loop_free(&w->loop);
	world_free(&w);
	running_now = 0;
	return ok;
}

/* ---- the program ---------------------------------------------------------------------------------------------------- */

static void on_crash(int signo)
{
	char line[96];
	int n = snprintf(line, sizeof line, "\nsim: signal %d in seed %" PRIu64 "\n", signo, running_seed);

	if (running_now && write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(2);
	signal(signo, SIG_DFL);
	raise(signo);
}

/* The last lines of the failing seed's story, so that a log of a failed build says something. */
static void tell_again(uint64_t seed, enum mutation m, uint32_t left_out)
{
	struct sometimes unused = { 0 };
	char *text = NULL, why[1024];
	size_t size = 0, from;
	FILE *f = open_memstream(&text, &size);
	unsigned lines = 0;

	if (f == NULL)
		return;
	run_seed(seed, m, left_out, f, &unused, why);
	fclose(f);
	for (from = size; from > 0 && lines < 60; from--)
		lines += text[from - 1] == '\n';
	fprintf(stderr, "%s(the whole story: sim --seed %" PRIu64 " --verbose)\n", text + from, seed);
	free(text);
}

static void sometimes_print(const struct sometimes *s)
{
#define X(name, words) printf("%10" PRIu64 "  %s\n", s->name, words);
	SOMETIMES(X)
#undef X
}

static int64_t real_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

struct options {
	uint64_t first, last;
	int64_t seconds;
	enum mutation mutation;
	uint32_t left_out;
	bool verbose, keep_going;
};

static int run_many(const struct options *o)
{
	struct sometimes sometimes = { 0 };
	uint64_t passed = 0, failed = 0;
	int64_t end = real_seconds() + o->seconds;

	for (uint64_t seed = o->first; seed <= o->last; seed++) {
		char why[1024];

		if (o->seconds > 0 && real_seconds() >= end)
			break;
		if (run_seed(seed, o->mutation, o->left_out, o->verbose ? stderr : NULL, &sometimes, why)) {
			passed++;
			continue;
		}
		failed++;
		printf("seed %" PRIu64 ": %s\n", seed, why);
		fflush(stdout);
		if (o->mutation != MUTATE_NOTHING)
			break;
		if (!o->verbose && !o->keep_going)
			tell_again(seed, o->mutation, o->left_out);
		if (!o->keep_going)
			break;
	}
	if (o->first != o->last && o->mutation == MUTATE_NOTHING)
		sometimes_print(&sometimes);
	if (o->mutation == MUTATE_NOTHING) {
		printf("%" PRIu64 " passed, %" PRIu64 " failed\n", passed, failed);
		return failed > 0;
	}
	/* A test of the checkers: they pass when the fault is caught. */
	printf("mutation %s: %s after %" PRIu64 " seeds\n%d passed, %d failed\n", mutation_names[o->mutation],
	       failed > 0 ? "caught" : "NOT CAUGHT", passed + failed, failed > 0, failed == 0);
	return failed == 0;
}

static bool mutation_parse(const char *name, enum mutation *out)
{
	for (int m = 0; m < MUTATIONS; m++)
		if (strcmp(mutation_names[m], name) == 0) {
			*out = (enum mutation)m;
			return true;
		}
	fprintf(stderr, "sim: no such mutation: %s; there are:", name);
	for (int m = 1; m < MUTATIONS; m++)
		fprintf(stderr, " %s", mutation_names[m]);
	fputc('\n', stderr);
	return false;
}

static bool left_out_parse(const char *list, uint32_t *out)
{
	static const char *const parts[] = {
#define X(name) #name,
		PLAN_PARTS(X)
#undef X
	};
	char *copy = xstrdup(list), *save = NULL;
	bool known = true;

	for (char *p = strtok_r(copy, ",", &save); p != NULL && known; p = strtok_r(NULL, ",", &save)) {
		size_t i = 0;

		while (i < countof(parts) && strcmp(parts[i], p) != 0)
			i++;
		known = i < countof(parts);
		*out |= UINT32_C(1) << i;
		if (strcmp(p, "all") == 0) {
			known = true;
			*out = UINT32_MAX;
		}
	}
	for (size_t i = 0; !known && i < countof(parts); i++)
		fprintf(stderr, "%s%s", i == 0 ? "sim: --without takes: all," : ",", parts[i]);
	free(copy);
	return known;
}

static bool options_parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "seed", required_argument, NULL, 'n' }, { "seeds", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' }, { "mutate", required_argument, NULL, 'm' },
		{ "without", required_argument, NULL, 'w' }, { "verbose", no_argument, NULL, 'v' }, { "keep-going", no_argument, NULL, 'k' }, { 0 },
	};
	char *end;
	int c;

	*o = (struct options){ .first = 1, .last = 2000 };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'n':
			o->first = o->last = strtoull(optarg, NULL, 10);
			break;
		case 's':
			o->first = strtoull(optarg, &end, 10);
			o->last = strncmp(end, "..", 2) == 0 ? strtoull(end + 2, NULL, 10) : o->first;
			break;
		case 't':
			o->seconds = strtoll(optarg, NULL, 10);
			break;
		case 'm':
			if (!mutation_parse(optarg, &o->mutation))
				return false;
			break;
		case 'w':
			if (!left_out_parse(optarg, &o->left_out))
				return false;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'k':
			o->keep_going = true;
			break;
		default:
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options o;

	if (!options_parse(argc, argv, &o))
		return 64;
	signal(SIGABRT, on_crash);
	signal(SIGSEGV, on_crash);
	log_setup(o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, false);
	return run_many(&o);
}
