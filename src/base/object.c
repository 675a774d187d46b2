#include "base/object.h"

#include <math.h>

const char *str(const json_t *j, const char *name)
{
	const char *s = json_string_value(json_object_get(j, name));

	return s != NULL ? s : "";
}

double num(const json_t *j, const char *name)
{
	const json_t *n = json_object_get(j, name);

	return json_is_number(n) ? json_number_value(n) : NAN;
}

json_int_t number(const json_t *j, const char *name)
{
	return json_integer_value(json_object_get(j, name));
}

const json_t *sub(const json_t *j, const char *name)
{
	return json_object_get(j, name);
}
