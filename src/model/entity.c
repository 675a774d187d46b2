#include "model/entity.h"

#include <string.h>

#include "base/mem.h"

/* Names in the order of their enum. `built` says what this version can do; the others are recognised by name only. */
struct word {
	const char *name;
	bool built;
};

static const struct word rules[RULES] = {
	[RULE_LAST_WRITER_WINS]	= { "last-writer-wins", true },
	[RULE_SOURCE_PRIORITY]	= { "source-priority", true },
	[RULE_MIRROR]		= { "mirror", true },
	[RULE_NEWEST_FILLED]	= { "newest-filled", true },
	[RULE_MAX]		= { "max", true },
	[RULE_MIN]		= { "min", true },
	[RULE_ADD]		= { "add", true },
	[RULE_MANUAL]		= { "manual", true },
};

static const struct word cleans[CLEAN_KINDS] = {
	[CLEAN_TRIM]		= { "trim", true },
	[CLEAN_SQUEEZE]		= { "squeeze", true },
	[CLEAN_LOWER]		= { "lower", true },
	[CLEAN_UPPER]		= { "upper", true },
	[CLEAN_TITLE]		= { "title", false },
	[CLEAN_NFC]		= { "nfc", false },
	[CLEAN_DIGITS]		= { "digits", false },
	[CLEAN_PHONE]		= { "phone", false },
	[CLEAN_EMPTY_TO_NULL]	= { "empty-to-null", true },
	[CLEAN_MAP]		= { "map", true },
	[CLEAN_DEFAULT]		= { "default", true },
};

static const struct word checks[CHECK_KINDS] = {
	[CHECK_REQUIRED]	= { "required", true },
	[CHECK_EMAIL]		= { "email", false },
	[CHECK_PHONE]		= { "phone", false },
	[CHECK_URL]		= { "url", false },
	[CHECK_LENGTH]		= { "length", true },
	[CHECK_RANGE]		= { "range", true },
	[CHECK_ONE_OF]		= { "one-of", true },
	[CHECK_MATCH]		= { "match", false },
};

static bool word_parse(const struct word *words, size_t n, const char *name, size_t *out)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i].name, name) == 0) {
			*out = i;
			return true;
		}
	return false;
}

const char *rule_name(enum rule rule)
{
	return rules[rule].name;
}

bool rule_is_built(enum rule rule)
{
	return rules[rule].built;
}

const char *clean_kind_name(enum clean_kind kind)
{
	return cleans[kind].name;
}

bool clean_kind_parse(const char *name, enum clean_kind *out)
{
	size_t i;

	if (!word_parse(cleans, countof(cleans), name, &i))
		return false;
	*out = (enum clean_kind)i;
	return true;
}

bool clean_kind_is_built(enum clean_kind kind)
{
	return cleans[kind].built;
}

const char *check_kind_name(enum check_kind kind)
{
	return checks[kind].name;
}

bool check_kind_parse(const char *name, enum check_kind *out)
{
	size_t i;

	if (!word_parse(checks, countof(checks), name, &i))
		return false;
	*out = (enum check_kind)i;
	return true;
}

bool check_kind_is_built(enum check_kind kind)
{
	return checks[kind].built;
}
