/*
 * pg_promises.c - what each link can promise and whether it can be used now, in plain words.
 */
#include <string.h>

#include "base/mem.h"
#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_install.h"

static struct link_promises promises_of(const struct pg_link *pl)
{
	const struct endpoint_conf *conf = pg_conf(pl->pg);
	const struct mapping *m = pl->link.mapping;
	struct link_promises p = { .guarded = true };

	if (m->role == ROLE_TARGET) {
		p.words = "written and read back; its own changes are found by the sweep only";
	} else if (conf->capture != CAPTURE_POLL) {
		p.prompt_deletes = p.exact = true;
		p.pushes = conf->notify;
		p.words = conf->notify ? "every committed change is seen as soon as it commits, deletions included" :
			"every committed change is seen at the next look, deletions included";
	} else {
		p.exact = pg_sees_all_stats(pl->pg);
		p.prompt_deletes = m->delete_mode == DELETE_SOFT;
		p.words = p.exact ?
			"changes that touch the modified column are seen at the next poll; deleted rows and all else by the sweep" :
			"changes that touch the modified column are seen at the next poll, from transactions longer than the overlap only "
			"by the sweep (the role is not in pg_read_all_stats); deleted rows and all else by the sweep";
	}
	return p;
}

static void not_installed(struct pg_link *pl, const struct err *install_failure)
{
	struct err *why = &pl->link.why;

	*why = pl->log_problem;
	if (pl->log_missing && install_failure->kind != 0) {
		*why = *install_failure;
		err_while(why, "the change log is not installed, and installing it fails");
	}
}

static bool settle(struct pg_link *pl, bool up, const struct err *install_failure)
{
	struct link before = pl->link;
	bool changed, untold = pl->untold;

	pl->untold = false;
	if (up && pl->misfit.kind != 0)
		pl->link.why = pl->misfit;
	else if (up && pl->log_problem.kind != 0)
		not_installed(pl, install_failure);
	else if (up && pl->refusal.kind != 0)
		pl->link.why = pl->refusal;
	else if (up)
		err_clear(&pl->link.why);
	pl->link.usable = up && pl->table != NULL && pl->link.why.kind == 0;
	pl->link.promises = promises_of(pl);
	changed = before.usable != pl->link.usable || strcmp(before.why.text, pl->link.why.text) != 0 ||
		strcmp(pl->told_mark, pl->link.schema_mark) != 0 || before.promises.words != pl->link.promises.words || untold;
	memcpy(pl->told_mark, pl->link.schema_mark, sizeof pl->told_mark);
	return changed;
}

bool pg_links_settle(struct postgres *pg, bool up, const struct err *install_failure)
{
	struct endpoint *ep = pg_endpoint(pg);
	bool changed = false;

	for (size_t i = 0; i < countof(ep->links); i++)
		if (ep->links[i] != NULL)
			changed |= settle((struct pg_link *)ep->links[i], up, install_failure);
	return changed;
}

bool pg_links_need_install(const struct postgres *pg)
{
	const struct endpoint *ep = (const struct endpoint *)pg;

	for (size_t i = 0; i < countof(ep->links); i++) {
		const struct pg_link *pl = (const struct pg_link *)ep->links[i];

		if (pl != NULL && pl->table != NULL && pl->log_problem.kind != 0 && pl->log_missing)
			return true;
	}
	return false;
}
