/* check_manuals.c - every metric and every command has its place in the manual, and mandoc has nothing to say about it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "control/pages.h"
#include "control/room.h"
#include "ctl/ctl.h"
#include "model/entity.h"

volatile sig_atomic_t ctl_interrupted;

void complain(const char *fmt, ...)
{
}

static char *manual(const char *name)
{
	char *path = xasprintf("%s/%s", MANUALS, name);
	FILE *f = fopen(path, "r");
	struct buf all = { 0 };
	size_t n;

	ck_assert_msg(f != NULL, "no %s", path);
	while ((n = fread(buf_room(&all, 65536), 1, 65536, f)) > 0)
		all.len += n;
	fclose(f);
	free(path);
	return buf_take(&all);
}

static void has(const char *page, const char *line, const char *what)
{
	ck_assert_msg(strstr(page, line) != NULL, "%s: the manual has no line '%s'", what, line);
}

struct metrics_page {
	const char *text;
	size_t known;			/* rows of the table */
};

/* An entry's words up to the next one, as one line. */
static char *words_of(const char *entry)
{
	const char *item = strstr(entry, "\n.It "), *end = strstr(entry, "\n.El\n");
	char *words = xstrndup(entry, (size_t)((item != NULL && item < end ? item : end) - entry));

	for (char *p = words; *p != '\0'; p++)
		if (*p == '\n')
			*p = ' ';
	return words;
}

static void on_metric(void *arg, const char *name, const char *type, const char *labels, const char *help)
{
	struct metrics_page *page = arg;
	char *line = xasprintf("\n.It Ic %s\n", name), *words, *wanted;

	has(page->text, line, name);
	page->known++;
	words = words_of(strstr(page->text, line) + strlen(line));
	wanted = xasprintf("%s%s%s. %s", type, labels[0] != '\0' ? "; " : "", labels, help);
	ck_assert_msg(strncmp(words, wanted, strlen(wanted)) == 0, "%s: the manual says '%s', not '%s'", name, words, wanted);
	free(line);
	free(words);
	free(wanted);
}

START_TEST(the_manual_of_metrics_says_what_the_table_says_and_no_more)
{
	char *text = manual("crmsyncd-metrics.7");
	struct metrics_page page = { .text = text };
	size_t items = 0;

	metrics_each(on_metric, &page);
	for (const char *p = text; (p = strstr(p, "\n.It Ic ")) != NULL; p++)
		items++;
	ck_assert_uint_eq(items, page.known);
	free(text);
}
END_TEST

START_TEST(every_command_is_in_the_manual_or_among_those_to_come)
{
	char *page = manual("crmsyncctl.1");

	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		char *line = xasprintf("\n.It %s %s", c->run != NULL ? "Ic" : "Li", c->name);

		has(page, line, c->name);
		free(line);
	}
	free(page);
}
END_TEST

struct wanted {
	const char *name;
	bool built, found;
};

static void on_order(void *arg, const char *name, bool built, const char *help)
{
	struct wanted *w = arg;
	char *spaced = xstrdup(name);

	for (char *p = spaced; *p != '\0'; p++)
		if (*p == '/')
			*p = ' ';
	if (strcmp(spaced, w->name) == 0) {
		w->found = true;
		ck_assert_msg(w->built == built, "%s: built on one side only", name);
	}
	free(spaced);
}

START_TEST(every_command_of_the_client_is_known_to_the_daemon)
{
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++) {
		struct wanted w = { .name = c->name, .built = c->run != NULL };

		commands_each(on_order, &w);
		ck_assert_msg(w.found != c->alone, "the daemon %s '%s'", w.found ? "knows" : "does not know", c->name);
	}
}
END_TEST

START_TEST(every_rule_that_is_built_is_in_the_manual_and_no_other)
{
	char *page = manual("crmsyncd-conflicts.7");

	for (size_t i = 0; i < RULES; i++) {
		char *line = xasprintf("\n.It Cm %s\n", rule_name((enum rule)i));

		ck_assert_msg((strstr(page, line) != NULL) == rule_is_built((enum rule)i), "%s", rule_name((enum rule)i));
		free(line);
	}
	free(page);
}
END_TEST

START_TEST(mandoc_finds_nothing)
{
	static const char *const pages[] = { "crmsyncd.8", "crmsyncctl.1", "crmsyncd.yaml.5", "crmsyncd-metrics.7", "crmsyncd-conflicts.7" };

	if (system("command -v mandoc >/dev/null") != 0)
		return;
	for (size_t i = 0; i < countof(pages); i++) {
		char *command = xasprintf("mandoc -T lint -W warning '%s/%s'", MANUALS, pages[i]);

		ck_assert_msg(system(command) == 0, "%s", pages[i]);
		free(command);
	}
}
END_TEST

int main(void)
{
	Suite *all = suite_create("manuals");
	TCase *t = tcase_create("manuals");
	SRunner *runner;
	int failed;

	tcase_add_test(t, the_manual_of_metrics_says_what_the_table_says_and_no_more);
	tcase_add_test(t, every_command_is_in_the_manual_or_among_those_to_come);
	tcase_add_test(t, every_command_of_the_client_is_known_to_the_daemon);
	tcase_add_test(t, every_rule_that_is_built_is_in_the_manual_and_no_other);
	tcase_add_test(t, mandoc_finds_nothing);
	suite_add_tcase(all, t);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
