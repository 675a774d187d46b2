/*
 * err.h - an error that carries its story.
 *
 * The place that fails says what (err_set); each caller that knows more adds while doing what
 * (err_while); whoever decides what happens next logs it, once. Buffers are fixed: reporting that
 * memory ran out allocates nothing. No row values and no secrets belong in `text`.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

enum err_kind {		/* zero is no error */
	ERR_CONFIG = 1,	/* the operator has to edit something */
	ERR_TRANSIENT,	/* rest, then try again, for ever */
	ERR_ROW,	/* this record only: park it, go on */
	ERR_ENDPOINT,	/* that endpoint is down: park nothing */
};

struct err {
	enum err_kind kind;	/* 0: none */
	char code[24];		/* SQLSTATE, errno name, Redis error word, a word of ours ("refused-silently"), or "" */
	char text[496];
};

/* Both return false, so that `return err_set(e, ...)` reads well. Too long a text is cut. `e` may be NULL. */
bool err_set(struct err *e, enum err_kind kind, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Prefixes "fmt: " to the text. */
bool err_while(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same reason, to people: where there is no code the words decide. */
bool err_same(const struct err *a, const struct err *b);
void err_clear(struct err *e);
const char *err_kind_name(enum err_kind kind);

#endif
