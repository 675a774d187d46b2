#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "conf/topology.h"
#include "control/pages.h"
#include "endpoint/endpoint.h"
#include "journal/journal.h"
#include "meter/books.h"
#include "meter/meter.h"
#include "sync/sync.h"

/*
 * The sentence: parts joined by "; ", worst first, only those that say something. At most one part of a
 * kind, so that it stays one sentence with thirty endpoints too.
 */
static void part(struct buf *out, size_t start)
{
	if (out->len > start)
		buf_adds(out, "; ");
}

static void add_age(struct buf *out, double seconds)
{
	if (seconds < 1)
		buf_adds(out, "less than 1 s");
	else if (seconds < 120)
		buf_addf(out, "%.0f s", seconds);
	else if (seconds < 7200)
		buf_addf(out, "%.0f min", seconds / 60);
	else if (seconds < 172800)
		buf_addf(out, "%.0f h", seconds / 3600);
	else
		buf_addf(out, "%.0f days", seconds / 86400);
}

static const char *plural(int64_t n)
{
	return n == 1 ? "" : "s";
}

/* These return whether all is well. */
static bool say_redis(const struct pages *p, struct buf *out, size_t start)
{
	struct sync_service_view v;

	sync_service_view(p->sync, &v);
	if (v.redis_up && !v.standby)
		return true;
	part(out, start);
	if (v.standby) {
		buf_adds(out, "stands by: another crmsyncd holds the lease");
		return false;
	}
	buf_adds(out, "Redis is away, so nothing is applied");
	if (v.redis_reason[0] != '\0')
		buf_addf(out, " (%s)", v.redis_reason);
	return false;
}

static bool say_journal(const struct pages *p, struct buf *out, size_t start)
{
	const struct err *trouble = journal_trouble(sync_journal(p->sync));

	if (trouble == NULL)
		return true;
	part(out, start);
	buf_addf(out, "the journal cannot be written, so what needs it is not applied (%s)", trouble->text);
	return false;
}

static bool say_endpoints(const struct pages *p, struct buf *out, size_t start)
{
	size_t n = sync_endpoints(p->sync), up = 0, paused = 0;

	for (size_t i = 0; i < n; i++) {
		struct sync_endpoint_view v;

		sync_endpoint_view(p->sync, i, &v);
		up += !v.paused && v.endpoint->state == ENDPOINT_UP && !v.endpoint->silent;
		paused += v.paused;
	}
	part(out, start);
	buf_addf(out, "%zu of %zu endpoints up", up, n);
	if (paused > 0)
		buf_addf(out, ", %zu paused", paused);
	return up + paused == n;
}

static bool say_reload(const struct pages *p, struct buf *out, size_t start)
{
	if (p->reload_ok)
		return true;
	part(out, start);
	buf_adds(out, "the last reload was refused");
	return false;
}

/* The first that is not up: a sentence that only counts sends everybody to look for it. */
static void say_down(const struct pages *p, const struct endpoint *named, struct buf *out, size_t start)
{
	struct sync_endpoint_view v, first = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < sync_endpoints(p->sync); i++) {
		sync_endpoint_view(p->sync, i, &v);
		if (v.paused || v.endpoint == named || (v.endpoint->state == ENDPOINT_UP && !v.endpoint->silent))
			continue;
		if (n++ == 0)
			first = v;
	}
	if (n == 0)
		return;
	part(out, start);
	buf_addf(out, "%s is %s", first.conf->name, first.endpoint->silent ? "silent" : first.endpoint->state == ENDPOINT_DOWN ? "down" : "not met yet");
	if (n > 1)
		buf_addf(out, ", and %zu more", n - 1);
}

/* What all links have to say, gathered in one walk. */
struct links {
	struct sync_link_view worst, survey, unusable;
	bool lags, surveys, unusables;
	size_t lagging, unknown, n;
	int64_t held;
};

static void look_at_link(struct links *a, const struct sync_link_view *v)
{
	a->n++;
	a->held += v->held_deletes;
	a->unknown += v->state == SYNC_LINK_UNKNOWN;
	if (!v->link->usable && v->link->why.kind != 0 && v->link->endpoint->state == ENDPOINT_UP && !a->unusables) {
		a->unusable = *v;
		a->unusables = true;
	}
	if (v->phase == SYNC_PHASE_SURVEY && !a->surveys) {
		a->survey = *v;
		a->surveys = true;
	}
	if (v->lag_seconds > 0) {		/* false for NAN */
		if (!a->lags || v->lag_seconds > a->worst.lag_seconds)
			a->worst = *v;
		a->lags = true;
		a->lagging++;
	}
}

static void gather_links(const struct pages *p, struct links *a)
{
	struct sync_link_view v;

	memset(a, 0, sizeof *a);
	for (size_t e = 0; e < sync_entities(p->sync); e++)
		for (size_t i = 0; i < sync_endpoints(p->sync); i++)
			if (sync_link_view(p->sync, e, i, &v))
				look_at_link(a, &v);
}

static void say_survey(const struct links *a, struct buf *out, size_t start)
{
	const struct sync_link_view *v = &a->survey;

	part(out, start);
	buf_addf(out, "surveying %s on %s", v->mapping->entity->name, v->mapping->endpoint->name);
	if (!isnan(v->share))
		buf_addf(out, " (%.0f %%)", floor(100 * v->share));
}

static void say_links(const struct links *a, struct buf *out, size_t start)
{
	if (a->unusables) {
		part(out, start);
		buf_addf(out, "%s cannot be used on %s", a->unusable.mapping->entity->name, a->unusable.mapping->endpoint->name);
	}
	if (a->surveys)
		say_survey(a, out, start);
	if (a->lags) {
		part(out, start);
		buf_addf(out, "%s is ", a->worst.mapping->entity->name);
		add_age(out, a->worst.lag_seconds);
		buf_addf(out, " behind on %s", a->worst.mapping->endpoint->name);
		if (a->lagging > 1)
			buf_addf(out, " and %zu more link%s lag%s", a->lagging - 1, plural((int64_t)a->lagging - 1),
				 a->lagging == 2 ? "s" : "");
	}
	if (a->held > 0) {
		part(out, start);
		buf_addf(out, "%lld delete%s held back", (long long)a->held, plural(a->held));
	}
}

/* What all entities have to say. */
struct entities {
	int64_t parked, pending, waiting, different;
	const char *unbalanced, *differs;	/* the first one whose books do not balance; the one of which most differs: `different` */
	size_t n_unbalanced, n_differ;
};

static void look_at_entity(struct entities *a, const struct sync_entity_view *v)
{
	int64_t different = v->meter->last_verify.different;

	a->parked += v->parked;
	a->pending += v->pending;
	a->waiting += v->waiting;
	if (!books_balance(&v->books) && a->n_unbalanced++ == 0)
		a->unbalanced = v->conf->def.name;
	a->n_differ += different > 0;
	if (different > a->different) {
		a->different = different;
		a->differs = v->conf->def.name;
	}
}

static void gather_entities(const struct pages *p, struct entities *a)
{
	struct sync_entity_view v;

	memset(a, 0, sizeof *a);
	for (size_t i = 0; i < sync_entities(p->sync); i++) {
		sync_entity_view(p->sync, i, &v);
		look_at_entity(a, &v);
	}
}

static void say_more(struct buf *out, const char *before, size_t n)
{
	if (n > 1)
		buf_addf(out, "%s %zu more entit%s", before, n - 1, n == 2 ? "y" : "ies");
}

static void say_entities(const struct entities *a, struct buf *out, size_t start)
{
	if (a->n_differ > 0) {
		part(out, start);
		buf_addf(out, "%s: verify found %lld record%s that differ%s (crmsyncctl repair %s)", a->differs, (long long)a->different,
			 plural(a->different), a->different == 1 ? "s" : "", a->differs);
		say_more(out, ", and some of", a->n_differ);
	}
	if (a->n_unbalanced > 0) {
		part(out, start);
		buf_addf(out, "the books of %s", a->unbalanced);
		say_more(out, " and", a->n_unbalanced);
		buf_adds(out, " do not balance");
	}
	if (a->parked > 0) {
		part(out, start);
		buf_addf(out, "%lld record%s parked", (long long)a->parked, plural(a->parked));
	}
	if (a->waiting > 0) {
		part(out, start);
		buf_addf(out, "%lld value%s wait%s for a decision", (long long)a->waiting, plural(a->waiting), a->waiting == 1 ? "s" : "");
	}
}

void summary_add(const struct pages *p, struct buf *out)
{
	size_t start = out->len, before;
	struct entities entities;
	struct links links;
	bool well;

	gather_links(p, &links);
	gather_entities(p, &entities);
	well = say_redis(p, out, start);
	well = say_journal(p, out, start) && well;
	well = say_endpoints(p, out, start) && well;
	say_down(p, links.lags ? links.worst.link->endpoint : NULL, out, start);
	well = say_reload(p, out, start) && well;
	before = out->len;
	say_links(&links, out, start);
	say_entities(&entities, out, start);
	if (out->len > before || !well)
		return;				/* whoever reads of trouble need not hear what is fine */
	if (entities.pending > 0)
		buf_addf(out, "; %lld record%s under way", (long long)entities.pending, plural(entities.pending));
	else if (links.unknown > 0)
		buf_addf(out, "; %zu of %zu links not compared yet or not observed", links.unknown, links.n);
	else
		buf_adds(out, "; everything is in step");
}
