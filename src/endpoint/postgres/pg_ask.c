#include "endpoint/postgres/pg_ask.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "endpoint/postgres/pg_moment.h"

struct ask *pg_ask_new(struct link *l, const char *what, void (*answer)(struct ask *, PGresult *, const struct err *),
			   void *arg)
{
	struct ask *a = xcalloc(1, sizeof *a);

	a->pl = (struct pg_link *)l;
	a->mark = pg_mark_take(a->pl);
	a->what = what;
	a->answer = answer;
	a->arg = arg;
	pg_stmt_init(&a->st);
	a->st.params.reads = true;
	return a;
}

void pg_ask_end(struct ask *a)
{
	pg_stmt_fini(&a->st);
	free(a->after);
	free(a->until);
	free(a->since);
	free(a->import);
	free(a->parts);
	rowset_free(&a->rows);
	free(a);
}

static void refused(void *arg, PGresult *res, const struct err *e)
{
	struct ask *a = arg;

	PQclear(res);
	if (e != NULL)
		a->refusal = *e;
	a->answer(a, NULL, a->refusal.kind != 0 ? &a->refusal : NULL);
	pg_ask_end(a);
}

void pg_ask_nothing(struct ask *a)
{
	pg_soon(a->pl->pg, refused, a);
}

bool pg_ask_refuses(struct ask *a)
{
	if (a->pl->table != NULL)
		return false;
	pg_no_table(a->pl, &a->refusal);
	pg_ask_nothing(a);
	return true;
}

void pg_ask_result(void *arg, PGresult *res, const struct err *e)
{
	struct ask *a = arg;
	struct err why;

	if (e != NULL && a->import != NULL && pg_moment_is_lost(e)) {
		err_set(&why, ERR_TRANSIENT, MOMENT_LOST, "the moment of the table that was listed cannot be seen any more");
	} else if (e != NULL) {
		why = *e;
		err_while(&why, "%s", a->what);
	} else if (pg_mark_table(a->pl, &a->mark) == NULL) {
		pg_table_changed(&why);
	} else {
		a->answer(a, res, NULL);
		pg_ask_end(a);
		return;
	}
	PQclear(res);
	if (why.kind == ERR_ENDPOINT && strncmp(why.code, "42", 2) == 0)
		pg_catalog_stale(a->pl->pg);
	a->answer(a, NULL, &why);
	pg_ask_end(a);
}

void pg_ask_send(struct ask *a)
{
	pg_stmt_call(&a->st, a->pl->pg, pg_ask_result, a);
}

bool pg_ask_fails(struct ask *a, PGresult *res, const struct err *e)
{
	if (e == NULL && pg_mark_table(a->pl, &a->mark) != NULL)
		return false;
	pg_ask_result(a, res, e);
	return true;
}
