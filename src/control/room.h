/*
 * room.h - inside control/: what control.c and commands.c share.
 */
#ifndef CONTROL_ROOM_H
#define CONTROL_ROOM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "control/control.h"
#include "control/http.h"
#include "control/listen.h"
#include "control/pages.h"

struct entity_conf;
struct entity_def;
struct job;
struct sync_planned;
struct timeline;
struct waiting;

/* One listening socket; address NULL: none. */
struct control_socket {
	char *address;
	struct http_listener *listener;
	struct listen_path where;	/* unix sockets only */
};

struct control {
	struct loop *loop;
	struct http_server *http;
	struct control_hooks hooks;
	struct sync *sync;		/* NULL: none just now */
	int64_t started_us;
	bool reload_ok;
	struct control_socket stats, tcp, orders;
	struct waiting *waits;		/* who asked to be told when all is settled; commands.c */
	struct buf kept;		/* what the last topology wants and could not be had, a line each */
	struct http_exchange *reloading;	/* who asked for the reload that is under way; NULL: nobody */
};

#define CONTROL_HTML "text/html; charset=utf-8"
#define CONTROL_JSON "application/json"
#define CONTROL_LINES "application/x-ndjson"
#define CONTROL_BYTES "application/octet-stream"
#define CONTROL_TEXT "text/plain; charset=utf-8"

/* False when there is no sync. */
bool control_pages(const struct control *, struct pages *);

/* ---- answers ----------------------------------------------------------------------------------------- */

/* What went wrong, for people, programs and the exit code of crmsyncctl (CONTRACT, exit codes). */
enum control_exit {
	EXIT_OK = 0, EXIT_DIFFERENT = 1, EXIT_TROUBLE = 2, EXIT_USAGE = 64, EXIT_UNAVAILABLE = 69, EXIT_AGAIN = 75,
	EXIT_NOT_PERMITTED = 77, EXIT_CONFIGURATION = 78,
};
/* Takes the object over. `"schema": 1` is put first by whoever makes it: control_object(). */
void control_answer(struct http_exchange *, int status, json_t *object);
json_t *control_object(void);
json_t *control_error(enum control_exit, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void control_refuse(struct http_exchange *, enum control_exit, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* A text of unknown origin as a JSON string; NULL becomes null. */
json_t *control_text(const char *);
json_t *control_time(int64_t wall_us);
json_t *control_number(double);		/* null when it is not one */

/* ---- ratios.c ---------------------------------------------------------------------------------------- */

/* availability_ratio, availability_coverage_ratio, and all that belongs to them in `availability`. */
void ratios_add_availability(json_t *object, const struct sync *, const struct timeline *);
/* consistency_ratio, ... */
void ratios_add_consistency(json_t *object, const struct sync *, const struct timeline *);

/* ---- jobs.c ------------------------------------------------------------------------------------------ */

json_t *job_json(const struct job *);
json_t *jobs_json(struct sync *);		/* an array */

/* ---- commands.c -------------------------------------------------------------------------------------- */

/* POST /v1/NAME. */
void commands_run(struct control *, struct http_exchange *, const char *name, const struct http_request *);
/* GET /v1: the list. */
void commands_list(struct http_exchange *);
/* The sync is about to be replaced (NULL: it goes): those who wait, wait on the new one. Called before control->sync changes. */
void commands_move_waits(struct control *, struct sync *next);
/* A topology came into force: tells the one who asked for it. */
void commands_reloaded(struct control *, const char *changes);
/* The daemon stops: tells all who wait for something. */
void commands_end(struct control *);
/* Every row, for tests and manual pages. */
void commands_each(void (*fn)(void *arg, const char *name, const char *help), void *arg);

/* ---- journal pages of commands.c: lists.c ------------------------------------------------------------ */

void list_parked(struct control *, struct http_exchange *, const json_t *params);
void show_parked(struct control *, struct http_exchange *, const json_t *params);
bool since_parse(const char *text, int64_t *us);	/* RFC 3339, or a duration back from now */
json_t *stamp_json(int64_t stamp_us);		/* null: nobody knows */
bool is_private_field(const struct sync *, const char *entity, const char *field);
/* As people read it: a reference as the key of the record that it means. NULL becomes null. */
json_t *value_json(const struct sync *, const char *entity, const char *field, const char *value);
void list_conflicts(struct control *, struct http_exchange *, const json_t *params);
struct journal_decision;
json_t *decision_json(const struct sync *, const struct journal_decision *);
void control_add_line(struct buf *out, json_t *object);		/* takes the object over */

/* ---- what would be written: plan.c ------------------------------------------------------------------- */

void run_plan(struct control *, struct http_exchange *, const json_t *params);
/* What is planned, as an object. */
json_t *planned_json(const struct sync *, const struct entity_def *, const struct sync_planned *);
json_t *names_of_endpoints(const struct sync *, uint64_t mask);

/* ---- what waits for a person: waiting.c -------------------------------------------------------------- */

void list_waiting(struct control *, struct http_exchange *, const json_t *params);
void decide_waiting(struct control *, struct http_exchange *, const json_t *params);

/* ---- verify.c ---------------------------------------------------------------------------------------- */

void run_verify(struct control *, struct http_exchange *, const json_t *params);
void run_repair(struct control *, struct http_exchange *, const json_t *params);

/* ---- migrate.c --------------------------------------------------------------------------------------- */

void run_migrate(struct control *, struct http_exchange *, const json_t *params);

/* ---- before-images: history.c ------------------------------------------------------------------------ */

void run_history(struct control *, struct http_exchange *, const json_t *params);
void run_undo(struct control *, struct http_exchange *, const json_t *params);

/* ---- the state as a file: backup.c ------------------------------------------------------------------- */

void run_backup(struct control *, struct http_exchange *, const json_t *params);

/* ---- held deletes: held.c ---------------------------------------------------------------------------- */

void held_list(struct control *, struct http_exchange *, const json_t *params);
void held_show(struct control *, struct http_exchange *, const json_t *params);
void held_release(struct control *, struct http_exchange *, const json_t *params);
void held_discard(struct control *, struct http_exchange *, const json_t *params);

/* As the error's kind and code deserve. */
void control_refuse_err(struct http_exchange *, const struct err *);
/* A parameter's text, or NULL when it was not given. */
const char *param_text(const json_t *params, const char *name);
/* The index of its word among these (NULL ends them); the first one when it was not given. -1: it is none of them, which has been answered. */
int param_word(struct http_exchange *, const json_t *params, const char *name, const char *const *words);
/* True when the name is NULL or an entity's / an endpoint's; else refuses with the nearest name. */
bool entity_is_known(struct control *, struct http_exchange *, const char *entity);
bool endpoint_is_known(struct control *, struct http_exchange *, const char *endpoint);
const struct entity_conf *entity_named(const struct sync *, const char *name);	/* NULL: there is none */

#endif
