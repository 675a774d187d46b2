/*
 * pg_silence.c - does the server still answer? And how far is its clock from ours?
 *
 * One that swallows what it is sent (dropped packets, a stopped machine) neither answers nor refuses. After a second without any answer
 * the connection that is kept free for this is asked; when that, too, has had no answer for another one, nobody is to wait for the
 * endpoint any more (ep.silent; reads are answered with an error). Some seconds later a probe runs out of time, and it is down.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "endpoint/postgres/pg_endpoint.h"
#include "loop/loop.h"

enum {
	PROBE_ANSWER_MS = 5000,
	SILENCE_LOOK_MS = 250,
	SILENCE_ASK_US = 1000000, SILENCE_US = 2000000,	/* so long without any answer: it is probed; it is silent */
};

/* ---- probes ------------------------------------------------------------------------------------------ */

static void take_sample(struct postgres *pg, const struct pg_slot *s, double db_us)
{
	double round_trip = (double)(clock_mono_us() - s->sent_mono_us);
	struct pg_probe *best = &pg->probes[0];

	pg->probes[pg->n_probes % PG_PROBES] = (struct pg_probe){
		.round_trip_us = round_trip,
		.offset_us = db_us - ((double)s->sent_wall_us + round_trip / 2),
	};
	pg->n_probes++;
	for (size_t i = 1; i < PG_PROBES && i < pg->n_probes; i++)
		if (pg->probes[i].round_trip_us < best->round_trip_us)
			best = &pg->probes[i];
	pg->ep.clock_offset_s = best->offset_us / 1e6;
	pg->ep.clock_error_s = best->round_trip_us / 2e6;
}

/* A refusal is an answer too, also the last one: it has an SQLSTATE. That nobody answered has another code, or none. */
void pg_note_answer(struct postgres *pg, const struct err *e)
{
	if (e != NULL && strlen(e->code) != 5)
		return;
	pg->ep.last_success_us = clock_mono_us();
	if (!pg->ep.silent)
		return;
	pg->ep.silent = false;
	err_clear(&pg->ep.why);
	loop_timer_set(pg->silence, SILENCE_LOOK_MS);
	log_info("endpoint answers again", LOG_S("endpoint", pg->ep.conf->name));
	pg_tell(pg);
}

static void got_probe(void *arg, PGresult *res, const struct err *e)
{
	struct pg_slot *s = arg;
	struct postgres *pg = s->pg;

	s->probing = false;
	if (e != NULL)
		return;		/* `lost` follows when the connection is gone; else the next probe asks again */
	take_sample(pg, s, strtod(PQgetvalue(res, 0, 0), NULL));
	pg->sees_all = strcmp(PQgetvalue(res, 0, 1), "t") == 0;
	PQclear(res);
	pg_note_answer(pg, NULL);
	pg_enter(pg);
	pg_pump(pg);
	pg_leave(pg);
}

/* On a connection that has nothing to do: queueing would be measured otherwise. */
static void send_probe(struct postgres *pg, struct pg_slot *s)
{
	static const char sql[] =
		"SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, "
		"pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')";

	s->probing = true;
	s->sent_mono_us = clock_mono_us();
	s->sent_wall_us = clock_wall_us();
	pg_conn_query(s->conn, sql, NULL, PROBE_ANSWER_MS, got_probe, s);
}

/* Where all are busy and none has answered lately, a new one tells a server that works from one that is gone. */
void pg_on_probe_time(void *arg)
{
	struct postgres *pg = arg;
	bool sent = false;

	loop_timer_set(pg->probe, PG_PROBE_EVERY_MS);
	pg_backlog_look(pg, NULL, NULL);
	for (size_t i = 0; i < pg->n_slots; i++)
		if (pg->slots[i].open && pg_conn_ready(pg->slots[i].conn)) {
			send_probe(pg, &pg->slots[i]);
			sent = true;
		}
	if (!sent && pg->phase == PG_SERVING && clock_mono_us() - pg->ep.last_success_us >= PG_PROBE_EVERY_MS * INT64_C(1000))
		pg_open_another(pg);
}

/* ---- silence ----------------------------------------------------------------------------------------- */

/* Whoever waits for nothing but rows can do without them. What may have been written is waited for. */
static void give_up_reads(struct postgres *pg, const struct err *why)
{
	struct pg_requests kept;
	struct pg_request *r;

	pg_requests_init(&kept);
	while ((r = pg_requests_take(&pg->waiting)) != NULL)
		if (r->params.reads)
			pg_refuse(pg, r, why);
		else
			pg_requests_add(&kept, r);
	while ((r = pg_requests_take(&kept)) != NULL)
		pg_requests_add(&pg->waiting, r);
	for (size_t i = 0; i < pg->n_slots; i++) {
		struct pg_slot *s = &pg->slots[i];

		if (s->request == NULL || !s->request->params.reads)
			continue;
		pg_refuse(pg, s->request, why);	/* its result, should it still come, finds nobody */
		s->request = NULL;
		s->unanswered = true;
	}
}

static void fall_silent(struct postgres *pg, int64_t quiet_us)
{
	struct err why = { 0 };

	pg->ep.silent = true;
	err_set(&why, ERR_TRANSIENT, "ETIMEDOUT", "no answer for %.1f s, not even to a probe", (double)quiet_us / 1e6);
	log_warn("endpoint silent; the others do not wait for it", LOG_S("endpoint", pg->ep.conf->name), LOG_ERR(&why));
	pg->ep.why = why;
	give_up_reads(pg, &why);
	pg_tell(pg);
}

/* Since when it owes an answer and has given none, monotonic; 0: it owes none. */
static int64_t quiet_since(const struct postgres *pg)
{
	int64_t since = 0;

	for (size_t i = 0; i < pg->n_slots; i++) {
		const struct pg_request *r = pg->slots[i].request;

		if (r != NULL && (since == 0 || r->sent_us < since))
			since = r->sent_us;
	}
	return since != 0 && since < pg->ep.last_success_us ? pg->ep.last_success_us : since;
}

void pg_note_asked(struct postgres *pg)
{
	if (!loop_timer_pending(pg->silence))
		loop_timer_set(pg->silence, SILENCE_ASK_US / 1000);
}

void pg_on_silence_time(void *arg)
{
	struct postgres *pg = arg;
	struct pg_slot *first = &pg->slots[0];
	int64_t now = clock_mono_us(), since = quiet_since(pg);

	if (since == 0 || pg->ep.silent)
		return;
	loop_timer_set(pg->silence, SILENCE_LOOK_MS);
	if (now - since >= SILENCE_ASK_US && first->open && pg_conn_ready(first->conn))
		send_probe(pg, first);
	else if (now - since >= SILENCE_US && first->probing && now - first->sent_mono_us >= SILENCE_US - SILENCE_ASK_US)
		fall_silent(pg, now - since);
}
