/* version.h - what `--version` says. */
#ifndef DAEMON_VERSION_H
#define DAEMON_VERSION_H

#include <stdio.h>

/* Our version, then a line per library: what it was built with and what it runs on. */
void version_print(FILE *);

#endif
