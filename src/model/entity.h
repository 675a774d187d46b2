/*
 * entity.h - what a kind of record is: fields, key, cleaning, checks, rules. Pure data.
 *
 * Built once by conf/ from the topology, then constant; owned by the topology. Indexes into fields[]
 * and into the topology's endpoints are how the rest of the daemon names a field or an endpoint.
 */
#ifndef MODEL_ENTITY_H
#define MODEL_ENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/value.h"

enum { FIELDS_MAX = 64, ENDPOINTS_MAX = 32, KEY_FIELDS_MAX = 8 };

enum rule {
	RULE_LAST_WRITER_WINS, RULE_SOURCE_PRIORITY,
	RULE_MIRROR, RULE_NEWEST_FILLED, RULE_MAX, RULE_MIN, RULE_ADD, RULE_MANUAL,
	RULES
};
enum deletes { DELETES_UPDATE_WINS, DELETES_DELETE_WINS };
enum on_invalid { INVALID_PARK, INVALID_NULL, INVALID_FLAG };

const char *rule_name(enum rule rule);
bool rule_is_built(enum rule rule);		/* false: recognised, not built yet in this version */

enum clean_kind {
	CLEAN_TRIM, CLEAN_SQUEEZE, CLEAN_LOWER, CLEAN_UPPER, CLEAN_TITLE, CLEAN_NFC, CLEAN_DIGITS, CLEAN_PHONE,
	CLEAN_EMPTY_TO_NULL, CLEAN_MAP, CLEAN_DEFAULT,
	CLEAN_KINDS
};
struct clean_step {
	enum clean_kind kind;
	char **from, **to;	/* CLEAN_MAP: n pairs; CLEAN_DEFAULT: to[0] */
	size_t n;
};
const char *clean_kind_name(enum clean_kind kind);
bool clean_kind_parse(const char *name, enum clean_kind *out);
bool clean_kind_is_built(enum clean_kind kind);	/* trim squeeze lower upper empty-to-null, map, default */

enum check_kind {
	CHECK_REQUIRED, CHECK_EMAIL, CHECK_PHONE, CHECK_URL, CHECK_LENGTH, CHECK_RANGE, CHECK_ONE_OF, CHECK_MATCH,
	CHECK_KINDS
};
struct check_step {
	enum check_kind kind;
	int64_t min_length, max_length;		/* CHECK_LENGTH, characters */
	char *low, *high;			/* CHECK_RANGE: canonical text of the field's type, NULL: open */
	char **words;				/* CHECK_ONE_OF; CHECK_MATCH: words[0] */
	size_t n;
};
const char *check_kind_name(enum check_kind kind);
bool check_kind_parse(const char *name, enum check_kind *out);
bool check_kind_is_built(enum check_kind kind);	/* required length range one-of */

struct entity_def;

struct field_def {
	char *name;
	enum field_type type;
	const struct entity_def *refers;	/* FIELD_REFERENCE: the other entity */
	struct clean_step *clean;
	size_t n_clean;
	struct check_step *checks;
	size_t n_checks;
	enum on_invalid on_invalid;
	enum rule rule;				/* the entity's, unless said otherwise for the field */
	int group;				/* index of its group, -1: on its own */
	bool is_key;
	bool private_value;			/* journal keeps digests only */
};

struct entity_def {
	char *name;
	size_t index;				/* among the topology's entities; parents come before children */
	struct field_def *fields;
	size_t n_fields;
	uint8_t key[KEY_FIELDS_MAX];		/* field indexes, in the order of `key:` */
	size_t n_key;
	enum rule rule;
	enum deletes deletes;
	size_t n_groups;
	/* rank[endpoint index]: 0 is the highest priority; total. Endpoints without a mapping come last. */
	uint8_t rank[ENDPOINTS_MAX];
	double mass_delete;			/* share, 0..1 */
};

#endif
