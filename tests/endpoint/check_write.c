/* Writing on a real server: every outcome, and nothing but the bad rows. */
#include <check.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "rig.h"

static struct pg_server *server;
static struct rig r;

static void start_server(void) { server = pg_server_new(); }
static void stop_server(void) { pg_server_free(&server); }
static void open_rig(void) { rig_open(&r, server, CAPTURE_LISTEN, NULL); }
static void close_rig(void) { rig_close(&r); }

static const char *outcome_name(enum write_outcome o)
{
	static const char *const names[] = { "pending", "done", "refused", "silent", "error" };

	return names[o];
}

#define ck_outcome(w, expected) ck_assert_msg((w).outcome == (expected), "outcome is %s (%s: %s), expected %s", \
	outcome_name((w).outcome), (w).err != NULL ? (w).err->code : "", (w).err != NULL ? (w).err->text : "", outcome_name(expected))
#define ck_row_error(w, sqlstate) do { \
		ck_outcome(w, WRITE_ERROR); \
		ck_assert_int_eq((w).err->kind, ERR_ROW); \
		ck_assert_str_eq((w).err->code, sqlstate); \
	} while (0)

static const struct value *back(const struct write *w, int field)
{
	ck_assert_ptr_nonnull(w->readback);
	return &w->readback->columns[field <= P_COMPANY ? field : field + 1];
}

/* The one row of the people with that email, as it is now. */
static const struct row *person(const char *email)
{
	struct value key = value_of(email);
	struct rowset *rs = rig_read_by_key(&r, r.people, &key, 1);
	const struct row *row;

	ck_assert_int_eq(rs->n, 1);
	row = rig_keep(&r, &rs->rows[0], PERSON_FIELDS + 1);
	rowset_free(&rs);
	return row;
}

static struct write write_one(struct link *l, struct write w)
{
	rig_write(&r, l, &w, 1);
	return w;
}

static void quiet(void)		/* our own writes are not news */
{
	struct captured *got = rig_capture(&r, r.people, NULL, 100, NULL);

	ck_assert_str_eq(rig_news(&r, got), "");
	rig_ack(&r, r.people, &got);
}

/* ---- done ---------------------------------------------------------------------------------------- */

START_TEST(a_record_of_every_type_is_inserted_as_sent)
{
	struct write w;

	rig_sql(&r, "INSERT INTO company (number) VALUES ('HRB 1')");
	w = write_one(r.people, rig_insert(&r, P_EMAIL, "ann@x", P_NAME, "Ann \"O'Neil\" \\", P_CODE, "ab123", P_KIND, "warm",
		P_AMOUNT, "12.3", P_DOC, "{\"a\":2,\"b\":1}", P_TREE, "{\"a\":2,\"b\":[1,null]}", P_RAW, "\\x00ff",
		P_UID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", P_SEEN, "2020-02-29 23:59:59.5+00", P_SCORE, "-7", P_COMPANY, "1", -1));
	ck_outcome(w, WRITE_DONE);
	ck_assert_ptr_null(w.readback);
	ck_assert(value_equal(w.id, value_of("1")));
	ck_assert_str_eq(rig_ask(&r, "SELECT concat_ws('|', email, \"full name\", code, kind, amount, doc, tree, raw, uid, seen, score, company_id)"
		" FROM " PEOPLE), "ann@x|Ann \"O'Neil\" \\|ab123|warm|12.30|{\"a\":2,\"b\":1}|{\"a\": 2, \"b\": [1, null]}|\\x00ff|"
		"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|2020-02-29 23:59:59.5|-7|1");
	quiet();
}
END_TEST

START_TEST(inserts_of_a_batch_learn_their_ids)
{
	enum { N = 200 };
	struct write list[N];

	for (int i = 0; i < N; i++) {
		char email[32], name[32];

		snprintf(email, sizeof email, "p%d@x", i);
		snprintf(name, sizeof name, "name %d", i);
		list[i] = rig_insert(&r, P_EMAIL, email, P_NAME, i % 3 > 0 ? name : NULL, P_SCORE, i % 2 > 0 ? "1" : "2", -1);
	}
	rig_write(&r, r.people, list, N);
	for (int i = 0; i < N; i++) {
		char email[32];

		snprintf(email, sizeof email, "p%d@x", i);
		ck_outcome(list[i], WRITE_DONE);
		ck_assert_ptr_null(list[i].readback);
		ck_assert_str_eq(rig_ask(&r, "SELECT id FROM " PEOPLE " WHERE email = '%s'", email), list[i].id.data);
	}
	quiet();
}
END_TEST

/* ---- many at once: by COPY where the table allows it ------------------------------------------------ */

enum { MANY = 150 };

/* Says of every company by which kind of statement it came. */
static void tell_statements(void)
{
	rig_sql(&r, "CREATE TABLE public.came (id int, how text);"
		"CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS "
		"$$ BEGIN INSERT INTO public.came VALUES (NEW.id, substring(current_query() FROM 'COPY|WITH')); RETURN NULL; END $$;"
		"CREATE TRIGGER note AFTER INSERT ON public.company FOR EACH ROW EXECUTE FUNCTION public.note();"
		"GRANT ALL ON public.came TO PUBLIC");
}

static const char *how_they_came(void)
{
	return rig_ask(&r, "SELECT string_agg(n || ' ' || how, ', ' ORDER BY how) FROM (SELECT how, count(*) AS n FROM public.came GROUP BY 1) g");
}

/* What COPY wants escaped stands at every place of the eight bytes that are looked at together, behind others and before them. */
static void many_companies(struct write list[MANY])
{
	for (int i = 0; i < MANY; i++) {
		char number[32], title[64];

		snprintf(number, sizeof number, "HRB %d", i);
		snprintf(title, sizeof title, "%.*sa\tb\\%d\nc\r\\N ü%.*s\\ plain\t[]\x01", i % 17, "................", i, i % 11, "an integer");
		list[i] = rig_insert(&r, COMPANY_NUMBER, number, COMPANY_NAME, i % 3 > 0 ? title : NULL, -1);
	}
}

static void ck_many(const struct write list[MANY], int from)
{
	for (int i = from; i < MANY; i++) {
		ck_outcome(list[i], WRITE_DONE);
		ck_assert_ptr_null(list[i].readback);
		ck_assert_str_eq(rig_ask(&r, "SELECT id FROM public.company WHERE number = 'HRB %d' AND title IS NOT DISTINCT FROM "
			"CASE WHEN %d > 0 THEN repeat('.', %d) || E'a\\tb\\\\%d\\nc\\r\\\\N ü' || substr('an integer', 1, %d) || E'\\\\ plain\\t[]\\x01' END",
			i, i % 3, i % 17, i, i % 11), list[i].id.data);
	}
}

START_TEST(many_inserts_go_by_copy_and_learn_their_ids)
{
	struct write list[MANY];

	tell_statements();
	many_companies(list);
	rig_write(&r, r.companies, list, MANY);
	ck_many(list, 0);
	ck_assert_str_eq(how_they_came(), "150 COPY");
	/* The sequence knows of them. */
	rig_sql(&r, "INSERT INTO public.company (number) VALUES ('the next')");
}
END_TEST

/* From when the second connection is open the work is done there, and not on the first. */
static void await_second_session(void)
{
	do
		rig_estimate(&r, r.companies);
	while (strcmp(rig_ask(&r, "SELECT count(*) = 2 AND (array_agg(query LIKE 'SELECT count(*) FROM %%company%%' ORDER BY backend_start DESC))[1] "
			      "FROM pg_stat_activity WHERE application_name = 'crmsyncd'"), "t") != 0);
}

/* A session takes ten numbers of that sequence at a time, so what ours draws next goes on behind those that another one took. */
START_TEST(ids_that_others_drew_in_between_are_theirs)
{
	enum { FIRST = 105 };
	struct write first[FIRST], list[MANY];

	await_second_session();
	rig_sql(&r, "ALTER SEQUENCE public.company_id_seq CACHE 10");
	for (int i = 0; i < FIRST; i++) {
		char number[32];

		snprintf(number, sizeof number, "first %d", i);
		first[i] = rig_insert(&r, COMPANY_NUMBER, number, COMPANY_NAME, "x", -1);
	}
	rig_write(&r, r.companies, first, FIRST);
	ck_assert_str_eq(rig_ask(&r, "SELECT nextval('public.company_id_seq')"), "111");
	tell_statements();
	many_companies(list);
	rig_write(&r, r.companies, list, MANY);
	ck_many(list, 0);
	ck_assert_str_eq(how_they_came(), "150 COPY");
	/* 107 to 110 and 121 to 267 were no run. */
	ck_assert_str_eq(rig_ask(&r, "SELECT min(id) FROM public.company WHERE number LIKE 'HRB %%'"), "268");
}
END_TEST

START_TEST(a_sequence_that_counts_down_or_in_steps_gives_ids_too)
{
	struct write list[MANY];

	rig_sql(&r, "ALTER SEQUENCE public.company_id_seq INCREMENT %s RESTART %s", _i == 0 ? "-3 MINVALUE -1000" : "7", _i == 0 ? "-5" : "9");
	tell_statements();
	many_companies(list);
	rig_write(&r, r.companies, list, MANY);
	ck_many(list, 0);
	ck_assert_str_eq(how_they_came(), "150 COPY");
	ck_assert_str_eq(rig_ask(&r, "SELECT count(DISTINCT id) || ' ' || (SELECT last_value FROM public.company_id_seq) - "
				 "CASE WHEN %d = 0 THEN min(id) ELSE max(id) END FROM public.company", _i), "150 0");
}
END_TEST

START_TEST(a_row_that_copy_cannot_place_is_found_and_the_others_stay)
{
	struct write list[MANY];

	rig_sql(&r, "INSERT INTO public.company (number) VALUES ('HRB 0')");
	tell_statements();
	many_companies(list);
	rig_write(&r, r.companies, list, MANY);
	ck_outcome(list[0], WRITE_REFUSED);
	ck_many(list, 1);
	ck_assert_str_eq(how_they_came(), "149 WITH");
}
END_TEST

/* Much more than a socket takes, so it goes out piece by piece while the server works. */
START_TEST(rows_of_many_megabytes_go_by_one_copy)
{
	enum { ROWS = 500, BYTES = 40000 };
	static struct write list[ROWS];
	static char title[BYTES + 1];

	tell_statements();
	for (int i = 0; i < ROWS; i++) {
		char number[32];

		snprintf(number, sizeof number, "HRB %d", i);
		memset(title, i % 10 == 0 ? '\t' : 'a' + i % 26, BYTES);
		list[i] = rig_insert(&r, COMPANY_NUMBER, number, COMPANY_NAME, title, -1);
	}
	if (_i == 1)	/* refused at its beginning, while the rest is still being sent */
		rig_sql(&r, "INSERT INTO public.company (number) VALUES ('HRB 0')");
	rig_write(&r, r.companies, list, ROWS);
	for (int i = _i; i < ROWS; i++)
		ck_outcome(list[i], WRITE_DONE);
	ck_outcome(list[0], _i == 0 ? WRITE_DONE : WRITE_REFUSED);
	ck_assert_str_eq(how_they_came(), _i == 0 ? "500 COPY" : "499 WITH");
	ck_assert_str_eq(rig_ask(&r, "SELECT count(*) || ' ' || sum(length(title)) FROM public.company WHERE title IS NOT NULL AND title = "
				 "repeat(CASE WHEN substr(number, 5)::int %% 10 = 0 THEN E'\\t' ELSE chr(97 + substr(number, 5)::int %% 26) END, %d)", BYTES),
			 _i == 0 ? "500 20000000" : "499 19960000");
}
END_TEST

START_TEST(a_trigger_made_meanwhile_keeps_rows_from_copy)
{
	struct write list[MANY];

	tell_statements();
	rig_sql(&r, "CREATE FUNCTION public.shout() RETURNS trigger LANGUAGE plpgsql AS "
		"$$ BEGIN NEW.number := upper(NEW.number); NEW.title := 'loud'; RETURN NEW; END $$;"
		"CREATE TRIGGER shout BEFORE INSERT ON public.company FOR EACH ROW EXECUTE FUNCTION public.shout()");
	many_companies(list);
	rig_write(&r, r.companies, list, MANY);
	for (int i = 0; i < MANY; i++) {
		ck_outcome(list[i], WRITE_DONE);
		ck_assert_ptr_nonnull(list[i].readback);
		ck_assert(value_equal(list[i].readback->columns[COMPANY_NAME], value_of("loud")));
	}
	ck_assert_str_eq(how_they_came(), "150 WITH");
}
END_TEST

START_TEST(blanks_that_a_column_would_cut_keep_rows_from_copy)
{
	struct write list[MANY];

	rig_close(&r);
	rig_open(&r, server, CAPTURE_LISTEN, "ALTER TABLE public.company ALTER title TYPE varchar(12)");
	tell_statements();
	many_companies(list);
	for (int i = 0; i < MANY; i++)
		list[i] = rig_insert(&r, COMPANY_NUMBER, list[i].values[COMPANY_NUMBER].data, COMPANY_NAME,
				     i == 7 ? "twelve        " : "äöüäöüäöüäöü", -1);
	rig_write(&r, r.companies, list, MANY);
	ck_outcome(list[7], WRITE_DONE);
	ck_assert(value_equal(*back(&list[7], COMPANY_NAME), value_of("twelve      ")));
	ck_assert_ptr_null(list[8].readback);
	ck_assert_str_eq(how_they_came(), "150 WITH");
}
END_TEST

START_TEST(updates_of_different_fields_go_each_to_its_own)
{
	struct write list[3];

	rig_sql(&r, "INSERT INTO " PEOPLE " (email, \"full name\", score) VALUES ('a', 'A', 1), ('b', 'B', 2), ('c', 'C', 3)");
	list[0] = rig_update(&r, person("a"), P_NAME, "AA", -1);
	list[1] = rig_update(&r, person("b"), P_SCORE, NULL, -1);
	list[2] = rig_update(&r, person("c"), P_NAME, "CC", -1);
	rig_write(&r, r.people, list, 3);
	for (int i = 0; i < 3; i++) {
		ck_outcome(list[i], WRITE_DONE);
		ck_assert_ptr_null(list[i].readback);
	}
	ck_assert_str_eq(rig_ask(&r, "SELECT string_agg(\"full name\" || coalesce(score::text, '-'), ' ' ORDER BY id) FROM " PEOPLE),
			 "AA1 B- CC3");
}
END_TEST

START_TEST(deletes_are_guarded_too)
{
	struct write list[2];

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a'), ('b')");
	list[0] = rig_delete(&r, person("a"));
	list[1] = rig_delete(&r, person("b"));
	rig_sql(&r, "UPDATE " PEOPLE " SET score = 1 WHERE email = 'b'");
	rig_write(&r, r.people, list, 2);
	ck_outcome(list[0], WRITE_DONE);
	ck_outcome(list[1], WRITE_REFUSED);
	ck_assert_str_eq(rig_ask(&r, "SELECT string_agg(email, ' ') FROM " PEOPLE), "b");
}
END_TEST

START_TEST(under_an_older_fencing_number_nothing_is_written)
{
	struct write list[4];

	rig_sql(&r, "INSERT INTO crmsync.state (consumer, fence) VALUES ('%s', 7)", r.topology.name);
	r.ep->fence = 7;
	list[0] = write_one(r.people, rig_insert(&r, P_EMAIL, "a", -1));
	ck_outcome(list[0], WRITE_DONE);
	ck_outcome(write_one(r.people, rig_insert(&r, P_EMAIL, "b", -1)), WRITE_DONE);
	r.ep->fence = 6;
	list[0] = rig_update(&r, person("a"), P_EMAIL, "c", -1);
	list[1] = rig_delete(&r, person("b"));
	list[2] = rig_insert(&r, P_EMAIL, "d", -1);
	list[3] = rig_insert(&r, P_EMAIL, "e", -1);
	for (size_t i = 0; i < 2; i++) {	/* one row, and several: other statements */
		rig_write(&r, r.people, &list[i], 1);
		ck_outcome(list[i], WRITE_ERROR);
		ck_assert_int_eq(list[i].err->kind, ERR_ENDPOINT);
		ck_assert_str_eq(list[i].err->text, "fenced: another crmsyncd took over");
	}
	rig_write(&r, r.people, &list[2], 1);
	ck_outcome(list[2], WRITE_ERROR);
	rig_write(&r, r.people, &list[2], 2);
	ck_outcome(list[2], WRITE_ERROR);
	ck_outcome(list[3], WRITE_ERROR);
	ck_assert_str_eq(rig_ask(&r, "SELECT string_agg(email, ' ' ORDER BY email) FROM " PEOPLE), "a b");
	rig_sql(&r, "DELETE FROM crmsync.state");
}
END_TEST

START_TEST(ids_given_and_kept_by_the_table_are_left_alone)
{
	struct write w;

	rig_sql(&r, "INSERT INTO " PEOPLE " (email, note) VALUES ('a', 'keep')");
	w = write_one(r.people, rig_update(&r, person("a"), P_EMAIL, "b", -1));
	ck_outcome(w, WRITE_DONE);
	ck_assert_str_eq(rig_ask(&r, "SELECT id || note || email FROM " PEOPLE), "1keepb");
}
END_TEST

/* ---- reads otherwise ------------------------------------------------------------------------------- */

START_TEST(what_the_column_rounds_is_read_back)
{
	struct write w = write_one(r.people, rig_insert(&r, P_EMAIL, "a", P_AMOUNT, "1.239", P_CODE, "ab", -1));

	ck_outcome(w, WRITE_DONE);
	ck_assert(value_equal(*back(&w, P_AMOUNT), value_of("1.24")));
	w = write_one(r.people, rig_update(&r, person("a"), P_AMOUNT, "2.5", -1));
	ck_outcome(w, WRITE_DONE);
	ck_assert_ptr_null(w.readback);
	w = write_one(r.people, rig_update(&r, person("a"), P_AMOUNT, "2.555", -1));
	ck_assert(value_equal(*back(&w, P_AMOUNT), value_of("2.56")));
	ck_assert(value_equal(w.readback->version, person("a")->version));
}
END_TEST

START_TEST(what_a_trigger_makes_of_it_is_read_back)
{
	struct write list[3];

	rig_sql(&r, "CREATE FUNCTION crm.shout() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
		" NEW.\"full name\" := upper(NEW.\"full name\"); RETURN NEW; END$$;"
		"CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON " PEOPLE " FOR EACH ROW EXECUTE FUNCTION crm.shout()");
	for (int i = 0; i < 3; i++)
		list[i] = rig_insert(&r, P_EMAIL, i == 0 ? "a" : i == 1 ? "b" : "c", P_NAME, i == 1 ? "LOUD" : "quiet", -1);
	rig_write(&r, r.people, list, 3);
	ck_outcome(list[0], WRITE_DONE);
	ck_assert(value_equal(*back(&list[0], P_NAME), value_of("QUIET")));
	ck_assert_ptr_null(list[1].readback);
	ck_assert(value_equal(*back(&list[2], P_NAME), value_of("QUIET")));
	list[0] = write_one(r.people, rig_update(&r, person("a"), P_NAME, "Hush", -1));
	ck_assert(value_equal(*back(&list[0], P_NAME), value_of("HUSH")));
	quiet();
}
END_TEST

START_TEST(a_trigger_that_changes_another_field_is_noticed)
{
	struct write w;

	rig_sql(&r, "CREATE FUNCTION crm.count() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
		" NEW.score := coalesce(OLD.score, 0) + 1; RETURN NEW; END$$;"
		"CREATE TRIGGER count BEFORE UPDATE ON " PEOPLE " FOR EACH ROW EXECUTE FUNCTION crm.count();"
		"INSERT INTO " PEOPLE " (email) VALUES ('a')");
	w = write_one(r.people, rig_update(&r, person("a"), P_NAME, "A", -1));
	ck_outcome(w, WRITE_DONE);
	ck_assert(value_equal(*back(&w, P_SCORE), value_of("1")));
	ck_assert(value_equal(*back(&w, P_NAME), value_of("A")));
}
END_TEST

START_TEST(a_default_of_a_field_that_was_not_sent_is_noticed)
{
	struct write w;

	rig_sql(&r, "ALTER TABLE " PEOPLE " ALTER score SET DEFAULT 5");
	w = write_one(r.people, rig_insert(&r, P_EMAIL, "a", -1));
	ck_outcome(w, WRITE_DONE);
	ck_assert(value_equal(*back(&w, P_SCORE), value_of("5")));
	w = write_one(r.people, rig_insert(&r, P_EMAIL, "b", P_SCORE, NULL, -1));
	ck_outcome(w, WRITE_DONE);
	ck_assert_ptr_null(w.readback);
}
END_TEST

START_TEST(blanks_that_a_char_column_adds_are_said)
{
	struct write w = write_one(r.people, rig_insert(&r, P_EMAIL, "a", P_CODE, "ab", -1));
	const char *stored = w.readback != NULL ? back(&w, P_CODE)->data : "ab";

	ck_outcome(w, WRITE_DONE);
	/* Whatever reading gives is what was reported. */
	ck_assert(value_equal(person("a")->columns[P_CODE], value_of(stored)));
}
END_TEST

START_TEST(upper_and_lower_case_differ_whatever_the_collation_says)
{
	struct write w;

	rig_sql(&r, "CREATE COLLATION crm.blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false);"
		"ALTER TABLE " PEOPLE " ALTER \"full name\" TYPE varchar(20) COLLATE crm.blind;"
		"CREATE FUNCTION crm.shout() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
		" NEW.\"full name\" := upper(NEW.\"full name\"); RETURN NEW; END$$;"
		"CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON " PEOPLE " FOR EACH ROW EXECUTE FUNCTION crm.shout()");
	w = write_one(r.people, rig_insert(&r, P_EMAIL, "a", P_NAME, "ann", -1));
	ck_outcome(w, WRITE_DONE);
	ck_assert(value_equal(*back(&w, P_NAME), value_of("ANN")));
}
END_TEST

/* ---- refused --------------------------------------------------------------------------------------- */

START_TEST(a_row_that_changed_or_vanished_is_refused)
{
	struct write list[3];

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a'), ('b'), ('c')");
	list[0] = rig_update(&r, person("a"), P_NAME, "A", -1);
	list[1] = rig_update(&r, person("b"), P_NAME, "B", -1);
	list[2] = rig_update(&r, person("c"), P_NAME, "C", -1);
	rig_sql(&r, "UPDATE " PEOPLE " SET score = 1 WHERE email = 'a'; DELETE FROM " PEOPLE " WHERE email = 'b'");
	rig_write(&r, r.people, list, 3);
	ck_outcome(list[0], WRITE_REFUSED);
	ck_outcome(list[1], WRITE_REFUSED);
	ck_outcome(list[2], WRITE_DONE);
	ck_assert_str_eq(rig_ask(&r, "SELECT count(*) FROM " PEOPLE " WHERE \"full name\" IS NOT NULL"), "1");
}
END_TEST

START_TEST(a_row_that_changes_while_we_wait_for_it_is_refused)
{
	struct write w;
	char *info = pg_server_conninfo(server, NULL, r.db);
	PGconn *other = PQconnectdb(info);

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a')");
	w = rig_update(&r, person("a"), P_NAME, "ours", -1);
	PQclear(PQexec(other, "BEGIN; UPDATE " PEOPLE " SET \"full name\" = 'theirs'"));
	ck_assert(PQsendQuery(other, "SELECT pg_sleep(0.1); COMMIT"));
	rig_write(&r, r.people, &w, 1);
	ck_outcome(w, WRITE_REFUSED);
	ck_assert_str_eq(rig_ask(&r, "SELECT \"full name\" FROM " PEOPLE), "theirs");
	PQfinish(other);
	free(info);
}
END_TEST

START_TEST(an_equal_key_refuses_an_insert_and_force_says_which)
{
	struct write list[2] = { rig_insert(&r, P_EMAIL, "a", -1), rig_insert(&r, P_EMAIL, "b", -1) };

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a')");
	rig_write(&r, r.people, list, 2);
	ck_outcome(list[0], WRITE_REFUSED);
	ck_outcome(list[1], WRITE_DONE);
	list[0] = rig_insert(&r, P_EMAIL, "a", -1);
	list[0].version = value_of("force");
	rig_write(&r, r.people, list, 1);
	ck_row_error(list[0], "23505");
	ck_assert_ptr_nonnull(strstr(list[0].err->text, "odd \"people_email_key"));
}
END_TEST

START_TEST(what_an_update_would_make_of_a_row_is_told_and_nothing_of_it_stays)
{
	struct write list[3];

	rig_sql(&r, "INSERT INTO " PEOPLE " (email, \"full name\", amount) VALUES ('a', 'a \"b\\(,)', 1), ('b', '', 2), ('c', 'C', 3)");
	list[0] = rig_update(&r, person("a"), P_AMOUNT, "1.239", -1);
	list[1] = rig_update(&r, person("b"), P_AMOUNT, "12345678901234567890", -1);
	list[2] = rig_update(&r, person("c"), P_NAME, NULL, -1);
	rig_sql(&r, "UPDATE " PEOPLE " SET score = 7 WHERE email = 'c'");
	rig_attempt(&r, r.people, list, 3);
	ck_assert(value_equal(*back(&list[0], P_AMOUNT), value_of("1.24")));
	ck_assert(value_equal(*back(&list[0], P_NAME), value_of("a \"b\\(,)")));
	ck_assert(value_is_null(*back(&list[0], P_SCORE)));
	ck_assert_ptr_null(list[1].readback);	/* refused */
	ck_assert_ptr_null(list[2].readback);	/* not the row that it was */
	list[1] = rig_update(&r, person("b"), P_AMOUNT, "2.5", -1);
	rig_attempt(&r, r.people, &list[1], 1);
	ck_assert(value_equal(*back(&list[1], P_NAME), value_of("")));
	ck_assert_str_eq(rig_ask(&r, "SELECT string_agg(email || amount, ' ' ORDER BY email) FROM " PEOPLE), "a1.00 b2.00 c3.00");
}
END_TEST

START_TEST(what_somebody_makes_of_a_row_right_behind_our_write_is_not_read_back_with_it)
{
	struct write w;

	/* The inner block writes under an id of its own, as another session's transaction would. */
	rig_sql(&r, "CREATE FUNCTION crm.again() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN BEGIN"
		" UPDATE " PEOPLE " SET score = 99 WHERE id = NEW.id; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN NULL; END$$;"
		"CREATE TRIGGER again AFTER INSERT ON " PEOPLE " FOR EACH ROW EXECUTE FUNCTION crm.again()");
	w = write_one(r.people, rig_insert(&r, P_EMAIL, "a", P_AMOUNT, "1.239", -1));
	ck_outcome(w, WRITE_DONE);
	ck_assert(value_equal(*back(&w, P_AMOUNT), value_of("1.24")));
	ck_assert(value_is_null(*back(&w, P_SCORE)));
	ck_assert_str_eq(person("a")->columns[P_SCORE].data, "99");
}
END_TEST

/* ---- a circle of unique values ---------------------------------------------------------------------- */

/* Ann and bob exchange their scores, which have to be unique and cannot be NULL. */
static void begin_circle(struct write list[2])
{
	rig_close(&r);
	rig_open(&r, server, CAPTURE_LISTEN, "ALTER TABLE " PEOPLE " ALTER score SET NOT NULL, ADD UNIQUE (score);"
		"INSERT INTO " PEOPLE " (email, score) VALUES ('a', 1), ('b', 2)");
	list[0] = rig_update(&r, person("a"), P_SCORE, "2", -1);
	list[1] = rig_update(&r, person("b"), P_SCORE, "1", P_NAME, "bob", -1);
}

static const char *circle(void)
{
	return rig_ask(&r, "SELECT string_agg(concat(email, score, \"full name\", code), ' ' ORDER BY email) FROM " PEOPLE);
}

START_TEST(rows_that_exchange_values_are_written_together_and_quietly)
{
	struct write list[2];

	begin_circle(list);
	rig_write(&r, r.people, list, 2);
	ck_outcome(list[0], WRITE_DONE);
	ck_outcome(list[1], WRITE_DONE);
	ck_assert_str_eq(circle(), "a2 b1bob");
	ck_assert_str_eq(rig_ask(&r, "SELECT count(DISTINCT xmin::text) FROM " PEOPLE), "1");
	quiet();
}
END_TEST

/* Somebody is at bob just when the two go together, but before his turn. */
START_TEST(a_circle_in_which_a_row_changes_meanwhile_is_refused_as_a_whole)
{
	struct write list[2];
	PGconn *other;
	char *info;

	begin_circle(list);
	info = pg_server_conninfo(server, NULL, r.db);
	other = PQconnectdb(info);
	rig_sql(&r, "CREATE FUNCTION crm.rest() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
		"IF current_query() LIKE 'SET CONSTRAINTS%%' THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN NULL; END$$;"
		"CREATE TRIGGER rest BEFORE UPDATE ON " PEOPLE " FOR EACH STATEMENT EXECUTE FUNCTION crm.rest()");
	PQclear(PQexec(other, "SELECT pg_advisory_lock(1)"));
	ck_assert(PQsendQuery(other, "DO $$BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted) "
		"LOOP PERFORM pg_sleep(0.005); END LOOP; END$$; UPDATE " PEOPLE " SET code = 'new' WHERE email = 'b'; SELECT pg_advisory_unlock(1)"));
	rig_write(&r, r.people, list, 2);
	ck_outcome(list[0], WRITE_REFUSED);
	ck_outcome(list[1], WRITE_REFUSED);
	ck_assert_str_eq(circle(), "a1 b2new  ");
	PQfinish(other);
	free(info);
}
END_TEST

/* Another transaction's id on a row between our two writes to it: it is not ours any more. */
START_TEST(a_circle_in_which_a_trigger_is_at_a_row_in_between_is_not_written)
{
	struct write list[2];

	begin_circle(list);
	rig_sql(&r, "CREATE FUNCTION crm.again() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN BEGIN"
		" UPDATE " PEOPLE " SET code = 'again' WHERE id = NEW.id; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN NULL; END$$;"
		"CREATE TRIGGER again AFTER UPDATE OF score ON " PEOPLE " FOR EACH ROW EXECUTE FUNCTION crm.again()");
	rig_write(&r, r.people, list, 2);
	ck_row_error(list[0], "23505");
	ck_row_error(list[1], "23505");
	ck_assert_str_eq(circle(), "a1 b2");
}
END_TEST

/* ---- silent ---------------------------------------------------------------------------------------- */

START_TEST(a_trigger_that_swallows_the_write_is_silent)
{
	struct write list[3];

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a'), ('b');"
		"CREATE FUNCTION crm.no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
		" IF TG_OP = 'DELETE' OR NEW.score = 13 THEN RETURN NULL; END IF; RETURN NEW; END$$;"
		"CREATE TRIGGER no BEFORE INSERT OR UPDATE OR DELETE ON " PEOPLE " FOR EACH ROW EXECUTE FUNCTION crm.no()");
	list[0] = rig_update(&r, person("a"), P_SCORE, "13", -1);
	list[1] = rig_delete(&r, person("b"));
	list[2] = rig_insert(&r, P_EMAIL, "c", P_SCORE, "13", -1);
	list[2].version = value_of("force");
	rig_write(&r, r.people, list, 3);
	ck_outcome(list[0], WRITE_SILENT);
	ck_outcome(list[1], WRITE_SILENT);
	ck_outcome(list[2], WRITE_SILENT);
}
END_TEST

/* ---- errors ---------------------------------------------------------------------------------------- */

START_TEST(bad_values_are_row_errors_with_their_code)
{
	static const struct {
		int field;
		const char *value, *code;
	} cases[] = {
		{ P_NAME, "longer than twenty characters", "22001" }, { P_CODE, "sixsix", "22001" },
		{ P_KIND, "hot", "22P02" }, { P_AMOUNT, "123456789.5", "22003" }, { P_UID, "not one", "22P02" },
		{ P_SCORE, "99999999999", "22003" }, { P_COMPANY, "77", "23503" }, { P_EMAIL, NULL, "23502" },
		{ P_SEEN, "2020-02-31 00:00:00+00", "22008" }, { P_TREE, "{", "22P02" }, { P_RAW, "\\xzz", "22023" },
	};
	const char *value = cases[_i].value;
	struct write list[3];

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a'), ('b'); ALTER TABLE " PEOPLE " ALTER CONSTRAINT"
		" \"odd \"\"people_company_id_fkey\" NOT DEFERRABLE");
	list[0] = rig_update(&r, person("a"), P_EMAIL, "a", cases[_i].field, value, -1);
	list[1] = rig_update(&r, person("b"), P_EMAIL, "b", cases[_i].field, NULL, -1);
	if (cases[_i].field == P_EMAIL)
		list[1] = rig_update(&r, person("b"), P_EMAIL, "b", -1);
	list[2] = rig_insert(&r, P_EMAIL, cases[_i].field == P_EMAIL ? NULL : "c", P_SCORE, NULL, cases[_i].field, value, -1);
	rig_write(&r, r.people, list, 3);
	ck_row_error(list[0], cases[_i].code);
	ck_outcome(list[1], WRITE_DONE);
	ck_row_error(list[2], cases[_i].code);
	if (value != NULL)
		ck_assert_ptr_null(strstr(list[0].err->text, value));
}
END_TEST

START_TEST(bisection_finds_exactly_the_bad_rows)
{
	enum { N = 500 };
	static struct write list[N];

	for (int i = 0; i < N; i++) {
		char email[32];
		bool bad = i == 0 || i == 123 || i == 124 || i == N - 1;

		snprintf(email, sizeof email, "p%d", i);
		list[i] = rig_insert(&r, P_EMAIL, email, P_NAME, bad ? "longer than twenty characters" : "fine", -1);
	}
	rig_write(&r, r.people, list, N);
	for (int i = 0; i < N; i++)
		if (i == 0 || i == 123 || i == 124 || i == N - 1)
			ck_row_error(list[i], "22001");
		else
			ck_outcome(list[i], WRITE_DONE);
	ck_assert_str_eq(rig_ask(&r, "SELECT count(*) FROM " PEOPLE), "496");
}
END_TEST

START_TEST(a_batch_in_which_all_fail_alike_is_the_endpoints_fault)
{
	enum { N = 1000 };
	static struct write list[N];
	int sizes[] = { N, 20, 19 };

	rig_close(&r);		/* what refuses them is to be known before: a table that has changed meanwhile is another thing */
	rig_open(&r, server, CAPTURE_LISTEN, "ALTER TABLE " PEOPLE " ADD CHECK (score > 0)");
	for (int s = 0; s < 3; s++) {
		for (int i = 0; i < sizes[s]; i++) {
			char email[32];

			snprintf(email, sizeof email, "p%d", i);
			list[i] = rig_insert(&r, P_EMAIL, email, P_SCORE, "0", -1);
		}
		rig_write(&r, r.people, list, (size_t)sizes[s]);
		for (int i = 0; i < sizes[s]; i++) {
			ck_outcome(list[i], WRITE_ERROR);
			ck_assert_str_eq(list[i].err->code, "23514");
			ck_assert_int_eq(list[i].err->kind, sizes[s] >= 20 ? ERR_ENDPOINT : ERR_ROW);
		}
	}
}
END_TEST

static void make_picky(const char *code)
{
	rig_sql(&r, "CREATE FUNCTION crm.picky() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
		" IF NEW.score = 13 THEN RAISE 'no' USING ERRCODE = '%s'; END IF; RETURN NEW; END$$;"
		"CREATE TRIGGER picky BEFORE INSERT OR UPDATE ON " PEOPLE " FOR EACH ROW EXECUTE FUNCTION crm.picky()", code);
}

static void ck_alone(struct write w, const char *code)
{
	ck_outcome(w, WRITE_ERROR);
	ck_assert_str_eq(w.err->code, code);
	ck_assert_int_eq(w.err->kind, ERR_ENDPOINT);
	ck_assert(w.alone && !w.unanswered);
}

static const char *const no_rows_codes[] = { "XX000", "42703", "40001", "57P01", "08006", "25006", "55P03", "42501" };

START_TEST(what_fails_for_a_row_only_is_found_whatever_it_says)
{
	static const char *const emails[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i" };
	const char *code = no_rows_codes[_i];
	struct write list[9];

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a'), ('b'), ('c')");
	make_picky(code);
	for (int i = 0; i < 3; i++)
		list[i] = rig_update(&r, person(emails[i]), P_SCORE, i == 1 ? "13" : "1", -1);
	for (int i = 3; i < 9; i++)
		list[i] = rig_insert(&r, P_EMAIL, emails[i], P_SCORE, i == 4 ? "13" : "1", -1);
	rig_write(&r, r.people, list, 9);
	for (int i = 0; i < 9; i++)
		if (i == 1 || i == 4)
			ck_alone(list[i], code);
		else
			ck_outcome(list[i], WRITE_DONE);
	ck_alone(write_one(r.people, rig_insert(&r, P_NAME, "no key", P_SCORE, "13", -1)), code);
	ck_assert_str_eq(rig_ask(&r, "SELECT count(*) FROM " PEOPLE " WHERE score = 1"), "7");
}
END_TEST

/* As what goes wrong for the table, the role or the server does. */
START_TEST(what_fails_without_rows_is_nobodys_own_fault)
{
	struct write list[3];

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a');"
		"CREATE FUNCTION crm.never() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no' USING ERRCODE = '25006'; END$$;"
		"CREATE TRIGGER never BEFORE INSERT OR UPDATE ON " PEOPLE " FOR EACH STATEMENT EXECUTE FUNCTION crm.never()");
	list[0] = rig_update(&r, person("a"), P_SCORE, "1", -1);
	list[1] = rig_insert(&r, P_EMAIL, "b", -1);
	list[2] = rig_insert(&r, P_EMAIL, "c", -1);
	rig_write(&r, r.people, list, 3);
	for (int i = 0; i < 3; i++) {
		ck_outcome(list[i], WRITE_ERROR);
		ck_assert(!list[i].alone && !list[i].unanswered);
		ck_assert_int_eq(list[i].err->kind, ERR_ENDPOINT);
	}
}
END_TEST

/* What nobody answered for may have been done. */
START_TEST(a_write_whose_connection_ends_is_unanswered)
{
	struct write w;

	rig_sql(&r, "CREATE FUNCTION crm.ends() RETURNS trigger LANGUAGE plpgsql AS"
		" $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END$$;"
		"CREATE TRIGGER ends BEFORE INSERT ON " PEOPLE " FOR EACH ROW EXECUTE FUNCTION crm.ends()");
	w = write_one(r.people, rig_insert(&r, P_EMAIL, "a", -1));
	ck_outcome(w, WRITE_ERROR);
	ck_assert(w.unanswered && !w.alone);
	ck_assert_int_eq(w.err->kind, ERR_TRANSIENT);
}
END_TEST

START_TEST(where_a_function_fails_for_all_of_many_it_is_nobodys_own_fault)
{
	enum { N = 200 };
	static struct write list[N];

	make_picky("XX000");
	for (int i = 0; i < N; i++) {
		char email[32];

		snprintf(email, sizeof email, "p%d", i);
		list[i] = rig_insert(&r, P_EMAIL, email, P_SCORE, "13", -1);
	}
	rig_write(&r, r.people, list, N);
	for (int i = 0; i < N; i++) {
		ck_outcome(list[i], WRITE_ERROR);
		ck_assert_int_eq(list[i].err->kind, ERR_ENDPOINT);
		ck_assert(!list[i].alone);
	}
}
END_TEST

START_TEST(children_without_a_parent_are_never_the_endpoints_fault)
{
	enum { N = 30 };
	struct write list[N];

	for (int i = 0; i < N; i++) {
		char email[32];

		snprintf(email, sizeof email, "p%d", i);
		list[i] = rig_insert(&r, P_EMAIL, email, P_COMPANY, "99", -1);
	}
	rig_write(&r, r.people, list, N);
	for (int i = 0; i < N; i++)
		ck_row_error(list[i], "23503");
}
END_TEST

START_TEST(a_locked_row_holds_up_nobody_else)
{
	struct write list[3];
	char *info = pg_server_conninfo(server, NULL, r.db);
	PGconn *other = PQconnectdb(info);

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a'), ('b'), ('c')");
	list[0] = rig_update(&r, person("a"), P_NAME, "A", -1);
	list[1] = rig_update(&r, person("b"), P_NAME, "B", -1);
	list[2] = rig_update(&r, person("c"), P_NAME, "C", -1);
	PQclear(PQexec(other, "BEGIN; SELECT FROM " PEOPLE " WHERE email = 'b' FOR UPDATE"));
	rig_write(&r, r.people, list, 3);
	ck_outcome(list[0], WRITE_DONE);
	ck_outcome(list[1], WRITE_ERROR);
	ck_assert_int_eq(list[1].err->kind, ERR_TRANSIENT);
	ck_assert_str_eq(list[1].err->code, "55P03");
	ck_outcome(list[2], WRITE_DONE);
	PQfinish(other);
	free(info);
}
END_TEST

START_TEST(a_missing_column_is_the_endpoints_fault)
{
	struct write list[2];

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a')");
	list[0] = rig_update(&r, person("a"), P_SCORE, "1", -1);
	list[1] = rig_insert(&r, P_EMAIL, "b", -1);
	rig_sql(&r, "ALTER TABLE " PEOPLE " DROP score");
	rig_write(&r, r.people, list, 2);
	for (int i = 0; i < 2; i++) {
		ck_outcome(list[i], WRITE_ERROR);
		ck_assert_int_eq(list[i].err->kind, ERR_ENDPOINT);
		ck_assert_str_eq(list[i].err->code, "42703");
	}
	while (r.people->usable)
		rig_wait(&r);
}
END_TEST

/* ---- keys that do not stay -------------------------------------------------------------------------- */

START_TEST(a_trigger_that_changes_keys_is_told_row_by_row)
{
	static const char *const sent[] = { "a", "B", "c", "A" }, *const kept[] = { "a", "b", "c" };
	struct write list[4];

	rig_sql(&r, "CREATE FUNCTION crm.low() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
		" NEW.email := lower(NEW.email); RETURN NEW; END$$;"
		"CREATE TRIGGER low BEFORE INSERT OR UPDATE ON " PEOPLE " FOR EACH ROW EXECUTE FUNCTION crm.low()");
	for (int i = 0; i < 4; i++)
		list[i] = rig_insert(&r, P_EMAIL, sent[i], -1);
	rig_write(&r, r.people, list, 4);
	ck_outcome(list[0], WRITE_DONE);
	ck_assert_ptr_null(list[0].readback);
	ck_outcome(list[1], WRITE_DONE);
	ck_assert(value_equal(*back(&list[1], P_EMAIL), value_of("b")));
	ck_outcome(list[2], WRITE_DONE);
	ck_outcome(list[3], WRITE_REFUSED);
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(rig_ask(&r, "SELECT email FROM " PEOPLE " WHERE id = %s", list[i].id.data), kept[i]);
	ck_assert_str_eq(rig_ask(&r, "SELECT count(*) FROM " PEOPLE), "3");
}
END_TEST

/* ---- soft deletes and filters ------------------------------------------------------------------------ */

static void open_soft(const char *column, const char *set, const char *alter)
{
	static char copy[2][32];

	rig_prepare(&r, server, CAPTURE_LISTEN, alter);
	r.mappings[1].delete_mode = DELETE_SOFT;
	snprintf(copy[0], sizeof copy[0], "%s", column);
	snprintf(copy[1], sizeof copy[1], "%s", set);
	r.mappings[1].delete_column = copy[0];
	r.mappings[1].delete_set = copy[1];
	rig_start(&r);
}

static void expect_soft_delete_and_return(void)
{
	struct write w;

	rig_sql(&r, "INSERT INTO " PEOPLE " (email) VALUES ('a')");
	ck_assert(!person("a")->gone);
	w = write_one(r.people, rig_delete(&r, person("a")));
	ck_outcome(w, WRITE_DONE);
	ck_assert(person("a")->gone);
	w = write_one(r.people, rig_update(&r, person("a"), P_NAME, "again", -1));
	ck_outcome(w, WRITE_DONE);
	ck_assert(!person("a")->gone);
}

START_TEST(a_soft_delete_by_time_is_taken_back_by_an_update)
{
	rig_close(&r);
	open_soft("gone_at", "now", "ALTER TABLE " PEOPLE " ADD gone_at timestamptz");
	expect_soft_delete_and_return();
}
END_TEST

START_TEST(a_soft_delete_by_flag_is_taken_back_by_an_update)
{
	rig_close(&r);
	open_soft("is gone", "true", "ALTER TABLE " PEOPLE " ADD \"is gone\" boolean NOT NULL DEFAULT false");
	expect_soft_delete_and_return();
}
END_TEST

START_TEST(a_soft_delete_that_a_trigger_undoes_is_silent)
{
	rig_close(&r);
	open_soft("gone_at", "now", "ALTER TABLE " PEOPLE " ADD gone_at timestamptz;"
		  "CREATE FUNCTION crm.stay() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.gone_at := NULL; RETURN NEW; END$$;"
		  "CREATE TRIGGER stay BEFORE UPDATE ON " PEOPLE " FOR EACH ROW EXECUTE FUNCTION crm.stay();"
		  "INSERT INTO " PEOPLE " (email) VALUES ('a')");
	ck_outcome(write_one(r.people, rig_delete(&r, person("a"))), WRITE_SILENT);
}
END_TEST

START_TEST(a_new_row_lies_inside_of_the_filter)
{
	static char active[] = "active", yes[] = "true", kind[] = "sort of", what[] = "it's a person";
	static struct where_item where[2] = { { active, yes }, { kind, what } };
	struct write list[3];

	rig_close(&r);
	rig_prepare(&r, server, CAPTURE_LISTEN,
		    "ALTER TABLE " PEOPLE " ADD active boolean NOT NULL DEFAULT false, ADD \"sort of\" varchar(30)");
	r.mappings[1].where = where;
	r.mappings[1].n_where = 2;
	rig_start(&r);
	list[0] = rig_insert(&r, P_EMAIL, "a", -1);
	list[1] = rig_insert(&r, P_EMAIL, "b", -1);
	rig_write(&r, r.people, list, 2);
	list[2] = rig_insert(&r, P_EMAIL, "c", -1);
	rig_write(&r, r.people, list + 2, 1);
	for (int i = 0; i < 3; i++)
		ck_outcome(list[i], WRITE_DONE);
	ck_assert(!person("a")->gone);
	ck_assert(!person("b")->gone);
	ck_assert(!person("c")->gone);
}
END_TEST

/* ---- deletes of rows that others refer to --------------------------------------------------------------- */

#define PEOPLE_FOLLOW(action) "ALTER TABLE " PEOPLE " DROP CONSTRAINT IF EXISTS \"odd \"\"people_company_id_fkey\", " \
	"ADD FOREIGN KEY (company_id) REFERENCES company (id) ON DELETE " action ";"
#define THREE_COMPANIES "INSERT INTO company (id, number) VALUES (1, 'one'), (2, 'two'), (3, 'three');" \
	"INSERT INTO " PEOPLE " (email, company_id) VALUES ('a', 2)"

static void open_with_companies(const char *more)
{
	rig_close(&r);
	rig_open(&r, server, CAPTURE_LISTEN, more);
}

static void delete_companies(struct write list[3])
{
	static const char *const ids[] = { "1", "2", "3" };
	struct rowset *rs = rig_read(&r, r.companies, ids, 3);

	for (int i = 0; i < 3; i++)
		list[i] = rig_delete(&r, rig_row(rs, ids[i]));
	rowset_free(&rs);
	rig_write(&r, r.companies, list, 3);
}

START_TEST(a_delete_takes_nobody_along_who_refers_to_it)
{
	static const char *const more[] = {
		PEOPLE_FOLLOW("NO ACTION") THREE_COMPANIES, PEOPLE_FOLLOW("CASCADE") THREE_COMPANIES, PEOPLE_FOLLOW("SET NULL") THREE_COMPANIES,
		PEOPLE_FOLLOW("SET DEFAULT") THREE_COMPANIES,
		"DROP TABLE company CASCADE; CREATE TABLE company (id serial PRIMARY KEY, number text, title text, changed timestamptz DEFAULT now())"
		" PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF company FOR VALUES FROM (0) TO (3);"
		"CREATE TABLE high PARTITION OF company FOR VALUES FROM (3) TO (10);" PEOPLE_FOLLOW("CASCADE") THREE_COMPANIES,
	};
	struct write list[3];

	open_with_companies(more[_i]);
	delete_companies(list);
	ck_outcome(list[0], WRITE_DONE);
	ck_row_error(list[1], "23503");
	ck_outcome(list[2], WRITE_DONE);
	ck_assert_str_eq(rig_ask(&r, "SELECT string_agg(number, ' ') || (SELECT string_agg(email || company_id, ' ') FROM " PEOPLE ") FROM company"),
			 "twoa2");
	rig_sql(&r, "DELETE FROM " PEOPLE);
	ck_outcome(write_one(r.companies, list[1]), WRITE_DONE);
}
END_TEST

START_TEST(whoever_is_being_inserted_is_not_taken_along_either)
{
	struct write list[3];
	char *info;
	PGconn *other;

	open_with_companies(PEOPLE_FOLLOW("CASCADE") THREE_COMPANIES "; DELETE FROM " PEOPLE);
	info = pg_server_conninfo(server, NULL, r.db);
	other = PQconnectdb(info);
	PQclear(PQexec(other, "BEGIN; INSERT INTO " PEOPLE " (email, company_id) VALUES ('late', 2)"));
	delete_companies(list);
	ck_outcome(list[0], WRITE_DONE);
	ck_outcome(list[1], WRITE_ERROR);
	ck_assert_int_eq(list[1].err->kind, ERR_TRANSIENT);
	ck_assert_str_eq(list[1].err->code, "55P03");
	ck_outcome(list[2], WRITE_DONE);
	PQclear(PQexec(other, "COMMIT"));
	ck_row_error(write_one(r.companies, list[1]), "23503");
	ck_assert_str_eq(rig_ask(&r, "SELECT email FROM " PEOPLE), "late");
	PQfinish(other);
	free(info);
}
END_TEST

/* ---- tables of other kinds ---------------------------------------------------------------------------- */

START_TEST(partitioned_tables_are_written_too)
{
	struct write list[2];

	rig_close(&r);
	rig_prepare(&r, server, CAPTURE_LISTEN,
		    "DROP TABLE company CASCADE; CREATE TABLE company (id serial, number text, title text, changed timestamptz DEFAULT now(),"
		    " PRIMARY KEY (id), UNIQUE (id, number)) PARTITION BY RANGE (id);"
		    "CREATE TABLE company_low PARTITION OF company FOR VALUES FROM (0) TO (10);"
		    "CREATE TABLE company_high PARTITION OF company FOR VALUES FROM (10) TO (1000);"
		    "INSERT INTO company (id, number, title) VALUES (501, 'high', 'High')");
	rig_start(&r);
	list[0] = rig_insert(&r, COMPANY_NUMBER, "1", COMPANY_NAME, "One", -1);
	list[1] = rig_insert(&r, COMPANY_NUMBER, "2", COMPANY_NAME, "Two", -1);
	rig_write(&r, r.companies, list, 2);
	ck_outcome(list[0], WRITE_DONE);
	ck_outcome(list[1], WRITE_DONE);
	for (int i = 0; i < 2; i++) {
		const char *id = i == 0 ? "1" : "501";
		struct rowset *rs = rig_read(&r, r.companies, &id, 1);

		list[i] = rig_update(&r, rig_row(rs, id), COMPANY_NAME, "New", -1);
		rowset_free(&rs);
	}
	rig_write(&r, r.companies, list, 2);
	ck_outcome(list[0], WRITE_DONE);
	ck_outcome(list[1], WRITE_DONE);
	ck_assert_str_eq(rig_ask(&r, "SELECT string_agg(id || title, ' ' ORDER BY id) FROM company"), "1New 2Two 501New");
}
END_TEST

START_TEST(domains_keep_their_rules)
{
	struct write list[3];

	rig_close(&r);
	rig_prepare(&r, server, CAPTURE_LISTEN,
		    "CREATE DOMAIN crm.short AS varchar(5); CREATE DOMAIN crm.price AS numeric(6,2) CHECK (VALUE >= 0);"
		    "ALTER TABLE " PEOPLE " ALTER \"full name\" TYPE crm.short, ALTER amount TYPE crm.price");
	rig_start(&r);
	list[0] = rig_insert(&r, P_EMAIL, "a", P_NAME, "toolong", P_AMOUNT, "1", -1);
	list[1] = rig_insert(&r, P_EMAIL, "b", P_NAME, "ok", P_AMOUNT, "1.239", -1);
	list[2] = rig_insert(&r, P_EMAIL, "c", P_NAME, "ok", P_AMOUNT, "-1", -1);
	rig_write(&r, r.people, list, 3);
	ck_row_error(list[0], "22001");
	ck_outcome(list[1], WRITE_DONE);
	ck_assert(value_equal(*back(&list[1], P_AMOUNT), value_of("1.24")));
	ck_row_error(list[2], "23514");
}
END_TEST

static Suite *write_suite(void)
{
	Suite *s = suite_create("write");
	TCase *t = tcase_create("write");

	tcase_add_unchecked_fixture(t, start_server, stop_server);
	tcase_add_checked_fixture(t, open_rig, close_rig);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_record_of_every_type_is_inserted_as_sent);
	tcase_add_test(t, inserts_of_a_batch_learn_their_ids);
	tcase_add_test(t, many_inserts_go_by_copy_and_learn_their_ids);
	tcase_add_test(t, ids_that_others_drew_in_between_are_theirs);
	tcase_add_loop_test(t, a_sequence_that_counts_down_or_in_steps_gives_ids_too, 0, 2);
	tcase_add_test(t, a_row_that_copy_cannot_place_is_found_and_the_others_stay);
	tcase_add_loop_test(t, rows_of_many_megabytes_go_by_one_copy, 0, 2);
	tcase_add_test(t, a_trigger_made_meanwhile_keeps_rows_from_copy);
	tcase_add_test(t, blanks_that_a_column_would_cut_keep_rows_from_copy);
	tcase_add_test(t, updates_of_different_fields_go_each_to_its_own);
	tcase_add_test(t, deletes_are_guarded_too);
	tcase_add_test(t, under_an_older_fencing_number_nothing_is_written);
	tcase_add_test(t, ids_given_and_kept_by_the_table_are_left_alone);
	tcase_add_test(t, what_the_column_rounds_is_read_back);
	tcase_add_test(t, what_a_trigger_makes_of_it_is_read_back);
	tcase_add_test(t, a_trigger_that_changes_another_field_is_noticed);
	tcase_add_test(t, a_default_of_a_field_that_was_not_sent_is_noticed);
	tcase_add_test(t, blanks_that_a_char_column_adds_are_said);
	tcase_add_test(t, upper_and_lower_case_differ_whatever_the_collation_says);
	tcase_add_test(t, a_row_that_changed_or_vanished_is_refused);
	tcase_add_test(t, a_row_that_changes_while_we_wait_for_it_is_refused);
	tcase_add_test(t, an_equal_key_refuses_an_insert_and_force_says_which);
	tcase_add_test(t, what_an_update_would_make_of_a_row_is_told_and_nothing_of_it_stays);
	tcase_add_test(t, what_somebody_makes_of_a_row_right_behind_our_write_is_not_read_back_with_it);
	tcase_add_test(t, rows_that_exchange_values_are_written_together_and_quietly);
	tcase_add_test(t, a_circle_in_which_a_row_changes_meanwhile_is_refused_as_a_whole);
	tcase_add_test(t, a_circle_in_which_a_trigger_is_at_a_row_in_between_is_not_written);
	tcase_add_test(t, a_trigger_that_swallows_the_write_is_silent);
	tcase_add_loop_test(t, bad_values_are_row_errors_with_their_code, 0, 11);
	tcase_add_test(t, bisection_finds_exactly_the_bad_rows);
	tcase_add_test(t, a_batch_in_which_all_fail_alike_is_the_endpoints_fault);
	tcase_add_loop_test(t, what_fails_for_a_row_only_is_found_whatever_it_says, 0, (int)(sizeof no_rows_codes / sizeof no_rows_codes[0]));
	tcase_add_test(t, what_fails_without_rows_is_nobodys_own_fault);
	tcase_add_test(t, a_write_whose_connection_ends_is_unanswered);
	tcase_add_test(t, where_a_function_fails_for_all_of_many_it_is_nobodys_own_fault);
	tcase_add_test(t, children_without_a_parent_are_never_the_endpoints_fault);
	tcase_add_test(t, a_locked_row_holds_up_nobody_else);
	tcase_add_test(t, a_missing_column_is_the_endpoints_fault);
	tcase_add_test(t, a_trigger_that_changes_keys_is_told_row_by_row);
	tcase_add_test(t, a_soft_delete_by_time_is_taken_back_by_an_update);
	tcase_add_test(t, a_soft_delete_by_flag_is_taken_back_by_an_update);
	tcase_add_test(t, a_soft_delete_that_a_trigger_undoes_is_silent);
	tcase_add_test(t, a_new_row_lies_inside_of_the_filter);
	tcase_add_loop_test(t, a_delete_takes_nobody_along_who_refers_to_it, 0, 5);
	tcase_add_test(t, whoever_is_being_inserted_is_not_taken_along_either);
	tcase_add_test(t, partitioned_tables_are_written_too);
	tcase_add_test(t, domains_keep_their_rules);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *sr;
	int failed;

	if (!pg_server_available())
		return 77;
	sr = srunner_create(write_suite());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
