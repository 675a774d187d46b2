/*
 * journal_db.h - the file behind the journal: opening, schema, statements, and what SQLite's errors mean.
 * For src/journal/ only.
 */
#ifndef JOURNAL_JOURNAL_DB_H
#define JOURNAL_JOURNAL_DB_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/digest.h"
#include "base/err.h"

/*
 * DIRECTORY/journal.db, made when missing, with its schema; "" for memory. `*path` is yours (free). `*key` is the
 * file's own, for digests that stay in it. `*is_new`: there was none. NULL on error.
 */
sqlite3 *journal_db_open(const char *directory, const char *topology, char **path, struct digest_key *key, bool *is_new, struct err *e);

/*
 * Turns a result code into words: what is wrong with the file and what to do. Always false. Looks at errno, since
 * SQLite forgets it: set it to 0 before the call that may fail.
 */
bool journal_db_error(const char *path, int rc, struct err *e);

/* Of a file operation that failed with errno: what could not be done, and what to do. Always false. */
bool journal_system_error(const char *path, const char *what, struct err *e);
/* A new file's name is only safe once its directory is. */
bool journal_sync_directory(const char *directory, struct err *e);
/* The directory is made when its parent is there, the file when it is missing; nobody else may read either. */
bool journal_make_private(const char *directory, const char *path, struct err *e);

#endif
