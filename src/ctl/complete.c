/*
 * complete.c - what may stand next on a command line: `crmsyncctl --complete -- WORD...`, for the shell's completion.
 *
 * The last word is the one under the cursor, maybe empty. Each answer is a line. Commands and options come from their tables,
 * names of endpoints and entities, numbers and sets from the daemon; when that does not answer there are none, and that is all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/asking.h"

enum { PATIENCE_US = 2 * 1000 * 1000 };		/* somebody has pressed a key and waits */

struct line {
	struct ctl *c;
	const char *word;			/* under the cursor */
	const char *group;			/* "parked": the first word of a command that has two */
	const struct ctl_command *command;	/* NULL: not written yet */
	bool lost;				/* no command begins like that */
	const struct option *open;		/* an option that waits for its value; NULL: none */
	char **args;				/* the command's, before the cursor: moved to the front of all words */
	int n_args;
};

static void offer(const struct line *l, const char *text)
{
	if (strncmp(text, l->word, strlen(l->word)) == 0)
		puts(text);
}

/* ---- reading what is there --------------------------------------------------------------------------- */

static bool is_in_group(const struct ctl_command *c, const char *group)
{
	size_t n = strlen(group);

	return strncmp(c->name, group, n) == 0 && c->name[n] == ' ';
}

static void take_command_word(struct line *l, const char *word)
{
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		bool second = l->group != NULL && is_in_group(c, l->group) && strcmp(c->name + strlen(l->group) + 1, word) == 0;

		if (second || (l->group == NULL && strcmp(c->name, word) == 0)) {
			l->command = c;
			return;
		}
		if (l->group == NULL && is_in_group(c, word)) {
			l->group = word;
			return;
		}
	}
	l->lost = true;
}

static const struct option *option_of(const char *word)
{
	for (const struct option *o = ctl_options; o->name != NULL; o++)
		if ((word[1] == '-' && strcmp(word + 2, o->name) == 0) || (word[1] == o->val && word[2] == '\0'))
			return o;
	return NULL;
}

/* Only what says which daemon is meant. */
static void take_value(struct line *l, char *value)
{
	if (l->open->val == 's')
		l->c->socket = value;
	else if (l->open->val == 'c')
		l->c->config = value;
	l->open = NULL;
}

/* The shell has cut --socket=PATH into three. */
static void take_word(struct line *l, char *word)
{
	if (strcmp(word, "=") == 0)
		return;
	if (l->open != NULL) {
		take_value(l, word);
	} else if (word[0] == '-') {
		l->open = option_of(word);
		if (l->open != NULL && l->open->has_arg == no_argument)
			l->open = NULL;
	} else if (l->command == NULL) {
		take_command_word(l, word);
	} else {
		l->args[l->n_args++] = word;
	}
}

/* ---- what the daemon knows --------------------------------------------------------------------------- */

/* Once is enough. */
static void offer_argument(const struct line *l, const char *text)
{
	for (int i = 0; i < l->n_args; i++)
		if (strcmp(l->args[i], text) == 0)
			return;
	offer(l, text);
}

static void offer_names(const struct line *l, const json_t *list)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		offer_argument(l, str(one, "name"));
}

static void show_endpoints(struct asking *a, const json_t *status)
{
	offer_names(a->arg, json_object_get(status, "endpoints"));
}

static void show_entities(struct asking *a, const json_t *status)
{
	offer_names(a->arg, json_object_get(status, "entities"));
}

static void show_number(struct asking *a, const json_t *parked)
{
	char number[24];

	snprintf(number, sizeof number, "%lld", (long long)json_integer_value(json_object_get(parked, "id")));
	offer_argument(a->arg, number);
}

static void show_set(struct asking *a, const json_t *held)
{
	offer_argument(a->arg, str(held, "set"));
}

static void ask(struct line *l, const char *command, void (*show)(struct asking *, const json_t *))
{
	struct asking a = { .c = l->c, .show = show, .arg = l };

	order(&a, command, json_object(), PATIENCE_US);
}

/* ---- offering ---------------------------------------------------------------------------------------- */

static void offer_options(const struct line *l)
{
	char text[40];

	for (size_t i = 0; ctl_options[i].name != NULL; i++) {
		bool ours = i < CTL_OPTIONS_OF_ALL || (l->command != NULL && strchr(l->command->options, ctl_options[i].val) != NULL);

		snprintf(text, sizeof text, "--%s", ctl_options[i].name);
		if (ours)
			offer(l, text);
	}
}

/* A group stands in the table as rows one behind the other; it is offered once. */
static void offer_commands(const struct line *l)
{
	const char *last = "";
	char word[40];

	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		if (l->group != NULL && !is_in_group(c, l->group))
			continue;
		if (l->group != NULL) {
			offer(l, c->name + strlen(l->group) + 1);
		} else if (strncmp(c->name, last, strcspn(c->name, " ")) != 0 || last[strcspn(c->name, " ")] != ' ') {
			snprintf(word, sizeof word, "%.*s", (int)strcspn(c->name, " "), c->name);
			offer(l, word);
		}
		last = c->name;
	}
}

/* What the usage line says that it takes. */
static const struct {
	const char *word, *command;
	void (*show)(struct asking *, const json_t *);
} kinds[] = {
	{ "ENDPOINT", "status", show_endpoints },
	{ "ENTITY", "status", show_entities },
	{ "NUMBER", "parked/list", show_number },
	{ "SET", "held/list", show_set },
};

static void offer_arguments(struct line *l)
{
	if (l->n_args >= l->command->max)
		return;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strstr(l->command->args, kinds[i].word) != NULL)
			ask(l, kinds[i].command, kinds[i].show);
}

const struct ctl_word ctl_words[] = {
	{ 'y', "full" }, { 'y', "incremental" }, { 'y', "parallel" }, { 'O', "merge" }, { 'O', "replace" },
	{ 'L', "counts" }, { 'L', "ranges" }, { 'L', "rows" },
	{ 0, NULL },
};

/* Options that take one of a few words. */
static void offer_values(const struct line *l)
{
	for (const struct ctl_word *w = ctl_words; w->word != NULL; w++)
		if (w->option == l->open->val)
			offer(l, w->word);
}

static void offer_next(struct line *l)
{
	if (l->open != NULL && l->open->val == 'e')
		ask(l, "status", show_entities);
	else if (l->open != NULL && strchr("EoFD", l->open->val) != NULL)
		ask(l, "status", show_endpoints);
	else if (l->open != NULL)
		offer_values(l);
	else if (l->word[0] == '-')
		offer_options(l);
	else if (l->command == NULL)
		offer_commands(l);
	else
		offer_arguments(l);
}

int complete(struct ctl *c, char **words, int n)
{
	struct line l = { .c = c, .word = n > 0 ? words[n - 1] : "", .args = words };

	for (int i = 0; i < n - 1; i++)
		take_word(&l, words[i]);
	if (strcmp(l.word, "=") == 0)
		l.word = "";
	if (l.lost || find_socket(c) != CTL_OK)
		return CTL_OK;
	offer_next(&l);
	free(c->path);
	return CTL_OK;
}
