/*
 * redis_tx.c - writes under our fencing number: calls that wait for their turn go together, in one transaction.
 *
 *   MULTI  commands of call 1  commands of call 2 ...  EXEC  WATCH fence  HGET fence n  HGET meta born
 *   '---------------- the trail is behind what is added: ------------------------------------------------'
 *
 * A transaction is sent when the one before it was answered and the number was still ours (redis_lease.c). What is written until
 * then is put in front of its EXEC: so any number of rounds pay for one answer. What was read or asked in between stays where it
 * is in the stream, behind; the records of two calls that are under way differ (claims), so neither minds. Where Redis says no
 * to a part of a transaction the connection ends and all of it is asked again by those who wanted it.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "store/redis_store.h"
#include "store/resp.h"

enum { COMMANDS_MOST = 20000 };		/* others wait while Redis runs them */

struct tx {
	struct redis_ask ask;		/* first member */
	struct redis_store *s;
	struct call *first, **last;	/* in order of their commands */
	size_t commands;		/* of all of them */
	size_t trail;			/* bytes behind the last of them */
	bool is_void, fenced;		/* another one's number made it so; the number is not ours any more */
};

static bool share_out(struct tx *tx, const struct reply *r, struct err *e)
{
	size_t at = 0;

	if (r->type == REPLY_NIL) {
		tx->is_void = true;
		return true;
	}
	if (r->type != REPLY_ARRAY || r->n != tx->commands)
		return err_set(e, ERR_TRANSIENT, "reply", "Redis answered EXEC in a form that is not known");
	for (struct call *call = tx->first; call != NULL; call = call->next) {
		struct reply part = { .type = REPLY_ARRAY, .element = r->element + at, .n = call->commands };

		if (call->reply != NULL && !call->reply(call, 0, &part, e))
			return false;
		at += call->commands;
	}
	return true;
}

/* OK, QUEUED for each command, EXEC's, WATCH's, the number, born. A command that was refused has made an error of the ask. */
static bool on_reply(struct redis_ask *ask, size_t i, const struct reply *r, struct err *e)
{
	struct tx *tx = (struct tx *)ask;
	size_t exec = tx->commands + 1, number = exec + GUARD_WATCH, born = number + 1;

	if (i == exec)
		return share_out(tx, r, e);
	tx->fenced |= i == number && !guard_is_ours(tx->s, r);
	/* An emptied state has no fence either: that is the news then. */
	return i != born || (call_check_born(tx->s, r, e) && (!(tx->is_void || tx->fenced) || guard_refuse(e)));
}

static void on_done(struct redis_ask *ask, const struct err *e)
{
	struct tx *tx = (struct tx *)ask;
	struct call *call, *next;

	if (tx->s->tx == tx)
		tx->s->tx = NULL;
	call_count_bytes(tx->s);
	for (call = tx->first; call != NULL; call = next) {
		next = call->next;
		call->answer(call, e);
	}
	free(tx);
}

void call_begin_guarded(struct call *call)
{
	struct redis_store *s = call->s;
	struct buf *out = redis_link_out(s->link);

	if (s->tx != NULL && (!redis_link_waits(s->link, &s->tx->ask) || s->tx->commands >= COMMANDS_MOST))
		s->tx = NULL;
	if (s->tx == NULL) {
		resp_command(out, 1);
		resp_word(out, "MULTI");
	}
	call->at = out->len;
}

static void tx_send(struct redis_store *s, size_t commands)
{
	struct buf *out = redis_link_out(s->link);
	struct tx *tx = xcalloc(1, sizeof *tx);
	size_t end = out->len;

	resp_command(out, 1);
	resp_word(out, "EXEC");
	guard_append_watch(s, out);
	call_append_born(s, out);
	tx->trail = out->len - end;
	tx->s = s;
	tx->last = &tx->first;
	tx->ask.reply = on_reply;
	tx->ask.done = on_done;
	tx->ask.in_turn = true;
	redis_link_send(s->link, &tx->ask, 1 + commands + 1 + GUARD_WATCH + 1);
	s->tx = tx;
}

void call_send_guarded(struct call *call, size_t commands)
{
	struct redis_store *s = call->s;

	if (s->tx == NULL)
		tx_send(s, commands);
	else
		redis_link_extend(s->link, &s->tx->ask, s->tx->trail, redis_link_out(s->link)->len - call->at, commands);
	call->commands = commands;
	call->next = NULL;
	s->tx->commands += commands;
	*s->tx->last = call;
	s->tx->last = &call->next;
}
