/*
 * keys.c - do all sides of an entity take the same keys for the same? (SEMANTICS F19)
 *
 * Where one side's column holds 'a' and 'A' for one key and another's for two, the one can never hold the records of the other.
 * Cleaning that makes such keys the same is a way out: then nothing depends on how a column compares.
 */
#include <stdio.h>

#include "base/fault.h"
#include "sync/state.h"

/* Of this nothing is left in a cleaned key. */
static uint32_t cleaned_of(const struct field_def *field)
{
	uint32_t gone = 0;

	for (size_t i = 0; i < field->n_clean; i++)
		switch (field->clean[i].kind) {
		case CLEAN_LOWER:
		case CLEAN_UPPER:
		case CLEAN_TITLE:
			gone |= KEY_ALIKE_CASE;
			break;
		case CLEAN_TRIM:
			gone |= ~(uint32_t)(KEY_ALIKE_BLANKS - 1);	/* and the width to which they fill up */
			break;
		case CLEAN_NFC:
			gone |= KEY_ALIKE_FORMS;
			break;
		case CLEAN_DIGITS:
		case CLEAN_PHONE:
			gone = UINT32_MAX;
			break;
		case CLEAN_SQUEEZE:
		case CLEAN_EMPTY_TO_NULL:
		case CLEAN_MAP:
		case CLEAN_DEFAULT:
		case CLEAN_KINDS:
			break;
		}
	return gone;
}

static bool is_known(const struct side *side)
{
	return side != NULL && side->link->schema_mark[0] != '\0';
}

/* A side that tells apart what this one takes for the same in that key field; NULL: none does. */
static const struct side *stricter(const struct side *side, size_t k, uint32_t *alike)
{
	const struct flow *flow = side->flow;
	uint32_t counts = fault("f19-cleaning-does-not-count") ? UINT32_MAX : ~cleaned_of(&flow->def->fields[flow->def->key[k]]);

	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++) {
		const struct side *other = flow->sides[e];

		if (!is_known(other))
			continue;
		*alike = side->link->alike[k] & (~other->link->alike[k] | (fault("f19-others-do-not-count") ? UINT32_MAX : 0)) & counts;
		if (*alike != 0 && !fault("f19-keys-are-thought-to-compare-alike"))
			return other;
	}
	return NULL;
}

static const struct {
	uint32_t alike;
	const char *example, *remedy;
} words[] = {
	{ KEY_ALIKE_CASE, "'a' and 'A'", "add lower to the field's clean, or " },
	{ KEY_ALIKE_BLANKS, "'a' and 'a '", "add trim to the field's clean, or " },
	{ KEY_ALIKE_FORMS, "a letter as one character and as several", "" },
	{ KEY_ALIKE_ACCENTS, "letters with and without accents", "" },
	{ UINT32_MAX, "what is filled up with blanks to its length", "add trim to the field's clean, or " },
};

static void refuse(struct side *side, size_t k, uint32_t alike, const struct side *other)
{
	struct err why = { 0 };
	size_t i = 0;

	while ((words[i].alike & alike) == 0)
		i++;
	err_set(&why, ERR_ENDPOINT, "keys-differ", "key field %s: its column here takes %s for the same, the one on endpoint %s tells them "
		"apart: %slet the two columns compare alike", side->flow->def->fields[side->flow->def->key[k]].name, words[i].example,
		other->mapping->endpoint->name, words[i].remedy);
	side->link->ops->refuse(side->link, &why);
}

static void compare_side(struct side *side)
{
	const struct side *other = NULL;
	uint32_t alike = 0;
	size_t k = 0;

	while (k < side->flow->def->n_key && (other = stricter(side, k, &alike)) == NULL)
		k++;
	if (other != NULL && !side->unlike)
		refuse(side, k, alike, other);
	else if (other == NULL && side->unlike)
		side->link->ops->refuse(side->link, NULL);
	side->unlike = other != NULL;
}

void keys_compare(struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (is_known(flow->sides[e]))
			compare_side(flow->sides[e]);
}
