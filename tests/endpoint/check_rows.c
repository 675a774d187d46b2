/* Reading rows on a real server. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/postgres/pg_hset.h"
#include "rig.h"

static struct pg_server *server;
static struct rig r;

static void start_server(void) { server = pg_server_new(); }
static void stop_server(void) { pg_server_free(&server); }
static void open_rig(void) { rig_open(&r, server, CAPTURE_POLL, NULL); }
static void open_text_ids(void)
{
	rig_open(&r, server, CAPTURE_LISTEN, "ALTER TABLE " PEOPLE " DROP company_id, ALTER id TYPE text, ADD company_id text;"
		 "ALTER TABLE company ALTER id DROP DEFAULT, ALTER id TYPE text;");
}
static void close_rig(void) { rig_close(&r); }

static const struct value *column(const struct row *row, int field)
{
	return &row->columns[field <= P_COMPANY ? field : field + 1];
}

START_TEST(list_goes_through_all_rows_page_by_page)
{
	struct rowset *rs;

	rig_sql(&r, "INSERT INTO company (number) SELECT i FROM generate_series(1, 25) i; DELETE FROM company WHERE id = 11");
	rs = rig_list(&r, r.companies, NULL, 10);
	ck_assert_int_eq(rs->n, 10);
	rowset_free(&rs);
	rs = rig_list(&r, r.companies, "10", 10);
	ck_assert_int_eq(rs->n, 10);
	ck_assert(value_equal(rs->rows[0].id, value_of("12")));
	rowset_free(&rs);
	rs = rig_list(&r, r.companies, "21", 10);
	ck_assert_int_eq(rs->n, 4);
	rowset_free(&rs);
}
END_TEST

START_TEST(a_table_is_parted_and_each_part_listed_to_its_end)
{
	struct rowset *rs;
	int64_t half;

	ck_assert_str_eq(rig_split(&r, r.companies, 4, 0), "");
	rig_sql(&r, "INSERT INTO company (number) SELECT i FROM generate_series(1, 100) i");
	ck_assert_str_eq(rig_split(&r, r.companies, 4, 100), "25 50 75 ");
	ck_assert_str_eq(rig_split(&r, r.companies, 2, -1), "50 ");
	rs = rig_list_until(&r, r.companies, "25", "50", 1000);
	ck_assert_int_eq(rs->n, 25);
	ck_assert(value_equal(rs->rows[24].id, value_of("50")));
	rowset_free(&rs);
	rig_sql(&r, "INSERT INTO company (number) SELECT i FROM generate_series(101, 20000) i");
	half = strtoll(rig_split(&r, r.companies, 2, 200000), NULL, 10);	/* of half of its blocks */
	ck_assert(half > 4000 && half < 16000);
}
END_TEST

START_TEST(read_gives_the_rows_that_exist)
{
	struct rowset *rs;

	rig_sql(&r, "INSERT INTO company (number) SELECT i FROM generate_series(1, 5) i");
	rs = rig_read(&r, r.companies, (const char *const[]){ "4", "99", "2" }, 3);
	ck_assert_int_eq(rs->n, 2);
	ck_assert_ptr_nonnull(rig_row(rs, "4"));
	ck_assert_ptr_nonnull(rig_row(rs, "2"));
	ck_assert_str_eq(rig_ask(&r, "SELECT (extract(epoch FROM changed) * 1000000)::bigint FROM company WHERE id = 2"),
			 rig_ask(&r, "SELECT %lld", (long long)rig_row(rs, "2")->stamp));
	rowset_free(&rs);
	rs = rig_read(&r, r.companies, NULL, 0);
	ck_assert_int_eq(rs->n, 0);
	rowset_free(&rs);
}
END_TEST

START_TEST(references_are_read_through_to_the_parents_key)
{
	struct rowset *rs;

	rig_sql(&r, "INSERT INTO company (number) VALUES ('HRB 1');"
		"INSERT INTO " PEOPLE " (email, company_id) VALUES ('a@x', 1), ('b@x', NULL)");
	rs = rig_list(&r, r.people, NULL, 10);
	ck_assert(value_equal(rs->rows[0].columns[P_COMPANY], value_of("1")));
	ck_assert(value_equal(rs->rows[0].columns[P_COMPANY + 1], value_of("HRB 1")));
	ck_assert(value_is_null(rs->rows[1].columns[P_COMPANY]));
	ck_assert(value_is_null(rs->rows[1].columns[P_COMPANY + 1]));
	rowset_free(&rs);
}
END_TEST

START_TEST(who_refers_to_some_rows_is_found_by_their_ids)
{
	static const char *const both[] = { "1", "3", "99" }, *const none[] = { "99" };
	struct rowset *rs;

	rig_sql(&r, "INSERT INTO company (number) VALUES ('HRB 1'), ('HRB 2'), ('HRB 3');"
		"INSERT INTO " PEOPLE " (email, company_id) VALUES ('a@x', 1), ('b@x', NULL), ('c@x', 2), ('d@x', 3), ('e@x', 1)");
	rs = rig_read_referring(&r, r.people, P_COMPANY, both, 3, 10);
	ck_assert_uint_eq(rs->n, 3);
	ck_assert_ptr_nonnull(rig_row(rs, "1"));
	ck_assert(value_equal(rig_row(rs, "4")->columns[P_COMPANY + 1], value_of("HRB 3")));
	ck_assert_ptr_nonnull(rig_row(rs, "5"));
	rowset_free(&rs);
	rs = rig_read_referring(&r, r.people, P_COMPANY, both, 3, 2);
	ck_assert_uint_eq(rs->n, 2);
	rowset_free(&rs);
	rs = rig_read_referring(&r, r.people, P_COMPANY, none, 1, 2);
	ck_assert_uint_eq(rs->n, 0);
	rowset_free(&rs);
}
END_TEST

START_TEST(read_by_key_compares_what_is_stored)
{
	struct value keys[] = { value_of("b@x"), value_of("B@X"), value_of("nobody"), VALUE_NULL, value_of("{\"odd\",key}\\") };
	struct rowset *rs;

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a@x'), ('b@x'), (E'{\"odd\",key}\\\\')");
	rs = rig_read_by_key(&r, r.people, keys, 5);
	ck_assert_int_eq(rs->n, 2);
	ck_assert_ptr_nonnull(rig_row(rs, "2"));
	ck_assert_ptr_nonnull(rig_row(rs, "3"));
	rowset_free(&rs);
}
END_TEST

static void key_on(int field)
{
	rig_prepare(&r, server, CAPTURE_POLL, NULL);
	r.entities[1].def.key[0] = (uint8_t)field;
	rig_start(&r);
}

static void expect_key(const char *insert, const char *const *keys, size_t n, const char *ids)
{
	struct value *list = calloc(n, sizeof *list);
	struct rowset *rs;
	char got[100] = "";

	rig_sql(&r, "INSERT INTO " PEOPLE " %s", insert);
	for (size_t i = 0; i < n; i++)
		list[i] = value_of(keys[i]);
	rs = rig_read_by_key(&r, r.people, list, n);
	for (int id = 1; id < 9; id++) {
		char name[8];

		snprintf(name, sizeof name, "%d", id);
		if (rig_row(rs, name) != NULL)
			strcat(strcat(got, got[0] != '\0' ? " " : ""), name);
	}
	ck_assert_str_eq(got, ids);
	rowset_free(&rs);
	free(list);
}

START_TEST(keys_of_other_types_are_found)
{
	static const struct {
		int field;
		const char *insert, *keys[4], *ids;
	} cases[] = {
		{ P_CODE, "(email, code) VALUES ('1', 'ab'), ('2', 'abcde'), ('3', NULL)", { "ab", "abcde", "much too long", "" }, "1 2" },
		{ P_KIND, "(email, kind) VALUES ('1', 'cold'), ('2', 'warm')", { "warm", "hot", "x", "y" }, "2" },
		{ P_AMOUNT, "(email, amount) VALUES ('1', 1.50), ('2', 2)", { "1.5", "2", "1e999", "99999999999999999999" }, "1 2" },
		{ P_SCORE, "(email, score) VALUES ('1', 5), ('2', 6)", { "5", "99999999999", "-1", "0" }, "1" },
		{ P_UID, "(email, uid) VALUES ('1', '00000000-0000-0000-0000-000000000001')",
		  { "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002",
		    "00000000-0000-0000-0000-000000000003", "00000000-0000-0000-0000-000000000004" }, "1" },
		{ P_COMPANY, "(email, company_id) VALUES ('1', 1), ('2', 2)", { "HRB 2", "HRB 3", "x", "" }, "2" },
	};

	rig_close(&r);
	key_on(cases[_i].field);
	rig_sql(&r, "INSERT INTO company (number) VALUES ('HRB 1'), ('HRB 2')");
	expect_key(cases[_i].insert, cases[_i].keys, 4, cases[_i].ids);
}
END_TEST

START_TEST(every_type_reads_in_its_fixed_form)
{
	struct rowset *rs;
	const struct row *row;

	rig_sql(&r, "SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'; INSERT INTO " PEOPLE
		" (email, \"full name\", kind, amount, doc, tree, raw, uid, seen, score) VALUES ('e', 'O''Neil', 'warm', 12.30, '{\"b\":1, \"a\":2}',"
		" '{\"b\":1, \"a\":2}', '\\x00ff', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '2020-02-29 23:59:59.5', -7)");
	rs = rig_list(&r, r.people, NULL, 10);
	row = &rs->rows[0];
	ck_assert(value_equal(*column(row, P_NAME), value_of("O'Neil")));
	ck_assert(value_equal(*column(row, P_AMOUNT), value_of("12.30")));
	ck_assert(value_equal(*column(row, P_DOC), value_of("{\"b\":1, \"a\":2}")));
	ck_assert(value_equal(*column(row, P_TREE), value_of("{\"a\": 2, \"b\": 1}")));
	ck_assert(value_equal(*column(row, P_RAW), value_of("\\x00ff")));
	ck_assert(value_equal(*column(row, P_UID), value_of("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")));
	ck_assert(value_equal(*column(row, P_SEEN), value_of("2020-02-29 23:59:59.5")));
	ck_assert(value_equal(*column(row, P_SCORE), value_of("-7")));
	rowset_free(&rs);
}
END_TEST

START_TEST(small_tables_are_counted_large_ones_estimated)
{
	ck_assert_int_eq(rig_estimate(&r, r.companies), 0);
	rig_sql(&r, "INSERT INTO company (number) SELECT i FROM generate_series(1, 300) i");
	ck_assert_int_eq(rig_estimate(&r, r.companies), 300);
	rig_sql(&r, "INSERT INTO company (number) SELECT i FROM generate_series(301, 80000) i; ANALYZE company; DELETE FROM company WHERE id < 100");
	ck_assert_int_ge(rig_estimate(&r, r.companies), 79000);
}
END_TEST

START_TEST(ids_may_be_text)
{
	static const char *const odd[] = { "a'b", "{\"x\",}\\", "", "NULL", "-" };
	struct captured *got;
	struct rowset *rs;

	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		rig_sql(&r, "INSERT INTO company (id, number) VALUES ($$%s$$, '%zu')", odd[i], i);
	got = rig_capture(&r, r.companies, NULL, 100, NULL);
	ck_assert_int_eq(got->n, 5);
	for (size_t i = 0; i < got->n; i++)
		ck_assert_int_ge(got->news[i].row, 0);
	rig_ack(&r, r.companies, &got);
	rs = rig_read(&r, r.companies, odd, 5);
	ck_assert_int_eq(rs->n, 5);
	rowset_free(&rs);
	rs = rig_list(&r, r.companies, "a'b", 10);
	ck_assert_int_eq(rs->n, 1);
	rowset_free(&rs);
}
END_TEST

START_TEST(citext_keys_and_ids_follow_their_own_rules)
{
	static const char *const ids[] = { "B", "a" };
	struct value keys[] = { value_of("Ann@X"), value_of("c@x") };
	struct captured *got;
	struct rowset *rs;

	rig_close(&r);
	rig_open(&r, server, CAPTURE_POLL, "CREATE EXTENSION citext SCHEMA crm; ALTER TABLE " PEOPLE " ALTER email TYPE crm.citext,"
		 " DROP company_id, ALTER id TYPE crm.citext, ADD company_id crm.citext; ALTER TABLE company ALTER id DROP DEFAULT, ALTER id TYPE crm.citext");
	rig_sql(&r, "INSERT INTO " PEOPLE " (id, email) VALUES ('A', 'ann@x'), ('b', 'bob@x'), ('C', 'c@x')");
	rs = rig_read_by_key(&r, r.people, keys, 2);
	ck_assert_int_eq(rs->n, 2);
	rowset_free(&rs);
	rs = rig_read(&r, r.people, ids, 2);
	ck_assert_int_eq(rs->n, 2);
	rowset_free(&rs);
	rs = rig_list(&r, r.people, "a", 10);	/* text would put the capital C before the small a */
	ck_assert_int_eq(rs->n, 2);
	rowset_free(&rs);
	ck_assert_str_eq(rig_split(&r, r.people, 3, 3), "A b ");
	rs = rig_list_until(&r, r.people, "a", "B", 10);
	ck_assert_int_eq(rs->n, 1);
	rowset_free(&rs);
	for (int i = 0; i < 3; i++) {
		static char *at;

		got = rig_capture(&r, r.people, at, 1, NULL);
		ck_assert_str_eq(rig_news(&r, got), i == 0 ? "A" : i == 1 ? "b" : "C");
		free(at);
		at = got->position != NULL ? strdup(got->position) : NULL;
		rig_ack(&r, r.people, &got);
	}
}
END_TEST

START_TEST(questions_to_an_endpoint_that_is_away_are_answered)
{
	struct captured *got = NULL;
	struct write w = rig_insert(&r, COMPANY_NUMBER, "1", -1);
	struct err e = { 0 };

	pg_server_stop(server);
	got = rig_capture(&r, r.companies, NULL, 10, &e);
	ck_assert_ptr_null(got);
	ck_assert_int_eq(e.kind, ERR_TRANSIENT);
	rig_write(&r, r.companies, &w, 1);
	ck_assert_int_eq(w.outcome, WRITE_ERROR);
	ck_assert_int_eq(w.err->kind, ERR_TRANSIENT);
	pg_server_start(server);
	while (r.ep->state != ENDPOINT_UP)
		rig_wait(&r);
	got = rig_capture(&r, r.companies, NULL, 10, NULL);
	ck_assert_int_eq(got->n, 0);
	rig_ack(&r, r.companies, &got);
}
END_TEST

static void count_answer(void *arg, struct rowset *got, const struct err *e)
{
	rowset_free(&got);
	++*(int *)arg;
}
static void count_capture(void *arg, struct captured *got, const struct err *e)
{
	captured_free(&got);
	++*(int *)arg;
}
static void count_write(void *arg, struct write_batch *batch)
{
	++*(int *)arg;
}

START_TEST(freeing_the_endpoint_answers_everything)
{
	int answers = 0;
	struct write w[2] = { rig_insert(&r, COMPANY_NUMBER, "1", -1), rig_insert(&r, COMPANY_NUMBER, "2", -1) };
	struct write_batch batch = { .list = w, .n = 2, .arena = &r.arena }, empty = { .arena = &r.arena };
	struct captured *held;

	rig_sql(&r, "INSERT INTO company (number) VALUES ('9')");
	held = rig_capture(&r, r.companies, NULL, 10, NULL);
	for (int i = 0; i < 3; i++) {
		r.companies->ops->list(r.companies, NULL, NULL, 10, count_answer, &answers);
		r.companies->ops->capture(r.companies, NULL, 10, count_capture, &answers);
		r.people->ops->capture(r.people, NULL, 10, count_capture, &answers);
	}
	r.companies->ops->write(r.companies, &batch, count_write, &answers);
	r.companies->ops->write(r.companies, &empty, count_write, &answers);
	ck_assert_int_eq(answers, 0);
	endpoint_free(&r.ep);
	ck_assert_int_eq(answers, 11);
	captured_free(&held);
}
END_TEST

START_TEST(a_set_of_digests_keeps_what_was_put_in)
{
	struct pg_hset set = { 0 };
	uint32_t n;

	ck_assert(!pg_hset_get(&set, 0, NULL));
	for (uint32_t i = 0; i < 10000; i++)
		pg_hset_put(&set, (uint64_t)i << 32, i);	/* all want the same slot while the set is small */
	pg_hset_put(&set, 0, 77);
	ck_assert_int_eq(set.n, 10000);
	for (uint32_t i = 1; i < 10000; i++)
		ck_assert(pg_hset_get(&set, (uint64_t)i << 32, &n) && n == i);
	ck_assert(pg_hset_get(&set, 0, &n) && n == 77);
	ck_assert(!pg_hset_get(&set, 1, NULL));
	pg_hset_fini(&set);
}
END_TEST

static Suite *rows_suite(void)
{
	Suite *s = suite_create("rows");
	TCase *rows = tcase_create("rows"), *text = tcase_create("text ids"), *pure = tcase_create("pure");

	tcase_add_unchecked_fixture(rows, start_server, stop_server);
	tcase_add_checked_fixture(rows, open_rig, close_rig);
	tcase_add_test(rows, list_goes_through_all_rows_page_by_page);
	tcase_add_test(rows, a_table_is_parted_and_each_part_listed_to_its_end);
	tcase_add_test(rows, read_gives_the_rows_that_exist);
	tcase_add_test(rows, references_are_read_through_to_the_parents_key);
	tcase_add_test(rows, who_refers_to_some_rows_is_found_by_their_ids);
	tcase_add_test(rows, read_by_key_compares_what_is_stored);
	tcase_add_loop_test(rows, keys_of_other_types_are_found, 0, 6);
	tcase_add_test(rows, every_type_reads_in_its_fixed_form);
	tcase_add_test(rows, small_tables_are_counted_large_ones_estimated);
	tcase_add_test(rows, citext_keys_and_ids_follow_their_own_rules);
	tcase_add_test(rows, questions_to_an_endpoint_that_is_away_are_answered);
	tcase_add_test(rows, freeing_the_endpoint_answers_everything);
	suite_add_tcase(s, rows);
	tcase_add_unchecked_fixture(text, start_server, stop_server);
	tcase_add_checked_fixture(text, open_text_ids, close_rig);
	tcase_add_test(text, ids_may_be_text);
	suite_add_tcase(s, text);
	tcase_add_test(pure, a_set_of_digests_keeps_what_was_put_in);
	suite_add_tcase(s, pure);
	return s;
}

int main(void)
{
	SRunner *sr;
	int failed;

	if (!pg_server_available())
		return 77;
	sr = srunner_create(rows_suite());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
