/*
 * backup.c - `crmsyncctl backup` and `restore`.
 *
 * The daemon tells the bytes, and this program keeps them: so a backup lies where the operator may write, be the daemon confined as it
 * will, and belongs to the operator alone. It has its name only when its seal fits (new_file.h).
 *
 * No daemon runs when one is put back. What does it then is crmsyncd itself, with its topology and its secrets.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/seal.h"
#include "base/words.h"
#include "ctl/asking.h"
#include "ctl/new_file.h"

enum {
	PROGRESS_US = 500000,
	SILENCE_BACKUP_US = 600 * 1000 * 1000,	/* while a journal of many gigabytes is copied nothing comes */
};

/* ---- backup ------------------------------------------------------------------------------------------ */

struct saving {
	struct new_file file;
	int64_t bytes, began_us, drawn_us;
};

static void draw(struct saving *s)
{
	int64_t now = clock_mono_us();
	struct buf line = { 0 };

	if (now - s->drawn_us < PROGRESS_US)
		return;
	s->drawn_us = now;
	buf_addf(&line, "%s: ", s->file.path);
	bytes_add(&line, (double)s->bytes);
	progress_draw(line.p);
	buf_fini(&line);
}

static bool take_bytes(struct asking *a, const char *p, size_t n)
{
	struct saving *s = a->arg;

	s->bytes += (int64_t)n;
	if (!write_all(s->file.fd, p, n)) {
		a->rc = new_file_failed(&s->file, "be written");
		return false;
	}
	draw(s);
	return true;
}

/* What is on the disk is looked at, not what went through our hands. */
static int keep(struct ctl *c, struct saving *s, struct sealed *sealed)
{
	struct err e = { 0 };

	if (seal_check(s->file.fd, s->file.path, sealed, &e))
		return new_file_keep(&s->file);
	if (strcmp(e.code, SEAL_BROKEN_OFF) == 0) {
		complain("%s", e.text);
		c->error_code = SEAL_BROKEN_OFF;
		return CTL_AGAIN;
	}
	complain("the daemon broke the backup off: its log says why. %s", e.text);
	return CTL_TROUBLE;
}

static void tell_saved(const struct ctl *c, const struct saving *s, const struct sealed *sealed)
{
	struct buf size = { 0 };
	json_t *j;

	if (c->json) {
		j = json_pack("{s:i, s:s, s:I, s:I, s:I, s:f}", "schema", 1, "file", s->file.path, "bytes", (json_int_t)s->bytes, "records",
			      (json_int_t)sealed->numbers[0], "journal_bytes", (json_int_t)sealed->numbers[1], "seconds",
			      (double)(clock_mono_us() - s->began_us) / 1e6);
		if (j != NULL)
			json_dumpf(j, stdout, 0);
		putchar('\n');
		json_decref(j);
		return;
	}
	bytes_add(&size, (double)s->bytes);
	printf("%s: %lld records and the journal, %s\n", s->file.path, (long long)sealed->numbers[0], size.p);
	buf_fini(&size);
}

int run_backup(struct ctl *c, char **args, int n)
{
	struct saving s = { .began_us = clock_mono_us() };
	struct asking a = { .c = c, .bytes = take_bytes, .arg = &s };
	struct sealed sealed;
	int rc = new_file_make(&s.file, args[0]);

	if (rc != CTL_OK)
		return rc;
	rc = order(&a, "backup", json_object(), patience(c, SILENCE_BACKUP_US));
	progress_wipe();
	if (rc == CTL_OK)
		rc = keep(c, &s, &sealed);
	new_file_end(&s.file);
	if (rc == CTL_OK)
		tell_saved(c, &s, &sealed);
	return rc;
}

/* ---- restore ----------------------------------------------------------------------------------------- */

/* Beside this program, as it was built; else where it is installed. */
static char *find_daemon(void)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash, *beside;

	self[len > 0 ? len : 0] = '\0';
	slash = strrchr(self, '/');
	beside = slash != NULL ? xasprintf("%.*s/crmsyncd", (int)(slash - self), self) : xstrdup("");
	if (access(beside, X_OK) == 0)
		return beside;
	free(beside);
	return xstrdup(SBINDIR "/crmsyncd");
}

static void run_daemon(const struct ctl *c, const char *file, int out)
{
	const char *argv[8] = { "crmsyncd", "--restore", file };
	char *path = find_daemon();
	int n = 3;

	if (c->config != NULL) {
		argv[n++] = "--config";
		argv[n++] = c->config;
	}
	if (c->replace)
		argv[n++] = "--replace";
	if (c->other_topology)
		argv[n++] = "--other-topology";
	dup2(out, STDOUT_FILENO);
	execv(path, (char **)argv);
	complain("%s cannot be run: %s", path, strerror(errno));
	_exit(CTL_TROUBLE);
}

static void show_restored(const json_t *j)
{
	const char *aside = str(j, "journal_before");

	printf("restored: %lld records and the journal, as they were at ", (long long)number(j, "records"));
	printf("%s\n", str(j, "made"));
	if (aside[0] != '\0')
		printf("the journal that was there is now %s\n", aside);
	puts("start the daemon: it compares every row with that, and says so in its status");
}

/* What went wrong it has said on stderr, too. */
static int read_outcome(struct ctl *c, int fd)
{
	FILE *in = fdopen(fd, "r");
	json_t *j = in != NULL ? json_loadf(in, JSON_DISABLE_EOF_CHECK, NULL) : NULL;

	if (in != NULL)
		fclose(in);
	if (j == NULL && c->json)
		complain("crmsyncd does not tell what became of it; what it has to say is on standard error");
	if (j != NULL && c->json) {
		json_dumpf(j, stdout, 0);
		putchar('\n');
	}
	c->error_told = json_object_get(j, "error") != NULL;
	if (j != NULL && !c->json && !c->error_told)
		show_restored(j);
	json_decref(j);
	return j != NULL ? CTL_OK : CTL_TROUBLE;
}

int run_restore(struct ctl *c, char **args, int n)
{
	int pipes[2], status = 0, rc;
	pid_t child;

	if (pipe2(pipes, O_CLOEXEC) != 0 || (child = fork()) < 0) {
		complain("cannot start crmsyncd: %s", strerror(errno));
		return CTL_TROUBLE;
	}
	if (child == 0)
		run_daemon(c, args[0], pipes[1]);
	close(pipes[1]);
	rc = read_outcome(c, pipes[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		kill(child, SIGTERM);	/* Ctrl-C: it hears of it, too, and ends in good order */
	return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : WIFEXITED(status) ? rc : CTL_TROUBLE;
}
