/*
 * asking.h - one order to the daemon and its answer, for the files that hold commands.
 */
#ifndef CTL_ASKING_H
#define CTL_ASKING_H

#include "ctl/ctl.h"

enum { SILENCE_US = 30 * 1000 * 1000 };

struct asking {
	struct ctl *c;
	/* Shows one object of the answer; not called with --json, nor for an error. NULL: nothing to show. */
	void (*show)(struct asking *, const json_t *);
	void (*progress)(struct asking *, const json_t *);	/* takes what only tells how far it is; NULL: no such lines come */
	void (*judge)(struct asking *, const json_t *);		/* looks at each object, also with --json, and may set rc; NULL: nobody does */
	void *arg;			/* for show */
	struct buf *keep;		/* watch: shown there instead of on stdout */
	size_t lines;
	int rc;
};

/* Takes params over. An exit code; whatever went wrong has been said. */
int order(struct asking *a, const char *command, json_t *params, int64_t silence_us);
int64_t patience(const struct ctl *c, int64_t usual_us);	/* --timeout, or the usual one */
void set_text(json_t *params, const char *name, const char *value);	/* NULL: not set */
void say(const struct buf *b);
const char *str(const json_t *j, const char *name);		/* "" when it is not there */
json_int_t number(const json_t *j, const char *name);		/* 0 when it is not there */
void names_add(struct buf *out, const json_t *names);		/* "a, b and c" */
void add_time(struct buf *out, const char *rfc3339);		/* "2026-03-01 12:00:00" */
size_t screen(bool rows);		/* its height or width; without a terminal SIZE_MAX or 80 */

/* progress.c: one line on stderr, redrawn; nothing where that is no terminal */
void progress_draw(const char *line);
void progress_wipe(void);
/* ": 12 %", or how many where the share is not known. */
void progress_add_share(struct buf *line, const json_t *progress);

/* held.c */
int run_held_list(struct ctl *c, char **args, int n);
int run_held_show(struct ctl *c, char **args, int n);
int run_held_release(struct ctl *c, char **args, int n);
int run_held_discard(struct ctl *c, char **args, int n);

/* waiting.c */
int run_waiting(struct ctl *c);
int run_decide(struct ctl *c, char **args, int n);

/* plan.c */
int run_plan(struct ctl *c, char **args, int n);

/* history.c */
int run_history(struct ctl *c, char **args, int n);
int run_undo(struct ctl *c, char **args, int n);

/* migrate.c */
int run_migrate(struct ctl *c, char **args, int n);

/* verify.c */
int run_verify(struct ctl *c, char **args, int n);
int run_repair(struct ctl *c, char **args, int n);

/* story.c */
void add_value(struct buf *out, const json_t *value, bool is_private);
int run_conflicts(struct ctl *c, char **args, int n);

#endif
