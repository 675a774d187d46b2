/*
 * backup.c - POST /v1/backup: the bytes of a backup, as they are taken.
 *
 * The daemon only tells them: where they are kept, and with whose rights, is the client's affair. One that breaks off has the
 * reason at its end, instead of a seal (base/seal.h), by which the client knows.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "control/room.h"
#include "sync/sync.h"

struct saving {
	struct sync_backup *backup;
	struct http_stream *stream;	/* NULL: not begun yet */
};

static void on_more(void *arg)
{
	struct saving *s = arg;

	if (s->stream != NULL)
		http_stream_more(s->stream);
}

static bool more_bytes(void *arg, struct buf *out)
{
	return sync_backup_more(((struct saving *)arg)->backup, out);
}

static void saving_free(void *arg)
{
	struct saving *s = arg;

	sync_backup_free(&s->backup);
	free(s);
}

void run_backup(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct http_producer producer = { .more = more_bytes, .end = saving_free, .waits = true };
	struct sync_backup_taker taker = { .more = on_more };
	struct saving *s = xcalloc(1, sizeof *s);
	struct http_stream *stream;
	struct err e = { 0 };

	producer.arg = taker.arg = s;
	s->backup = sync_backup(c->sync, &taker, &e);
	if (s->backup == NULL) {
		control_refuse(x, EXIT_AGAIN, e.code, "%s", e.text);
		free(s);
		return;
	}
	stream = http_stream(x, CONTROL_BYTES, &producer);
	if (stream != NULL)		/* else it has been freed: the client left already */
		s->stream = stream;
}
