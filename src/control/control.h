/*
 * control.h - the stats and control sockets: HTTP/1.1, metrics, status, commands.
 *
 * Read-only pages on the stats socket (and TCP when set): / (for people) /metrics /status /healthz /readyz. The control
 * socket (0600, peer uid checked: root or the daemon's own user) has the same plus POST /v1/COMMAND, the
 * face of crmsyncctl. The commands are rows of a table in commands.c; see there for names and parameters.
 * Nothing here holds a credential; row values appear on the control socket only.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct buf;
struct control;
struct loop;
struct sync;
struct topology;

enum reload_begun { RELOAD_COMING, RELOAD_REFUSED, RELOAD_BUSY };

struct control_hooks {
	/*
	 * Reloads the topology file: all or nothing. REFUSED, with a text of all problems, a line each (free it): the file is wrong.
	 * COMING: it is good and comes into force now or soon; control_reloaded(.., true) says when, and answers whoever gave
	 * the order. BUSY: a reload (by a signal, say) is under way, or the daemon stops; the file was not looked at.
	 */
	enum reload_begun (*reload)(void *arg, char **text);
	void *arg;
};

/* Binds at once: directories must exist (the last component is created 0700 when missing), stale own sockets are removed,
 * foreign files are refused. Modes: control 0600, stats 0660 (its group may read); the directory narrows both. Until the first
 * control_show() the pages answer 503. */
struct control *control_new(struct loop *, const struct topology *, const struct control_hooks *, struct err *e);
/* After a reload: the sync and topology that the pages show. Sockets whose address did not change stay bound. `sync` may be NULL
 * while there is none: pages then answer 503. Call it with the next one or NULL before a shown sync is freed: those who
 * wait for quiet are then moved to the next sync. `topology` is used during the call only. */
void control_show(struct control *, struct sync *, const struct topology *);
/* After every reload, whoever asked for it: for config_last_reload_successful, and for the answer of `crmsyncctl reload`.
 * changes: what is new, a line each; NULL when it was refused. */
void control_reloaded(struct control *, bool successful, const char *changes);
/* Adds how it is, in one sentence, as status shows it first. */
void control_sentence(const struct control *, struct buf *out);
/* Call it, or control_show() with NULL, before the sync is freed. Answers that sync/ still owes go nowhere. */
void control_free(struct control **);

/* For --version; into the caller's room. */
const char *control_library(char *out, size_t size);

#endif
