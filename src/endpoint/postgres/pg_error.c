#include "endpoint/postgres/pg.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/*
 * What a SQLSTATE means to the caller: the longest prefix decides. Codes that are not the server's own come from RAISE in the
 * application's triggers and functions; they refuse one row, as do the standard's trigger and routine exceptions.
 */
static const struct {
	const char *prefix;
	enum err_kind kind;
} classes[] = {
	{ "", ERR_ROW },
	{ "00", ERR_ENDPOINT }, { "01", ERR_ENDPOINT }, { "02", ERR_ENDPOINT }, { "03", ERR_ENDPOINT },
	{ "08", ERR_TRANSIENT },		/* connection exception */
	{ "0A", ERR_ENDPOINT },			/* feature not supported; cached plan must not change result type */
	{ "0B", ERR_ENDPOINT }, { "0L", ERR_ENDPOINT }, { "0P", ERR_ENDPOINT },
	{ PG_FENCED, ERR_ENDPOINT },		/* invalid row count in LIMIT: our own guard (pg_state.c) */
	{ "25", ERR_ENDPOINT },			/* invalid transaction state; 25006 read-only */
	{ "25P03", ERR_TRANSIENT }, { "25P04", ERR_TRANSIENT },		/* idle in transaction, transaction timeout */
	{ "26", ERR_ENDPOINT }, { "28", ERR_ENDPOINT }, { "2B", ERR_ENDPOINT }, { "2D", ERR_ENDPOINT },
	{ "34", ERR_ENDPOINT }, { "3B", ERR_ENDPOINT }, { "3D", ERR_ENDPOINT }, { "3F", ERR_ENDPOINT },
	{ "40", ERR_TRANSIENT },		/* serialization failure, deadlock */
	{ "40002", ERR_ROW },			/* transaction integrity constraint violation */
	{ "42", ERR_ENDPOINT },			/* no such table or column, no privilege, syntax */
	{ "53", ERR_TRANSIENT },		/* disk full, too many connections, out of memory */
	{ "55", ERR_ENDPOINT }, { "55006", ERR_TRANSIENT }, { "55P03", ERR_TRANSIENT },	/* in use; lock not available */
	{ "57", ERR_ENDPOINT }, { "57014", ERR_TRANSIENT }, { "57P0", ERR_TRANSIENT },	/* cancelled; shutting down */
	{ "58", ERR_TRANSIENT },		/* system error (io) */
	{ "72", ERR_TRANSIENT },		/* snapshot too old */
	{ "F0", ERR_ENDPOINT }, { "HV", ERR_ENDPOINT }, { "XX", ERR_ENDPOINT },
};

enum err_kind pg_classify(const char *sqlstate)
{
	enum err_kind kind = ERR_TRANSIENT;
	size_t longest = 0;

	if (sqlstate == NULL || sqlstate[0] == '\0')
		return ERR_TRANSIENT;
	for (size_t i = 0; i < countof(classes); i++) {
		size_t len = strlen(classes[i].prefix);

		if (len >= longest && strncmp(sqlstate, classes[i].prefix, len) == 0) {
			longest = len;
			kind = classes[i].kind;
		}
	}
	return kind;
}

/* Connections end with these; or with a word of our own, or none. */
static bool is_of_connection(const char *code)
{
	return strlen(code) != 5 || strncmp(code, "08", 2) == 0 || strncmp(code, "57P", 3) == 0;
}

bool pg_is_answer(const struct err *e)
{
	return e->kind == ERR_TRANSIENT ? !is_of_connection(e->code) : strlen(e->code) == 5;
}

void pg_unanswered(struct err *e)
{
	e->kind = ERR_TRANSIENT;
	if (!is_of_connection(e->code))
		strcpy(e->code, "08006");
}

/*
 * Row-class errors in words of our own: the server's carry values ("invalid input syntax for type integer: ..."), and
 * what a trigger raises may say anything.
 */
static const struct {
	const char *prefix, *words;
} row_words[] = {
	{ "", "a trigger or function in the database refused it" },
	{ "21", "a trigger or function in the database failed" },
	{ "22", "the value does not fit the column" },
	{ "22001", "the value is too long for the column" },
	{ "22003", "the number is out of the column's range" },
	{ "22007", "not a date or time the column can hold" },
	{ "22008", "the date or time is out of the column's range" },
	{ "22021", "characters that the database's encoding does not have" },
	{ "22P02", "the value is not of the column's type" },
	{ "22P05", "characters that the database's encoding does not have" },
	{ "23", "a constraint refuses it" },
	{ "23001", "other rows still refer to it" },
	{ "23502", "a column that must not be empty would be" },
	{ "23503", "it refers to a row that is not there, or other rows still refer to it" },
	{ "23505", "another row has the same value where values must be unique" },
	{ "23514", "a check constraint refuses it" },
	{ "23P01", "an exclusion constraint refuses it" },
	{ "44", "the view's check option refuses it" },
	{ "54", "the value is larger than the server can handle there" },
};

static const char *words_of(const char *sqlstate)
{
	const char *words = row_words[0].words;
	size_t longest = 0;

	for (size_t i = 0; i < countof(row_words); i++) {
		size_t len = strlen(row_words[i].prefix);

		if (len >= longest && strncmp(sqlstate, row_words[i].prefix, len) == 0) {
			longest = len;
			words = row_words[i].words;
		}
	}
	return words;
}

/* " (constraint "x", column "y", table "z")", as far as the server names them. */
static void place_of(const PGresult *res, char *out, size_t size)
{
	static const struct {
		int field;
		const char *word;
	} parts[] = {
		{ PG_DIAG_CONSTRAINT_NAME, "constraint" }, { PG_DIAG_COLUMN_NAME, "column" },
		{ PG_DIAG_DATATYPE_NAME, "type" }, { PG_DIAG_TABLE_NAME, "table" },
	};
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < countof(parts) && len < size; i++) {
		const char *name = PQresultErrorField(res, parts[i].field);

		if (name != NULL && name[0] != '\0')
			len += (size_t)snprintf(out + len, size - len, "%s%s \"%s\"", len == 0 ? " (" : ", ", parts[i].word, name);
	}
	if (len > 0 && len + 1 < size)
		memcpy(out + len, ")", 2);
}

/* ---- may the server's own words be shown? ------------------------------------------------------------- */

#define FUNCTION_LINE "PL/pgSQL function "		/* how plpgsql begins its line of a context, innermost first */

/* Is it the server's function `source` that says so? */
static bool is_from(const PGresult *res, const char *source)
{
	const char *said = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);

	return said != NULL && strcmp(said, source) == 0;
}

/* RAISE: all its parts may hold anything. */
static bool is_raised(const PGresult *res)
{
	return is_from(res, "exec_stmt_raise");
}

/* Always the same words, or the name of a table or function that is there. */
static bool is_harmless(const PGresult *res)
{
	return is_from(res, "ProcessInterrupts") || is_from(res, "DeadLockReport") || is_from(res, "aclcheck_error");
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* A statement that stands in the function as it is (not EXECUTE) was not understood: the words are about its text. */
static bool is_about_its_text(const PGresult *res, const char *context)
{
	static const char *const steps[] = { " at SQL statement", " at PERFORM", " at IF", " at assignment" };
	size_t len = strcspn(context, "\n");

	if (PQresultErrorField(res, PG_DIAG_INTERNAL_QUERY) == NULL || !begins(context, FUNCTION_LINE))
		return false;
	for (size_t i = 0; i < countof(steps); i++)
		if (len > strlen(steps[i]) && begins(context + len - strlen(steps[i]), steps[i]))
			return true;
	return false;
}

/* DO of our own (pg_install.c) has no values of rows. One in a trigger is not outermost. */
static bool is_our_do(const char *context)
{
	const char *outermost = strrchr(context, '\n');

	return begins(outermost != NULL ? outermost + 1 : context, FUNCTION_LINE "inline_code_block ");
}

/*
 * What is raised inside a function or trigger of the database may repeat values of the row, under any SQLSTATE, by RAISE or by
 * a statement that was put together from them; and these words get onto pages that ask for no password.
 */
static bool may_be_shown(const PGresult *res)
{
	const char *context = PQresultErrorField(res, PG_DIAG_CONTEXT);

	if (is_raised(res))
		return false;
	return context == NULL || is_harmless(res) || is_about_its_text(res, context) || is_our_do(context);
}

/* The function that failed, and how long its name is, where the innermost line of the context is plpgsql's: other lines hold statements. */
static int function_in(const char *context, const char **name)
{
	const char *end;

	*name = context != NULL && begins(context, FUNCTION_LINE) ? context + strlen(FUNCTION_LINE) : "";
	end = strstr(*name, ") line ");
	return end != NULL && end < *name + strcspn(*name, "\n") ? (int)(end + 1 - *name) : 0;
}

/* In the place of such words. */
static void set_raised(struct err *e, enum err_kind kind, const char *code, const char *context)
{
	const char *name;
	int len = function_in(context, &name);

	if (len > 0)
		err_set(e, kind, code, "function %.*s in the database failed with SQLSTATE %s; the database's log has its words", len, name, code);
	else
		err_set(e, kind, code, "a trigger or function in the database failed with SQLSTATE %s; the database's log has its words", code);
}

void pg_error(const PGresult *res, struct err *e)
{
	const char *code = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	enum err_kind kind = pg_classify(code);
	char place[300];
	const char *name;
	int len;

	if (kind == ERR_TRANSIENT && is_raised(res))
		kind = ERR_ENDPOINT;	/* no trouble of the server's that passes: a function says so, and mostly will again */
	if (code == NULL) {
		err_set(e, kind, "", "the connection failed while waiting for an answer");
	} else if (strcmp(code, PG_FENCED) == 0) {
		err_set(e, kind, PG_FENCED, PG_FENCED_WORDS);
	} else if (kind == ERR_ROW) {
		place_of(res, place, sizeof place);
		err_set(e, kind, code, "%s%s", words_of(code), is_raised(res) ? "" : place);
	} else if (!may_be_shown(res)) {
		set_raised(e, kind, code, PQresultErrorField(res, PG_DIAG_CONTEXT));
	} else {
		len = function_in(PQresultErrorField(res, PG_DIAG_CONTEXT), &name);
		err_set(e, kind, code, "%s%s%.*s", primary != NULL ? primary : "no words given", len > 0 ? "; in function " : "", len, name);
	}
}
