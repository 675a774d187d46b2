/*
 * story.c - `crmsyncctl conflicts`: the decisions as a table, or, with --key, one record's story in sentences.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/words.h"
#include "ctl/asking.h"

enum {
	CONFLICTS_MOST = 1000,		/* the daemon shows the newest so many */
	UNCUT = 100000,			/* for a file no column gives way */
	CELL_MOST = 1000,		/* of a value in the table: a column is as wide as its longest */
};

static bool is_in(const json_t *list, const char *word)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), word) == 0)
			return true;
	return false;
}

static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

/* "25 Nov 2026 14:03:05", in UTC */
static void add_moment(struct buf *out, const char *rfc3339)
{
	unsigned month, day, year;

	if (sscanf(rfc3339, "%4u-%2u-%2u", &year, &month, &day) == 3 && month >= 1 && month <= countof(months) && strlen(rfc3339) >= 19)
		buf_addf(out, "%u %s %u %.8s", day, months[month - 1], year, rfc3339 + 11);
	else
		buf_adds(out, "an unknown time");
}

void add_value(struct buf *out, const json_t *value, bool is_private, size_t most)
{
	if (is_private) {
		buf_adds(out, "a value that is not kept");
	} else if (value == NULL) {
		buf_adds(out, "a value that could not be asked for");
	} else if (json_is_string(value)) {
		buf_addc(out, '"');
		text_escape(out, json_string_value(value), json_string_length(value), '\0', most);
		buf_addc(out, '"');
	} else {
		buf_adds(out, "nothing");
	}
}

/* "sales, support and billing"; false: the list is empty. */
static bool add_names(struct buf *out, const json_t *list)
{
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n; i++)
		buf_addf(out, "%s%s", i == 0 ? "" : i + 1 == n ? " and " : ", ", json_string_value(json_array_get(list, i)));
	return n > 0;
}

/* ---- the table --------------------------------------------------------------------------------------- */

static const struct table_column columns[] = {
	{ "TIME" }, { "ENTITY" }, { "KEY", .elastic = true }, { "FIELD" }, { "STANDS" }, { "VALUE", .elastic = true },
	{ "LOST", .elastic = true }, { "RULE" }, { "BY" },
};

/* NULL: it is not known. */
static const json_t *value_of_lost(const json_t *lost)
{
	return json_is_false(json_object_get(lost, "known")) ? NULL : json_object_get(lost, "value");
}

/* "support "+49 2"" or "support (delete)" */
static void add_loser(struct buf *out, const json_t *j, const json_t *lost)
{
	buf_addf(out, "%s%s ", out->len > 0 ? ", " : "", str(lost, "endpoint"));
	if (json_is_true(json_object_get(lost, "deleted")))
		buf_adds(out, "(delete)");
	else if (str(j, "field")[0] == '\0')
		buf_adds(out, "(edit)");
	else
		add_value(out, value_of_lost(lost), json_is_true(json_object_get(j, "private")), CELL_MOST);
}

static struct table table = { .columns = columns, .n_columns = countof(columns) };

static void take_row(struct asking *a, const json_t *j)
{
	const json_t *lost;
	struct buf stands = { 0 }, losers = { 0 }, when = { 0 };
	size_t i;

	buf_adds(&losers, "");
	if (str(j, "winner")[0] == '\0')
		buf_adds(&stands, "(waits)");
	else if (is_in(json_object_get(j, "deleted"), str(j, "winner")))
		buf_adds(&stands, "(delete)");
	else if (str(j, "field")[0] == '\0')
		buf_adds(&stands, "(edit)");
	else
		add_value(&stands, json_object_get(json_object_get(j, "values"), str(j, "winner")), json_is_true(json_object_get(j, "private")), CELL_MOST);
	json_array_foreach(json_object_get(j, "lost"), i, lost)
		add_loser(&losers, j, lost);
	add_time(&when, str(j, "time"));
	table_cell(&table, PLAIN, "%s", when.p != NULL ? when.p : "");
	table_cell(&table, PLAIN, "%s", str(j, "entity"));
	table_cell(&table, BOLD, "%s", str(j, "key"));
	table_cell(&table, PLAIN, "%s", str(j, "field")[0] != '\0' ? str(j, "field") : "(record)");
	table_cell(&table, GREEN, "%s", str(j, "winner"));
	table_cell(&table, PLAIN, "%s", stands.p);
	table_cell(&table, PLAIN, "%s", losers.p);
	table_cell(&table, PLAIN, "%s", str(j, "rule"));
	table_cell(&table, PLAIN, "%s", str(j, "tie_break"));
	buf_fini(&when);
	buf_fini(&stands);
	buf_fini(&losers);
}

/* ---- the story --------------------------------------------------------------------------------------- */

static void tell_before(struct buf *out, const json_t *j)
{
	if (strcmp(str(j, "kind"), "first-contact") == 0)
		buf_adds(out, "The rows met for the first time, so nobody knows which of them is the older. ");
	else if (json_is_string(json_object_get(j, "base"))) {
		buf_adds(out, "It was ");
		add_value(out, json_object_get(j, "base"), false, SIZE_MAX);
		buf_adds(out, " before. ");
	} else if (json_is_string(json_object_get(j, "base_digest")) && !json_is_true(json_object_get(j, "private"))) {
		buf_adds(out, "What it was before, nobody shows any more. ");
	}
}

/* An endpoint shows there what it was before: it has changed nothing, or put it back. What a person gave was given all the same. */
static bool is_as_before(const json_t *j, const char *endpoint, const char *digest)
{
	const char *base = str(j, "base_digest");
	size_t n = strlen(base), len = strlen(digest);

	return endpoint[0] != '(' && n > 0 && len >= n && strcmp(digest + len - n, base) == 0;
}

static void tell_neighbour(struct buf *out, const json_t *j)
{
	const json_t *name;
	const char *glue = " changed ";
	size_t i;

	json_array_foreach(json_object_get(j, "group"), i, name)
		if (strcmp(json_string_value(name), str(j, "field")) != 0) {
			buf_addf(out, "%s%s", glue, json_string_value(name));
			glue = " or ";
		}
	buf_addf(out, ", which goes together with %s, and left that as it was", str(j, "field"));
}

/* It came back with a database that was put back, and the delete stands. */
static bool is_of_the_past(const json_t *j)
{
	return strcmp(str(j, "tie_break"), "put-back") == 0 && is_in(json_object_get(j, "deleted"), str(j, "winner"));
}

static void tell_edit(struct buf *out, const json_t *j, const char *endpoint, const json_t *value, const char *digest, const char *stamp,
		      bool deleted)
{
	bool as_before = !deleted && is_as_before(j, endpoint, digest);
	/* Nobody has edited it, as far as is known: it is there. */
	bool first = strcmp(str(j, "kind"), "first-contact") == 0 || is_of_the_past(j);
	/* Another field of the group was changed, and this one went with it. */
	bool went_along = as_before && !first && json_is_array(json_object_get(j, "group"));
	bool had = first || (as_before && !went_along);

	buf_adds(out, endpoint);
	if (deleted) {
		buf_adds(out, " deleted the record");
	} else if (str(j, "field")[0] == '\0') {
		buf_adds(out, " changed it");
	} else if (went_along) {
		tell_neighbour(out, j);
	} else {
		buf_adds(out, had ? " had " : " changed it to ");
		add_value(out, value, json_is_true(json_object_get(j, "private")), SIZE_MAX);
	}
	if (stamp[0] != '\0') {
		buf_adds(out, had ? " of " : " on ");
		add_moment(out, stamp);
	}
}

/* Nobody has won yet. */
static void tell_words(struct buf *out, const json_t *j)
{
	json_t *values = json_object_get(j, "values"), *digest;
	const char *endpoint, *sep = "";

	json_object_foreach(json_object_get(j, "digests"), endpoint, digest) {
		buf_adds(out, sep);
		tell_edit(out, j, endpoint, json_object_get(values, endpoint), json_string_value(digest), str(json_object_get(j, "stamps"), endpoint),
			  false);
		sep = "; ";
	}
	buf_adds(out, ". ");
}

static void tell_sides(struct buf *out, const json_t *j)
{
	const char *winner = str(j, "winner");
	const json_t *lost;
	size_t i;

	if (winner[0] == '\0') {
		tell_words(out, j);
		return;
	}

	tell_edit(out, j, winner, json_object_get(json_object_get(j, "values"), winner), str(json_object_get(j, "digests"), winner),
		  str(json_object_get(j, "stamps"), winner), is_in(json_object_get(j, "deleted"), winner));
	json_array_foreach(json_object_get(j, "lost"), i, lost) {
		buf_adds(out, "; ");
		tell_edit(out, j, str(lost, "endpoint"), value_of_lost(lost), str(lost, "digest"), str(lost, "stamp"),
			  json_is_true(json_object_get(lost, "deleted")));
	}
	buf_adds(out, ". ");
}

static void tell_reason(struct buf *out, const json_t *j)
{
	const char *winner = str(j, "winner"), *tie = str(j, "tie_break"), *rule = str(j, "rule");
	const json_t *lost = json_array_get(json_object_get(j, "lost"), 0);
	int64_t won, other;

	if (winner[0] == '\0') {
		buf_addf(out, "%s: a person decides; until then each side keeps its own value. ", rule);
	} else if (strcmp(tie, "operator") == 0) {
		buf_addf(out, "%s: a person has decided. ", rule);
	} else if (strcmp(tie, "doubt") == 0) {
		buf_addf(out, "%s: the difference counts, but may have been made over a write of which nobody knows whether it had happened; check the sum. ", rule);
	} else if (is_of_the_past(j)) {
		buf_addf(out, "the database of %s had been put back to before the delete, and nothing was written there since: it is gone. ",
			 str(lost, "endpoint"));
	} else if (strcmp(tie, "put-back") == 0) {
		buf_addf(out, "the database of %s had been put back to before the delete, and it was written there since: it lives. ", winner);
	} else if (strcmp(rule, "update-wins") == 0 && strcmp(tie, "value") == 0) {
		buf_adds(out, "update-wins, but an edit that by the values themselves does not stand keeps no record: it is gone. ");
	} else if (strcmp(rule, "update-wins") == 0) {
		buf_adds(out, "update-wins: an edit that whoever deleted had not seen keeps the record. ");
	} else if (strcmp(rule, "delete-wins") == 0) {
		buf_addf(out, "delete-wins: the record is gone, and with it what had been changed%s. ", str(j, "field")[0] != '\0' ? " there" : "");
	} else if (strcmp(tie, "stamp") == 0 && time_parse(str(json_object_get(j, "stamps"), winner), &won) &&
		   time_parse(str(lost, "stamp"), &other) && won > other) {
		buf_addf(out, "%s: %s's is younger by ", rule, winner);
		age_add(out, (double)(won - other) / 1e6);
		buf_adds(out, ", so it stands. ");
	} else if (strcmp(tie, "stamp") == 0) {
		buf_addf(out, "%s: %s's was made with the other in sight, so it stands. ", rule, winner);
	} else if (strcmp(tie, "priority") == 0) {
		buf_addf(out, "%s: %s comes first in priority, so it stands. ", rule, winner);
	} else if (strcmp(tie, "value") == 0 && strcmp(rule, "last-writer-wins") != 0 && strcmp(rule, "source-priority") != 0) {
		buf_addf(out, "%s: by the values themselves, %s's stands. ", rule, winner);
	} else {
		buf_addf(out, "%s: they are equal in age and rank; %s's stands. ", rule, winner);
	}
}

static void tell_written(struct buf *out, const json_t *j)
{
	struct buf names = { 0 };

	if (add_names(&names, json_object_get(j, "written")))
		buf_addf(out, "It was written to %s. ", names.p);
	buf_clear(&names);
	if (add_names(&names, json_object_get(j, "owed")))
		buf_addf(out, "It has still to be written to %s. ", names.p);
	buf_fini(&names);
}

static void tell(struct asking *a, const json_t *j)
{
	struct buf line = { 0 }, out = { 0 };

	add_moment(&line, str(j, "time"));
	buf_addf(&line, ", %s %s", str(j, "entity"), str(j, "key"));
	if (str(j, "field")[0] != '\0')
		buf_addf(&line, ", %s", str(j, "field"));
	buf_addc(&line, ':');
	wrap_add(&out, line.p, 0, SIZE_MAX);
	buf_clear(&line);
	tell_before(&line, j);
	tell_sides(&line, j);
	tell_reason(&line, j);
	tell_written(&line, j);
	wrap_add(&out, line.p, 4, screen(false));
	say(&out);
	buf_fini(&line);
	buf_fini(&out);
}

static void tell_parked(struct asking *a, const json_t *j)
{
	struct buf line = { 0 }, out = { 0 };

	add_moment(&line, str(j, "last"));
	buf_addf(&line, ", %s %s: parked as #%lld", str(j, "entity"), str(j, "key"), (long long)json_integer_value(json_object_get(j, "id")));
	wrap_add(&out, line.p, 0, SIZE_MAX);
	buf_clear(&line);
	buf_addf(&line, "Since ");
	add_moment(&line, str(j, "since"));
	buf_addf(&line, " it could not be %s %s: %s", strcmp(str(j, "direction"), "capture") == 0 ? "taken from" : "written to",
		 str(j, "endpoint"), str(j, "cause"));
	wrap_add(&out, line.p, 4, screen(false));
	say(&out);
	buf_fini(&line);
	buf_fini(&out);
}

static int run_story(struct ctl *c)
{
	struct asking parked = { .c = c, .show = tell_parked };
	json_t *params = json_object();

	set_text(params, "entity", c->entity);
	set_text(params, "key", c->key);
	return order(&parked, "parked/list", params, patience(c, SILENCE_US));
}

int run_conflicts(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = c->key != NULL ? tell : take_row };
	json_t *params = json_object();
	struct buf out = { 0 };
	int rc;

	if (c->waiting) {
		json_decref(params);
		return run_waiting(c);
	}
	set_text(params, "entity", c->entity);
	set_text(params, "since", c->since);
	set_text(params, "key", c->key);
	rc = order(&a, "conflicts", params, patience(c, SILENCE_US));
	if (!c->json && c->key == NULL && table.n_cells > 0) {
		table_print(&table, &out, isatty(STDOUT_FILENO) ? screen(false) : UNCUT, c->color);
		say(&out);
		buf_fini(&out);
	}
	if (a.lines == CONFLICTS_MOST)
		complain("these are the newest %d; there may be older ones", CONFLICTS_MOST);
	return rc == CTL_OK && !c->json && c->key != NULL ? run_story(c) : rc;
}
