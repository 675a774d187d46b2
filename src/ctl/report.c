/*
 * report.c - what verify found as one HTML file: for whoever has to sign that the systems agree, or to mend what does not.
 *
 * The file needs nothing else and runs nothing: no script, no request, by a policy of its own. Keys of records are in it, unless a part
 * of the key is a private field: then only the local ids, by which those who may see the rows find them.
 */
#include "ctl/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/html.h"
#include "base/mem.h"
#include "base/words.h"
#include "config.h"
#include "ctl/asking.h"
#include "ctl/new_file.h"

enum { ROWS_MOST = 10000 };		/* of a table: a browser has to show it */

enum kind { KIND_DIFFERENT, KIND_MISSING, KIND_EXTRA, KIND_OPEN, KINDS };

static const struct {
	const char *word, *title, *means;
} kinds[KINDS] = {
	{ "different", "different for no known reason", "The endpoints that have these records show other values in the fields named." },
	{ "missing", "missing", "The first of the endpoints compared has these records, and another one that should have them has not." },
	{ "extra", "extra", "Another endpoint has these records, and the first one has not." },
	{ "open", "known and open", "Something is still to be done about these: they are on their way, parked, held or wait for a person, or "
	  "changed at every look." },
};

struct listed {				/* one table */
	struct buf rows;
	size_t n;
};

struct section {			/* an entity with something to show */
	char *entity;			/* owned */
	struct listed tables[KINDS];
	struct section *next;
};

struct report {
	struct new_file file;
	struct section *first, **last;
	json_t *sum;			/* owned; NULL: it did not come */
};

/* ---- birth ------------------------------------------------------------------------------------------- */

struct report *report_new(const char *file, int *rc)
{
	struct report *r = xcalloc(1, sizeof *r);

	r->last = &r->first;
	*rc = new_file_make(&r->file, file);
	if (*rc != CTL_OK)
		report_free(&r);
	return r;
}

void report_free(struct report **rp)
{
	struct report *r = *rp;

	if (r == NULL)
		return;
	while (r->first != NULL) {
		struct section *s = r->first;

		r->first = s->next;
		for (size_t k = 0; k < KINDS; k++)
			buf_fini(&s->tables[k].rows);
		free(s->entity);
		free(s);
	}
	new_file_end(&r->file);
	json_decref(r->sum);
	free(r);
	*rp = NULL;
}

/* ---- records ----------------------------------------------------------------------------------------- */

static const struct html_column record_columns[] = {
	{ "Record", "" }, { "Fields", "" }, { "There at", "" }, { "Not at", "" },
};
enum { RECORD_COLUMNS = sizeof record_columns / sizeof record_columns[0] };

static struct section *section_of(struct report *r, const char *entity)
{
	struct section *s = r->first;

	while (s != NULL && strcmp(s->entity, entity) != 0)
		s = s->next;
	if (s != NULL)
		return s;
	s = xcalloc(1, sizeof *s);
	s->entity = xstrdup(entity);
	*r->last = s;
	r->last = &s->next;
	return s;
}

static void cell_names(struct html_table *t, const json_t *names)
{
	struct buf text = { 0 };

	names_add(&text, names);
	html_cell_begin(t, text.len > 0 ? "" : "dim");
	html_add(t->out, "%s", text.len > 0 ? text.p : "-");
	html_cell_end(t);
	buf_fini(&text);
}

/* Endpoints with the local id there. */
static void cell_there(struct html_table *t, const json_t *ids)
{
	const char *endpoint;
	const json_t *id;
	bool first = true;

	html_cell_begin(t, "");
	json_object_foreach((json_t *)ids, endpoint, id) {
		html_add(t->out, first ? "%s" : ", %s", endpoint);
		if (json_is_string(id))
			html_add(t->out, " <small>id <bdi>%s</bdi></small>", json_string_value(id));
		first = false;
	}
	html_cell_end(t);
}

static void add_record(struct listed *l, const json_t *line)
{
	struct html_table t = { .out = &l->rows, .columns = record_columns, .n_columns = RECORD_COLUMNS };

	if (++l->n > ROWS_MOST)
		return;
	html_row_begin(&t);
	html_head_begin(&t);
	if (json_is_true(json_object_get(line, "private")))
		buf_adds(t.out, "<span class=\"dim\">(private)</span>");
	else
		html_add(t.out, "<bdi>%s</bdi>", str(line, "key"));
	html_head_end(&t);
	cell_names(&t, json_object_get(line, "fields"));
	cell_there(&t, json_object_get(line, "ids"));
	cell_names(&t, json_object_get(line, "absent"));
	html_row_end(&t);
}

void report_take(struct report *r, const json_t *line)
{
	const char *difference = json_is_true(json_object_get(line, "open")) ? kinds[KIND_OPEN].word : str(line, "difference");

	if (json_object_get(line, "complete") != NULL) {
		json_decref(r->sum);
		r->sum = json_deep_copy(line);
	}
	for (size_t k = 0; k < KINDS; k++)
		if (strcmp(difference, kinds[k].word) == 0)
			add_record(&section_of(r, str(line, "entity"))->tables[k], line);
}

/* ---- the sentence ------------------------------------------------------------------------------------ */

static json_int_t wrong(const json_t *sums)
{
	return number(sums, "different") + number(sums, "missing") + number(sums, "extra");
}

static const char *tone_of(const json_t *sums)
{
	if (wrong(sums) > 0)
		return "bad";
	if (json_is_false(json_object_get(sums, "complete")) || number(sums, "open") + number(sums, "invalid") > 0)
		return "care";
	return "good";
}

static void add_part(struct buf *out, const char *before, json_int_t n, const char *what)
{
	if (n == 0)
		return;
	buf_adds(out, before);
	count_add(out, (double)n);
	buf_addf(out, " %s", what);
}

/* Of the numbers of rows alone. */
static void counts_sentence_add(struct buf *out, const json_t *sums)
{
	if (wrong(sums) == 0) {
		buf_adds(out, "The endpoints have the same numbers of rows");
	} else {
		count_add(out, (double)wrong(sums));
		buf_adds(out, " or more records are missing somewhere, by the numbers of rows");
	}
}

/* "6 of 301 records differ for no known reason: 3 different, 2 missing, 1 extra; 1 open" */
static void compared_sentence_add(struct buf *out, const json_t *sums)
{
	json_int_t n = number(sums, "compared"), w = wrong(sums), shown = number(sums, "different") > 0;

	if (n == 0 && w == 0) {
		buf_adds(out, "There was nothing to compare");
	} else if (w == 0) {
		count_add(out, (double)(number(sums, "matching") + number(sums, "own_form")));
		buf_adds(out, " of ");
		count_add(out, (double)n);
		buf_addf(out, " record%s agree", n == 1 ? "" : "s");
	} else {
		count_add(out, (double)w);
		buf_adds(out, " of ");
		count_add(out, (double)n);
		buf_addf(out, " record%s do not agree, for no known reason", n == 1 ? "" : "s");
		add_part(out, ": ", number(sums, "different"), "different");
		add_part(out, shown ? ", " : ": ", number(sums, "missing"), "missing");
		shown |= number(sums, "missing") > 0;
		add_part(out, shown ? ", " : ": ", number(sums, "extra"), "extra");
	}
}

static void sentence_add(struct buf *out, const json_t *sums)
{
	if (strcmp(str(sums, "depth"), "counts") == 0)
		counts_sentence_add(out, sums);
	else
		compared_sentence_add(out, sums);
	add_part(out, "; ", number(sums, "open"), "known and open");
	if (json_is_false(json_object_get(sums, "complete")))
		buf_adds(out, "; not every endpoint could be read");
}

/* ---- the document ------------------------------------------------------------------------------------ */

static void add_top(struct buf *out, const json_t *sums, const char *sentence)
{
	html_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>%s: %s</title>\n", str(sums, "topology"), sentence);
	buf_adds(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
		 "<meta name=\"referrer\" content=\"no-referrer\">\n"
		 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		 "<meta name=\"color-scheme\" content=\"light dark\">\n<style>\n");
	buf_adds(out, html_style);
	buf_adds(out, "</style>\n</head>\n<body>\n<main class=\"crmsyncd\">\n");
}

static void add_header(struct buf *out, const json_t *sums, const char *sentence)
{
	struct buf time = { 0 }, took = { 0 };

	add_time(&time, str(sums, "time"));
	age_add(&took, json_number_value(json_object_get(sums, "seconds")));
	html_add(out, "<header class=\"%s\">\n<p>Topology <b>%s</b>, the rows of its endpoints compared, done at "
		 "<time datetime=\"%s\">%s UTC</time></p>\n<h1>%s</h1>\n<p>crmsyncctl %s, verify; it took %s</p>\n</header>\n",
		 tone_of(sums), str(sums, "topology"), str(sums, "time"), time.len > 0 ? time.p : "", sentence, PACKAGE_VERSION, took.p);
	buf_fini(&time);
	buf_fini(&took);
}

static const struct {
	const char *title, *name, *tone;
} numbers[] = {
	{ "Compared", "compared", "" }, { "Match", "matching", "" }, { "In a form of their own", "own_form", "" },
	{ "Known and open", "open", "care" }, { "Different", "different", "bad" }, { "Missing", "missing", "bad" }, { "Extra", "extra", "bad" },
	{ "Rows not taken", "invalid", "care" },
};
enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

static void cell_number(struct html_table *t, json_int_t n, const char *tone)
{
	html_cell_begin(t, n > 0 ? tone : "dim");
	count_add(t->out, (double)n);
	html_cell_end(t);
}

static void add_entity_note(struct html_table *t, const json_t *entity)
{
	struct buf names = { 0 };

	names_add(&names, json_object_get(entity, "left_out"));
	if (names.len > 0 || number(entity, "not_looked_at_again") > 0 || json_is_true(json_object_get(entity, "resumed"))) {
		html_note_begin(t);
		if (json_is_true(json_object_get(entity, "resumed")))
			html_add(t->out, "<p>was interrupted; rows were read since <time>%s</time></p>", str(entity, "since"));
		if (names.len > 0)
			html_add(t->out, "<p class=\"care\">not read: %s</p>", names.p);
		if (number(entity, "not_looked_at_again") > 0) {
			buf_adds(t->out, "<p class=\"care\">too many to look at them again: ");
			count_add(t->out, (double)number(entity, "not_looked_at_again"));
			buf_adds(t->out, " of those that are different, and not listed here</p>");
		}
		html_note_end(t);
	}
	buf_fini(&names);
}

/* "5 at sales, 4 at support" */
static void add_counts(struct buf *out, const json_t *entity)
{
	const char *endpoint, *before = "";
	const json_t *n;

	json_object_foreach((json_t *)json_object_get(entity, "counts"), endpoint, n) {
		buf_adds(out, before);
		count_add(out, (double)json_integer_value(n));
		buf_addf(out, " at %s", endpoint);
		before = ", ";
	}
}

static void add_entity(struct html_table *t, const json_t *entity)
{
	struct buf names = { 0 };

	if (json_object_get(entity, "counts") != NULL)
		add_counts(&names, entity);
	else
		names_add(&names, json_object_get(entity, "endpoints"));
	html_row_begin(t);
	html_head_begin(t);
	html_add(t->out, "%s<small>%s</small>", str(entity, "entity"), names.len > 0 ? names.p : "");
	html_head_end(t);
	for (size_t i = 0; i < NUMBERS; i++)
		cell_number(t, number(entity, numbers[i].name), numbers[i].tone);
	html_row_end(t);
	add_entity_note(t, entity);
	buf_fini(&names);
}

static void add_entities(struct buf *out, const json_t *sums)
{
	struct html_column columns[NUMBERS + 1] = { { "Entity", "" } };
	struct html_table t;
	const json_t *entity;
	size_t i;

	for (i = 0; i < NUMBERS; i++)
		columns[i + 1] = (struct html_column){ numbers[i].title, "n few" };
	buf_adds(out, "<section>\n<h2 id=\"entities\">Records by entity</h2>\n");
	html_table_begin(&t, out, "entities", columns, NUMBERS + 1);
	json_array_foreach(json_object_get(sums, "entities"), i, entity)
		add_entity(&t, entity);
	html_table_end(&t);
	buf_adds(out, "</section>\n");
}

static void add_table(struct buf *out, const struct section *s, size_t k)
{
	const struct listed *l = &s->tables[k];
	struct html_table t;
	struct buf id = { 0 };

	if (l->n == 0)
		return;
	buf_addf(&id, "%s-%s", kinds[k].word, s->entity);
	html_add(out, "<section>\n<h2 id=\"%s\">%s: ", id.p, s->entity);
	count_add(out, (double)l->n);
	html_add(out, " %s</h2>\n<p>%s</p>\n", kinds[k].title, kinds[k].means);
	html_table_begin(&t, out, id.p, record_columns, RECORD_COLUMNS);
	buf_add(out, l->rows.p, l->rows.len);
	html_table_end(&t);
	if (l->n > ROWS_MOST) {
		buf_adds(out, "<p>These are the first ");
		count_add(out, ROWS_MOST);
		html_add(out, "; <code>crmsyncctl verify %s --json</code> tells all of them.</p>\n", s->entity);
	}
	buf_adds(out, "</section>\n");
	buf_fini(&id);
}

static void document_add(struct buf *out, const struct report *r)
{
	struct buf sentence = { 0 };

	sentence_add(&sentence, r->sum);
	add_top(out, r->sum, sentence.p);
	add_header(out, r->sum, sentence.p);
	add_entities(out, r->sum);
	for (size_t k = 0; k < KINDS; k++)
		for (const struct section *s = r->first; s != NULL; s = s->next)
			add_table(out, s, k);
	buf_adds(out, "</main>\n</body>\n</html>\n");
	buf_fini(&sentence);
}

/* ---- the file ---------------------------------------------------------------------------------------- */

int report_write(struct report *r)
{
	struct buf out = { 0 };
	bool ok;

	if (r->sum == NULL)
		return CTL_OK;			/* it went wrong, and that has been said */
	document_add(&out, r);
	ok = write_all(r->file.fd, out.p, out.len);
	buf_fini(&out);
	return ok ? new_file_keep(&r->file) : new_file_failed(&r->file, "be written");
}
