#include "journal/journal_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/journal.h"
#include "base/mem.h"

enum {
	APPLICATION_ID = 0x63726d73,	/* "crms": file(1) and we tell our files from others by it */
	SCHEMA_VERSION = 9,
	BUSY_MS = 250,			/* somebody's shell may hold the file for a moment; the loop waits no longer than this */
};

static const char schema[] =
	"CREATE TABLE about (topology TEXT NOT NULL, secret BLOB NOT NULL);"
	/* `ident` is what renewing and unparking go by: the record id, or the local id where there is none. */
	"CREATE TABLE parked ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"	/* a number told to a person never comes to mean another record */
	" entity TEXT NOT NULL, endpoint TEXT NOT NULL, capture INTEGER NOT NULL, ident TEXT NOT NULL,"
	" key TEXT NOT NULL, local_id TEXT NOT NULL, rid TEXT NOT NULL,"
	" code TEXT NOT NULL, cause TEXT NOT NULL, field TEXT NOT NULL,"
	" since_us INTEGER NOT NULL, last_us INTEGER NOT NULL, tries INTEGER NOT NULL,"
	" UNIQUE (entity, endpoint, capture, ident));"
	"CREATE TABLE decision ("
	" id INTEGER PRIMARY KEY,"
	" print BLOB NOT NULL UNIQUE,"			/* the same decision, made again after a crash, is one decision */
	" entity TEXT NOT NULL, key TEXT NOT NULL, field TEXT NOT NULL, rule TEXT NOT NULL, kind TEXT NOT NULL,"
	" winner TEXT NOT NULL, tie_break TEXT NOT NULL, time_us INTEGER NOT NULL, base_digest TEXT NOT NULL,"
	" round INTEGER NOT NULL);"
	"CREATE INDEX decision_time ON decision (time_us);"
	"CREATE INDEX decision_entity ON decision (entity, time_us);"
	"CREATE TABLE side ("
	" decision INTEGER NOT NULL REFERENCES decision ON DELETE CASCADE, n INTEGER NOT NULL,"
	" endpoint TEXT NOT NULL, value TEXT, deleted INTEGER NOT NULL, stamp_us INTEGER NOT NULL, digest TEXT NOT NULL,"
	" PRIMARY KEY (decision, n)) WITHOUT ROWID;";

/* What version 2 has more. A new file gets it like an old one: behind the schema of version 1. */
static const char version_2[] =
	"CREATE TABLE held_set ("
	" number INTEGER PRIMARY KEY AUTOINCREMENT,"	/* a name told to a person never comes to mean another set */
	" entity TEXT NOT NULL, endpoint TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 1);"
	"CREATE TABLE held ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" held_set INTEGER NOT NULL REFERENCES held_set ON DELETE CASCADE,"
	" entity TEXT NOT NULL, endpoint TEXT NOT NULL, rid TEXT NOT NULL, key TEXT NOT NULL, time_us INTEGER NOT NULL,"
	" UNIQUE (entity, rid, endpoint));"
	"CREATE INDEX held_of_set ON held (held_set, id);"
	/* The value before, where somebody still showed it; how a side took part: one that competed, or one that only showed. */
	"ALTER TABLE decision ADD base TEXT;"
	"ALTER TABLE parked ADD discarded INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE side ADD competed INTEGER NOT NULL DEFAULT 1;"
	"ALTER TABLE side ADD written INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX decision_key ON decision (key, time_us);"
	"CREATE INDEX side_owed ON side (endpoint) WHERE written = 2;";

static const char version_3[] =
	"CREATE TABLE waiting ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" entity TEXT NOT NULL, rid TEXT NOT NULL, field TEXT NOT NULL, key TEXT NOT NULL, since_us INTEGER NOT NULL,"
	" mark INTEGER NOT NULL, base_digest TEXT NOT NULL, base TEXT, verdict INTEGER NOT NULL DEFAULT 0, chosen TEXT,"
	" UNIQUE (entity, rid, field));"
	"CREATE INDEX waiting_key ON waiting (key);"
	"CREATE TABLE waiting_side ("
	" waiting INTEGER NOT NULL REFERENCES waiting ON DELETE CASCADE, n INTEGER NOT NULL,"
	" endpoint TEXT NOT NULL, value TEXT, stamp_us INTEGER NOT NULL, digest TEXT NOT NULL, competed INTEGER NOT NULL,"
	" PRIMARY KEY (waiting, n)) WITHOUT ROWID;";

/* The newest stretches of all subjects lie side by side: they are what is written again and again. */
static const char version_4[] =
	"CREATE TABLE spent ("
	" ring INTEGER NOT NULL, start_us INTEGER NOT NULL, subject TEXT NOT NULL,"
	" us0 INTEGER NOT NULL, us1 INTEGER NOT NULL, us2 INTEGER NOT NULL, us3 INTEGER NOT NULL, us4 INTEGER NOT NULL,"
	" us5 INTEGER NOT NULL, PRIMARY KEY (ring, start_us, subject)) WITHOUT ROWID;"
	"CREATE TABLE clocks ("
	" one INTEGER PRIMARY KEY CHECK (one = 1), axis_us INTEGER NOT NULL, boot_us INTEGER NOT NULL, wall_us INTEGER NOT NULL);";
/* The number of an image's batch rises with time: that is how they are gone through. */
static const char version_5[] =
	"CREATE TABLE image_run (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, time_us INTEGER NOT NULL);"
	"CREATE TABLE image_batch ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES image_run, entity TEXT NOT NULL, time_us INTEGER NOT NULL,"
	" images INTEGER NOT NULL, raw_bytes INTEGER NOT NULL, keys BLOB NOT NULL, body BLOB NOT NULL);"
	"CREATE INDEX image_batch_run ON image_batch (run);"
	"CREATE INDEX image_batch_time ON image_batch (time_us);"
	"CREATE TABLE image_failed (batch INTEGER NOT NULL REFERENCES image_batch ON DELETE CASCADE, n INTEGER NOT NULL,"
	" PRIMARY KEY (batch, n)) WITHOUT ROWID;"
	"CREATE TABLE undo_item ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, entity TEXT NOT NULL, key TEXT NOT NULL, code BLOB NOT NULL,"
	" what INTEGER NOT NULL, print INTEGER NOT NULL, wanted BLOB NOT NULL, state INTEGER NOT NULL DEFAULT 0,"
	" fields TEXT NOT NULL DEFAULT '', code_word TEXT NOT NULL DEFAULT '', cause TEXT NOT NULL DEFAULT '',"
	" n_restored INTEGER NOT NULL DEFAULT 0, n_skipped INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX undo_item_run ON undo_item (run, id);"
	"CREATE INDEX undo_item_open ON undo_item (id) WHERE state < 2;";
/* Whose a value is that no endpoint gave is asked record by record. */
static const char version_6[] =
	"CREATE INDEX undo_item_record ON undo_item (entity, key);";
/* The change log's entries of a row that is parked are gone when it can be taken. */
static const char version_7[] =
	"ALTER TABLE parked ADD stamp_us INTEGER;";
/* A printed key does not tell which record a decision of before is of today: what was still owed then is not told any more. */
static const char version_8[] =
	"ALTER TABLE decision ADD rid TEXT NOT NULL DEFAULT '';"
	"CREATE INDEX decision_rid ON decision (rid);"
	"UPDATE side SET written = 0 WHERE written = 2;";
/* `was`: the key that the record had when the undo was ordered, where it has another one since; whoever points to it may be told by that. */
static const char version_9[] =
	"ALTER TABLE undo_item ADD was BLOB;"
	"CREATE INDEX undo_item_was ON undo_item (run, entity, was) WHERE was IS NOT NULL;"
	"CREATE INDEX undo_item_now ON undo_item (run, entity, code) WHERE was IS NOT NULL;";

/* ---- errors ------------------------------------------------------------------------------------------ */

/* A quota and a limit on file sizes come as "disk I/O error"; only errno knows better. */
static bool is_out_of_space(int rc, int number)
{
	return rc == SQLITE_FULL || (rc == SQLITE_IOERR && (number == ENOSPC || number == EDQUOT || number == EFBIG));
}

bool journal_db_error(const char *path, int rc, struct err *e)
{
	int number = errno;

	rc &= 0xff;
	if (is_out_of_space(rc, number))
		return err_set(e, ERR_TRANSIENT, "SQLITE_FULL",
			       "%s: no space left; nothing was written. Free some space there or raise the quota", path);
	switch (rc) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(e, ERR_TRANSIENT, "SQLITE_BUSY", "%s: another program holds it locked; close that one", path);
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return err_set(e, ERR_CONFIG, "SQLITE_READONLY",
			       "%s: cannot be written; make the file and its directory belong to the daemon's user, "
			       "on a file system that is not mounted read-only", path);
	case SQLITE_NOTADB:
		return err_set(e, ERR_CONFIG, "SQLITE_NOTADB",
			       "%s: this is not a journal; move it away and start again, or correct journal.directory", path);
	case SQLITE_CORRUPT:
		return err_set(e, ERR_CONFIG, "SQLITE_CORRUPT",
			       "%s: the journal is damaged; move it away to start with an empty one, and keep it for "
			       "`sqlite3 ... .recover`", path);
	case SQLITE_CANTOPEN:
		return err_set(e, ERR_CONFIG, "SQLITE_CANTOPEN",
			       "%s: cannot be opened (%s); check the directory and its permissions", path, strerror(number));
	case SQLITE_IOERR:
		return err_set(e, ERR_TRANSIENT, "SQLITE_IOERR", "%s: the disk does not do what it should (%s); see the system's log",
			       path, strerror(number));
	default:	/* SQLite's codes, not an enum of ours */
		return err_set(e, ERR_TRANSIENT, "SQLITE", "%s: %s", path, sqlite3_errstr(rc));
	}
}

bool journal_system_error(const char *path, const char *what, struct err *e)
{
	int number = errno;

	if (number == ENOSPC || number == EDQUOT)
		return journal_db_error(path, SQLITE_FULL, e);
	return err_set(e, ERR_CONFIG, strerrorname_np(number), "%s: cannot %s (%s); correct journal.directory, or make it belong to the daemon's user",
		       path, what, strerror(number));
}

/* ---- the file ---------------------------------------------------------------------------------------- */

bool journal_sync_directory(const char *directory, struct err *e)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (!ok)
		journal_system_error(directory, "be synchronised", e);
	if (fd >= 0)
		close(fd);
	return ok;
}

/*
 * SQLite would make the file with whatever the umask leaves. It holds values of conflicts: nobody else may read it.
 * The files that SQLite puts beside it take over its mode.
 */
bool journal_make_private(const char *directory, const char *path, struct err *e)
{
	struct stat st;
	bool ok;
	int fd;

	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		return journal_system_error(directory, "be created", e);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return journal_system_error(path, "be opened for writing", e);
	ok = fstat(fd, &st) == 0 && ((st.st_mode & 077) == 0 || fchmod(fd, 0600) == 0);
	if (!ok)
		journal_system_error(path, "be made private", e);
	close(fd);
	return ok && journal_sync_directory(directory, e);
}

/* ---- the schema -------------------------------------------------------------------------------------- */

static bool run(sqlite3 *db, const char *path, const char *sql, struct err *e)
{
	int rc;

	errno = 0;
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK || journal_db_error(path, rc, e);
}

static bool ask_number(sqlite3 *db, const char *path, const char *sql, int64_t *out, struct err *e)
{
	sqlite3_stmt *stmt = NULL;
	int rc;

	errno = 0;
	rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW || journal_db_error(path, rc, e);
}

static bool create_schema(sqlite3 *db, const char *path, const char *topology, struct err *e)
{
	char *sql = sqlite3_mprintf("%s INSERT INTO about VALUES (%Q, randomblob(%d));"
				    "PRAGMA application_id = %d; PRAGMA user_version = 1", schema, topology,
				    DIGEST_KEY_BYTES, APPLICATION_ID);
	bool ok = sql != NULL ? run(db, path, sql, e) : journal_db_error(path, SQLITE_NOMEM, e);

	sqlite3_free(sql);
	return ok;
}

static bool read_about(sqlite3 *db, const char *path, const char *topology, struct digest_key *key, struct err *e)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "SELECT topology, secret FROM about", -1, &stmt, NULL);
	bool ok = false;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW || sqlite3_column_bytes(stmt, 1) != sizeof key->secret) {
		journal_db_error(path, rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_CORRUPT : rc, e);
	} else if (strcmp((const char *)sqlite3_column_text(stmt, 0), topology) != 0) {
		err_set(e, ERR_CONFIG, "journal-other",
			"%s: belongs to topology '%s', not to '%s'; give each topology a journal.directory of its own", path,
			(const char *)sqlite3_column_text(stmt, 0), topology);
	} else {
		memcpy(key->secret, sqlite3_column_blob(stmt, 1), sizeof key->secret);
		ok = true;
	}
	sqlite3_finalize(stmt);
	return ok;
}

/* An empty file, or one of ours of a version that is known here. */
static bool check_kind(sqlite3 *db, const char *path, bool *empty, struct err *e)
{
	int64_t application, version, tables;

	if (!ask_number(db, path, "PRAGMA application_id", &application, e) ||
	    !ask_number(db, path, "PRAGMA user_version", &version, e) ||
	    !ask_number(db, path, "SELECT count(*) FROM sqlite_master", &tables, e))
		return false;
	*empty = tables == 0;
	if (!*empty && application != APPLICATION_ID)
		return journal_db_error(path, SQLITE_NOTADB, e);
	if (version > SCHEMA_VERSION)
		return err_set(e, ERR_CONFIG, "journal-newer",
			       "%s: written by a newer crmsyncd (journal version %d, this one knows %d); run that one or a newer, "
			       "or move the file away", path, (int)version, SCHEMA_VERSION);
	return true;
}

static bool upgrade(sqlite3 *db, const char *path, struct err *e)
{
	int64_t version;

	if (!ask_number(db, path, "PRAGMA user_version", &version, e))
		return false;
	return (version >= 2 || run(db, path, version_2, e)) && (version >= 3 || run(db, path, version_3, e)) &&
	       (version >= 4 || run(db, path, version_4, e)) && (version >= 5 || run(db, path, version_5, e)) &&
	       (version >= 6 || run(db, path, version_6, e)) && (version >= 7 || run(db, path, version_7, e)) &&
	       (version >= 8 || run(db, path, version_8, e)) && (version >= 9 || run(db, path, version_9, e)) &&
	       (version >= SCHEMA_VERSION || run(db, path, "PRAGMA user_version = 9", e));
}

/* Looks in the same transaction that creates: two daemons that start at once must not both create. */
static bool settle_schema(sqlite3 *db, const char *path, const char *topology, struct digest_key *key, bool *is_new, struct err *e)
{
	if (!check_kind(db, path, is_new, e))
		return false;
	return (!*is_new || create_schema(db, path, topology, e)) && read_about(db, path, topology, key, e) && upgrade(db, path, e);
}

static bool prepare_file(sqlite3 *db, const char *path, const char *topology, struct digest_key *key, bool *is_new, struct err *e)
{
	/*
	 * Somebody else's database is not touched, so the look comes before WAL, which changes the file.
	 * FULL: what was parked or decided is acknowledged next, so it has to be on the disk, not in the page cache.
	 * secure_delete: values of expired decisions are personal data, and gone means gone.
	 */
	if (!check_kind(db, path, is_new, e) ||
	    !run(db, path, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
		 "PRAGMA secure_delete = ON; PRAGMA journal_size_limit = 16777216; PRAGMA trusted_schema = OFF", e) ||
	    !run(db, path, "BEGIN IMMEDIATE", e))
		return false;
	if (settle_schema(db, path, topology, key, is_new, e) && run(db, path, "COMMIT", e))
		return true;
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

sqlite3 *journal_db_open(const char *directory, const char *topology, char **path, struct digest_key *key, bool *is_new, struct err *e)
{
	bool in_memory = directory[0] == '\0';
	sqlite3 *db = NULL;
	int rc;

	*path = in_memory ? xstrdup(":memory:") : xasprintf("%s/journal.db", directory);
	if (!in_memory && !journal_make_private(directory, *path, e))
		goto failed;
	rc = sqlite3_open_v2(*path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		journal_db_error(*path, rc, e);
		goto failed;
	}
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_timeout(db, BUSY_MS);
	if (prepare_file(db, *path, topology, key, is_new, e))
		return db;
failed:
	sqlite3_close(db);
	free(*path);
	*path = NULL;
	return NULL;
}

const char *journal_library(char *out, size_t size)
{
	snprintf(out, size, "SQLite built with %s, runs on %s", SQLITE_VERSION, sqlite3_libversion());
	return out;
}
