/*
 * listen.h - listening sockets: unix sockets that nobody else can have put there, and numeric TCP addresses.
 */
#ifndef CONTROL_LISTEN_H
#define CONTROL_LISTEN_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"

/* Which file in the file system is ours, so that only that one is removed in the end. */
struct listen_path {
	dev_t dev;
	ino_t ino;
};

/*
 * Binds a unix socket at `path` with exactly `mode`. The last directory is created (0700) when missing. A socket left there by
 * ourselves that nobody listens on is replaced; anything else at the path (a link, a file, a socket of somebody
 * else, a socket that answers) is refused. -1 on error (ERR_CONFIG).
 */
int listen_unix(const char *path, mode_t mode, struct listen_path *where, struct err *e);
/* Removes the socket's file if it is still the one that was bound. */
void listen_unix_remove(const char *path, const struct listen_path *where);

/*
 * "127.0.0.1:9899", "[::1]:9899", "localhost:9899", "*:9899" (every address). Names other than localhost are refused: asking a
 * resolver could stop the loop. -1 on error (ERR_CONFIG).
 */
int listen_tcp(const char *address, struct err *e);

#endif
