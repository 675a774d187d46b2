/* check_ctl.c - crmsyncctl as a person or a script meets it: against a daemon of control/ over the fake sync. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "ctl/ctl.h"
#include "fake_sync.h"
#include "served.h"

static struct served s;

static void setup(void)
{
	memset(&s, 0, sizeof s);
	unsetenv("NO_COLOR");
	fake_sync_share();
}

static void teardown(void)
{
	if (s.pid != 0)
		served_stop(&s);
}

/* ---- running it --------------------------------------------------------------------------------------------------- */

enum { WORDS_MAX = 32 };

struct ran {
	int code;
	char *out, *err;
};

static const char *program(void)
{
	const char *path = getenv("CRMSYNCCTL");

	return path != NULL ? path : "./crmsyncctl";	/* tests run in the top build directory */
}

static char *contents(FILE *f)
{
	struct buf all = { 0 };
	size_t n;

	buf_adds(&all, "");
	rewind(f);
	while ((n = fread(buf_room(&all, 4096), 1, 4096, f)) > 0) {
		all.len += n;
		all.p[all.len] = '\0';
	}
	fclose(f);
	return buf_take(&all);
}

static struct ran run_words(char **words)
{
	FILE *out = tmpfile(), *err = tmpfile();
	struct ran r;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(err), STDERR_FILENO);
		execv(program(), words);
		_exit(99);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "it died of signal %d", WTERMSIG(status));
	r.code = WEXITSTATUS(status);
	ck_assert_int_ne(r.code, 99);
	r.out = contents(out);
	r.err = contents(err);
	return r;
}

/* crmsyncctl -s SOCKET word... NULL */
static struct ran ctl(const char *first, ...)
{
	const char *words[WORDS_MAX] = { "crmsyncctl", "-s", s.control, first };
	size_t n = 4;
	va_list ap;

	va_start(ap, first);
	while ((words[n] = va_arg(ap, const char *)) != NULL)
		n++;
	va_end(ap);
	return run_words((char **)(uintptr_t)words);
}

static void ran_fini(struct ran *r)
{
	free(r->out);
	free(r->err);
}

static void is(struct ran r, int code, const char *out, const char *err)
{
	ck_assert_msg(r.code == code, "exit code %d, not %d; stdout: %s stderr: %s", r.code, code, r.out, r.err);
	ck_assert_msg(out == NULL || strcmp(r.out, out) == 0, "stdout: '%s', not '%s'", r.out, out);
	ck_assert_msg(err == NULL ? r.err[0] == '\0' : strstr(r.err, err) != NULL, "stderr: '%s', not '%s'", r.err, err);
	ran_fini(&r);
}

/* ---- status ---------------------------------------------------------------------------------------------------------- */

static void fits(const char *text, size_t width)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		ck_assert_msg(utf8_count(text, n) <= width, "wider than %zu: %.*s", width, (int)n, text);
		text += n + (text[n] == '\n');
	}
}

START_TEST(status_begins_with_the_sentence_and_fits)
{
	struct ran r;

	fake->support_down = fake->surveying = true;
	fake->parked = 3;
	served_start(&s);
	r = ctl("status", NULL);
	ck_assert_int_eq(r.code, 0);
	ck_assert_msg(strncmp(r.out, "2 of 3 endpoints up; ", 21) == 0, "%s", r.out);
	fits(r.out, 80);
	ck_assert_ptr_nonnull(strstr(r.out, "PostgreSQL 15.18"));
	ck_assert_ptr_nonnull(strstr(r.out, " differs "));
	ck_assert_ptr_nonnull(strstr(r.out, "survey 43 %, 5.7 s left, "));
	ck_assert_ptr_nonnull(strstr(r.out, "\n  support: the server is shutting down (57P01); attempts failed: 3, next in 24 s\n"));
	ck_assert_msg(strstr(r.out, "contact on support:") == NULL, "said once, not for every entity");
	ck_assert_ptr_nonnull(strstr(r.out, "\n  contact on billing: the first comparison is not done\n"));
	ck_assert_ptr_nonnull(strstr(r.out, "4,000"));
	ck_assert_ptr_nonnull(strstr(r.out, "5 by last-writer-wins"));
	ck_assert_ptr_nonnull(strstr(r.out, "deletes are found by the sweep"));
	ck_assert_ptr_nonnull(strstr(r.out, "\nsupport  66.6 of 75 (50-75)  66.6 of 75 (50-75)  66.6 of 75 (50-75)\n"));
	ck_assert_ptr_nonnull(strstr(r.out, "\ncontact on support  33.3 of 75 (25-50) "));
	ck_assert_ptr_nonnull(strstr(r.out, "\n  within 5 s        100 of 75 (75-100) "));
	ck_assert_ptr_nonnull(strstr(r.out, "\naccount on sales    - "));
	ck_assert_msg(strchr(r.out, '\033') == NULL, "no colour into a file");
	ck_assert_str_eq(r.err, "");
	ran_fini(&r);
}
END_TEST

static void status_says(const char *what, bool said)
{
	struct ran r = ctl("status", NULL);

	fits(r.out, 80);
	ck_assert_msg((strstr(r.out, what) != NULL) == said, "'%s' %s in: %s", what, said ? "is not" : "is", r.out);
	ran_fini(&r);
}

START_TEST(status_shows_jobs_while_there_are_any)
{
	served_start(&s);
	status_says("JOB", false);
	fake->verifying = true;
	status_says("\nverify contact  schedule  10 s  reads the rows at sales: 60 %, ", true);
}
END_TEST

START_TEST(status_speaks_of_the_books_only_when_they_do_not_balance)
{
	served_start(&s);
	status_says("the books", false);
	fake->unbalanced = true;
	status_says("the books of account", false);
	status_says("the books of contact do not balance: of 46 captured changes 30", true);
}
END_TEST

START_TEST(status_speaks_of_what_verify_found_while_it_differs)
{
	served_start(&s);
	status_says("differ", false);
	fake->differed[1] = 3;
	status_says("  contact: 3 of 2,000 records differ, as verify found ", true);
	status_says("repair account", false);
}
END_TEST

START_TEST(status_as_json_is_the_object_of_the_stats_socket)
{
	struct answer a;
	struct ran r;
	json_t *one, *other;

	served_start(&s);
	r = ctl("status", "--json", NULL);
	ck_assert_int_eq(r.code, 0);
	a = ask(s.stats, "GET", "/status", "");
	one = json_loads(r.out, 0, NULL);
	other = json_loads(a.body, 0, NULL);
	ck_assert_ptr_nonnull(one);
	ck_assert_int_eq(json_object_size(one), json_object_size(other));
	ck_assert_int_eq(json_integer_value(json_object_get(one, "schema")), 1);
	ck_assert_msg(strchr(r.out, '\n') == r.out + strlen(r.out) - 1, "one line");
	json_decref(one);
	json_decref(other);
	answer_fini(&a);
	ran_fini(&r);
}
END_TEST

/* What it writes on a terminal until it has drawn `draws` times and Ctrl-C was typed. */
static char *on_terminal(int draws, int *status, char *const *words)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	struct buf all = { 0 };
	bool typed = false;
	int fd;
	pid_t pid;

	fflush(NULL);
	pid = forkpty(&fd, NULL, NULL, &size);
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		execv(program(), words);
		_exit(99);
	}
	buf_adds(&all, "");
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char piece[4096];
		ssize_t n;
		int seen = 0;

		ck_assert_msg(poll(&p, 1, 10000) == 1, "it says nothing: %s", all.p);
		n = read(fd, piece, sizeof piece);
		if (n <= 0)
			break;
		buf_add(&all, piece, (size_t)n);
		for (const char *q = all.p; (q = strstr(q, "\033[J")) != NULL; q++)
			seen++;
		if (!typed && draws > 0 && seen >= draws) {
			typed = true;
			ck_assert_int_eq(write(fd, "\003", 1), 1);
		}
	}
	close(fd);
	ck_assert_int_eq(waitpid(pid, status, 0), pid);
	return buf_take(&all);
}

START_TEST(watch_redraws_and_gives_the_screen_back)
{
	char *const words[] = { (char *)"crmsyncctl", (char *)"-s", s.control, (char *)"status", (char *)"--watch", NULL };
	int status;
	char *all;

	served_start(&s);
	all = on_terminal(2, &status, words);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 130, "status %x", (unsigned)status);
	ck_assert_ptr_nonnull(strstr(all, "\033[?1049h"));
	ck_assert_msg(strstr(all, "\033[32mup") != NULL, "in colour");
	ck_assert_msg(strstr(all, "\033[?25h\033[?1049l") != NULL, "the cursor and the screen come back");
	free(all);
}
END_TEST

START_TEST(colour_only_where_it_is_wanted)
{
	char *const words[] = { (char *)"crmsyncctl", (char *)"-s", s.control, (char *)"status", NULL };
	char *const without[] = { (char *)"crmsyncctl", (char *)"--no-color", (char *)"-s", s.control, (char *)"status", NULL };
	int status;
	char *all;

	served_start(&s);
	all = on_terminal(0, &status, words);
	ck_assert_ptr_nonnull(strstr(all, "\033[32m"));
	free(all);
	all = on_terminal(0, &status, without);
	ck_assert_ptr_null(strstr(all, "\033["));
	free(all);
	setenv("NO_COLOR", "1", 1);
	all = on_terminal(0, &status, words);
	ck_assert_ptr_null(strstr(all, "\033["));
	ck_assert_ptr_nonnull(strstr(all, "3 of 3 endpoints up"));
	free(all);
}
END_TEST

/* ---- the other commands -------------------------------------------------------------------------------------------------- */

START_TEST(wait_has_its_exit_codes)
{
	struct ran r;

	fake->settle_ms = 10;
	fake->parked = 3;
	served_start(&s);
	r = ctl("wait", NULL);
	ck_assert_int_eq(r.code, 0);
	ck_assert_ptr_nonnull(strstr(r.out, "; 3 parked; 2 held\n"));
	ran_fini(&r);
	fake->settle_ms = -1;
	r = ctl("wait", "--timeout", "100ms", NULL);
	ck_assert_int_eq(r.code, 75);
	ck_assert_str_eq(r.out, "");
	ck_assert_ptr_nonnull(strstr(r.err, "  contact: 12 records owed to support\n  support is down\n"));
	ran_fini(&r);
	is(ctl("wait", "--timeout", "soon", NULL), 64, "", "duration");
	is(ctl("wait", "--timeout", "0s", NULL), 75, "", "support is down");
	fake->settle_ms = 1;
	is(ctl("wait", "--timeout", "0s", NULL), 0, NULL, NULL);
}
END_TEST

START_TEST(interrupted_is_130_and_the_daemon_hears_of_it)
{
	const char *words[] = { "crmsyncctl", "-s", s.control, "wait", "--timeout", "1h", NULL };
	int status;
	pid_t pid;

	fake->settle_ms = -1;
	served_start(&s);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		execv(program(), (char **)(uintptr_t)words);
		_exit(99);
	}
	await(&fake->waits, 1);
	kill(pid, SIGINT);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 130, "status %x", (unsigned)status);
	await(&fake->cancels, 1);
}
END_TEST

START_TEST(install_prints_sql_as_it_is)
{
	served_start(&s);
	is(ctl("install", "sales", "--print", NULL), 0, "CREATE SCHEMA crmsync;\nSELECT 'a \\ \"quote\"';\n", NULL);
	is(ctl("install", "sales", NULL), 0, "installed on sales\n", NULL);
	is(ctl("uninstall", "sales", NULL), 0, "removed from sales\n", NULL);
	is(ctl("install", "slaes", NULL), 64, "", "did you mean 'sales'?");
	is(ctl("install", NULL), 64, "", "usage: crmsyncctl install ENDPOINT");
	fake->refuse_install = true;
	is(ctl("install", "sales", NULL), 77, "", "permission denied");
}
END_TEST

START_TEST(parked_records_in_words_and_as_json)
{
	struct ran r;
	size_t n = 0;

	s.parked = 450;
	served_start(&s);
	r = ctl("parked", NULL);
	ck_assert_int_eq(r.code, 0);
	ck_assert_msg(strncmp(r.out, "#1 contact p1@example.org: not written to support (23514), tries: 1, since 2026-03-01 12:00:00\n"
			      "    phone: the check \"people_phone_check\" of the database refuses the row; it\n    wants", 180) == 0,
		      "%.300s", r.out);
	ck_assert_ptr_nonnull(strstr(r.out, "#450 "));
	ran_fini(&r);
	r = ctl("parked", "list", "--endpoint", "billing", "--json", NULL);
	for (char *line = strtok(r.out, "\n"); line != NULL; line = strtok(NULL, "\n"), n++) {
		json_t *j = json_loads(line, 0, NULL);

		ck_assert_int_eq(json_integer_value(json_object_get(j, "schema")), 1);
		json_decref(j);
	}
	ck_assert_uint_eq(n, 150);
	ran_fini(&r);
	r = ctl("parked", "show", "2", "3", NULL);
	ck_assert_int_eq(r.code, 0);
	ck_assert_ptr_nonnull(strstr(r.out, "\n#3 contact"));
	ran_fini(&r);
	is(ctl("parked", "show", "x", NULL), 64, "", "not the number");
	is(ctl("parked", "show", "999", NULL), 64, "", "999");
	is(ctl("parked", "retry", NULL), 0, "450 records are tried again\n", NULL);
	is(ctl("parked", "retry", "7", NULL), 0, "1 record is tried again\n", NULL);
	is(ctl("parked", "retry", "3", NULL), 0, "1 record is tried again; 1 of them not before the entity or endpoint, which rests, is resumed\n", NULL);
	is(ctl("parked", "discard", "2", "3", NULL), 0, "#2 discarded\n#3 discarded\n", NULL);
	is(ctl("parked", "discard", NULL), 64, "", "usage: crmsyncctl parked discard NUMBER...");
	is(ctl("parked", "lsit", NULL), 64, "", "did you mean 'parked list'?");
}
END_TEST

START_TEST(what_waits_is_shown_and_decided)
{
	s.waiting = 1;
	served_start(&s);
	is(ctl("conflicts", "--waiting", NULL), 0, "contact ann@example.org, phone: sales \"+2\", support \"+3\", billing \"+1\" (since 1970-01-01 00:00:01)\n", "");
	is(ctl("decide", "contact", "ann@example.org", "phone", "support", NULL), 0, "contact ann@example.org, phone: decided; it is written to all sides now\n", "");
	ck_assert_str_eq(fake->decided, "contact/ann@example.org/phone: support -");
	is(ctl("decide", "contact", "ann@example.org", "phone", "--null", NULL), 0, "contact ann@example.org, phone: decided; it is written to all sides now\n", "");
	ck_assert_str_eq(fake->decided, "contact/ann@example.org/phone: - -");
	is(ctl("decide", "contact", "ann\n\033[1m", "phone", "--null", NULL), 0, "contact ann\\n\\u001b[1m, phone: decided; it is written to all sides now\n", "");
	is(ctl("decide", "contact", "ann@example.org", "phone", NULL), 64, "", "says what stands");
	is(ctl("decide", "contact", "joe@example.org", "phone", "--value", "x", NULL), 64, "", "nothing waits");
}
END_TEST

START_TEST(what_is_brought_over_is_told)
{
	const char *const to[] = { "--from", "sales", "--to", "support" };

	served_start(&s);
	is(ctl("migrate", "contact", to[0], to[1], to[2], to[3], NULL), 0,
	   "contact: 2 rows of sales looked at, 1 inserted at support, 0 rejected, 1 values\n"
	   "cleaned; in 2.0 s, data volume 2.0 KiB; data rate 1.0 KiB/s; throughput 4.0\nKiB/s\n", "");
	is(ctl("migrate", "contact", to[0], to[1], to[2], to[3], "--strategy", "parallel", "--jobs", "8", "--onto", "replace", NULL), 1,
	   "contact: 16 rows of sales looked at, 1 inserted at support, 1 rejected, 1 values\n"
	   "cleaned; in 2.0 s, data volume 2.0 KiB; data rate 1.0 KiB/s; throughput 4.0\n"
	   "KiB/s. Rows that only support has were left there: some of sales cannot be\ntaken, and may be the same\n", "");
	is(ctl("migrate", "contact", to[0], to[1], to[2], to[3], "--rate", "10", NULL), 0, NULL,
	   "contact: 2.0 KiB/s, fills the table at support: 50 %, 60 s left, 10 rows/s (waits: as fast as --rate allows)\n");
	is(ctl("migrate", "contact", to[0], to[1], to[2], to[3], "--rate", "10", "--max-load", "7", "--max-lag", "500ms", "--strategy", "parallel", NULL),
	   0, NULL, "rows/s (waits: support is busy)\n  part 1: writes: 25 %, 5 rows/s\n  part 2: done, 500 rows\n");
	is(ctl("migrate", "contact", to[0], to[1], to[2], to[3], "--max-load", "-1", NULL), 64, "", "--max-load: '-1' is not a whole number from 0");
	is(ctl("migrate", "contact", to[0], to[1], to[2], to[3], "--max-lag", "soon", NULL), 64, "", "max_lag: 'soon' is not a duration");
	is(ctl("migrate", "account", to[0], to[1], to[2], to[3], NULL), 64, "", "account at support is not empty");
	is(ctl("migrate", "contact", to[0], to[1], to[2], to[3], "--onto", "top", NULL), 64, "", "'top' is not merge or replace");
	is(ctl("migrate", "contact", to[0], to[1], to[2], to[3], "--jobs", "2", NULL), 64, "", "strategy parallel");
	is(ctl("migrate", "contact", "--from", "sales", "--to", "suport", NULL), 64, "", "did you mean 'support'?");
	is(ctl("migrate", "contact", "--from", "sales", NULL), 64, "", "--from ENDPOINT --to ENDPOINT");
}
END_TEST

START_TEST(what_is_undone_is_told)
{
	served_start(&s);
	is(ctl("undo", "--run", "17", NULL), 0, "1 record restored, 0 left alone; crmsyncctl undo --run 18 undoes that\n", "");
	is(ctl("undo", "--run", "16", NULL), 1, "contact ann@example.org: phone is left alone: it was changed since\n"
	   "1 record restored, 1 left alone; crmsyncctl undo --run 18 undoes that\n", "");
	is(ctl("undo", NULL), 64, "", "undo what?");
	is(ctl("undo", "--entity", "contact", NULL), 64, "", "undo what?");
	is(ctl("undo", "--run", "x", NULL), 64, "", "not the number of a run");
	is(ctl("undo", "--run", "4711", NULL), 64, "", "there is no run 4711");
	is(ctl("history", "--run", "4711", NULL), 64, "", "there is no run 4711");
	is(ctl("undo", "--since", "yesterday", NULL), 64, "", "duration");
	is(ctl("undo", "--entity", "cantact", "--key", "ann", NULL), 64, "", "contact");
	is(ctl("undo", "--run", "17", "--source", "slaes", NULL), 64, "", "there is no source 'slaes'; there are sales, support, billing, (undo), (operator)");
	is(ctl("history", "--source", "nobody", NULL), 64, "", "there is no source 'nobody'");
	is(ctl("history", "--source", "(operator)", NULL), 0, "", "");
	is(ctl("undo", "--run", "17", "--rule", "newest", NULL), 64, "", "there is no rule 'newest'; there are last-writer-wins, source-priority, ");
	is(ctl("undo", "--run", "17", "--rule", "update-wins", NULL), 0, NULL, "");
	is(ctl("history", NULL), 0, "", "");
	is(ctl("history", "--runs", "--source", "sales", NULL), 0, "", "");
}
END_TEST

static size_t files_in(const char *directory)
{
	DIR *d = opendir(directory);
	size_t n = 0;

	for (const struct dirent *entry; (entry = readdir(d)) != NULL;)
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}

START_TEST(a_backup_gets_its_name_when_it_is_whole)
{
	char directory[] = "/tmp/check_ctl.XXXXXX";
	struct stat st;
	char *file;
	struct ran r;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	file = xasprintf("%s/state", directory);
	served_start(&s);
	fake->break_backup = true;
	is(ctl("backup", file, NULL), 2, "", "the daemon broke the backup off");
	fake->redis_down = true;
	is(ctl("backup", file, NULL), 75, "", "not at hand just now");
	ck_assert_uint_eq(files_in(directory), 0);
	fake->break_backup = fake->redis_down = false;
	r = ctl("backup", file, NULL);
	ck_assert_msg(r.code == 0 && strstr(r.out, ": 7 records and the journal, ") != NULL, "%d %s%s", r.code, r.out, r.err);
	ran_fini(&r);
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	r = ctl("backup", "--json", file, NULL);	/* in the place of the one before */
	ck_assert_msg(r.code == 0 && strstr(r.out, "\"records\": 7, \"journal_bytes\": 8, ") != NULL, "%d %s%s", r.code, r.out, r.err);
	ran_fini(&r);
	ck_assert_uint_eq(files_in(directory), 1);
	is(ctl("backup", "/nowhere/state", NULL), 2, "", "/nowhere/state: cannot be made: No such file");
	unlink(file);
	rmdir(directory);
	free(file);
}
END_TEST

START_TEST(conflicts_show_every_side)
{
	struct ran r;

	s.decisions = 3;
	served_start(&s);
	r = ctl("conflicts", "--key", "p2@example.org", NULL);
	ck_assert_int_eq(r.code, 0);
	ck_assert_str_eq(r.out, "1 Mar 2026 12:00:00, contact p2@example.org, phone:\n"
			 "    It was \"+49 0\" before. sales changed it to \"+49 1 \"x\"\" on 1 Mar 2026\n"
			 "    12:00:00; support deleted the record on 1 Mar 2026 11:58:20.\n"
			 "    last-writer-wins: sales's is younger by 100 s, so it stands. It was written\n"
			 "    to support.\n");
	ran_fini(&r);
	r = ctl("conflicts", NULL);
	ck_assert_int_eq(r.code, 0);
	ck_assert_ptr_nonnull(strstr(r.out, "STANDS"));
	ck_assert_ptr_nonnull(strstr(r.out, "support (delete)"));
	ran_fini(&r);
	is(ctl("conflicts", "--since", "yesterday", NULL), 64, "", "duration");
}
END_TEST

START_TEST(orders_reach_the_daemon)
{
	struct ran r;

	served_start(&s);
	is(ctl("pause", "support", NULL), 0, "support paused\n", NULL);
	ck_assert_str_eq(fake->paused, "support");
	is(ctl("resume", "support", NULL), 0, "support goes on\n", NULL);
	is(ctl("kick", NULL), 0, "", NULL);
	is(ctl("kick", "--sweep", NULL), 0, "", NULL);
	ck_assert_int_eq(fake->sweeps, 1);
	is(ctl("reload", NULL), 0, "the topology was read again; nothing differs\n", NULL);
	is(ctl("reload", NULL), 0, "the topology was read again; 2 settings differ:\n"
	   "  journal.keep: 30d -> 10d\n  + stats.listen: localhost:1\n", NULL);
	fake->refuse_reload = true;
	r = ctl("reload", NULL);
	ck_assert_int_eq(r.code, 78);
	ck_assert_ptr_nonnull(strstr(r.err, "\n  acme.yaml:3:1: endpoints: missing\n  acme.yaml:9:2: "));
	ran_fini(&r);
	r = ctl("reload", "--json", NULL);
	ck_assert_int_eq(r.code, 78);
	ck_assert_ptr_nonnull(strstr(r.out, "\"exit\": 78"));
	ran_fini(&r);
}
END_TEST

START_TEST(metrics_are_passed_through)
{
	struct ran r;

	served_start(&s);
	r = ctl("metrics", NULL);
	ck_assert_int_eq(r.code, 0);
	ck_assert_msg(strncmp(r.out, "# HELP crmsyncd_endpoint_up ", 28) == 0, "%.50s", r.out);
	ran_fini(&r);
	r = ctl("metrics", "--json", NULL);
	ck_assert_msg(strncmp(r.out, "{\"schema\": 1, \"name\": \"crmsyncd_endpoint_up\"", 44) == 0, "%.50s", r.out);
	ran_fini(&r);
}
END_TEST

/* ---- without a daemon, with the wrong words ---------------------------------------------------------------------------------- */

START_TEST(without_a_daemon_it_says_what_to_do)
{
	strcpy(s.control, "/nonexistent/control.sock");
	is(ctl("status", NULL), 69, "", "no daemon answers at /nonexistent/control.sock (No such file or directory): is crmsyncd running");
	is(ctl("status", "--watch", NULL), 69, "", "no daemon answers");
}
END_TEST

START_TEST(with_json_what_it_finds_wrong_itself_is_an_object_too)
{
	static const char *const nobody[] = { "crmsyncctl", "-c", "no/such", "status", "--json", NULL };

	strcpy(s.control, "/nonexistent/\377.sock");
	is(ctl("wait", "--json", NULL), 69, "{\"schema\": 1, \"error\": {\"code\": \"unavailable\", \"text\": "
	   "\"no daemon answers at /nonexistent/\xef\xbf\xbd.sock (No such file or directory): is crmsyncd running (systemctl status crmsyncd)? "
	   "-s or -c names another socket\", \"exit\": 69}}\n", "no daemon answers");
	is(ctl("wiat", "--json", NULL), 64, "{\"schema\": 1, \"error\": {\"code\": \"usage\", \"text\": "
	   "\"there is no command 'wiat'; did you mean 'wait'?\", \"exit\": 64}}\n", "did you mean 'wait'?");
	is(ctl("wait", "--color", "--json", NULL), 64, "{\"schema\": 1, \"error\": {\"code\": \"usage\", \"text\": "
	   "\"an option is not known, or lacks its value; crmsyncctl --help lists them\", \"exit\": 64}}\n", "unrecognized");
	is(run_words((char **)(uintptr_t)nobody), 78, "{\"schema\": 1, \"error\": {\"code\": \"config\", \"text\": "
	   "\"no/such: cannot be read: No such file or directory; -c names another one, and crmsyncd.yaml.sample is one to begin with\", "
	   "\"exit\": 78}}\n", "cannot be read");
	is(ctl("wait", NULL), 69, "", "no daemon answers");
}
END_TEST

START_TEST(wrong_usage_is_wrong_without_a_daemon_too)
{
	strcpy(s.control, "/nonexistent/control.sock");
	is(ctl("undo", NULL), 64, "", "undo what?");
	is(ctl("undo", "--since", "yesterday", NULL), 64, "", "--since: 'yesterday' is neither a time");
	is(ctl("migrate", "x", "--from", "a", "--to", "b", "--strategy", "zap", NULL), 64, "", "'zap' is not full, incremental or parallel");
	is(ctl("verify", "--depth", "deep", NULL), 64, "", "'deep' is not counts, ranges or rows");
	is(ctl("history", "--until", "noon", NULL), 64, "", "--until: 'noon' is neither a time");
	is(ctl("decide", "contact", "--key", "name", "a", NULL), 64, "", "--key belongs to other commands than decide");
	is(ctl("decide", "contact", "--ann", "name", "a", NULL), 64, "", "before a word that begins with - put --");
	is(ctl("decide", "contact", "--", "--ann", "name", "a", NULL), 69, "", "no daemon answers");
	is(ctl("decide", "contact", "--value", "x", "--", "--ann", "name", NULL), 69, "", "no daemon answers");
}
END_TEST

START_TEST(a_socket_that_may_not_be_used_is_77)
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		return;
	served_start(&s);
	ck_assert_int_eq(chmod(s.dir, 0755), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (setresuid(65534, 65534, 65534) != 0)
			_exit(98);
		freopen("/dev/null", "w", stderr);
		execl(program(), "crmsyncctl", "-s", s.control, "status", NULL);
		_exit(errno == EACCES ? 77 : 99);	/* the build directory may be closed to others */
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 77, "status %x", (unsigned)status);
}
END_TEST

START_TEST(a_daemon_that_hangs_up_is_unavailable)
{
	served_start(&s);
	fake->settle_ms = -1;
	{
		const char *words[] = { "crmsyncctl", "-s", s.control, "wait", NULL };
		int status;
		pid_t pid;

		fflush(NULL);
		pid = fork();
		if (pid == 0) {
			freopen("/dev/null", "w", stderr);
			execv(program(), (char **)(uintptr_t)words);
			_exit(99);
		}
		await(&fake->waits, 1);
		kill(s.pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 69, "status %x", (unsigned)status);
	}
	waitpid(s.pid, NULL, 0);
	s.pid = 0;
	unlink(s.control);
	unlink(s.stats);
	rmdir(s.dir);
}
END_TEST

START_TEST(wrong_words_are_64_with_a_hint)
{
	strcpy(s.control, "/nonexistent/control.sock");
	is(ctl("stauts", NULL), 64, "", "did you mean 'status'?");
	is(ctl("xyzzy", NULL), 64, "", "there is no command 'xyzzy'; --help lists them\n");
	is(ctl("status", "now", NULL), 64, "", "usage: crmsyncctl status [--watch]");
	is(ctl("status", "--print", NULL), 64, "", "--print belongs to other commands");
	is(ctl("status", "--frob", NULL), 64, "", "--help");
	is(ctl("migrate", "contact", "--from", "sales", "--to", "support", "--jobs", "three", NULL), 64, "", "--jobs: 'three' is not a whole number");
	is(ctl("--help", NULL), 0, NULL, NULL);
	is(ctl("-V", NULL), 0, NULL, NULL);
	is(ctl("wait", "--help", NULL), 0, NULL, NULL);
}
END_TEST

START_TEST(a_full_disk_is_noticed)
{
	int status;
	pid_t pid;

	served_start(&s);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		freopen("/dev/full", "w", stdout);
		freopen("/dev/null", "w", stderr);
		execl(program(), "crmsyncctl", "-s", s.control, "status", NULL);
		_exit(99);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 2, "status %x", (unsigned)status);
}
END_TEST

START_TEST(the_socket_is_found_by_the_topology_file)
{
	const char *words[] = { "crmsyncctl", "-c", NULL, "pause", "sales", NULL };
	char *file;
	FILE *f;

	served_start(&s);
	file = xasprintf("%s/t.yaml", s.dir);
	f = fopen(file, "w");
	fprintf(f, "version: 1\nstats:\n  socket: /nowhere\ncontrol:\n  # here\n  socket: '%s'\nendpoints:\n", s.control);
	fclose(f);
	words[2] = file;
	is(run_words((char **)(uintptr_t)words), 0, "sales paused\n", NULL);
	unlink(file);
	is(run_words((char **)(uintptr_t)words), 78, "", "cannot be read");
	free(file);
}
END_TEST

/* ---- completion ------------------------------------------------------------------------------------------------------- */

/* crmsyncctl --complete -- -s SOCKET word... NULL; what it offers, a blank behind each. */
static void offers(const char *wanted, ...)
{
	const char *words[WORDS_MAX] = { "crmsyncctl", "--complete", "--", "-s", s.control };
	struct ran r;
	size_t n = 5;
	va_list ap;

	va_start(ap, wanted);
	while ((words[n] = va_arg(ap, const char *)) != NULL)
		n++;
	va_end(ap);
	r = run_words((char **)(uintptr_t)words);
	for (char *p = r.out; *p != '\0'; p++)
		if (*p == '\n')
			*p = ' ';
	is(r, 0, wanted, NULL);
}

START_TEST(completion_knows_commands_options_and_asks_for_names)
{
	s.parked = 12;
	served_start(&s);
	offers("parked pause ", "pa", NULL);
	offers("list show retry discard ", "parked", "", NULL);
	offers("release ", "held", "r", NULL);
	offers("", "frobnicate", "", NULL);
	offers("account ", "plan", "a", NULL);
	offers("account ", "migrate", "a", NULL);
	offers("support ", "migrate", "account", "--to", "su", NULL);
	offers("full incremental parallel ", "migrate", "account", "--strategy", "", NULL);
	offers("replace ", "migrate", "account", "--onto", "=", "r", NULL);
	offers("--entity --endpoint ", "parked", "list", "--e", NULL);
	offers("--print ", "install", "sales", "--pr", NULL);
	offers("", "status", "--pr", NULL);
	offers("sales support billing ", "install", "", NULL);
	offers("", "install", "sales", "", NULL);
	offers("sales support billing account contact ", "pause", "", NULL);
	offers("contact ", "conflicts", "--entity", "c", NULL);
	offers("contact ", "conflicts", "--entity", "=", "c", NULL);
	offers("account contact ", "conflicts", "--entity", "=", NULL);
	offers("support ", "parked", "list", "--endpoint", "su", NULL);
	offers("", "conflicts", "--key", "", NULL);
	offers("", "--config", "", NULL);
	offers("1 10 11 12 ", "parked", "show", "1", NULL);
	offers("10 12 ", "parked", "show", "11", "1", "1", NULL);
	offers("status ", "--json", "--timeout", "30s", "stat", NULL);
}
END_TEST

START_TEST(completion_without_a_daemon_offers_what_it_knows)
{
	static const char *const names[] = { "crmsyncctl", "--complete", "--", "-s", "/nowhere/control.sock", "pause", "", NULL };
	static const char *const commands[] = { "crmsyncctl", "--complete", "--", "-s", "/nowhere/control.sock", "pau", NULL };
	static const char *const wrong[] = { "crmsyncctl", "--complete", NULL };

	is(run_words((char **)(uintptr_t)names), 0, "", "no daemon");
	is(run_words((char **)(uintptr_t)commands), 0, "pause\n", NULL);
	is(run_words((char **)(uintptr_t)wrong), 64, "", "unrecognized");
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("ctl");
	TCase *t = tcase_create("ctl");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, status_begins_with_the_sentence_and_fits);
	tcase_add_test(t, status_shows_jobs_while_there_are_any);
	tcase_add_test(t, status_speaks_of_the_books_only_when_they_do_not_balance);
	tcase_add_test(t, status_speaks_of_what_verify_found_while_it_differs);
	tcase_add_test(t, status_as_json_is_the_object_of_the_stats_socket);
	tcase_add_test(t, watch_redraws_and_gives_the_screen_back);
	tcase_add_test(t, colour_only_where_it_is_wanted);
	tcase_add_test(t, wait_has_its_exit_codes);
	tcase_add_test(t, interrupted_is_130_and_the_daemon_hears_of_it);
	tcase_add_test(t, install_prints_sql_as_it_is);
	tcase_add_test(t, parked_records_in_words_and_as_json);
	tcase_add_test(t, what_waits_is_shown_and_decided);
	tcase_add_test(t, what_is_brought_over_is_told);
	tcase_add_test(t, what_is_undone_is_told);
	tcase_add_test(t, a_backup_gets_its_name_when_it_is_whole);
	tcase_add_test(t, conflicts_show_every_side);
	tcase_add_test(t, orders_reach_the_daemon);
	tcase_add_test(t, metrics_are_passed_through);
	tcase_add_test(t, without_a_daemon_it_says_what_to_do);
	tcase_add_test(t, with_json_what_it_finds_wrong_itself_is_an_object_too);
	tcase_add_test(t, wrong_usage_is_wrong_without_a_daemon_too);
	tcase_add_test(t, a_socket_that_may_not_be_used_is_77);
	tcase_add_test(t, a_daemon_that_hangs_up_is_unavailable);
	tcase_add_test(t, wrong_words_are_64_with_a_hint);
	tcase_add_test(t, a_full_disk_is_noticed);
	tcase_add_test(t, the_socket_is_found_by_the_topology_file);
	tcase_add_test(t, completion_knows_commands_options_and_asks_for_names);
	tcase_add_test(t, completion_without_a_daemon_offers_what_it_knows);
	suite_add_tcase(all, t);
	return all;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
