/*
 * backup.c - `crmsyncctl backup` and `restore`.
 *
 * The daemon tells the bytes, and this program keeps them: so a backup lies where the operator may write, be the daemon confined as it
 * will, and belongs to the operator alone. It has its name only when all of it is on the disk and its seal fits.
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

enum {
	PROGRESS_US = 500000,
	SILENCE_BACKUP_US = 600 * 1000 * 1000,	/* while a journal of many gigabytes is copied nothing comes */
};

/* ---- backup ------------------------------------------------------------------------------------------ */

struct saving {
	const char *file;
	char *path;			/* owned; while it is not whole */
	int fd;
	int64_t bytes, began_us, drawn_us;
	bool failed;			/* and was said */
};

static int failed(struct saving *s, const char *doing)
{
	s->failed = true;
	complain("%s: cannot %s: %s", s->file, doing, strerror(errno));
	return errno == EACCES || errno == EPERM ? CTL_NOT_PERMITTED : CTL_TROUBLE;
}

static void draw(struct saving *s)
{
	int64_t now = clock_mono_us();
	struct buf line = { 0 };

	if (now - s->drawn_us < PROGRESS_US)
		return;
	s->drawn_us = now;
	buf_addf(&line, "%s: ", s->file);
	bytes_add(&line, (double)s->bytes);
	progress_draw(line.p);
	buf_fini(&line);
}

static bool take_bytes(struct asking *a, const char *p, size_t n)
{
	struct saving *s = a->arg;

	s->bytes += (int64_t)n;
	if (!write_all(s->fd, p, n)) {
		a->rc = failed(s, "be written");
		return false;
	}
	draw(s);
	return true;
}

static bool sync_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash == NULL ? xstrdup(".") : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	free(directory);
	return ok;
}

/* What is on the disk is looked at, not what went through our hands. */
static int keep(struct saving *s, struct sealed *sealed)
{
	struct err e = { 0 };

	if (!seal_check(s->fd, s->file, sealed, &e)) {
		complain("the daemon broke the backup off: its log says why. %s", e.text);
		return CTL_TROUBLE;
	}
	if (fsync(s->fd) != 0)
		return failed(s, "be made durable");
	if (rename(s->path, s->file) != 0)
		return failed(s, "get its name");
	return sync_directory_of(s->file) ? CTL_OK : failed(s, "be made durable");
}

static void tell_saved(const struct ctl *c, const struct saving *s, const struct sealed *sealed)
{
	struct buf size = { 0 };
	json_t *j;

	if (c->json) {
		j = json_pack("{s:i, s:s, s:I, s:I, s:I, s:f}", "schema", 1, "file", s->file, "bytes", (json_int_t)s->bytes, "records",
			      (json_int_t)sealed->numbers[0], "journal_bytes", (json_int_t)sealed->numbers[1], "seconds",
			      (double)(clock_mono_us() - s->began_us) / 1e6);
		if (j != NULL)
			json_dumpf(j, stdout, 0);
		putchar('\n');
		json_decref(j);
		return;
	}
	bytes_add(&size, (double)s->bytes);
	printf("%s: %lld records and the journal, %s\n", s->file, (long long)sealed->numbers[0], size.p);
	buf_fini(&size);
}

int run_backup(struct ctl *c, char **args, int n)
{
	struct saving s = { .file = args[0], .path = xasprintf("%s.%ld.part", args[0], (long)getpid()), .began_us = clock_mono_us() };
	struct asking a = { .c = c, .bytes = take_bytes, .arg = &s };
	struct sealed sealed;
	int rc;

	s.fd = open(s.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s.fd < 0) {
		rc = failed(&s, "be made");
		free(s.path);
		return rc;
	}
	rc = order(&a, "backup", json_object(), patience(c, SILENCE_BACKUP_US));
	progress_wipe();
	if (rc == CTL_OK)
		rc = keep(&s, &sealed);
	close(s.fd);
	if (rc == CTL_OK)
		tell_saved(c, &s, &sealed);
	else
		unlink(s.path);
	free(s.path);
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
