#include "daemon/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notify.h"
#include "conf/topology.h"
#include "control/control.h"
#include "endpoint/endpoint.h"
#include "journal/journal.h"
#include "loop/loop.h"
#include "store/store.h"
#include "sync/sync.h"

enum {
	FINISH_MS = 30000, EXPIRE_MS = 60000,
	CHANGES_TOLD = 100,			/* of a reload, in the log; crmsyncctl shows all */
	PULSE_MS = 1000, FIRST_PULSE_MS = 50,
	FIRST_CONTACT_US = 30000000,		/* whoever has not answered by then is as good as tried */
};

struct daemon {
	struct loop *loop;
	struct topology *topology;	/* owned; what the sync runs on */
	struct topology *latest;	/* the same, or owned: read later, and different only around the sync */
	struct topology *next;		/* owned; while a reload waits for the rounds in flight */
	char *changes;			/* owned; what is different in the one that is being taken */
	struct journal *journal;	/* owned */
	struct control *control;	/* owned */
	struct sync *sync;		/* owned */
	struct loop_timer *pulse, *expire;
	int64_t started_us;		/* monotonic */
	bool once, paused, stopping;
	struct buf going;		/* with `paused`: entities that the operator has let go on, a line each */
	bool announced;			/* the service manager knows that we are up */
	bool hup_again;			/* SIGHUP came while a reload was under way: the file may have changed since that read it */
	int exit_code;
};

static void stop_now(struct daemon *d, int code)
{
	d->exit_code = code;
	loop_stop(d->loop);
}

/* ---- the seams, for real ----------------------------------------------------------------------------- */

static struct endpoint *make_endpoint(void *arg, struct loop *loop, const struct topology *t, const struct endpoint_conf *conf,
				      const struct endpoint_events *events)
{
	return postgres_endpoint_new(loop, t, conf, events);
}

static bool understands(const struct endpoint_conf *conf, char *why, size_t why_size)
{
	return postgres_connection_check(conf->connection, why, why_size);
}

struct topology *daemon_topology(const char *file, struct conf_problems *problems)
{
	return topology_load(file, understands, problems);
}

static struct store *make_store(void *arg, struct loop *loop, const struct topology *t, const struct store_events *events)
{
	return redis_store_new(loop, t, events);
}

static void on_refused(void *arg, const struct err *why)
{
	struct daemon *d = arg;

	log_error("Redis cannot keep the state", LOG_ERR(why));
	stop_now(d, EXIT_CONFIGURATION);
}

/* The lease is given up last, so that the next one need not wait for its end. */
static void on_left(void *arg)
{
	struct daemon *d = arg;

	stop_now(d, d->exit_code);
}

static void on_once_done(void *arg, int exit_code)
{
	struct daemon *d = arg;

	if (exit_code == EXIT_DIFFERENCES)
		log_warn("reconciled, but some records are parked or held, or values wait for a decision");
	else if (exit_code != EXIT_FINE)
		log_error("reconciled as far as possible: an endpoint stayed away");
	else
		log_info("everything is reconciled");
	d->exit_code = exit_code;
	sync_leave(d->sync, on_left, d);
}

static void note_going(struct daemon *d)
{
	struct sync_entity_view v;

	buf_clear(&d->going);
	buf_adds(&d->going, "\n");
	for (size_t i = 0; i < sync_entities(d->sync); i++) {
		sync_entity_view(d->sync, i, &v);
		if (!v.paused)
			buf_addf(&d->going, "%s\n", v.conf->def.name);
	}
}

static void pause_the_others(struct daemon *d)
{
	struct sync_entity_view v;

	for (size_t i = 0; i < sync_entities(d->sync); i++) {
		char *line;

		sync_entity_view(d->sync, i, &v);
		line = xasprintf("\n%s\n", v.conf->def.name);
		if (d->going.len == 0 || strstr(d->going.p, line) == NULL)
			sync_pause(d->sync, v.conf->def.name, NULL);
		free(line);
	}
}

static void start_sync(struct daemon *d)
{
	struct sync_seams seams = { make_endpoint, make_store, on_refused, d };

	d->sync = sync_new(d->loop, d->topology, d->journal, &seams);
	if (d->paused)
		pause_the_others(d);
	control_show(d->control, d->sync, d->latest);
	if (d->once)
		sync_once(d->sync, on_once_done, d);
}

/* ---- stop -------------------------------------------------------------------------------------------- */

static void on_finished(void *arg)
{
	struct daemon *d = arg;

	d->exit_code = d->once ? EXIT_INTERRUPTED : EXIT_FINE;
	sync_leave(d->sync, on_left, d);
}

static void on_stop(void *arg)
{
	struct daemon *d = arg;

	if (d->stopping) {
		log_warn("stopped at once; unfinished work is repeated at the next start");
		stop_now(d, EXIT_INTERRUPTED);
		return;
	}
	d->stopping = true;
	notify_stopping();
	notify_status("stopping: the batches under way are finished");
	log_info("stopping: rounds in flight are finished first");
	sync_finish(d->sync, FINISH_MS, on_finished, d);
}

/* ---- reload: all or nothing -------------------------------------------------------------------------- */

/* To the manager a reload ends with READY, as the start does; one that comes before the start's own does not end the start. */
static void reload_over(const struct daemon *d)
{
	if (d->announced)
		notify_ready();
}

static void free_topologies(struct daemon *d)
{
	if (d->latest != d->topology)
		topology_free(&d->latest);
	d->latest = NULL;
	topology_free(&d->topology);
}

/* These the daemon can change by itself; for every other setting the sync begins anew. */
static bool is_around(const char *line)
{
	static const char *const paths[] = { "stats.", "control.", "journal.keep:" };

	line += line[1] == ' ' ? 2 : 0;		/* "+ ", "- " */
	for (size_t i = 0; i < countof(paths); i++)
		if (strncmp(line, paths[i], strlen(paths[i])) == 0)
			return true;
	return false;
}

/* False, too, when there is none. */
static bool all_are_around(const char *changes)
{
	const char *line = changes;

	for (; *line != '\0'; line += strcspn(line, "\n") + 1)
		if (!is_around(line))
			return false;
	return line != changes;
}

static size_t log_changes(const char *changes)
{
	size_t n = 0;

	for (const char *line = changes; *line != '\0'; line += strcspn(line, "\n") + 1, n++) {
		char *text = xstrndup(line, strcspn(line, "\n"));

		if (n < CHANGES_TOLD)
			log_info("setting changed", LOG_S("change", text));
		free(text);
	}
	return n;
}

static void taken(struct daemon *d)
{
	size_t n = log_changes(d->changes);

	control_reloaded(d->control, true, d->changes);
	reload_over(d);
	log_info("topology reloaded", LOG_S("file", d->latest->file), LOG_I("changes", n));
}

static void on_hup(void *arg);

static void on_old_finished(void *arg)
{
	struct daemon *d = arg;

	if (d->stopping)
		return;
	note_going(d);
	control_show(d->control, NULL, d->latest);
	sync_free(&d->sync);
	free_topologies(d);
	d->topology = d->latest = d->next;
	d->next = NULL;
	start_sync(d);
	taken(d);
	if (d->hup_again)
		on_hup(d);
}

/* The rounds go on, and so do the counters. */
static void take_around(struct daemon *d, struct topology *next)
{
	if (d->latest != d->topology)
		topology_free(&d->latest);
	d->latest = next;
	control_show(d->control, d->sync, d->latest);
	taken(d);
}

static void refuse(struct daemon *d, const char *why)
{
	control_reloaded(d->control, false, NULL);
	reload_over(d);
	log_error("topology not reloaded, everything stays as it was", LOG_S("problems", why));
}

/* A topology in which nothing differs is taken like any other: whoever asks wants everything to be looked at anew. */
static void take(struct daemon *d, struct topology *next)
{
	struct buf changes = { 0 };

	buf_adds(&changes, "");
	topology_diff(d->latest, next, &changes);
	free(d->changes);
	d->changes = buf_take(&changes);
	if (all_are_around(d->changes)) {
		take_around(d, next);
		return;
	}
	d->next = next;
	sync_finish(d->sync, FINISH_MS, on_old_finished, d);
}

static char *problems_words(const struct conf_problems *problems, const char *file)
{
	struct buf b = { 0 };

	conf_problems_text(problems, file, &b);
	return buf_take(&b);
}

static enum reload_begun reload(void *arg, char **text)
{
	struct daemon *d = arg;
	struct conf_problems problems = { 0 };
	struct topology *next;

	if (d->next != NULL || d->stopping)
		return RELOAD_BUSY;
	notify_reloading();
	next = daemon_topology(d->latest->file, &problems);
	if (next != NULL)
		topology_check_bound(d->latest, next, &problems);
	if (problems.n > 0) {
		*text = problems_words(&problems, d->latest->file);
		conf_problems_fini(&problems);
		topology_free(&next);
		refuse(d, *text);
		return RELOAD_REFUSED;
	}
	take(d, next);
	return RELOAD_COMING;
}

static void on_hup(void *arg)
{
	struct daemon *d = arg;
	char *text = NULL;

	d->hup_again = reload(d, &text) == RELOAD_BUSY;
	free(text);
}

/* ---- signs of life ----------------------------------------------------------------------------------- */

/* Has everybody answered, or failed to, once? Whoever starts after us may then ask and gets more than "not yet". */
static bool first_contact_tried(const struct daemon *d)
{
	struct sync_service_view v;
	struct sync_endpoint_view e;

	sync_service_view(d->sync, &v);
	if (!v.redis_tried)
		return false;
	for (size_t i = 0; i < sync_endpoints(d->sync); i++) {
		sync_endpoint_view(d->sync, i, &e);
		if (e.endpoint->state == ENDPOINT_UNKNOWN && e.endpoint->tries == 0)
			return false;
	}
	return true;
}

static void announce(struct daemon *d)
{
	if (d->announced || d->stopping)
		return;
	if (!first_contact_tried(d) && clock_mono_us() - d->started_us < FIRST_CONTACT_US)
		return;
	d->announced = true;
	notify_ready();
}

static void tell_how_it_is(const struct daemon *d)
{
	struct buf sentence = { 0 };

	control_sentence(d->control, &sentence);
	notify_status("%s", sentence.p);
	buf_fini(&sentence);
}

/* The manager's watchdog gets its food here and nowhere else: from a timer, so from a loop that turns. */
static void on_pulse(void *arg)
{
	struct daemon *d = arg;
	int64_t next_ms = d->announced ? PULSE_MS : FIRST_PULSE_MS, half_ms = notify_watchdog_us() / 2000;

	loop_timer_set(d->pulse, half_ms > 0 && half_ms < next_ms ? half_ms : next_ms);
	notify_watchdog();
	if (d->stopping || d->sync == NULL)
		return;
	announce(d);
	tell_how_it_is(d);
}

static void on_expire(void *arg)
{
	struct daemon *d = arg;
	struct err e = { 0 };

	loop_timer_set(d->expire, EXPIRE_MS);
	if (!journal_expire(d->journal, clock_wall_us() - d->latest->journal.keep_us, &e))
		log_error("journal not trimmed", LOG_ERR(&e));
}

/* ---- running ----------------------------------------------------------------------------------------- */

static int failed_start(const struct err *e)
{
	log_error("cannot start", LOG_ERR(e));
	return strcmp(e->code, "EACCES") == 0 || strcmp(e->code, "EPERM") == 0 ? EXIT_NOPERM :
	       e->kind == ERR_CONFIG ? EXIT_CONFIGURATION : e->kind == ERR_TRANSIENT ? EXIT_TEMPFAIL : EXIT_TROUBLE;
}

static void wire_signals(struct daemon *d)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a limit on the size of files is a full disk to the journal */
	loop_signal(d->loop, SIGTERM, on_stop, d);
	loop_signal(d->loop, SIGINT, on_stop, d);
	loop_signal(d->loop, SIGHUP, on_hup, d);
}

static void shut_down(struct daemon *d)
{
	loop_timer_free(&d->pulse);
	loop_timer_free(&d->expire);
	if (d->control != NULL)
		control_show(d->control, NULL, d->latest);
	sync_free(&d->sync);
	control_free(&d->control);
	journal_close(&d->journal);
	free_topologies(d);
	topology_free(&d->next);
	free(d->changes);
	buf_fini(&d->going);
	loop_free(&d->loop);
}

int daemon_run(struct topology *topology, bool once, bool paused)
{
	struct daemon d = { .topology = topology, .latest = topology, .once = once, .paused = paused, .started_us = clock_mono_us() };
	struct control_hooks hooks = { reload, &d };
	struct err e = { 0 };

	d.journal = journal_open(topology->journal.directory, topology->name, &e);
	if (d.journal == NULL) {
		topology_free(&d.topology);
		return failed_start(&e);
	}
	d.loop = loop_new();
	wire_signals(&d);
	d.control = control_new(d.loop, topology, &hooks, &e);
	if (d.control == NULL) {
		d.exit_code = failed_start(&e);
		shut_down(&d);
		return d.exit_code;
	}
	d.pulse = loop_timer_new(d.loop, on_pulse, &d);
	d.expire = loop_timer_new(d.loop, on_expire, &d);
	start_sync(&d);
	on_pulse(&d);
	on_expire(&d);
	log_info("crmsyncd runs", LOG_S("topology", topology->name), LOG_I("endpoints", topology->n_endpoints),
		 LOG_I("entities", topology->n_entities));
	loop_run(d.loop);
	shut_down(&d);
	log_info("crmsyncd stopped", LOG_I("exit", d.exit_code));
	return d.exit_code;
}
