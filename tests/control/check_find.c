/* check_find.c - how crmsyncctl finds control.socket in a topology file, and its columns (src/ctl/find.c, table.c). */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "ctl/ctl.h"

volatile sig_atomic_t ctl_interrupted;

void complain(const char *fmt, ...)
{
	ck_abort_msg("nothing to complain about: %s", fmt);
}

static void finds(const char *text, const char *wanted)
{
	char *got = find_in_topology(text);

	if (wanted == NULL)
		ck_assert_msg(got == NULL, "found '%s' in:\n%s", got, text);
	else
		ck_assert_msg(got != NULL && strcmp(got, wanted) == 0, "found '%s' in:\n%s", got, text);
	free(got);
}

START_TEST(the_socket_under_control_is_found)
{
	finds("control:\n  socket: /run/a.sock\n", "/run/a.sock");
	finds("stats:\n  socket: /x\ncontrol:\n  socket: /run/a.sock", "/run/a.sock");
	finds("control:\n  socket: /x\nstats:\n  socket: /y\n", "/x");
	finds("control:   # the way in\n\n# one more\n    socket: \"/run/a b.sock\"  # quoted\n", "/run/a b.sock");
	finds("control:\r\n  socket: '/run/a.sock'\r\n", "/run/a.sock");
	finds("control:\n  socket: /run/a#b.sock # c\n", "/run/a#b.sock");
	finds("control: {socket: /run/a.sock}\n", "/run/a.sock");
	finds("control: { socket : '/run/a,b.sock' , x: y}\n", "/run/a,b.sock");
	finds("control: {x: y, socket: /run/a.sock}\n", "/run/a.sock");
}
END_TEST

START_TEST(what_only_looks_like_it_is_not)
{
	finds("", NULL);
	finds("stats:\n  socket: /x\n", NULL);
	finds("control:\n", NULL);
	finds("control:\n  socket:\n", NULL);
	finds("control:\n  socket: # none\nstats:\n  socket: /x\n", NULL);
	finds("control:\nstats:\n  socket: /x\n", NULL);
	finds("# control:\n#  socket: /x\n", NULL);
	finds("controls:\n  socket: /x\n", NULL);
	finds("control:\n  sockets: /x\n  socket:/y\n", NULL);
	finds("control: {}\nstats: {socket: /x}\n", NULL);
	finds("control: {socket: }\n", NULL);
	finds("entities:\n  control:\n    x: y\n  socket: /x\n", NULL);
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
	tcase_add_test(t, what_only_looks_like_it_is_not);
	tcase_add_test(t, columns_are_aligned_cut_and_harmless);
	tcase_add_test(t, text_is_broken_at_blanks);
	suite_add_tcase(all, t);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
