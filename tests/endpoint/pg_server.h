/*
 * pg_server.h - a private PostgreSQL for tests: a temporary directory, a unix socket, nothing else.
 *
 * Everything here blocks and ends the test (with the server's log on stderr) when it fails. As root the server runs as
 * another user, since PostgreSQL refuses root. It does not outlive the process that started it. Start it in an unchecked
 * fixture (once, in the parent); the forked tests may use it, and stop and start it again.
 *
 * Local roles log in without a password, apart from secret, secret_a and secret_b (scram-sha-256).
 * max_prepared_transactions is 5, wal_level logical, track_commit_timestamp off, fsync off.
 */
#ifndef TESTS_ENDPOINT_PG_SERVER_H
#define TESTS_ENDPOINT_PG_SERVER_H

#include <stdbool.h>

struct pg_server;

bool pg_server_available(void);				/* false: no PostgreSQL here; main() should return 77, "skipped" */
struct pg_server *pg_server_new(void);			/* initdb and start */
void pg_server_free(struct pg_server **);		/* stop and remove */
void pg_server_stop(struct pg_server *);		/* fast shutdown; connections are cut */
void pg_server_start(struct pg_server *);		/* again, on the same directory; answers queries when this returns */
const char *pg_server_socket_dir(const struct pg_server *);

/* "host=DIR port=5432 user=USER dbname=DBNAME"; NULL: the superuser, the database "postgres". Caller frees. */
char *pg_server_conninfo(const struct pg_server *, const char *user, const char *dbname);

/* As superuser, on a connection of its own, in that database (NULL: postgres). The statements may be several. */
void pg_server_sql(const struct pg_server *, const char *dbname, const char *sql);
/* The same as another role. False: it failed; with *why (may be NULL) the error's words, which the caller frees. */
bool pg_server_try(const struct pg_server *, const char *user, const char *dbname, const char *sql, char **why);
/* The first column of the first row, "" for no row, "(null)" for NULL; in one session, for questions only. Caller frees. */
char *pg_server_value(const struct pg_server *, const char *dbname, const char *sql);
/* Runs text through psql with ON_ERROR_STOP as `user`; false: it failed, its words are on stderr. */
bool pg_server_psql(const struct pg_server *, const char *user, const char *dbname, const char *text);

#endif
