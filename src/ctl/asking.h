/*
 * asking.h - one order to the daemon and its answer, for the files that hold commands.
 */
#ifndef CTL_ASKING_H
#define CTL_ASKING_H

#include "base/object.h"
#include "ctl/ctl.h"

enum { SILENCE_US = 30 * 1000 * 1000 };

struct asking {
	struct ctl *c;
	/* Shows one object of the answer; not called with --json, nor for an error. NULL: nothing to show. */
	void (*show)(struct asking *, const json_t *);
	void (*progress)(struct asking *, const json_t *);	/* takes what only tells how far it is; NULL: no such lines come */
	void (*judge)(struct asking *, const json_t *);		/* looks at each object, also with --json, and may set rc; NULL: nobody does */
	bool (*bytes)(struct asking *, const char *p, size_t n);	/* takes the answer, which is no lines; NULL: it is; false: stops it */
	void *arg;			/* for show, bytes */
	struct buf *keep;		/* watch: shown there instead of on stdout */
	size_t lines;
	int rc;
};

/* Takes params over. An exit code; whatever went wrong has been said. */
int order(struct asking *a, const char *command, json_t *params, int64_t silence_us);
int64_t patience(const struct ctl *c, int64_t usual_us);	/* --timeout, or the usual one */
void set_text(json_t *params, const char *name, const char *value);	/* NULL: not set */
void say(const struct buf *b);
bool write_all(int fd, const char *p, size_t n);		/* false: errno says why; EINTR: Ctrl-C */
void names_add(struct buf *out, const json_t *names);		/* "a, b and c" */
void add_time(struct buf *out, const char *rfc3339);		/* "2026-03-01 12:00:00" */

/* progress.c */
size_t screen(bool rows);		/* its height or width; without a terminal SIZE_MAX or 80 */
/* A line on stderr or several, redrawn; nothing where that is no terminal */
void progress_draw(const char *lines);
void progress_tell(const char *lines);		/* the same, but where it is none they are told every few seconds */
void progress_wipe(void);
/* What a job does, and how far it is: an object of its progress, or of the jobs of status. */
void job_add(struct buf *out, const json_t *job);

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
/* backup.c */
int run_backup(struct ctl *c, char **args, int n);
int run_restore(struct ctl *c, char **args, int n);

/* verify.c */
int run_verify(struct ctl *c, char **args, int n);
int run_repair(struct ctl *c, char **args, int n);

/* story.c */
void add_value(struct buf *out, const json_t *value, bool is_private, size_t most);	/* in quotes, escaped; at most so many bytes of it. NULL: not known */
int run_conflicts(struct ctl *c, char **args, int n);

#endif
