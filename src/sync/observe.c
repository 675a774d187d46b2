#include "model/clean.h"
#include "sync/state.h"

/* The key of the row that a foreign key points to, cleaned as that entity's own key is. */
static bool observe_reference(const struct field_def *field, const struct value *columns, struct arena *arena,
			      struct value *out, struct err *e)
{
	const struct entity_def *parent = field->refers;
	struct value keys[KEY_FIELDS_MAX];
	struct clean_note note;

	*out = VALUE_NULL;
	if (value_is_null(columns[0]))
		return true;
	for (size_t i = 0; i < parent->n_key; i++) {
		if (value_is_null(columns[1 + i]))
			return err_set(e, ERR_ROW, "dangling-reference", "%s: points to a %s row that does not exist or has no key",
				       field->name, parent->name);
		if (!clean_field(&parent->fields[parent->key[i]], columns[1 + i], arena, &keys[i], &note, e))
			return err_while(e, "%s: key of the %s it points to", field->name, parent->name);
	}
	*out = record_key_encode(keys, parent->n_key, arena);
	return true;
}

bool observe_row(const struct flow *flow, const struct side *side, const struct row *row, struct arena *arena, struct meter_entity *counts,
		 struct observation *out, const struct field_def **bad, struct err *e)
{
	const struct entity_def *def = flow->def;
	const struct digest_key *key = &flow->sync->store->key;
	struct value *values, *points_to = NULL;
	uint64_t *digests;

	memset(out, 0, sizeof *out);
	out->id = row->id;
	out->stamp = row->stamp == STAMP_UNKNOWN ? STAMP_NONE : row->stamp - endpoint_offset_us(side->link->endpoint);
	if (row->gone || row->outside) {
		out->what = OBSERVED_ABSENT;
		out->evidence = row->gone && !row->outside;
		out->outside = row->outside;
		return true;
	}
	if (row->large) {
		counts->rejected++;
		return err_set(e, ERR_ROW, "too-large", "a value of it is larger than limits.value_bytes, and was not fetched");
	}
	values = arena_alloc(arena, def->n_fields * sizeof *values);
	digests = arena_alloc(arena, def->n_fields * sizeof *digests);
	for (size_t f = 0; f < def->n_fields; f++) {
		const struct field_def *field = &def->fields[f];
		const struct value *columns = &row->columns[flow->first_column[f]];
		struct clean_note note = { 0 };
		bool ok = field->type == FIELD_REFERENCE ?
			observe_reference(field, columns, arena, &values[f], e) :
			clean_field(field, columns[0], arena, &values[f], &note, e);

		if (!ok) {
			*bad = field;
			counts->rejected++;
			return false;
		}
		if (field->type == FIELD_REFERENCE) {
			if (points_to == NULL)
				points_to = arena_alloc(arena, def->n_fields * sizeof *points_to);
			points_to[f] = columns[0];
		}
		counts->cleaned += note.cleaned || note.nulled;
		digests[f] = value_digest(key, field->type, values[f]);
	}
	out->what = OBSERVED_ROW;
	out->moved_columns = side->moved_columns;
	out->values = values;
	out->digests = digests;
	out->points_to = points_to;
	out->row = row_digest(key, digests, def->n_fields, flow->sync->store->layouts[flow->index].row_order);
	return true;
}
