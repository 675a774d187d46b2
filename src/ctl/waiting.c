/*
 * waiting.c - `crmsyncctl conflicts --waiting` and `crmsyncctl decide`: what waits for a person.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "ctl/asking.h"

/* contact ann@example.org, phone: sales "+49 1", support "+49 2" (since 2026-03-01 12:00:00) */
static void show_waiting(struct asking *a, const json_t *j)
{
	struct buf line = { 0 }, out = { 0 };
	bool is_private = json_is_true(json_object_get(j, "private"));
	const char *endpoint, *sep = "";
	json_t *value, *between = json_object_get(j, "between");
	size_t i;

	buf_addf(&line, "%s %s, %s: ", str(j, "entity"), str(j, "key"), str(j, "field"));
	json_object_foreach(json_object_get(j, "values"), endpoint, value) {
		buf_addf(&line, "%s%s ", sep, endpoint);
		add_value(&line, value, is_private, SIZE_MAX);
		sep = ", ";
	}
	json_array_foreach(between, i, value)
		if (json_object_get(json_object_get(j, "values"), json_string_value(value)) == NULL)
			buf_addf(&line, "%s%s (another value, which could not be asked for yet)", i == 0 ? "" : ", ", json_string_value(value));
	buf_adds(&line, " (since ");
	add_time(&line, str(j, "time"));
	buf_addf(&line, json_is_true(json_object_get(j, "decided")) ? "; decided, being carried out)" : ")");
	wrap_add(&out, line.p, 0, SIZE_MAX);
	say(&out);
	buf_fini(&line);
	buf_fini(&out);
}

int run_waiting(struct ctl *c)
{
	struct asking a = { .c = c, .show = show_waiting };
	json_t *params = json_object();

	set_text(params, "entity", c->entity);
	set_text(params, "key", c->key);
	json_object_set_new(params, "waiting", json_true());
	return order(&a, "conflicts", params, patience(c, SILENCE_US));
}

static void show_decided(struct asking *a, const json_t *j)
{
	struct buf line = { 0 }, out = { 0 };

	buf_addf(&line, "%s %s, %s: decided; it is written to all sides now", str(j, "entity"), str(j, "key"), str(j, "field"));
	wrap_add(&out, line.p, 0, SIZE_MAX);
	say(&out);
	buf_fini(&line);
	buf_fini(&out);
}

int run_decide(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_decided };
	json_t *params;

	if ((n > 3) + (c->value != NULL) + c->null != 1) {
		complain("decide: one of ENDPOINT, --value and --null says what stands");
		return CTL_USAGE;
	}
	params = json_object();
	set_text(params, "entity", args[0]);
	set_text(params, "key", args[1]);
	set_text(params, "field", args[2]);
	set_text(params, "endpoint", n > 3 ? args[3] : NULL);
	set_text(params, "value", c->value);
	if (c->null)
		json_object_set_new(params, "null", json_true());
	return order(&a, "decide", params, patience(c, SILENCE_US));
}
