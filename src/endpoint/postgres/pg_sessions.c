#include "endpoint/postgres/pg_sessions.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "endpoint/postgres/pg_sql.h"

/* No server has near as many of ours at work: the oldest of more are gone. */
enum { LOST_MOST = 1000 };

struct pg_session {
	struct pg_session *next;
	char *endpoint, *name;
	bool lost;
};

static struct pg_session *all, **last = &all;	/* in the order in which they were opened, or lost */
static size_t n_lost;

static void add(struct pg_session *s)
{
	s->next = NULL;
	*last = s;
	last = &s->next;
}

static void take_out(struct pg_session *s)
{
	struct pg_session **at = &all;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	if (last == &s->next)
		last = at;
}

static void forget(struct pg_session *s)
{
	take_out(s);
	n_lost -= s->lost;
	free(s->endpoint);
	free(s->name);
	free(s);
}

static struct pg_session *oldest_lost(void)
{
	struct pg_session *s = all;

	while (!s->lost)
		s = s->next;
	return s;
}

struct pg_session *pg_session_new(const char *endpoint, const char *name)
{
	struct pg_session *s = xcalloc(1, sizeof *s);

	s->endpoint = xstrdup(endpoint);
	s->name = xstrdup(name);
	add(s);
	return s;
}

void pg_session_end(struct pg_session **sp, bool unanswered)
{
	struct pg_session *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	if (!unanswered) {
		forget(s);
		return;
	}
	take_out(s);
	add(s);
	s->lost = true;
	if (++n_lost > LOST_MOST)
		forget(oldest_lost());
}

/* endpoint NULL: those that are open. */
static bool is_among(const struct pg_session *s, const char *endpoint)
{
	return endpoint == NULL ? !s->lost : s->lost && strcmp(s->endpoint, endpoint) == 0;
}

static int names(struct pg_stmt *st, const char *endpoint)
{
	size_t n = 0;
	int param;

	for (const struct pg_session *s = all; s != NULL; s = s->next)
		n += is_among(s, endpoint);
	param = pg_stmt_array(st, n);
	for (const struct pg_session *s = all; s != NULL; s = s->next)
		if (is_among(s, endpoint))
			pg_stmt_add(st, value_of(s->name));
	return param;
}

int pg_sessions_open(struct pg_stmt *st)
{
	return names(st, NULL);
}

int pg_sessions_lost(struct pg_stmt *st, const char *endpoint)
{
	return names(st, endpoint);
}

static bool has(const PGresult *res, int column, const char *name)
{
	for (int i = 0; i < PQntuples(res); i++)
		if (strcmp(PQgetvalue(res, i, column), name) == 0)
			return true;
	return false;
}

void pg_sessions_seen(const char *endpoint, const PGresult *res, int column)
{
	struct pg_session *next;

	for (struct pg_session *s = all; s != NULL; s = next) {
		next = s->next;
		if (is_among(s, endpoint) && !has(res, column, s->name))
			forget(s);
	}
}
