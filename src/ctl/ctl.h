/*
 * ctl.h - crmsyncctl: what its files share.
 *
 *   main.c      options, help, dispatch
 *   complete.c  what may stand next on a command line
 *   commands.c  the commands: what is asked of the daemon, what is shown of the answer; the longer ones have files of their own:
 *               backup.c (and restore), held.c, history.c (and undo), migrate.c, plan.c, story.c (conflicts), verify.c (and repair),
 *               waiting.c (conflicts --waiting and decide)
 *   client.c    one HTTP exchange over the control socket
 *   find.c      where the control socket is
 *   object.c    reading the daemon's objects
 *   progress.c  how far something is, in lines that are redrawn
 *   report.c    what verify found, as an HTML file
 *   status.c    the status in words and tables
 *   ratios.c    the ratios over time in it
 *   table.c     aligned columns
 *
 * A program of its own: it shares base/ with the daemon, and conf/, which tells where the socket is. Blocking calls are fine here, but every
 * one has an end: a timeout, and Ctrl-C. Functions that return an int return an exit code and have said why.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf;

enum ctl_exit {
	CTL_OK = 0, CTL_DIFFERENT = 1, CTL_TROUBLE = 2, CTL_USAGE = 64, CTL_UNAVAILABLE = 69, CTL_AGAIN = 75,
	CTL_NOT_PERMITTED = 77, CTL_CONFIGURATION = 78, CTL_INTERRUPTED = 130,
};

enum { TIMEOUT_USUAL = -1 };

struct ctl {
	/* from the command line; NULL, 0, false: not given */
	const char *socket, *config;
	int64_t timeout_us;		/* TIMEOUT_USUAL: not given */
	bool json, no_color;
	bool json_errors;		/* as json, and already while the line is being read */
	bool error_told;		/* the daemon's own object of what went wrong was printed */
	const char *error_code;		/* the word for what went wrong; NULL: that of the exit code */
	bool watch, print, sweep, waiting, null, runs, dry_run, replace, other_topology;
	const char *entity, *endpoint, *since, *until, *key, *id, *value, *run, *source, *rule, *from, *to, *strategy, *onto, *jobs, *rate,
		*max_load, *max_lag, *html, *depth;
	/* made from it */
	char *path;			/* of the control socket */
	bool color;			/* stdout is a terminal that may be coloured */
};

extern volatile sig_atomic_t ctl_interrupted;

/* All options, ending with a NULL name; the first of them are the program's own, the others go with those commands that name them. */
extern const struct option ctl_options[];
enum { CTL_OPTIONS_OF_ALL = 7 };

/* The words of options that take one of a few; ends with a NULL word. */
extern const struct ctl_word { int option; const char *word; } ctl_words[];

/* To stderr: "crmsyncctl: ...". */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- find.c ------------------------------------------------------------------------------------------ */

/*
 * -s, else control.socket of the file of -c or of the default file, else the default. Nothing is guessed: what cannot be read or is
 * not understood is said with its place in the file, and is the end of it.
 */
int find_socket(struct ctl *);

/* ---- client.c ---------------------------------------------------------------------------------------- */

struct exchange {
	const char *path;			/* of the socket */
	const char *method, *target, *body;
	int64_t silence_us;			/* how long the daemon may say nothing */
	/* One line of the body, without its end. False stops reading. */
	bool (*line)(void *arg, int status, const char *line);
	bool (*bytes)(void *arg, const char *p, size_t n);	/* instead, the body of status 200 as it comes; NULL: it has lines */
	void *arg;
};
/* CTL_OK once the whole answer was read (whatever its status) or `line` stopped it. ERR_... with a text for people otherwise. */
int exchange_run(const struct exchange *, struct err *why);

/* ---- commands.c -------------------------------------------------------------------------------------- */

struct ctl_command {
	const char *name;
	const char *args;			/* for the usage line */
	const char *options;			/* letters of the options it takes, see main.c */
	int min, max;				/* arguments */
	int (*run)(struct ctl *, char **args, int n);
	const char *help;
	bool alone;				/* it speaks to no daemon */
};
extern const struct ctl_command ctl_commands[];	/* ends with a NULL name */

/* ---- complete.c -------------------------------------------------------------------------------------- */

/* Offers what may stand for the last of the words, a line each. */
int complete(struct ctl *, char **words, int n);

/* ---- status.c ---------------------------------------------------------------------------------------- */

void status_show(const json_t *status, struct buf *out, size_t width, bool color);
void ratios_show(const json_t *status, struct buf *out, size_t width, bool color);

/* ---- table.c ----------------------------------------------------------------------------------------- */

enum paint { PLAIN, BOLD, GREEN, YELLOW, RED, DIM };

void paint_add(struct buf *out, bool color, enum paint, const char *text);

/* At most `width` characters; what is cut shows as "...". The caller frees. */
char *cut_to_fit(const char *, size_t width);

struct table_column {
	const char *title;
	bool right;				/* numbers */
	bool elastic;				/* may be cut when the line is too long */
};
enum { TABLE_COLUMNS = 10 };
struct table {
	const struct table_column *columns;
	size_t n_columns;
	struct table_cell {
		char *text;
		enum paint paint;
	} *cells;				/* row by row */
	size_t n_cells;
};
void table_cell(struct table *, enum paint, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Prints and empties it. */
void table_print(struct table *, struct buf *out, size_t width, bool color);
/* Breaks a text at blanks into lines of at most `width`, each behind `indent` blanks. */
void wrap_add(struct buf *out, const char *text, size_t indent, size_t width);

#endif
