/*
 * pg_install.c - puts the change log and its triggers into the database, takes them out again, or prints how.
 *
 * The statements are written once, here, by write_install(): what `install` runs and what `install --print` shows is the same text.
 * It runs as one transaction and may be run again at any time, also while applications write: what is there as wanted is left alone,
 * and no lock is waited for so long that an application could be who gives way (locks_body). Objects (doc/own-writes.md):
 *
 *   crmsync.changelog, crmsync.state	shared by all topologies that listen to this database
 *   crmsync.capture_BASE()		one a table and topology: writes the log; SECURITY DEFINER, fixed search_path
 *   crmsync.wake_BASE()		with notify: one NOTIFY a statement
 *   triggers crmsync_BASE_[iudtn]	insert, update, delete, truncate; n: wake
 *
 * BASE is TOPOLOGY_ENTITY, cut and made unique by a digest when that is too long for a name.
 */
#include "endpoint/postgres/pg_install.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"

enum { BASE_MAX = 44, BASE_KEEP = 34, LOCK_MS = 1000 };

static const char letters[] = "iudtn";

/* ---- names ------------------------------------------------------------------------------------------- */

static char *base_name(const struct pg_link *pl)
{
	char *full = xasprintf("%s_%s", pg_consumer(pl->pg), pl->link.mapping->entity->name), *cut;
	size_t keep = BASE_KEEP;

	if (strlen(full) <= BASE_MAX)
		return full;
	while (keep > 0 && ((unsigned char)full[keep] & 0xc0) == 0x80)
		keep--;		/* not inside a character */
	cut = xasprintf("%.*s_%08" PRIx64, (int)keep, full, pg_plain_digest(full, strlen(full)) & 0xffffffffu);
	free(full);
	return cut;
}

bool pg_install_wanted(const struct pg_link *pl)
{
	return pg_conf(pl->pg)->capture == CAPTURE_LISTEN && pl->link.mapping->role != ROLE_TARGET;
}

static bool wants_letter(const struct pg_link *pl, char letter)
{
	return letter != 'n' || pg_conf(pl->pg)->notify;
}

char *pg_install_capture_name(const struct pg_link *pl)
{
	char *base = base_name(pl), *name = xasprintf("capture_%s", base);

	free(base);
	return name;
}

bool pg_install_is_ours(const struct pg_link *pl, const char *trigger)
{
	char *base = base_name(pl);
	size_t len = strlen(base);
	bool ours = strncmp(trigger, "crmsync_", 8) == 0 && strncmp(trigger + 8, base, len) == 0 && trigger[8 + len] == '_' &&
		trigger[9 + len] != '\0' && strchr(letters, trigger[9 + len]) != NULL && trigger[10 + len] == '\0';

	free(base);
	return ours;
}

/* ---- writing the statements -------------------------------------------------------------------------- */

/* Appends text, in which %N stands for parts[N - 1] and %% for a percent sign. False: a part is NULL. */
static bool fill(struct buf *b, const char *text, const char *const *parts)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p != '%' || *++p == '%') {
			buf_addc(b, *p);
			continue;
		}
		if (parts[*p - '1'] == NULL)
			return false;
		buf_adds(b, parts[*p - '1']);
	}
	return true;
}

/* A dollar quote that the body does not contain: a column may be called anything. */
static void dollar_quoted(struct buf *b, const char *body)
{
	char tag[24] = "$crmsync$";

	for (unsigned i = 1; strstr(body, tag) != NULL; i++)
		snprintf(tag, sizeof tag, "$crmsync%u$", i);
	buf_addf(b, "%s%s%s", tag, body, tag);
}

/*
 * The log entry must not be able to fail the application's write. So: rights and search_path are the function's own; the id is
 * read inside an exception block, since the column may have been renamed since (no id: op tells that something changed, and
 * the reader sweeps); a log that somebody removed by hand is missed by nobody but us; pk may be NULL; the id's text does not depend on the application's settings (see id_settings()).
 * The block encloses no write, so it costs no transaction id.
 */
static const char capture_body[] =
	"\nDECLARE\n\told_id text;\n\tnew_id text;\nBEGIN\n"
	"\tIF TG_LEVEL = 'ROW' THEN\n"
	"\t\tBEGIN\n"
	"\t\t\tIF TG_OP <> 'INSERT' THEN old_id := OLD.%1::text; END IF;\n"
	"\t\t\tIF TG_OP <> 'DELETE' THEN new_id := NEW.%1::text; END IF;\n"
	"\t\tEXCEPTION WHEN OTHERS THEN\n\t\t\told_id := NULL;\n\t\t\tnew_id := NULL;\n\t\tEND;\n"
	"\tEND IF;\n"
	"\tIF to_regclass('crmsync.changelog') IS NULL THEN RETURN NULL; END IF;\n"
	"\tINSERT INTO crmsync.changelog (consumer, tab, op, pk, old_pk)\n"
	"\tVALUES (%2, %3, left(TG_OP, 1)::\"char\", to_jsonb(coalesce(new_id, old_id)),\n"
	"\t\tCASE WHEN new_id <> old_id THEN to_jsonb(old_id) END);\n"
	"\tRETURN NULL;\nEND\n";

static const char wake_body[] = "\nBEGIN\n\tPERFORM pg_notify(%1, '');\n\tRETURN NULL;\nEND\n";

/* Types whose text follows settings of the session: the application's must not decide how we see the id. */
static const char *id_settings(const struct pg_column *id)
{
	switch (id->category) {
	case 'S': case 'E': case 'B': case 'I':
		return "";
	case 'N':
		if (id->oid != 700 && id->oid != 701)	/* float4, float8: extra_float_digits */
			return "";
		break;
	case 'U':
		if (id->oid == 2950)	/* uuid */
			return "";
		break;
	}
	return "\n\tSET \"DateStyle\" = 'ISO, YMD' SET \"TimeZone\" = 'UTC' SET \"IntervalStyle\" = 'postgres'"
	       "\n\tSET extra_float_digits = 1 SET bytea_output = 'hex'";
}

/* Everything of one link that its SQL is made from; all quoted, all owned. */
struct parts {
	char *base, *consumer, *entity, *channel;	/* literals, but for base: plain */
	char *capture, *wake;				/* function names, quoted and qualified */
	char *triggers[sizeof letters - 1];		/* quoted */
};

static char *quoted_name(const struct pg_link *pl, const char *fmt_head, const char *base, const char *tail)
{
	char *plain = xasprintf("%s%s%s", fmt_head, base, tail), *quoted = pg_quote_name(pl->pg, plain);

	free(plain);
	return quoted;
}

static char *qualified(char *quoted)
{
	char *full = quoted != NULL ? xasprintf("crmsync.%s", quoted) : NULL;

	free(quoted);
	return full;
}

static void parts_init(struct parts *p, const struct pg_link *pl)
{
	p->base = base_name(pl);
	p->consumer = pg_quote_text(pl->pg, pg_consumer(pl->pg));
	p->entity = pg_quote_text(pl->pg, pl->link.mapping->entity->name);
	p->channel = pg_quote_text(pl->pg, pg_channel(pl->pg));
	p->capture = qualified(quoted_name(pl, "capture_", p->base, ""));
	p->wake = qualified(quoted_name(pl, "wake_", p->base, ""));
	for (size_t i = 0; i < countof(p->triggers); i++) {
		char tail[3] = { '_', letters[i], '\0' };

		p->triggers[i] = quoted_name(pl, "crmsync_", p->base, tail);
	}
}

static void parts_fini(struct parts *p)
{
	free(p->base);
	free(p->consumer);
	free(p->entity);
	free(p->channel);
	free(p->capture);
	free(p->wake);
	for (size_t i = 0; i < countof(p->triggers); i++)
		free(p->triggers[i]);
}

static bool write_function(struct buf *b, const char *name, const char *settings, const char *body, const char *const *body_parts,
			   const char *mark)
{
	struct buf text = { 0 };
	bool ok = name != NULL && fill(&text, body, body_parts);

	if (ok) {
		buf_addf(b, "CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER\n"
			 "\tSET search_path = pg_catalog, pg_temp%s AS ", name, settings);
		dollar_quoted(b, text.p);
		buf_addf(b, ";\nREVOKE ALL ON FUNCTION %s() FROM PUBLIC;\nCOMMENT ON FUNCTION %s() IS %s;\n", name, name, mark);
	}
	buf_fini(&text);
	return ok;
}

/* Up to 13 there is no CREATE OR REPLACE TRIGGER; dropping one keeps readers out for a moment. */
static void write_create(struct buf *b, const struct pg_link *pl, const struct pg_table *t, const char *trigger)
{
	if (pg_server_version(pl->pg) >= 140000)
		buf_adds(b, "CREATE OR REPLACE TRIGGER ");
	else
		buf_addf(b, "DROP TRIGGER IF EXISTS %s ON %s;\nCREATE TRIGGER ", trigger, t->quoted);
}

static const struct {
	const char *event, *level;
	bool changed_only;		/* an update that changes nothing is none */
	bool by_anybody;		/* we never truncate; and TRUNCATE ... CASCADE acts at depth 0 */
} trigger_kinds[] = {			/* in the order of letters[] */
	{ "INSERT", "ROW", false, false }, { "UPDATE", "ROW", true, false }, { "DELETE", "ROW", false, false },
	{ "TRUNCATE", "STATEMENT", false, true }, { "INSERT OR UPDATE OR DELETE OR TRUNCATE", "STATEMENT", false, false },
};

static bool write_trigger(struct buf *b, const struct pg_link *pl, const struct pg_table *t, const struct parts *p, size_t i)
{
	/*
	 * Our own statement's direct effect is read back by the statement itself and need not be logged; what other triggers make of
	 * it (depth above 0) must be. Rewrite rules act at depth 0, so where there are rules everything is logged.
	 */
	static const char not_ours[] = "(%2 OR "
		"pg_catalog.current_setting('crmsync.writer', true) IS DISTINCT FROM %1)";
	struct buf when = { 0 };
	bool ok = p->triggers[i] != NULL;

	/* Byte by byte: works for types without =, and sees what = does not. */
	if (trigger_kinds[i].changed_only)
		buf_adds(&when, "OLD.* OPERATOR(pg_catalog.*<>) NEW.*");
	if (!t->has_rules && !trigger_kinds[i].by_anybody) {
		buf_adds(&when, when.len > 0 ? " AND " : "");
		ok = ok && fill(&when, not_ours, (const char *[]){ p->consumer, fault("f09-what-triggers-make-of-our-write-is-ours") ? "false" :
				"pg_catalog.pg_trigger_depth() > 0" });
	}
	if (ok) {
		write_create(b, pl, t, p->triggers[i]);
		buf_addf(b, "%s AFTER %s ON %s FOR EACH %s%s%s%s EXECUTE FUNCTION %s();\n", p->triggers[i], trigger_kinds[i].event,
			 t->quoted, trigger_kinds[i].level, when.len > 0 ? "\n\tWHEN (" : "", when.len > 0 ? when.p : "",
			 when.len > 0 ? ")" : "", letters[i] == 'n' ? p->wake : p->capture);
		/* Always: rows that logical replication applies, or a session in replica role writes, are changes too. */
		buf_addf(b, "ALTER TABLE %s ENABLE ALWAYS TRIGGER %s;\n", t->quoted, p->triggers[i]);
	}
	buf_fini(&when);
	return ok;
}

/* The statements for one table. False: a name could not be quoted (the connection is gone). */
static bool write_link(struct buf *b, const struct pg_link *pl, const struct pg_table *t, const char *mark)
{
	struct parts p;
	bool ok;

	parts_init(&p, pl);
	ok = write_function(b, p.capture, id_settings(&t->id), capture_body,
			    (const char *[]){ t->id.quoted, p.consumer, p.entity }, mark);
	if (ok && wants_letter(pl, 'n'))
		ok = write_function(b, p.wake, "", wake_body, (const char *[]){ p.channel }, mark);
	for (size_t i = 0; i < countof(trigger_kinds) && ok; i++)
		if (wants_letter(pl, letters[i]))
			ok = write_trigger(b, pl, t, &p, i);
	parts_fini(&p);
	return ok;
}

char *pg_install_mark_head(const struct postgres *pg)
{
	return xasprintf("crmsync %s ", pg_consumer(pg));
}

size_t pg_install_mark(const struct pg_link *pl, const struct pg_table *t, char **out)
{
	struct buf b = { 0 };
	char *head = pg_install_mark_head(pl->pg);

	if (!write_link(&b, pl, t, "''"))
		buf_clear(&b);
	*out = xasprintf("%s%s %016" PRIx64, head, pl->link.mapping->entity->name, pg_plain_digest(b.len > 0 ? b.p : "", b.len));
	free(head);
	buf_fini(&b);
	return sizeof letters - 1 - !wants_letter(pl, 'n');
}

/*
 * Whoever waits for a table's lock holds up everybody behind it: rather come back later. And well before the server looks for a
 * deadlock, which it ends by failing who looked first: that must not be the application.
 */
static const char patience_body[] =
	"\nBEGIN\n\tPERFORM pg_catalog.set_config('lock_timeout', greatest(1, least(%1, setting::int / 2))::text, true)\n"
	"\t\tFROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout';\nEND\n";

static const char shared_sql[] =
	/* Two topologies that install at the same moment take turns (the number means nothing). */
	"DO $crmsync$\nBEGIN\n\tPERFORM pg_catalog.pg_advisory_xact_lock(7165902847529);\n"
	"\tIF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'crmsync') THEN\n"
	"\t\tCREATE SCHEMA crmsync;\n\tEND IF;\nEND $crmsync$;\n"
	"CREATE TABLE IF NOT EXISTS crmsync.changelog (\n"
	"\tid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
	"\tat timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),\n"
	"\tconsumer text NOT NULL,\n\ttab text NOT NULL,\n\top \"char\" NOT NULL,\n\tpk jsonb,\n\told_pk jsonb\n"
	/* Rows live for milliseconds: vacuum by number, not by share, and without pauses. */
	") WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_insert_threshold = -1,\n"
	"\tautovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);\n"
	"CREATE TABLE IF NOT EXISTS crmsync.state (\n"
	"\tconsumer text PRIMARY KEY,\n\tepoch bigint NOT NULL DEFAULT 0,\n\tfence bigint NOT NULL DEFAULT 0\n) WITH (fillfactor = 20,\n"
	"\tautovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);\n"
	"GRANT USAGE ON SCHEMA crmsync TO %1;\n"
	"GRANT SELECT, DELETE ON crmsync.changelog TO %1;\n"
	"GRANT SELECT, INSERT, UPDATE ON crmsync.state TO %1;\n";

/* CREATE INDEX IF NOT EXISTS locks the log against writers before it looks. */
static const char log_body[] =
	"\nBEGIN\n\tIF to_regclass('crmsync.changelog_order') IS NULL THEN\n"
	"\t\tCREATE INDEX changelog_order ON crmsync.changelog (consumer, tab, id);\n\tEND IF;\n"
	"\tIF obj_description('crmsync.changelog'::regclass, 'pg_class') IS DISTINCT FROM '" PG_INSTALL_VERSION "' THEN\n"
	"\t\tCOMMENT ON TABLE crmsync.changelog IS '" PG_INSTALL_VERSION "';\n\tEND IF;\nEND\n";

/* What this topology had here and does not want any more: on a table that is mapped no longer, or mapped to another. */
#define STRAY_TRIGGERS \
	"pg_catalog.pg_trigger t\n" \
	"\t\tJOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace\n" \
	"\t\tWHERE n.nspname = 'crmsync' AND starts_with(obj_description(p.oid, 'pg_proc'), %1) AND t.tgparentid = 0\n" \
	"\t\tAND NOT (t.tgname || ' ' || t.tgrelid) = ANY (ARRAY[%2]::text[])\n"

static const char strays_body[] =
	"\nDECLARE\n\tr record;\nBEGIN\n"
	"\tFOR r IN SELECT t.tgname, t.tgrelid::regclass AS tab FROM " STRAY_TRIGGERS
	"\tLOOP\n\t\tEXECUTE format('DROP TRIGGER %%I ON %%s', r.tgname, r.tab);\n\tEND LOOP;\n"
	"\tFOR r IN SELECT p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace\n"
	"\t\tWHERE n.nspname = 'crmsync' AND starts_with(obj_description(p.oid, 'pg_proc'), %1)\n"
	"\t\tAND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgfoid = p.oid)\n"
	"\tLOOP\n\t\tEXECUTE format('DROP FUNCTION crmsync.%%I()', r.proname);\n\tEND LOOP;\n"
	"\tDELETE FROM crmsync.changelog WHERE consumer = %3 AND tab <> ALL (ARRAY[%4]::text[]);\n"
	"END\n";

/*
 * All tables that will be changed, before anything that the application locks behind them: it takes its table, then the log. Of
 * several tables it may take the later one first. So all of this together may take as long as one lock may: whoever waits behind us
 * has not yet looked for a deadlock when we give up. To drop a trigger needs the table alone, and a lock must not grow later.
 */
static const char locks_head[] =
	"\nDECLARE\n\tr record;\n\tbegan timestamptz := clock_timestamp();\n"
	"\tmost int := (SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'lock_timeout');\nBEGIN\n"
	"\tFOR r IN SELECT CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || c.oid::regclass AS tab,\n"
	"\t\tCASE WHEN bool_or(w.alone) THEN 'ACCESS EXCLUSIVE' ELSE 'SHARE ROW EXCLUSIVE' END AS mode\n"
	"\t\tFROM (SELECT 0::oid AS tab, false AS alone";
static const char locks_strays[] = "\n\t\tUNION ALL SELECT t.tgrelid, true FROM " STRAY_TRIGGERS;
static const char locks_tail[] =
	") w\n\t\tJOIN pg_catalog.pg_class c ON c.oid = w.tab GROUP BY c.oid, c.relkind ORDER BY c.oid\n"
	"\tLOOP\n\t\tEXECUTE format('LOCK TABLE %s IN %s MODE', r.tab, r.mode);\n"
	"\t\tPERFORM pg_catalog.set_config('lock_timeout',\n"
	"\t\t\tgreatest(1, most - extract(epoch FROM clock_timestamp() - began) * 1000)::int::text, true);\n"
	"\tEND LOOP;\nEND\n";

/* ---- the whole --------------------------------------------------------------------------------------- */

static const struct pg_link *link_at(const struct endpoint *ep, size_t i)
{
	const struct pg_link *pl = (const struct pg_link *)ep->links[i];

	return pl != NULL && pg_install_wanted(pl) ? pl : NULL;
}

static void add_item(struct buf *list, const char *item)
{
	buf_addf(list, "%s%s", list->len > 0 ? ", " : "", item);
}

/* What an endpoint's database shall have of this topology, as SQL. */
struct wanted {
	char *head, *consumer;		/* literals: how our marks begin; whose entries */
	struct buf triggers;		/* 'trigger ' || 'table'::regclass::oid of each */
	struct buf tabs;		/* literals: names in the log */
	bool all_known;			/* while a table does not fit, nothing is dropped */
};

static bool list_triggers(struct buf *list, const struct pg_link *pl)
{
	char *base = base_name(pl), *table = pg_quote_text(pl->pg, pl->table->quoted);
	bool ok = table != NULL;

	for (size_t i = 0; i < sizeof letters - 1 && ok; i++) {
		char *name = xasprintf("crmsync_%s_%c ", base, letters[i]), *literal = pg_quote_text(pl->pg, name);

		ok = literal != NULL;
		if (ok && wants_letter(pl, letters[i]))
			buf_addf(list, "%s%s || %s::regclass::oid", list->len > 0 ? ",\n\t\t\t" : "", literal, table);
		free(literal);
		free(name);
	}
	free(table);
	free(base);
	return ok;
}

static bool wanted_add(struct wanted *w, const struct pg_link *pl)
{
	char *tab = pg_quote_text(pl->pg, pl->link.mapping->entity->name);
	bool ok = tab != NULL && (pl->table == NULL || list_triggers(&w->triggers, pl));

	if (tab != NULL)
		add_item(&w->tabs, tab);
	free(tab);
	return ok;
}

/* `keep` false: it shall have nothing. */
static bool wanted_init(struct wanted *w, struct endpoint *ep, bool keep)
{
	struct postgres *pg = pg_of(ep);
	char *head = pg_install_mark_head(pg);
	bool ok;

	*w = (struct wanted){ .head = pg_quote_text(pg, head), .consumer = pg_quote_text(pg, pg_consumer(pg)), .all_known = true };
	free(head);
	ok = w->head != NULL && w->consumer != NULL;
	for (size_t i = 0; i < countof(ep->links) && keep && ok; i++) {
		w->all_known &= ep->links[i] == NULL || ((const struct pg_link *)ep->links[i])->table != NULL;
		if (link_at(ep, i) != NULL)
			ok = wanted_add(w, link_at(ep, i));
	}
	return ok;
}

static void wanted_fini(struct wanted *w)
{
	free(w->head);
	free(w->consumer);
	buf_fini(&w->triggers);
	buf_fini(&w->tabs);
}

static const char *text_of(const struct buf *b)
{
	return b->len > 0 ? b->p : "";
}

static void write_do(struct buf *b, const char *body)
{
	buf_adds(b, "DO ");
	dollar_quoted(b, body);
	buf_adds(b, ";\n");
}

/* Drops triggers on tables that are mapped no longer, functions without triggers, entries nobody will read. */
static void write_strays(struct buf *b, const struct wanted *w)
{
	struct buf body = { 0 };

	if (w->all_known) {
		fill(&body, strays_body, (const char *[]){ w->head, text_of(&w->triggers), w->consumer, text_of(&w->tabs) });
		write_do(b, body.p);
	}
	buf_fini(&body);
}

/*
 * A condition: the link's triggers are there, and exactly as we would make them now. A mark and the triggers that it is about are
 * always made in one transaction.
 */
static bool write_in_place(struct buf *b, const struct pg_link *pl)
{
	struct buf names = { 0 };
	char *mark, *literal, *table = pg_quote_text(pl->pg, pl->table->quoted);
	size_t n = pg_install_mark(pl, pl->table, &mark);
	bool ok = list_triggers(&names, pl);

	literal = pg_quote_text(pl->pg, mark);
	ok = ok && table != NULL && literal != NULL;
	if (ok)
		buf_addf(b, "(SELECT count(*) FROM pg_catalog.pg_trigger g WHERE g.tgrelid = %s::regclass AND g.tgenabled = 'A'\n"
			 "\t\tAND obj_description(g.tgfoid, 'pg_proc') = %s\n"
			 "\t\tAND (g.tgname || ' ' || g.tgrelid) = ANY (ARRAY[%s])) = %zu", table, literal, names.p, n);
	free(literal);
	free(mark);
	free(table);
	buf_fini(&names);
	return ok;
}

/* The link's table, for the locks, if it will be changed; up to 13 its triggers are dropped first. */
static bool write_lock(struct buf *b, const struct pg_link *pl)
{
	char *table = pg_quote_text(pl->pg, pl->table->quoted);
	bool ok = table != NULL;

	if (ok) {
		buf_addf(b, "\n\t\tUNION ALL SELECT %s::regclass, %s WHERE NOT ", table, pg_server_version(pl->pg) < 140000 ? "true" : "false");
		ok = write_in_place(b, pl);
	}
	free(table);
	return ok;
}

static bool write_locks(struct buf *b, const struct endpoint *ep, const struct wanted *w, bool keep)
{
	struct buf body = { 0 };
	bool ok = true;

	buf_adds(&body, locks_head);
	if (w->all_known)
		fill(&body, locks_strays, (const char *[]){ w->head, text_of(&w->triggers) });
	for (size_t i = 0; i < countof(ep->links) && keep && ok; i++)
		if (link_at(ep, i) != NULL && link_at(ep, i)->table != NULL)
			ok = write_lock(&body, link_at(ep, i));
	buf_adds(&body, locks_tail);
	if (ok)
		write_do(b, body.p);
	buf_fini(&body);
	return ok;
}

static void write_patience(struct buf *b, int64_t ms)
{
	char *most = xasprintf("%d", ms > 0 && ms < LOCK_MS ? (int)ms : LOCK_MS);
	struct buf body = { 0 };

	fill(&body, patience_body, (const char *[]){ most });
	write_do(b, body.p);
	buf_fini(&body);
	free(most);
}

static bool write_shared(struct buf *b, struct postgres *pg)
{
	char *role = pg_quote_name(pg, pg_role(pg));
	bool ok = fill(b, shared_sql, (const char *[]){ role });

	free(role);
	return ok;
}

/* The link's objects, unless they are there. */
static bool write_link_once(struct buf *b, const struct pg_link *pl)
{
	struct buf body = { 0 };
	char *mark, *literal;
	bool ok;

	pg_install_mark(pl, pl->table, &mark);
	literal = pg_quote_text(pl->pg, mark);
	buf_adds(&body, "\nBEGIN\nIF ");
	ok = literal != NULL && write_in_place(&body, pl);
	buf_adds(&body, " THEN\n\tRETURN;\nEND IF;\n");
	ok = ok && write_link(&body, pl, pl->table, literal);
	buf_adds(&body, "END\n");
	if (ok)
		write_do(b, body.p);
	free(literal);
	free(mark);
	buf_fini(&body);
	return ok;
}

/* All statements of install, without BEGIN and COMMIT. Writes how many tables are in it. */
static bool write_install(struct buf *b, struct endpoint *ep, size_t *n, struct err *e)
{
	struct wanted w;
	bool ok = wanted_init(&w, ep, true);

	write_patience(b, pg_conf(pg_of(ep))->lock_timeout_us / 1000);
	ok = ok && write_shared(b, pg_of(ep)) && write_locks(b, ep, &w, true);
	if (ok) {
		write_do(b, log_body);
		write_strays(b, &w);
	}
	*n = 0;
	for (size_t i = 0; i < countof(ep->links) && ok; i++) {
		if (link_at(ep, i) == NULL || link_at(ep, i)->table == NULL)
			continue;
		ok = write_link_once(b, link_at(ep, i));
		++*n;
	}
	wanted_fini(&w);
	return ok || err_set(e, ERR_TRANSIENT, "", "the connection was lost");
}

static bool any_wanted(const struct endpoint *ep)
{
	for (size_t i = 0; i < countof(ep->links); i++)
		if (link_at(ep, i) != NULL)
			return true;
	return false;
}

static const char uninstall_tail[] =
	"DELETE FROM crmsync.state WHERE consumer = %1;\n"
	"DO $crmsync$\nBEGIN\n"
	"\tIF NOT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace = 'crmsync'::regnamespace)\n"
	"\t\tAND NOT EXISTS (SELECT FROM crmsync.changelog) AND NOT EXISTS (SELECT FROM crmsync.state) THEN\n"
	"\t\tDROP TABLE crmsync.changelog, crmsync.state;\n"
	"\t\tBEGIN\n\t\t\tDROP SCHEMA crmsync;\n"
	/* Somebody else's things in it, or a schema that the administrator made for us: both may stay. */
	"\t\tEXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN NULL;\n\t\tEND;\n"
	"\tEND IF;\nEND $crmsync$;\n";

static bool write_uninstall(struct buf *b, struct endpoint *ep, struct err *e)
{
	struct wanted w;
	bool ok = wanted_init(&w, ep, false);

	write_patience(b, 0);
	ok = ok && write_locks(b, ep, &w, false);
	if (ok) {
		write_strays(b, &w);
		fill(b, uninstall_tail, (const char *[]){ w.consumer });
	}
	wanted_fini(&w);
	return ok || err_set(e, ERR_TRANSIENT, "", "the connection was lost");
}

/* ---- the conversations: ask what is there, then run or print ----------------------------------------- */

enum errand_kind { ERRAND_INSTALL, ERRAND_UNINSTALL, ERRAND_PRINT };

typedef void printed_fn(void *arg, const char *text, const struct err *e);

struct errand {			/* what somebody asked for */
	struct endpoint *ep;
	enum errand_kind kind;
	done_fn *done;		/* install, uninstall */
	printed_fn *printed;	/* print */
	void *arg;
	struct buf sql;
	char *grants;		/* install: what would give our role the rights; "": it has them, or better had not */
};

static void errand_end(struct errand *x, const struct err *e)
{
	if (x->kind == ERRAND_PRINT)
		x->printed(x->arg, e == NULL ? x->sql.p : NULL, e);
	else
		x->done(x->arg, e);
	buf_fini(&x->sql);
	free(x->grants);
	free(x);
}

/* The server says what was denied; this is what to do about it. */
static void say_how_to_allow(const struct errand *x, struct err *why)
{
	const char *name = x->ep->conf->name;
	struct err said = *why;

	if (x->grants[0] != '\0')
		err_set(why, ERR_ENDPOINT, said.code, "%s; an administrator may run: %s; or the output of crmsyncctl install %s --print",
			said.text, x->grants, name);
	else
		err_set(why, ERR_ENDPOINT, said.code, "%s; an administrator may run the output of crmsyncctl install %s --print", said.text, name);
}

static void got_run(void *arg, PGresult *res, const struct err *e)
{
	struct errand *x = arg;
	struct err why = { 0 };

	PQclear(res);
	if (e != NULL) {
		why = *e;
		err_while(&why, x->kind == ERRAND_INSTALL ? "install" : "uninstall");
		if (why.kind == ERR_ROW)
			why.kind = ERR_ENDPOINT;
		if (x->kind == ERRAND_INSTALL && strcmp(why.code, "42501") == 0)
			say_how_to_allow(x, &why);
	}
	errand_end(x, e != NULL ? &why : NULL);
}

static void print_left_out(struct buf *b, const struct endpoint *ep)
{
	for (size_t i = 0; i < countof(ep->links); i++) {
		const struct pg_link *pl = link_at(ep, i);

		if (pl == NULL || pl->table != NULL)
			continue;
		/* One comment line: the words may hold names with line ends. */
		buf_addf(b, "-- Left out, entity %s: ", pl->link.mapping->entity->name);
		for (const char *p = pl->misfit.text; *p != '\0'; p++)
			buf_addc(b, *p == '\n' || *p == '\r' ? ' ' : *p);
		buf_addc(b, '\n');
	}
}

static bool print_text(struct errand *x, bool prepares, struct err *e)
{
	struct buf head = { 0 };
	struct endpoint *ep = x->ep;
	struct buf body = { 0 };
	size_t n;
	bool ok;

	buf_addf(&head, "-- crmsyncd, topology %s: %s for endpoint %s. Run it as the tables' owner or as a superuser.\n",
		 pg_consumer(pg_of(ep)), any_wanted(ep) ? "the change log and the state row" :
		 "the state row (nothing there is captured with listen)", ep->conf->name);
	if (prepares && ep->conf->notify && any_wanted(ep))
		buf_adds(&head, "-- This server allows prepared transactions, and a transaction that notifies cannot be prepared:\n"
			 "-- where applications use two-phase commit, set notify: false for this endpoint first.\n");
	print_left_out(&head, ep);
	ok = write_install(&body, ep, &n, e);
	if (ok)
		buf_addf(&head, "BEGIN;\n%sCOMMIT;\n", body.p);
	buf_fini(&body);
	x->sql = head;
	return ok;
}

/* Between connecting and the end of the first look at the catalog: what would be written now had no triggers. */
static bool tables_unread(const struct endpoint *ep)
{
	for (size_t i = 0; i < countof(ep->links); i++) {
		const struct pg_link *pl = link_at(ep, i);

		if (pl != NULL && pl->table == NULL && pl->misfit.kind == 0)
			return true;
	}
	return false;
}

static void got_facts(void *arg, PGresult *res, const struct err *e)
{
	struct errand *x = arg;
	struct err why = { 0 };
	bool prepares = e == NULL && strcmp(PQgetvalue(res, 0, 0), "0") != 0;
	bool there = e == NULL && PQgetvalue(res, 0, 1)[0] == 't';
	size_t n = 0;

	x->grants = xstrdup(e == NULL ? PQgetvalue(res, 0, 2) : "");
	PQclear(res);
	buf_fini(&x->sql);
	if (e != NULL) {
		errand_end(x, e);
		return;
	}
	if (x->kind != ERRAND_UNINSTALL && tables_unread(x->ep)) {
		err_set(&why, ERR_TRANSIENT, "", "endpoint %s has only just been connected to: try again", x->ep->conf->name);
		errand_end(x, &why);
		return;
	}
	switch (x->kind) {
	case ERRAND_PRINT:
		print_text(x, prepares, &why);
		break;
	case ERRAND_INSTALL:
		if (prepares && x->ep->conf->notify && any_wanted(x->ep))
			log_warn("notifications and two-phase commit exclude each other: set notify: false if applications use "
				 "PREPARE TRANSACTION", LOG_S("endpoint", x->ep->conf->name));
		if (write_install(&x->sql, x->ep, &n, &why) && n == 0 && any_wanted(x->ep))
			err_set(&why, ERR_ENDPOINT, "", "no table fits yet, so there is nothing to install; see status");
		break;
	case ERRAND_UNINSTALL:
		if (there)
			write_uninstall(&x->sql, x->ep, &why);
		break;
	}
	if (why.kind != 0)
		errand_end(x, &why);
	else if (x->kind == ERRAND_PRINT || x->sql.len == 0)
		errand_end(x, NULL);
	else
		pg_call(pg_of(x->ep), x->sql.p, NULL, got_run, x);
}

/* And what our role lacks to install, as GRANTs; nothing when it would have to act for a superuser. */
static const char facts_sql[] =
	"SELECT current_setting('max_prepared_transactions'), to_regclass('crmsync.changelog') IS NOT NULL, "
	"(SELECT CASE WHEN NOT bool_or(g.super) THEN string_agg(g.line, '; ' ORDER BY g.line) END FROM ("
	"SELECT false, format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user) "
	"WHERE to_regnamespace('crmsync') IS NULL AND NOT has_database_privilege(current_database(), 'CREATE') "
	"UNION SELECT o.rolsuper, format('GRANT %I TO %I', o.rolname, current_user) FROM pg_roles o "
	"WHERE NOT pg_has_role(o.oid, 'USAGE') AND o.oid IN (SELECT nspowner FROM pg_namespace WHERE nspname = 'crmsync' "
	"UNION SELECT relowner FROM pg_class WHERE oid IN (0";
static const char facts_tail[] = "))) AS g(super, line))";

static void add_table_oids(struct buf *b, const struct endpoint *ep)
{
	for (size_t i = 0; i < countof(ep->links); i++)
		if (link_at(ep, i) != NULL && link_at(ep, i)->table != NULL)
			buf_addf(b, ", %u", link_at(ep, i)->table->oid);
}

static void errand_new(struct endpoint *ep, enum errand_kind kind, done_fn *done, printed_fn *printed, void *arg)
{
	struct errand *x = xcalloc(1, sizeof *x);

	*x = (struct errand){ .ep = ep, .kind = kind, .done = done, .printed = printed, .arg = arg };
	buf_adds(&x->sql, facts_sql);
	add_table_oids(&x->sql, ep);
	buf_adds(&x->sql, facts_tail);
	pg_call(pg_of(ep), x->sql.p, NULL, got_facts, x);
}

void pg_install_op(struct endpoint *ep, done_fn *done, void *arg)
{
	errand_new(ep, ERRAND_INSTALL, done, NULL, arg);
}

void pg_uninstall_op(struct endpoint *ep, done_fn *done, void *arg)
{
	errand_new(ep, ERRAND_UNINSTALL, done, NULL, arg);
}

void pg_install_print_op(struct endpoint *ep, printed_fn *printed, void *arg)
{
	errand_new(ep, ERRAND_PRINT, NULL, printed, arg);
}
