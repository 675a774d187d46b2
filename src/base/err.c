#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *e, enum err_kind kind, const char *code, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return false;
	e->kind = kind;
	snprintf(e->code, sizeof e->code, "%s", code != NULL ? code : "");
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return false;
}

bool err_while(struct err *e, const char *fmt, ...)
{
	char head[200], old[sizeof e->text];
	va_list ap;
	int n;

	if (e == NULL)
		return false;
	va_start(ap, fmt);
	vsnprintf(head, sizeof head, fmt, ap);
	va_end(ap);
	memcpy(old, e->text, sizeof old);
	n = snprintf(e->text, sizeof e->text, "%s: ", head);
	if (n > 0 && (size_t)n < sizeof e->text)
		snprintf(e->text + n, sizeof e->text - (size_t)n, "%s", old);
	return false;
}

bool err_same(const struct err *a, const struct err *b)
{
	return a->kind == b->kind && strcmp(a->code, b->code) == 0 && (a->code[0] != '\0' || strcmp(a->text, b->text) == 0);
}

void err_clear(struct err *e)
{
	if (e == NULL)
		return;
	e->kind = 0;
	e->code[0] = e->text[0] = '\0';
}

const char *err_kind_name(enum err_kind kind)
{
	switch (kind) {
	case ERR_CONFIG:	return "config";
	case ERR_TRANSIENT:	return "transient";
	case ERR_ROW:		return "row";
	case ERR_ENDPOINT:	return "endpoint";
	}
	return "none";
}
