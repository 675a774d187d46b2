/*
 * restore.h - crmsyncd --restore: fills an empty state in Redis, and the journal's directory, from a backup.
 *
 * A run of its own, while no daemon works: it takes the lease, so that none begins meanwhile. The file is looked at from its first byte to
 * its last before anything is touched. Broken off, it leaves a state that no daemon believes; it may then be run again.
 */
#ifndef DAEMON_RESTORE_H
#define DAEMON_RESTORE_H

#include <stdbool.h>

struct topology;

struct restore_choice {
	const char *file;
	bool replace;			/* give up what is in Redis */
	bool other_topology;		/* take a backup of another one */
};

/* Takes the topology over; an exit code. What was done, or why it was not, stands on stdout, one JSON object. */
int restore_run(struct topology *, const struct restore_choice *);

#endif
