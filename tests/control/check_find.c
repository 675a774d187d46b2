/* check_find.c - how crmsyncctl finds control.socket by a topology file, and its columns (src/ctl/find.c, table.c). */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "ctl/ctl.h"

volatile sig_atomic_t ctl_interrupted;

static char said[1000];

void complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof said, fmt, ap);
	va_end(ap);
}

/* Asks for the socket of a file with this text; *rc: the exit code. The caller frees. */
static char *socket_of(const char *text, int *rc)
{
	struct ctl c = { .config = "check_find.yaml" };
	FILE *f = fopen(c.config, "we");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	said[0] = '\0';
	*rc = find_socket(&c);
	unlink(c.config);
	return c.path;
}

static void finds(const char *text, const char *wanted)
{
	int rc;
	char *got = socket_of(text, &rc);

	ck_assert_msg(rc == CTL_OK && strcmp(got, wanted) == 0, "found '%s' in:\n%s%s", got, text, said);
	free(got);
}

static void refuses(const char *text, const char *words)
{
	int rc;
	char *got = socket_of(text, &rc);

	ck_assert_msg(rc == CTL_CONFIGURATION && got == NULL, "took '%s' from:\n%s", got, text);
	ck_assert_str_eq(said, words);
}

START_TEST(the_socket_under_control_is_found)
{
	finds("control:\n  socket: /run/a.sock\n", "/run/a.sock");
	finds("control:   # the way in\n\n# one more\n    socket: \"/run/a b.sock\"  # quoted\n", "/run/a b.sock");
	finds("control:\r\n  socket: '/run/a.sock'\r\n", "/run/a.sock");
	finds("control: { socket : '/run/a,b.sock' }\n", "/run/a,b.sock");
}
END_TEST

START_TEST(whatever_yaml_can_say_it_in_is_understood)
{
	finds("control: {\n  socket: /run/a.sock\n}\n", "/run/a.sock");
	finds("\"control\":\n  'socket': /run/a.sock\n", "/run/a.sock");
	finds("{\"version\": 1, \"control\": {\"socket\": \"/run/a.sock\"}}", "/run/a.sock");
	finds("control:\n  socket: >-\n    /run/a.sock\n", "/run/a.sock");
	finds("control:\n  socket:\n    /run/a.sock\n", "/run/a.sock");
	finds("control:\n  socket: \"/run/\\x61.sock\"\n", "/run/a.sock");
	finds("stats: >\n  control:\n    socket: /x\ncontrol: {socket: /y}\n", "/y");
}
END_TEST

START_TEST(a_file_that_names_none_means_the_usual_one)
{
	finds("version: 1\n", "/run/crmsyncd/control.sock");
	finds("control: {}\nstats: {socket: /x}\n", "/run/crmsyncd/control.sock");
	finds("# control:\n#  socket: /x\ncontrols:\n  socket: /x\n", "/run/crmsyncd/control.sock");
	finds("entities:\n  control:\n    socket: /x\n", "/run/crmsyncd/control.sock");
}
END_TEST

/* Another daemon's socket must not be taken for the one that was meant. */
START_TEST(what_is_not_understood_is_never_guessed)
{
	struct ctl nobody = { .config = "no/such/file" };

	refuses("control: {socket: /x\n", "check_find.yaml:2:1: not YAML: did not find expected ',' or '}', while parsing a flow mapping that begins in line 1");
	refuses("", "check_find.yaml:1:1: the file is empty: a topology begins with version: 1");
	refuses("control:\n  socket:\n", "check_find.yaml:2:10: control.socket: wants an absolute path, has nothing");
	refuses("control:\n  sockets: /x\n", "check_find.yaml:2:3: control.sockets: unknown key; did you mean \"socket\"?");
	refuses("control: &a\n  socket: ~\n", "check_find.yaml:1:10: control: anchors (&name) are not allowed: write the value out\n"
		"check_find.yaml:2:11: control.socket: wants an absolute path, has null; leave the setting out, or quote it if the word is meant");
	refuses("control:\n  socket: /a\ncontrol:\n  socket: /b\n", "check_find.yaml:3:1: control: duplicate key; the first is in line 1");
	ck_assert_int_eq(find_socket(&nobody), CTL_CONFIGURATION);
	ck_assert_str_eq(said, "no/such/file: cannot be read: No such file or directory; -c names another one, and crmsyncd.yaml.sample is one to begin with");
}
END_TEST

static char *table_of(size_t width)
{
	static const struct table_column columns[] = { { "NAME", .elastic = true }, { "N", .right = true }, { "END" } };
	struct table t = { .columns = columns, .n_columns = 3 };
	struct buf out = { 0 };

	table_cell(&t, PLAIN, "a long name with ümläut");
	table_cell(&t, RED, "7");
	table_cell(&t, PLAIN, "x");
	table_cell(&t, PLAIN, "b\033[2J");
	table_cell(&t, PLAIN, "1234");
	table_cell(&t, PLAIN, "y");
	table_print(&t, &out, width, false);
	return buf_take(&out);
}

START_TEST(columns_are_aligned_cut_and_harmless)
{
	char *text = table_of(80);

	ck_assert_str_eq(text, "NAME                        N  END\n"
			 "a long name with ümläut     7  x\n"
			 "b\\u001b[2J               1234  y\n");
	free(text);
	text = table_of(24);
	ck_assert_str_eq(text, "NAME              N  END\n"
			 "a long nam...     7  x\n"
			 "b\\u001b[2J     1234  y\n");
	free(text);
}
END_TEST

START_TEST(text_is_broken_at_blanks)
{
	struct buf out = { 0 };

	wrap_add(&out, "one two  three averyverylongword x", 2, 11);
	ck_assert_str_eq(out.p, "  one two\n  three\n  averyverylongword\n  x\n");
	buf_clear(&out);
	wrap_add(&out, "", 2, 10);
	ck_assert_uint_eq(out.len, 0);
	buf_fini(&out);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("find");
	TCase *t = tcase_create("find");
	SRunner *runner;
	int failed;

	tcase_add_test(t, the_socket_under_control_is_found);
	tcase_add_test(t, whatever_yaml_can_say_it_in_is_understood);
	tcase_add_test(t, a_file_that_names_none_means_the_usual_one);
	tcase_add_test(t, what_is_not_understood_is_never_guessed);
	tcase_add_test(t, columns_are_aligned_cut_and_harmless);
	tcase_add_test(t, text_is_broken_at_blanks);
	suite_add_tcase(all, t);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
