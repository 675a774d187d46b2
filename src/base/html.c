#include "base/html.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

void html_add(struct buf *out, const char *fmt, ...)
{
	va_list ap;
	const char *mark;

	va_start(ap, fmt);
	while ((mark = strchr(fmt, '%')) != NULL) {
		const char *text;

		assert(mark[1] == 's' || mark[1] == '%');
		buf_add(out, fmt, (size_t)(mark - fmt));
		text = mark[1] == 's' ? va_arg(ap, const char *) : "%";
		text_html(out, text, strlen(text));
		fmt = mark + 2;
	}
	va_end(ap);
	buf_adds(out, fmt);
}

void html_table_begin(struct html_table *t, struct buf *out, const char *label, const struct html_column *columns, size_t n)
{
	*t = (struct html_table){ .out = out, .columns = columns, .n_columns = n };
	html_add(out, "<table role=\"table\" aria-labelledby=\"%s\">\n<thead role=\"rowgroup\"><tr role=\"row\">", label);
	for (size_t i = 0; i < n; i++)
		html_add(out, "<th role=\"columnheader\" scope=\"col\" class=\"%s\">%s</th>", columns[i].class, columns[i].title);
	buf_adds(out, "</tr></thead>\n<tbody role=\"rowgroup\">\n");
}

void html_table_end(struct html_table *t)
{
	buf_adds(t->out, "</tbody></table>\n");
}

void html_row_begin(struct html_table *t)
{
	t->at = 0;
	buf_adds(t->out, "<tr role=\"row\">");
}

void html_row_end(struct html_table *t)
{
	assert(t->at == t->n_columns);
	buf_adds(t->out, "</tr>\n");
}

void html_head_begin(struct html_table *t)
{
	t->at++;
	buf_adds(t->out, "<th role=\"rowheader\" scope=\"row\">");
}

void html_head_end(struct html_table *t)
{
	buf_adds(t->out, "</th>");
}

void html_cell_begin(struct html_table *t, const char *tone)
{
	const struct html_column *c = &t->columns[t->at++];

	html_add(t->out, "<td role=\"cell\" class=\"%s %s\" data-column=\"%s\">", c->class, tone, c->title);
}

void html_cell_end(struct html_table *t)
{
	buf_adds(t->out, "</td>");
}

void html_note_begin(struct html_table *t)
{
	buf_addf(t->out, "<tr role=\"row\" class=\"note\"><td role=\"cell\" colspan=\"%zu\">", t->n_columns);
}

void html_note_end(struct html_table *t)
{
	buf_adds(t->out, "</td></tr>\n");
}
