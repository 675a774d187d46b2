/*
 * clean.h - cleaning and checks of one field, as the topology orders them. Pure.
 *
 * The order: database text -> cleaning steps that work on text (for FIELD_TEXT) -> canonical form ->
 * checks. A value that is equal after cleaning is equal: the endpoint keeps its own form.
 */
#ifndef MODEL_CLEAN_H
#define MODEL_CLEAN_H

#include "model/entity.h"
#include "model/value.h"

struct arena;

struct clean_note {
	bool cleaned;		/* the cleaning changed the value */
	bool nulled;		/* on_invalid: null put NULL in its place */
	bool flagged;		/* on_invalid: flag let it pass */
};

/*
 * raw -> canonical, cleaned, checked. *out is `raw` itself when nothing had to change, else lives in the arena.
 * False (ERR_ROW, code = the check's or the form's name: required, length, range, one-of, bad-integer ...) when the
 * value is invalid and on_invalid is `park`. The text names the field and the rule, never the value. A key field that is
 * NULL is invalid (code required). `note` is set in any case. Not for FIELD_REFERENCE.
 */
bool clean_field(const struct field_def *field, struct value raw, struct arena *arena, struct value *out,
		 struct clean_note *note, struct err *e);

#endif
