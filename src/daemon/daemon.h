/*
 * daemon.h - the running service: wires the rooms together, answers signals, reloads, stops.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>

struct conf_problems;
struct topology;

/* Exit codes of both programs (CONTRACT). */
enum {
	EXIT_FINE = 0, EXIT_DIFFERENCES = 1, EXIT_TROUBLE = 2, EXIT_USAGE = 64, EXIT_UNAVAILABLE = 69, EXIT_TEMPFAIL = 75,
	EXIT_NOPERM = 77, EXIT_CONFIGURATION = 78, EXIT_INTERRUPTED = 130,
};

/* topology_load() with the word of the drivers: all of a file that can be checked without network. */
struct topology *daemon_topology(const char *file, struct conf_problems *problems);
/* Runs until told to stop (or, with `once`, until everything is reconciled); takes the topology over; returns the exit code.
 * paused: each entity rests until the operator lets it go on, one that a reload brings, too.
 * TERM and INT: the rounds in flight are finished, then it stops; a second one stops at once. HUP: the file is read again. */
int daemon_run(struct topology *, bool once, bool paused);

#endif
