/* check_page.c - the status page made of an object of /status (src/control/page.c, page_hour.c, html.c). */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/html.h"
#include "control/page_hour.h"
#include "control/pages.h"

static struct buf out;

static void teardown(void)
{
	buf_fini(&out);
}

static const char *page_of(const char *status)
{
	json_error_t why;
	json_t *j = json_loads(status, 0, &why);

	ck_assert_msg(j != NULL, "%s", why.text);
	buf_clear(&out);
	page_html(j, "n0", &out);
	json_decref(j);
	return out.p;
}

/* The page is longer than what Check takes for a message. */
static void expect(const char *page, const char *text, bool there)
{
	if ((strstr(page, text) != NULL) == there)
		return;
	puts(page);
	fflush(stdout);
	ck_abort_msg("%s '%s' in what is printed above", there ? "no" : "there is", text);
}

static void has(const char *page, const char *text)
{
	expect(page, text, true);
}

static void lacks(const char *page, const char *text)
{
	expect(page, text, false);
}

static size_t times(const char *page, const char *text)
{
	size_t n = 0;

	for (const char *p = page; (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

/* ---- texts of others ------------------------------------------------------------------------------------------------ */

#define EVIL "<script>alert(1)</script>\\\"' onload='x'&amp;<!--"

START_TEST(no_text_of_others_becomes_markup)
{
	static const char *const members[] = { "name", "driver", "capture", "state", "reason", "code", "server", "recognised", "table", "phase",
					       "endpoint", "version", "summary", "topology", "time", "kind", "entity", "asked_by", "unit", "throttle" };
	struct buf status = { 0 }, all = { 0 };

	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
		buf_addf(&all, "\"%s\": \"" EVIL "\", ", members[i]);
	buf_addf(&status, "{%s \"jobs\": [{%s \"done\": 1}], \"redis\": {%s \"x\": 0}, \"journal\": {%s \"x\": 0}, \"endpoints\": [{%s \"guarded\": false}], "
		 "\"entities\": [{%s \"parked\": 1, \"held\": 1, \"waiting\": 1, \"conflicts_by_rule\": {\"" EVIL "\": 1}, "
		 "\"links\": [{%s \"promises\": {\"words\": \"" EVIL "\"}}]}]}", all.p, all.p, all.p, all.p, all.p, all.p, all.p);
	page_of(status.p);
	ck_assert_uint_eq(times(out.p, "<script"), 1);		/* ours */
	lacks(out.p, "alert(1)</");
	lacks(out.p, "onload='");
	lacks(out.p, "<!--");
	has(out.p, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onload=&#39;x&#39;&amp;amp;");
	buf_fini(&status);
	buf_fini(&all);
}
END_TEST

/* An older sync, a field that is null: nothing of it may end the daemon. */
START_TEST(what_is_not_there_is_left_out)
{
	has(page_of("{}"), "<main class=\"crmsyncd\">");
	has(page_of("{\"endpoints\": [{}], \"entities\": [{\"links\": [{}], \"conflicts_by_rule\": null}]}"), "</html>");
	has(page_of("{\"endpoints\": [{\"availability\": {\"minutes\": {\"up_seconds\": \"x\"}}}], \"redis\": 7, \"journal\": null, \"summary\": 3}"), "</html>");
}
END_TEST

/* ---- what it says --------------------------------------------------------------------------------------------------- */

#define WELL "\"redis\": {\"state\": \"up\"}, \"journal\": {\"state\": \"up\"}"

static void tone_is(const char *status, const char *tone)
{
	char *wanted = NULL;

	ck_assert_int_gt(asprintf(&wanted, "<header class=\"%s\">", tone), 0);
	has(page_of(status), wanted);
	free(wanted);
}

START_TEST(the_colour_of_the_whole_is_that_of_its_worst_part)
{
	tone_is("{" WELL ", \"endpoints\": [{\"state\": \"up\"}]}", "good");
	tone_is("{" WELL ", \"endpoints\": [{\"state\": \"up\"}, {\"state\": \"paused\"}]}", "care");
	tone_is("{" WELL ", \"endpoints\": [{\"state\": \"up\"}, {\"state\": \"down\"}]}", "bad");
	tone_is("{" WELL ", \"last_reload_successful\": false}", "care");
	tone_is("{" WELL ", \"standby\": true}", "care");
	tone_is("{\"redis\": {\"state\": \"down\"}, \"journal\": {\"state\": \"up\"}}", "bad");
	tone_is("{\"redis\": {\"state\": \"up\"}, \"journal\": {\"state\": \"failing\"}}", "bad");
	tone_is("{" WELL ", \"entities\": [{\"parked\": 1}]}", "care");
	tone_is("{" WELL ", \"entities\": [{\"verify\": {\"different\": 0}, \"books\": {\"balanced\": true}}]}", "good");
	tone_is("{" WELL ", \"entities\": [{\"verify\": {\"different\": 1}}]}", "care");
	tone_is("{" WELL ", \"entities\": [{\"books\": {\"balanced\": false}}]}", "care");
	tone_is("{" WELL ", \"entities\": [{\"links\": [{\"lag_seconds\": 9.9, \"state\": \"inconsistent\"}]}]}", "good");
	tone_is("{" WELL ", \"entities\": [{\"links\": [{\"lag_seconds\": 10}]}]}", "care");
	tone_is("{" WELL ", \"entities\": [{\"links\": [{\"usable\": false}]}]}", "care");
}
END_TEST

START_TEST(what_a_person_has_to_do_is_said_with_its_command)
{
	page_of("{\"entities\": [{\"name\": \"contact\", \"parked\": 1, \"held\": 120, \"waiting\": 2}, {\"name\": \"account\", \"parked\": 0}]}");
	has(out.p, "<li>1 record of <b>contact</b> stands aside");
	has(out.p, "<code>crmsyncctl parked list --entity contact</code>");
	has(out.p, "<li>120 deletes of <b>contact</b> are held back");
	has(out.p, "<code>crmsyncctl held list --entity contact</code>");
	has(out.p, "<li>2 values of <b>contact</b> wait for a decision");
	has(out.p, "<code>crmsyncctl conflicts --waiting --entity contact</code>");
	ck_assert_uint_eq(times(out.p, "<li>"), 3);
}
END_TEST

START_TEST(what_verify_found_and_books_that_do_not_balance_are_said)
{
	page_of("{\"entities\": [{\"name\": \"contact\", \"verify\": {\"different\": 3}, \"books\": {\"balanced\": true}}, "
		"{\"name\": \"account\", \"verify\": {\"different\": 0}, \"books\": {\"balanced\": false}}]}");
	has(out.p, "<li>3 records of <b>contact</b> differ from endpoint to endpoint, as the last verify found: "
	    "<code>crmsyncctl repair contact</code>");
	has(out.p, "<li>The books of <b>account</b> do not balance");
	ck_assert_uint_eq(times(out.p, "<li>"), 2);
}
END_TEST

START_TEST(what_a_capture_promises_is_said_once)
{
	page_of("{\"endpoints\": [{\"name\": \"sales\"}], \"entities\": ["
		"{\"name\": \"a\", \"links\": [{\"endpoint\": \"sales\", \"promises\": {\"words\": \"all is seen\"}}]}, "
		"{\"name\": \"b\", \"links\": [{\"endpoint\": \"sales\", \"promises\": {\"words\": \"all is seen\"}}]}, "
		"{\"name\": \"c\", \"links\": [{\"endpoint\": \"sales\", \"promises\": {\"words\": \"little is\"}}, "
		"{\"endpoint\": \"other\", \"promises\": {\"words\": \"no word\"}}]}]}");
	has(out.p, "<p>all is seen</p>");
	ck_assert_uint_eq(times(out.p, "all is seen"), 1);
	has(out.p, "<p>c: little is</p>");
	lacks(out.p, "no word");
}
END_TEST

/* ---- the last hour -------------------------------------------------------------------------------------------------- */

static void put(json_t *minutes, const char *part, double before, double last)
{
	json_t *list = json_array();

	for (int i = 0; i < 59; i++)
		json_array_append_new(list, json_real(before));
	json_array_append_new(list, json_real(last));
	json_object_set_new(minutes, part, list);
}

/* All minutes in step but the last: those seconds of it. */
static void draw(double good, double young, double late)
{
	json_t *minutes = json_object();

	put(minutes, "consistent_seconds", 60, good);
	put(minutes, "inconsistent_seconds", 0, young + late);
	put(minutes, "late_seconds", 0, late);
	buf_clear(&out);
	page_hour_add(&out, "sa\"les", &hour_of_consistency, minutes);
	json_decref(minutes);
}

START_TEST(an_hour_is_drawn_and_told)
{
	draw(60, 0, 0);
	has(out.p, "aria-label=\"sa&quot;les in the last hour: 0 minutes not wholly in step, 0 minutes not wholly observed\"");
	has(out.p, "<path class=\"good run\" d=\"M0 10h239\"/></svg>");
	draw(30, 0, 0);
	has(out.p, "0 minutes not wholly in step, 1 minute not wholly observed");
	has(out.p, "<path class=\"good run\" d=\"M0 10h235\"/><rect class=\"good\" x=\"236\" y=\"10\" width=\"3\" height=\"10\"/></svg>");
	draw(0, 0, 60);
	has(out.p, "1 minute not wholly in step, 0 minutes not wholly observed");
	has(out.p, "<title>0 min ago, 60 s behind, or with records set aside</title>"
	    "<rect class=\"late\" x=\"236\" y=\"0\" width=\"3\" height=\"20\"/></g>");
}
END_TEST

START_TEST(a_second_of_trouble_in_an_hour_is_seen)
{
	draw(59, 0, 1);
	has(out.p, "<rect class=\"late\" x=\"236\" y=\"15\" width=\"3\" height=\"5\"/>"
	    "<rect class=\"good\" x=\"236\" y=\"0\" width=\"3\" height=\"15\"/>");
	draw(59, 1, 0);
	has(out.p, "<title>0 min ago, 1.0 s behind by less than 5 s</title><rect class=\"young\" x=\"236\" y=\"15\"");
}
END_TEST

START_TEST(an_endpoint_is_up_or_down)
{
	json_t *minutes = json_object();

	put(minutes, "up_seconds", 60, 0);
	put(minutes, "down_seconds", 0, 60);
	page_hour_add(&out, "sales", &hour_of_availability, minutes);
	json_decref(minutes);
	has(out.p, "1 minute not wholly up, 0");
	has(out.p, "<title>0 min ago, 60 s down</title><rect class=\"late\"");
}
END_TEST

START_TEST(an_hour_nobody_saw_is_not_a_good_one)
{
	page_hour_add(&out, "sales", &hour_of_consistency, NULL);
	has(out.p, "60 minutes not wholly observed");
	has(out.p, "<path class=\"void run\" d=\"M0 10h239\"/></svg>");
}
END_TEST

START_TEST(a_ratio_comes_with_what_was_seen_and_what_the_rest_allows)
{
	page_of("{\"endpoints\": [{\"availability\": {\"windows\": {\"1h\": "
		"{\"ratio\": 0.9723, \"lower\": 0.96, \"upper\": 0.98, \"coverage\": 0.99}, "
		"\"24h\": {\"ratio\": 1, \"lower\": 1, \"upper\": 1, \"coverage\": 1}, "
		"\"30d\": {\"ratio\": null, \"lower\": 0, \"upper\": 1, \"coverage\": 0}}}}]}");
	has(out.p, ">97.2 % <small>96 to 98 %</small> <small>99.0 % seen</small></td>");
	has(out.p, ">100 % <small>100 % seen</small></td>");
	has(out.p, ">- <small>0 to 100 %</small> <small>0.0 % seen</small></td>");
}
END_TEST

int main(void)
{
	Suite *all = suite_create("page");
	TCase *t = tcase_create("page");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, no_text_of_others_becomes_markup);
	tcase_add_test(t, what_is_not_there_is_left_out);
	tcase_add_test(t, the_colour_of_the_whole_is_that_of_its_worst_part);
	tcase_add_test(t, what_a_person_has_to_do_is_said_with_its_command);
	tcase_add_test(t, what_verify_found_and_books_that_do_not_balance_are_said);
	tcase_add_test(t, what_a_capture_promises_is_said_once);
	tcase_add_test(t, an_hour_is_drawn_and_told);
	tcase_add_test(t, a_second_of_trouble_in_an_hour_is_seen);
	tcase_add_test(t, an_endpoint_is_up_or_down);
	tcase_add_test(t, an_hour_nobody_saw_is_not_a_good_one);
	tcase_add_test(t, a_ratio_comes_with_what_was_seen_and_what_the_rest_allows);
	suite_add_tcase(all, t);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
