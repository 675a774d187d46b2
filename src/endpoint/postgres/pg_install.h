/*
 * pg_install.h - the names and marks of what the change log needs in the database.
 *
 * Everything of one link (its functions and triggers) carries the same mark as the functions' comment: a digest of the
 * statements that made it. Another version of us, or a table that changed, wants another mark, and it is made anew.
 */
#ifndef ENDPOINT_POSTGRES_PG_INSTALL_H
#define ENDPOINT_POSTGRES_PG_INSTALL_H

#include <stdbool.h>
#include <stddef.h>

#include "endpoint/postgres/pg.h"

#define PG_INSTALL_VERSION "crmsyncd change log 1"	/* comment of crmsync.changelog */

/* Does this link's capture need the change log at all? */
bool pg_install_wanted(const struct pg_link *);
/* The mark its objects must carry (yours: free); returns how many triggers it has. */
size_t pg_install_mark(const struct pg_link *, const struct pg_table *, char **out);
/* "crmsync TOPOLOGY ": how the marks of all objects of this topology begin. Caller frees. */
char *pg_install_mark_head(const struct postgres *);
/* The function that writes the log, without its schema. Caller frees. */
char *pg_install_capture_name(const struct pg_link *);
bool pg_install_is_ours(const struct pg_link *, const char *trigger);

#endif
