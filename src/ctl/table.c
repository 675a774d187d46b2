#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "ctl/ctl.h"

enum { GAP = 2, NARROWEST = 8 };

static const char *const codes[] = {
	[PLAIN] = "", [BOLD] = "\033[1m", [GREEN] = "\033[32m", [YELLOW] = "\033[33m", [RED] = "\033[31m", [DIM] = "\033[2m",
};

void paint_add(struct buf *out, bool color, enum paint paint, const char *text)
{
	if (color && paint != PLAIN && text[0] != '\0')
		buf_addf(out, "%s%s\033[0m", codes[paint], text);
	else
		buf_adds(out, text);
}

/* What comes from the daemon may hold anything: nothing in a cell may move the cursor or break the line. */
void table_cell(struct table *t, enum paint paint, const char *fmt, ...)
{
	struct buf safe = { 0 };
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	buf_adds(&safe, "");
	text_tame(&safe, text, strlen(text));
	free(text);
	t->cells = xrealloc(t->cells, (t->n_cells + 1) * sizeof *t->cells);
	t->cells[t->n_cells].text = buf_take(&safe);
	t->cells[t->n_cells++].paint = paint;
}

static size_t width_of(const char *s)
{
	return utf8_count(s, strlen(s));
}

static void measure(const struct table *t, size_t *widths)
{
	for (size_t c = 0; c < t->n_columns; c++)
		widths[c] = width_of(t->columns[c].title);
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t w = width_of(t->cells[i].text), c = i % t->n_columns;

		if (w > widths[c])
			widths[c] = w;
	}
}

/* The widest elastic column gives way, one character at a time, until the line fits. */
static void squeeze(const struct table *t, size_t *widths, size_t width)
{
	for (;;) {
		size_t total = GAP * (t->n_columns - 1), widest = SIZE_MAX;

		for (size_t c = 0; c < t->n_columns; c++) {
			total += widths[c];
			if (t->columns[c].elastic && widths[c] > NARROWEST && (widest == SIZE_MAX || widths[c] > widths[widest]))
				widest = c;
		}
		if (total <= width || widest == SIZE_MAX)
			return;
		widths[widest]--;
	}
}

char *cut_to_fit(const char *s, size_t width)
{
	size_t n = strlen(s), at = 0;
	uint32_t code;

	if (width_of(s) <= width)
		return xstrdup(s);
	for (size_t i = 0; i + 3 < width; i++) {
		size_t step = utf8_step(s + at, n - at, &code);

		at += step > 0 ? step : 1;
	}
	return xasprintf("%.*s...", (int)at, s);
}

static void add_blanks(struct buf *out, size_t n)
{
	buf_addf(out, "%*s", (int)n, "");
}

static void add_cell(struct buf *out, const struct table_column *c, const char *text, size_t width, bool color, enum paint paint,
		     bool last)
{
	char *fitting = cut_to_fit(text, width);
	size_t blanks = width - width_of(fitting);

	if (c->right)
		add_blanks(out, blanks);
	paint_add(out, color, paint, fitting);
	if (!c->right && !last)
		add_blanks(out, blanks);
	if (!last)
		add_blanks(out, GAP);
	free(fitting);
}

static void end_line(struct buf *out)
{
	while (out->len > 0 && out->p[out->len - 1] == ' ')
		out->len--;
	buf_addc(out, '\n');
}

void table_print(struct table *t, struct buf *out, size_t width, bool color)
{
	size_t widths[TABLE_COLUMNS], last = t->n_columns - 1;

	measure(t, widths);
	squeeze(t, widths, width);
	for (size_t c = 0; c <= last; c++)
		add_cell(out, &t->columns[c], t->columns[c].title, widths[c], color, DIM, c == last);
	end_line(out);
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t c = i % t->n_columns;

		add_cell(out, &t->columns[c], t->cells[i].text, widths[c], color, t->cells[i].paint, c == last);
		if (c == last)
			end_line(out);
		free(t->cells[i].text);
	}
	free(t->cells);
	t->cells = NULL;
	t->n_cells = 0;
}

/* How many bytes of s fit into `width` characters without breaking a word; a longer word stands alone and sticks out. */
static size_t line_len(const char *s, size_t width)
{
	size_t best = 0;

	for (size_t at = 0; ; at++) {
		if ((s[at] != ' ' && s[at] != '\0') || (at > 0 && s[at - 1] == ' '))
			continue;
		if (best == 0 || utf8_count(s, at) <= width)
			best = at;
		else
			return best;
		if (s[at + strspn(s + at, " ")] == '\0')
			return best;
	}
}

void wrap_add(struct buf *out, const char *text, size_t indent, size_t width)
{
	struct buf safe = { 0 };
	const char *s;

	buf_adds(&safe, "");
	text_tame(&safe, text, strlen(text));
	for (s = safe.p; *s != '\0'; ) {
		size_t n = line_len(s, width > indent ? width - indent : 1);

		add_blanks(out, indent);
		buf_add(out, s, n);
		buf_addc(out, '\n');
		s += n;
		s += strspn(s, " ");
	}
	buf_fini(&safe);
}
