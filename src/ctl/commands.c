#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "ctl/asking.h"

enum {
	SILENCE_RELOAD_US = 60 * 1000 * 1000,	/* rounds in flight are finished first */
	SILENCE_INSTALL_US = 120 * 1000 * 1000,	/* waits for locks on the application's tables */
	WAIT_US = 30 * 1000 * 1000,
	WAIT_GRACE_US = 10 * 1000 * 1000,	/* the daemon keeps the time; this is for a daemon that does not */
	WATCH_MS = 1000,
};

/* ---- asking ------------------------------------------------------------------------------------------ */

bool write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t wrote = write(fd, p, n);

		if (wrote < 0 && (errno != EINTR || ctl_interrupted))
			return false;
		p += wrote > 0 ? wrote : 0;
		n -= wrote > 0 ? (size_t)wrote : 0;
	}
	return true;
}

void say(const struct buf *b)
{
	fwrite(b->p, 1, b->len, stdout);
}

static void print_list(FILE *to, const json_t *list)
{
	const json_t *line;
	size_t i;

	json_array_foreach(list, i, line) {
		struct buf safe = { 0 };
		const char *s = json_string_value(line) != NULL ? json_string_value(line) : "";

		buf_adds(&safe, "");
		text_tame(&safe, s, strlen(s));
		fprintf(to, "  %s\n", safe.p);
		buf_fini(&safe);
	}
}

static void on_error(struct asking *a, const json_t *object, const json_t *error)
{
	const char *s = json_string_value(json_object_get(error, "text"));
	struct buf safe = { 0 };

	buf_adds(&safe, "");
	text_tame(&safe, s != NULL ? s : "", s != NULL ? strlen(s) : 0);
	complain("%s", safe.p);
	a->c->error_told = true;
	buf_fini(&safe);
	print_list(stderr, json_object_get(object, "problems"));
	print_list(stderr, json_object_get(object, "pending"));
	a->rc = (int)json_integer_value(json_object_get(error, "exit"));
	if (a->rc <= 0 || a->rc > 255)
		a->rc = CTL_TROUBLE;
}

static bool on_line(void *arg, int status, const char *line)
{
	struct asking *a = arg;
	json_t *j = json_loads(line, 0, NULL), *error = json_object_get(j, "error");

	if (j == NULL) {
		complain("the daemon's answer is not JSON (HTTP status %d)", status);
		a->rc = CTL_TROUBLE;
		return false;
	}
	a->lines++;
	if (a->progress != NULL && json_object_get(j, "progress") != NULL) {
		a->progress(a, json_object_get(j, "progress"));
		json_decref(j);
		return true;
	}
	if (a->c->json)
		puts(line);
	if (a->c->json && json_object_get(j, "progress") != NULL)
		fflush(stdout);			/* whoever follows a pipe wants to know now, and gets what came before with it */
	if (error != NULL)
		on_error(a, j, error);
	else if (!a->c->json && a->show != NULL)
		a->show(a, j);
	if (error == NULL && a->judge != NULL)
		a->judge(a, j);
	json_decref(j);
	return true;
}

static bool on_bytes(void *arg, const char *p, size_t n)
{
	struct asking *a = arg;

	return a->bytes(a, p, n);
}

int64_t patience(const struct ctl *c, int64_t usual_us)
{
	return c->timeout_us != TIMEOUT_USUAL ? c->timeout_us : usual_us;
}

/* Takes params over. */
int order(struct asking *a, const char *command, json_t *params, int64_t silence_us)
{
	char *body = json_dumps(params, 0), *target = xasprintf("/v1/%s", command);
	struct exchange x = { .path = a->c->path, .method = "POST", .target = target, .body = body, .silence_us = silence_us,
			      .line = on_line, .bytes = a->bytes != NULL ? on_bytes : NULL, .arg = a };
	struct err why = { 0 };
	int rc = exchange_run(&x, &why);

	if (rc != CTL_OK)
		complain("%s", why.text);
	free(body);
	free(target);
	json_decref(params);
	return rc != CTL_OK ? rc : a->rc;
}

void set_text(json_t *params, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(params, name, json_string(value));
}

static bool number_parse(const char *s, json_int_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(s, &end, 10);
	if (errno == 0 && end != s && *end == '\0' && *out > 0)
		return true;
	complain("'%s' is not the number of a parked record; `crmsyncctl parked list` shows them", s);
	return false;
}

/* ---- status ------------------------------------------------------------------------------------------ */

static void show_status(struct asking *a, const json_t *j)
{
	struct buf out = { 0 };

	status_show(j, a->keep != NULL ? a->keep : &out, screen(false), a->c->color);
	if (a->keep == NULL)
		say(&out);
	buf_fini(&out);
}

/* Redraws in place, clearing what is left of each old line; what does not fit on the screen is left out. */
static void draw(const struct buf *page)
{
	size_t rows = screen(true) - 1, row = 0;

	fputs("\033[H", stdout);
	for (const char *line = page->len > 0 ? page->p : ""; *line != '\0' && row < rows; row++) {
		size_t n = strcspn(line, "\n");

		fwrite(line, 1, n, stdout);
		fputs("\033[K\n", stdout);
		line += n + (line[n] == '\n');
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

static void watch_show(const struct ctl *c, const struct buf *page, bool screen_mode)
{
	if (screen_mode) {
		draw(page);
	} else if (!c->json) {
		say(page);
		putchar('\n');
	}
	fflush(stdout);
}

static void watch_once(struct ctl *c, struct buf *page)
{
	struct asking a = { .c = c, .show = show_status, .keep = page };
	struct exchange x = { .path = c->path, .method = "POST", .target = "/v1/status", .body = "",
			      .silence_us = patience(c, SILENCE_US), .line = on_line, .arg = &a };
	struct err why = { 0 };

	buf_clear(page);
	if (exchange_run(&x, &why) == CTL_OK)
		return;
	buf_clear(page);
	if (c->json)
		complain("%s", why.text);
	else
		wrap_add(page, why.text, 0, screen(false));	/* it may come back: go on watching */
}

static int watch_status(struct ctl *c)
{
	bool screen_mode = isatty(STDOUT_FILENO) && !c->json;
	struct buf page = { 0 };

	if (screen_mode)
		fputs("\033[?1049h\033[?25l", stdout);		/* the other screen, no cursor */
	while (!ctl_interrupted && !ferror(stdout)) {
		watch_once(c, &page);
		if (ctl_interrupted)
			break;
		watch_show(c, &page, screen_mode);
		poll(NULL, 0, WATCH_MS);
	}
	if (screen_mode)
		fputs("\033[?25h\033[?1049l", stdout);
	buf_fini(&page);
	return ctl_interrupted ? CTL_INTERRUPTED : CTL_TROUBLE;
}

static int run_status(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_status };
	int rc;

	if (!c->watch)
		return order(&a, "status", json_object(), patience(c, SILENCE_US));
	/* The first look tells whether there is a daemon at all; only later ones are patient. */
	a.show = NULL;
	rc = c->json ? CTL_OK : order(&a, "status", json_object(), patience(c, SILENCE_US));
	return rc == CTL_OK ? watch_status(c) : rc;
}

/* ---- wait -------------------------------------------------------------------------------------------- */

static void show_settled(struct asking *a, const json_t *j)
{
	json_int_t parked = json_integer_value(json_object_get(j, "parked")), held = json_integer_value(json_object_get(j, "held"));

	printf("settled after %.1f s", json_number_value(json_object_get(j, "seconds")));
	if (parked > 0)
		printf("; %lld parked", (long long)parked);
	if (held > 0)
		printf("; %lld held", (long long)held);
	if (json_integer_value(json_object_get(j, "waiting")) > 0)
		printf("; %lld waiting for a decision", (long long)json_integer_value(json_object_get(j, "waiting")));
	putchar('\n');
}

static int run_wait(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_settled };
	int64_t timeout_us = patience(c, WAIT_US);
	json_t *params = json_object();
	struct buf text = { 0 };

	duration_print(&text, timeout_us);
	set_text(params, "timeout", text.p);
	buf_fini(&text);
	return order(&a, "wait", params, timeout_us + WAIT_GRACE_US);
}

/* ---- install, uninstall ------------------------------------------------------------------------------ */

static void show_installed(struct asking *a, const json_t *j)
{
	const char *sql = json_string_value(json_object_get(j, "sql"));

	if (sql != NULL)
		fputs(sql, stdout);		/* data: for psql, as it is */
	else
		printf("installed on %s\n", json_string_value(json_object_get(j, "endpoint")));
}

static int run_install(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_installed };
	json_t *params = json_object();

	set_text(params, "endpoint", args[0]);
	if (c->print)
		json_object_set_new(params, "print", json_true());
	return order(&a, "install", params, patience(c, SILENCE_INSTALL_US));
}

static void show_uninstalled(struct asking *a, const json_t *j)
{
	printf("removed from %s\n", json_string_value(json_object_get(j, "endpoint")));
}

static int run_uninstall(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_uninstalled };
	json_t *params = json_object();

	set_text(params, "endpoint", args[0]);
	return order(&a, "uninstall", params, patience(c, SILENCE_INSTALL_US));
}

/* ---- parked ------------------------------------------------------------------------------------------ */

void names_add(struct buf *out, const json_t *names)
{
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
		buf_addf(out, "%s%s", i == 0 ? "" : i + 1 == json_array_size(names) ? " and " : ", ", json_string_value(name));
}

/* "2026-03-01 12:00:00" */
void add_time(struct buf *out, const char *rfc3339)
{
	if (strlen(rfc3339) >= 19)
		buf_addf(out, "%.10s %.8s", rfc3339, rfc3339 + 11);
}

/*
 * #12 contact ann@example.org: not written to support (23514), 4 tries since 2026-03-01 12:00:00
 *     the check "phone_check" of the database refuses the row
 */
static void show_parked(struct asking *a, const json_t *j)
{
	struct buf line = { 0 }, out = { 0 };
	bool capture = strcmp(str(j, "direction"), "capture") == 0;

	buf_addf(&line, "#%lld %s %s: not %s %s", (long long)json_integer_value(json_object_get(j, "id")), str(j, "entity"),
		 str(j, "key")[0] != '\0' ? str(j, "key") : "(no key)", capture ? "taken from" : "written to", str(j, "endpoint"));
	buf_addf(&line, " (%s), tries: %lld, since ", str(j, "code"), (long long)json_integer_value(json_object_get(j, "tries")));
	add_time(&line, str(j, "since"));
	wrap_add(&out, line.p, 0, SIZE_MAX);
	buf_clear(&line);
	if (str(j, "field")[0] != '\0')
		buf_addf(&line, "%s: ", str(j, "field"));
	buf_adds(&line, str(j, "cause"));
	wrap_add(&out, line.p, 4, screen(false));
	say(&out);
	buf_fini(&line);
	buf_fini(&out);
}

static int run_parked_list(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_parked };
	json_t *params = json_object();

	set_text(params, "entity", c->entity);
	set_text(params, "endpoint", c->endpoint);
	set_text(params, "key", c->key);
	return order(&a, "parked/list", params, patience(c, SILENCE_US));
}

/* The same order for each number; the first that fails ends it. */
static int for_each_number(struct asking *a, const char *command, char **args, int n)
{
	for (int i = 0; i < n; i++) {
		json_t *params;
		json_int_t id;
		int rc;

		if (!number_parse(args[i], &id))
			return CTL_USAGE;
		params = json_object();
		json_object_set_new(params, "id", json_integer(id));
		rc = order(a, command, params, patience(a->c, SILENCE_US));
		if (rc != CTL_OK)
			return rc;
	}
	return CTL_OK;
}

static int run_parked_show(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_parked };

	return for_each_number(&a, "parked/show", args, n);
}

static void show_retried(struct asking *a, const json_t *j)
{
	json_int_t n = number(j, "retried"), resting = number(j, "resting");

	printf("%lld record%s tried again", (long long)n, n == 1 ? " is" : "s are");
	if (resting > 0)
		printf("; %lld of them not before the entity or endpoint, which rests, is resumed", (long long)resting);
	putchar('\n');
}

static int run_parked_retry(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_retried };
	json_t *params;

	if (n > 0 && c->entity != NULL) {
		complain("either numbers or --entity");
		return CTL_USAGE;
	}
	if (n > 0)
		return for_each_number(&a, "parked/retry", args, n);
	params = json_object();
	set_text(params, "entity", c->entity);
	return order(&a, "parked/retry", params, patience(c, SILENCE_US));
}

static void show_discarded(struct asking *a, const json_t *j)
{
	printf("#%lld discarded\n", (long long)json_integer_value(json_object_get(j, "id")));
}

static int run_parked_discard(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_discarded };

	return for_each_number(&a, "parked/discard", args, n);
}

/* ---- pause, resume, kick, reload, metrics ------------------------------------------------------------ */

static void show_paused(struct asking *a, const json_t *j)
{
	printf("%s %s\n", str(j, "name"), json_is_true(json_object_get(j, "paused")) ? "paused" : "goes on");
}

static int run_named(struct ctl *c, const char *command, const char *name)
{
	struct asking a = { .c = c, .show = show_paused };
	json_t *params = json_object();

	set_text(params, "name", name);
	return order(&a, command, params, patience(c, SILENCE_US));
}

static int run_pause(struct ctl *c, char **args, int n)
{
	return run_named(c, "pause", args[0]);
}

static int run_resume(struct ctl *c, char **args, int n)
{
	return run_named(c, "resume", args[0]);
}

static int run_kick(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c };
	json_t *params = json_object();

	if (c->sweep)
		json_object_set_new(params, "sweep", json_true());
	return order(&a, "kick", params, patience(c, SILENCE_US));
}

static void show_reloaded(struct asking *a, const json_t *j)
{
	const json_t *changes = json_object_get(j, "changes"), *kept = json_object_get(j, "kept");
	size_t n = json_array_size(changes);

	if (n == 0)
		puts("the topology was read again; nothing differs");
	else
		printf("the topology was read again; %zu setting%s\n", n, n == 1 ? " differs:" : "s differ:");
	print_list(stdout, changes);
	if (json_array_size(kept) > 0)
		complain("not everything could be had:");
	print_list(stderr, kept);
}

static int run_reload(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_reloaded };

	return order(&a, "reload", json_object(), patience(c, SILENCE_RELOAD_US));
}

static bool on_text_line(void *arg, int status, const char *line)
{
	struct asking *a = arg;

	if (status == 200) {
		puts(line);
	} else {
		complain("%s", line);
		a->rc = CTL_UNAVAILABLE;
	}
	return true;
}

static int run_metrics(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c };
	struct exchange x = { .path = c->path, .method = "GET", .target = "/metrics", .body = "",
			      .silence_us = patience(c, SILENCE_US), .line = on_text_line, .arg = &a };
	struct err why = { 0 };
	int rc;

	if (c->json)
		return order(&a, "metrics", json_object(), patience(c, SILENCE_US));
	rc = exchange_run(&x, &why);
	if (rc != CTL_OK)
		complain("%s", why.text);
	return rc != CTL_OK ? rc : a.rc;
}

/* ---- the table --------------------------------------------------------------------------------------- */

const struct ctl_command ctl_commands[] = {
	{ "status", "[--watch]", "w", 0, 0, run_status,
	  "Shows endpoints, links, entities: what is up, what lags and why. --watch redraws every second." },
	{ "wait", "[--timeout 30s]", "", 0, 0, run_wait,
	  "Returns as soon as all that was captured is settled everywhere; 75 when time is up, with what is pending." },
	{ "install", "ENDPOINT [--print]", "p", 1, 1, run_install,
	  "Creates the objects that `listen` capture needs there; --print only shows the statements." },
	{ "uninstall", "ENDPOINT", "", 1, 1, run_uninstall, "Removes what install created there; tables whose changes were told by it stop." },
	{ "parked list", "[--entity E] [--endpoint P] [--key K]", "eEk", 0, 0, run_parked_list,
	  "Lists the records that could not be read or applied, with cause." },
	{ "parked show", "NUMBER...", "", 1, 1000, run_parked_show, "Shows some of these records." },
	{ "parked retry", "[NUMBER...] [--entity E]", "e", 0, 1000, run_parked_retry, "Tries such records again: some, an entity's, or all." },
	{ "parked discard", "NUMBER...", "", 1, 1000, run_parked_discard, "Leaves such records different, until they change." },
	{ "held list", "[--entity E]", "e", 0, 0, run_held_list, "Lists the sets of deletes that limits.mass_delete holds." },
	{ "held show", "SET...", "", 1, 1000, run_held_show, "Shows the records of a set." },
	{ "held release", "SET...", "", 1, 1000, run_held_release,
	  "Carries the deletes of a set out; records whose row is back by now are left alone." },
	{ "held discard", "SET...", "", 1, 1000, run_held_discard, "Does not delete: brings the rows back where they are gone." },
	{ "conflicts", "[--entity E] [--since T] [--key K] [--waiting]", "eikW", 0, 0, run_conflicts,
	  "Shows the decisions as a table; with --key one record's story; with --waiting what waits for a person. "
	  "T is a time (RFC 3339) or a duration back (15m)." },
	{ "decide", "ENTITY KEY FIELD ENDPOINT | ENTITY KEY FIELD --value V | ENTITY KEY FIELD --null", "v0", 3, 4, run_decide,
	  "Settles what waits in a field: by the value that an endpoint shows, by a value of your own, or by NULL." },
	{ "plan", "ENTITY", "", 1, 1, run_plan,
	  "Finds out what a full reconcile would write where and why, without writing; with --json a line for each write and a sum." },
	{ "pause", "ENDPOINT|ENTITY", "", 1, 1, run_pause, "Lets an endpoint or an entity rest; what happens meanwhile is caught up on later." },
	{ "resume", "ENDPOINT|ENTITY", "", 1, 1, run_resume, "Lets an endpoint or an entity that rests go on." },
	{ "kick", "[--sweep]", "S", 0, 0, run_kick, "Looks at every endpoint now, tries those that are down; --sweep compares everything." },
	{ "reload", "", "", 0, 0, run_reload, "Reads the topology again: all of it or, when there is a mistake in it, nothing." },
	{ "metrics", "", "", 0, 0, run_metrics, "Prints the metrics as Prometheus text." },
	{ "backup", "FILE", "", 1, 1, run_backup,
	  "Writes what the daemon has last seen of all records, and its journal, as they are now, into FILE; work goes on meanwhile." },
	{ "restore", "FILE [--replace] [--other-topology]", "xT", 1, 1, run_restore,
	  "Puts a backup back, while no daemon runs. --replace gives up what Redis holds; the journal that is there is kept aside.", true },
	{ "migrate", "ENTITY --from A --to B [--strategy full|incremental|parallel] [--jobs N] [--onto merge|replace] [--rate N] [--max-load N] [--max-lag T]",
	  "FDyOJamg", 1, 1, run_migrate, "Brings an entity's rows from one endpoint to another; what was broken off goes on where it stopped. "
	  "--rate: rows a second. It waits while more than --max-load sessions of others (25) are at work at B's server, or a standby of it is "
	  "more than --max-lag (10s) behind." },
	{ "verify", "[ENTITY] [--depth counts|ranges|rows] [--html FILE]", "LH", 0, 1, run_verify,
	  "Compares the real rows of the endpoints; 1 when some differ. --depth counts only counts them, ranges reads only those which their "
	  "servers' hashes do not find equal. --html writes a report that a browser shows." },
	{ "repair", "[ENTITY] [--from P] [--dry-run]", "Fd", 0, 1, run_repair,
	  "Compares as verify does, and makes what differs agree by the entity's own rules, or as endpoint P shows it; 1 when some do not yet. "
	  "--dry-run only tells what it would write." },
	{ "history", "[--entity E] [--key K] [--run ID] [--since T] [--until T] [--source P] [--endpoint P] [--runs]", "ekriuoER", 0, 0, run_history,
	  "Shows what was there before each of our writes, newest first; with --runs in which runs they were made." },
	{ "undo", "--run ID | --since T | --entity E --key K [--until T] [--source P] [--endpoint P] [--rule R] [--dry-run]", "ekriuoEld", 0, 0,
	  run_undo, "Puts back what was there before, on every side, where nobody has changed it since; 1 when something was left alone." },
	{ NULL },
};
