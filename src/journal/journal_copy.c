/*
 * journal_copy.c - the journal in a backup: a copy of one moment while it is written to, and putting one in its place.
 *
 *   copy      a connection of its own holds a read transaction: in WAL mode it sees that moment, and nobody waits for it. SQLite's
 *             backup takes it over page by page into journal.db.copy, which is then read to its end.
 *   install   journal.db.restoring is filled and made durable, what was there is moved aside, then it gets the name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "journal/journal.h"
#include "journal/journal_db.h"
#include "journal/room.h"

enum { PAGES_A_STEP = 64 };		/* 256 KiB: about a millisecond */

/* ---- copying ----------------------------------------------------------------------------------------- */

struct journal_copy {
	char *path;			/* of the copy; NULL: nothing to give */
	sqlite3 *from, *to;
	sqlite3_backup *backup;		/* under way; NULL: all pages are there */
	int fd;
};

static bool copy_failed(const struct journal_copy *c, int rc, struct err *e)
{
	journal_db_error(c->path, rc, e);
	return err_while(e, "copying the journal");
}

/* The transaction begins with the first read. */
static bool hold_moment(struct journal_copy *c, const char *journal, struct err *e)
{
	int rc = sqlite3_open_v2(journal, &c->from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(c->from, "BEGIN; SELECT topology FROM about", NULL, NULL, NULL);
	return rc == SQLITE_OK || copy_failed(c, rc, e);
}

/* Nobody else opens it, and it is worth nothing after a crash: it goes without its name. */
static bool make_copy(struct journal_copy *c, struct err *e)
{
	int rc;

	unlink(c->path);
	c->fd = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->fd < 0)
		return journal_system_error(c->path, "be created", e);
	rc = sqlite3_open_v2(c->path, &c->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(c->to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return copy_failed(c, rc, e);
	unlink(c->path);
	c->backup = sqlite3_backup_init(c->to, "main", c->from, "main");
	return c->backup != NULL || copy_failed(c, sqlite3_errcode(c->to), e);
}

struct journal_copy *journal_copy_new(struct journal *j, struct err *e)
{
	struct journal_copy *c = xcalloc(1, sizeof *c);

	c->fd = -1;
	if (strcmp(j->path, ":memory:") == 0)
		return c;
	c->path = xasprintf("%s.copy", j->path);
	if (hold_moment(c, j->path, e) && make_copy(c, e))
		return c;
	journal_copy_free(&c);
	return NULL;
}

static void copy_close(struct journal_copy *c)
{
	sqlite3_backup_finish(c->backup);
	sqlite3_close(c->to);
	sqlite3_close(c->from);
	c->backup = NULL;
	c->to = c->from = NULL;
}

static bool copy_pages(struct journal_copy *c, struct err *e)
{
	int rc;

	errno = 0;
	rc = sqlite3_backup_step(c->backup, PAGES_A_STEP);
	if (rc == SQLITE_DONE)
		copy_close(c);
	return rc == SQLITE_OK || rc == SQLITE_DONE || copy_failed(c, rc, e);
}

bool journal_copy_step(struct journal_copy *c, void *into, size_t *n, bool *over, struct err *e)
{
	ssize_t got;

	*n = 0;
	*over = c->path == NULL;
	if (c->backup != NULL)
		return copy_pages(c, e);
	if (*over)
		return true;
	got = read(c->fd, into, JOURNAL_COPY_PIECE);
	if (got < 0)
		return errno == EINTR || journal_system_error(c->path, "be read", e);
	*n = (size_t)got;
	*over = got == 0;
	return true;
}

void journal_copy_free(struct journal_copy **cp)
{
	struct journal_copy *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	copy_close(c);
	if (c->fd >= 0)
		close(c->fd);
	free(c->path);
	free(c);
}

/* ---- putting one in place ---------------------------------------------------------------------------- */

struct journal_install {
	char *directory, *path, *place;	/* of the new file now; where it belongs */
	int fd;
	bool finished;
};

struct journal_install *journal_install_new(const char *directory, struct err *e)
{
	struct journal_install *in = xcalloc(1, sizeof *in);

	in->directory = xstrdup(directory);
	in->place = xasprintf("%s/journal.db", directory);
	in->path = xasprintf("%s.restoring", in->place);
	unlink(in->path);		/* of a restore that was broken off */
	in->fd = -1;
	if (journal_make_private(directory, in->path, e)) {
		in->fd = open(in->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		if (in->fd >= 0)
			return in;
		journal_system_error(in->path, "be opened for writing", e);
	}
	journal_install_free(&in);
	return NULL;
}

bool journal_install_add(struct journal_install *in, const void *p, size_t n, struct err *e)
{
	for (const char *from = p; n > 0;) {
		ssize_t put = write(in->fd, from, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return journal_system_error(in->path, "be written", e);
		from += put;
		n -= (size_t)put;
	}
	return true;
}

/* It says whose it is. */
static bool rename_topology(const struct journal_install *in, const char *topology, struct err *e)
{
	char *sql = sqlite3_mprintf("UPDATE about SET topology = %Q WHERE topology <> %Q", topology, topology);
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(in->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	sqlite3_close(db);		/* the last one to leave: nothing is left in a file beside it */
	return rc == SQLITE_OK || journal_db_error(in->path, rc, e);
}

/* Takes into the file what SQLite still has in its log beside it. One that is damaged is moved as it is. */
static void fold_log(const char *place)
{
	sqlite3 *db = NULL;

	if (access(place, F_OK) == 0 && sqlite3_open_v2(place, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK)
		sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
	sqlite3_close(db);
}

/* The journal and what SQLite has beside it belong together: a new file beside an old one's log would be damaged by it. */
static bool move_aside(const struct journal_install *in, char *aside, size_t size, struct err *e)
{
	static const char *const tails[] = { "-shm", "-wal", "" };
	time_t now = time(NULL);
	char stamp[24];
	struct tm tm;

	fold_log(in->place);
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
	snprintf(aside, size, "%s.before-%s", in->place, stamp);
	for (size_t i = 0; i < countof(tails); i++) {
		char *from = xasprintf("%s%s", in->place, tails[i]), *to = xasprintf("%s%s", aside, tails[i]);
		int rc = rename(from, to);

		if (rc != 0 && errno == ENOENT && i + 1 == countof(tails))
			aside[0] = '\0';
		else if (rc != 0 && errno != ENOENT)
			journal_system_error(from, "be moved aside", e);
		else
			rc = 0;
		free(from);
		free(to);
		if (rc != 0 && aside[0] != '\0')
			return false;
	}
	return true;
}

bool journal_install_finish(struct journal_install *in, const char *topology, char *aside, size_t size, struct err *e)
{
	if (!rename_topology(in, topology, e))
		return false;
	if (fsync(in->fd) != 0)
		return journal_system_error(in->path, "be made durable", e);
	if (!move_aside(in, aside, size, e))
		return false;
	if (rename(in->path, in->place) != 0)
		return journal_system_error(in->place, "be put in place", e);
	in->finished = true;
	return journal_sync_directory(in->directory, e);
}

void journal_install_free(struct journal_install **ip)
{
	struct journal_install *in = *ip;

	if (in == NULL)
		return;
	*ip = NULL;
	if (in->fd >= 0)
		close(in->fd);
	if (!in->finished)
		unlink(in->path);
	free(in->directory);
	free(in->place);
	free(in->path);
	free(in);
}
