/*
 * pg_endpoint.h - inside an endpoint: its two files.
 *
 *   pg_endpoint.c  its pool of connections, what state it is in, orders
 *   pg_silence.c   does the server still answer? Its clock, too
 */
#ifndef ENDPOINT_POSTGRES_PG_ENDPOINT_H
#define ENDPOINT_POSTGRES_PG_ENDPOINT_H

#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_conn.h"

enum { PG_PROBE_EVERY_MS = 5000, PG_PROBES = 16 };

enum pg_phase { PG_IDLE, PG_CONNECTING, PG_PREPARING, PG_SERVING, PG_RESTING };

struct pg_request {
	struct pg_request *next;
	const char *sql;
	struct pg_params params;
	bool simple;			/* no params */
	pg_result_fn *done;
	void *arg;
	int64_t asked_us, sent_us;	/* monotonic */
	struct err why;			/* when refused */
};
struct pg_requests {
	struct pg_request *first, **last;
};

struct pg_slot {
	struct postgres *pg;
	struct pg_conn *conn;		/* NULL: closed */
	bool open;			/* `opened` came */
	struct pg_session *session;	/* as the server calls it; NULL: not open */
	struct pg_request *request;	/* in flight */
	bool unanswered;		/* it was lost with a request in flight */
	bool probing;
	int64_t sent_mono_us, sent_wall_us;	/* of the probe */
	int64_t asked_us;		/* monotonic: when it was to be opened */
};

struct pg_probe {
	double round_trip_us, offset_us;
};

struct postgres {
	struct endpoint ep;		/* first member */
	struct loop *loop;
	const struct topology *topology;
	char *channel;
	enum pg_phase phase;
	struct pg_slot *slots;
	size_t n_slots;
	struct pg_requests waiting, refused;
	struct pg_greeting *greeting;	/* pg_state.c's own */
	struct pg_moment *moments;	/* pg_moment.c's own */
	struct loop_timer *soon, *retry, *probe, *silence, *catalog, *crowd;
	int64_t extra_not_before_us;	/* mono: when a further connection may be tried again */
	bool reading;			/* the catalog is being read, or an install is running */
	bool again;			/* ... and something changed meanwhile */
	int64_t refused_us;		/* when a table last did not take a row, monotonic; 0: never */
	bool stale;			/* a statement found the catalog to be different; the timer is set */
	struct pg_table *retired;
	bool hands_off;			/* uninstalled by order: do not install again by ourselves */
	bool tell;			/* events.state is due */
	int64_t down_since_us;		/* wall; of the outage that is being counted, 0: none */
	struct err logged;		/* the last failure that was logged */
	struct err install_failure;	/* of the last install by ourselves */
	unsigned install_tries;
	int64_t install_not_before_us;	/* mono */
	struct pg_probe probes[PG_PROBES];
	size_t n_probes;
	bool sees_all;
	bool told_state;		/* keeps_state, as it was when we told last */
	unsigned entered;
	bool freed;
};

/* ---- pg_endpoint.c ----------------------------------------------------------------------------------- */

/* Around whatever may call back: the endpoint is released by the last to leave. */
void pg_enter(struct postgres *pg);
void pg_leave(struct postgres *pg);
void pg_tell(struct postgres *pg);			/* events.state, in the next turn */
void pg_requests_init(struct pg_requests *q);
void pg_requests_add(struct pg_requests *q, struct pg_request *r);
struct pg_request *pg_requests_take(struct pg_requests *q);
void pg_refuse(struct postgres *pg, struct pg_request *r, const struct err *why);	/* answered so in the next turn */
void pg_open_another(struct postgres *pg);
void pg_pump(struct postgres *pg);

/* ---- pg_silence.c ------------------------------------------------------------------------------------ */

void pg_on_probe_time(void *arg);			/* timers: the endpoint's */
void pg_on_silence_time(void *arg);
void pg_note_asked(struct postgres *pg);		/* something was sent: an answer is due */
void pg_note_answer(struct postgres *pg, const struct err *e);

#endif
