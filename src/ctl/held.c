/*
 * held.c - `crmsyncctl held`: deletes that the mass-delete guard holds.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "ctl/asking.h"

/* contact/sales/17: 40 deletes held at sales since 2026-03-01 12:00:00 */
static void show_set(struct asking *a, const json_t *j)
{
	json_int_t n = json_integer_value(json_object_get(j, "deletes"));
	struct buf out = { 0 };

	buf_addf(&out, "%s: %lld delete%s of %s at %s", str(j, "set"), (long long)n, n == 1 ? "" : "s", str(j, "entity"), str(j, "endpoint"));
	buf_addf(&out, strcmp(str(j, "state"), "held") == 0 ? " held" : " %s, being carried out", str(j, "state"));
	buf_adds(&out, ", the first of ");
	add_time(&out, str(j, "first"));
	buf_addc(&out, '\n');
	say(&out);
	buf_fini(&out);
}

int run_held_list(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_set };
	json_t *params = json_object();

	set_text(params, "entity", c->entity);
	return order(&a, "held/list", params, patience(c, SILENCE_US));
}

static void show_held(struct asking *a, const json_t *j)
{
	struct buf line = { 0 }, out = { 0 };

	add_time(&line, str(j, "time"));
	buf_addf(&line, " %s %s is gone at %s", str(j, "entity"), str(j, "key"), str(j, "endpoint"));
	wrap_add(&out, line.p, 0, SIZE_MAX);
	say(&out);
	buf_fini(&line);
	buf_fini(&out);
}

/* The same order for each set; the first that fails ends it. */
static int for_each_set(struct asking *a, const char *command, char **args, int n)
{
	int rc = CTL_OK;

	for (int i = 0; rc == CTL_OK && i < n; i++) {
		json_t *params = json_object();

		set_text(params, "set", args[i]);
		rc = order(a, command, params, patience(a->c, SILENCE_US));
	}
	return rc;
}

int run_held_show(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_held };

	return for_each_set(&a, "held/show", args, n);
}

static void show_released(struct asking *a, const json_t *j)
{
	printf("%s released: what is still gone is deleted everywhere\n", str(j, "set"));
}

int run_held_release(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_released };

	return for_each_set(&a, "held/release", args, n);
}

static void show_set_discarded(struct asking *a, const json_t *j)
{
	printf("%s discarded: the rows are brought back where they are gone\n", str(j, "set"));
}

int run_held_discard(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_set_discarded };

	return for_each_set(&a, "held/discard", args, n);
}
