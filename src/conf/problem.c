#include "conf/problem.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

void problem_addv(struct conf_problems *ps, unsigned line, unsigned column, const char *path, const char *fmt, va_list ap)
{
	struct conf_problem *p;
	char *text = NULL;

	if ((ps->n & (ps->n - 1)) == 0)		/* 0, 1, 2, 4, ...: full */
		ps->list = xrealloc(ps->list, (ps->n > 0 ? 2 * ps->n : 1) * sizeof *ps->list);
	if (vasprintf(&text, fmt, ap) < 0)
		text = xstrdup("out of memory");
	p = &ps->list[ps->n++];
	*p = (struct conf_problem){ .line = line, .column = column, .path = xstrdup(path), .text = text };
}

void problem_add(struct conf_problems *ps, unsigned line, unsigned column, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	problem_addv(ps, line, column, path, fmt, ap);
	va_end(ap);
}

/* A total order: qsort() need not be stable, and the same file must give the same list. */
static int problem_compare(const void *va, const void *vb)
{
	const struct conf_problem *a = va, *b = vb;
	int d;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	d = strcmp(a->path, b->path);
	return d != 0 ? d : strcmp(a->text, b->text);
}

void problems_sort(struct conf_problems *ps)
{
	if (ps->n > 1)
		qsort(ps->list, ps->n, sizeof *ps->list, problem_compare);
}

void conf_problems_text(const struct conf_problems *ps, const char *file, struct buf *out)
{
	for (size_t i = 0; i < ps->n; i++) {
		const struct conf_problem *p = &ps->list[i];

		buf_addf(out, "%s:", file);
		if (p->line > 0)
			buf_addf(out, "%u:%u:", p->line, p->column);
		buf_addf(out, " %s%s%s\n", p->path, p->path[0] != '\0' ? ": " : "", p->text);
	}
}

void conf_problems_print(const struct conf_problems *ps, const char *file, FILE *to)
{
	struct buf text = { 0 };

	conf_problems_text(ps, file, &text);
	if (text.len > 0)
		fwrite(text.p, 1, text.len, to);
	buf_fini(&text);
}

void conf_problems_fini(struct conf_problems *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		free(ps->list[i].path);
		free(ps->list[i].text);
	}
	free(ps->list);
	*ps = (struct conf_problems){ 0 };
}
