/* check_journal.c - src/journal/journal.h on real files, and on disks that fail. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "journal/journal.h"

static char base[64], directory[96], file[128];

static void setup(void)
{
	snprintf(base, sizeof base, "/tmp/check_journal.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(directory, sizeof directory, "%s/state", base);
	snprintf(file, sizeof file, "%s/journal.db", directory);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void teardown(void)
{
	nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- helpers ------------------------------------------------------------------------------------------------ */

#define OK(call) do { \
		struct err why_ = { 0 }, *why = &why_; \
		ck_assert_msg(call, "%s", why->text); \
	} while (0)

static struct journal *open_ok(void)
{
	struct err e = { 0 };
	struct journal *j = journal_open(directory, "acme", &e);

	ck_assert_msg(j != NULL, "%s", e.text);
	return j;
}

static void open_fails(const char *topology, enum err_kind kind, const char *code, const char *words)
{
	struct err e = { 0 };

	ck_assert_ptr_null(journal_open(directory, topology, &e));
	ck_assert_msg(e.kind == kind, "%s: %s", err_kind_name(e.kind), e.text);
	ck_assert_str_eq(e.code, code);
	ck_assert_msg(strstr(e.text, words) != NULL, "%s", e.text);
	ck_assert_msg(strncmp(e.text, "journal: ", 9) == 0, "%s", e.text);
}

static struct journal_parked parked(const char *rid, const char *local_id)
{
	return (struct journal_parked){
		.entity = "contact", .endpoint = "sales", .key = "ann@example.org", .local_id = local_id, .rid = rid,
		.code = "22001", .cause = "too long", .field = "name", .since_us = 1000, .last_us = 1000, .tries = 1,
	};
}

static struct journal_decision decision(const char *key, int64_t time_us)
{
	return (struct journal_decision){
		.entity = "contact", .key = key, .rid = key, .field = "phone", .rule = "last-writer-wins", .kind = "conflict", .winner = "support",
		.tie_break = "stamp", .time_us = time_us, .base_digest = "00ff", .base = "0", .n_sides = 2, .round = UINT64_MAX,
		.sides = { { .endpoint = "sales", .value = "1", .stamp_us = -5, .digest = "aa", .competed = true },
			   { .endpoint = "support", .value = NULL, .deleted = true, .stamp_us = time_us, .digest = "bb",
			     .competed = true, .written = JOURNAL_OWED } },
	};
}

struct list {
	struct journal_parked parked[16];
	char text[512];		/* what came, "key=..." in order */
	size_t n, stop_after;
};

static bool collect_parked(void *arg, const struct journal_parked *p)
{
	struct list *l = arg;

	snprintf(l->text + strlen(l->text), sizeof l->text - strlen(l->text), "%s%s@%s", l->n > 0 ? " " : "", p->key, p->endpoint);
	l->parked[l->n] = *p;
	return ++l->n != l->stop_after;
}

static bool collect_decision(void *arg, const struct journal_decision *d)
{
	struct list *l = arg;

	snprintf(l->text + strlen(l->text), sizeof l->text - strlen(l->text), "%s%s", l->n > 0 ? " " : "", d->key);
	return ++l->n != l->stop_after;
}

static void sql(const char *text)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(file, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* Root may write everywhere: as somebody else, to whom the files belong. */
static void drop_root(void)
{
	if (geteuid() != 0)
		return;
	if (access(file, F_OK) == 0)
		ck_assert(chown(file, 65534, 65534) == 0);
	ck_assert(chown(base, 65534, 65534) == 0 && chown(directory, 65534, 65534) == 0 && seteuid(65534) == 0);
}

static void regain_root(void)
{
	if (geteuid() == getuid())
		return;
	ck_assert(seteuid(0) == 0);
	prctl(PR_SET_DUMPABLE, 1);	/* the leak checker of the sanitizers looks at us like a debugger */
}

/* ---- the file ------------------------------------------------------------------------------------------------ */

START_TEST(files_are_the_daemons_alone)
{
	struct journal *j;
	struct stat st;
	char wal[160];

	umask(0);
	j = open_ok();
	snprintf(wal, sizeof wal, "%s-wal", file);
	ck_assert(stat(directory, &st) == 0 && (st.st_mode & 0777) == 0700);
	ck_assert(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600);
	ck_assert(stat(wal, &st) == 0 && (st.st_mode & 0777) == 0600);
	journal_close(&j);
	ck_assert_ptr_null(j);
	ck_assert(chmod(file, 0644) == 0);
	j = open_ok();
	ck_assert(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600);
	journal_close(&j);
}
END_TEST

START_TEST(a_link_in_the_place_of_the_file_is_refused)
{
	ck_assert(mkdir(directory, 0700) == 0 && symlink("/proc/self/comm", file) == 0);
	open_fails("acme", ERR_CONFIG, "ELOOP", "cannot be opened");
}
END_TEST

START_TEST(a_journal_in_the_place_of_another_is_another)
{
	char first[JOURNAL_IDENTITY], again[JOURNAL_IDENTITY], other[JOURNAL_IDENTITY];
	struct journal *j = open_ok();

	journal_identity(j, first);
	ck_assert(journal_is_new(j));
	journal_close(&j);
	j = open_ok();
	journal_identity(j, again);
	ck_assert(!journal_is_new(j));
	journal_close(&j);
	ck_assert_str_eq(first, again);
	ck_assert(unlink(file) == 0);
	j = open_ok();
	journal_identity(j, other);
	journal_close(&j);
	ck_assert_str_ne(first, other);
}
END_TEST

START_TEST(memory_needs_no_directory)
{
	struct journal *j = journal_open("", "acme", NULL);
	struct journal_parked p = parked("r1", "");

	ck_assert_ptr_nonnull(j);
	OK(journal_park(j, &p, why));
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 1);
	journal_close(&j);
	journal_close(&j);
}
END_TEST

START_TEST(a_missing_parent_is_said)
{
	snprintf(directory, sizeof directory, "%s/no/state", base);
	open_fails("acme", ERR_CONFIG, "ENOENT", "cannot be created (No such file or directory)");
}
END_TEST

START_TEST(a_directory_that_is_read_only_is_said)
{
	ck_assert(mkdir(directory, 0500) == 0);
	drop_root();
	open_fails("acme", ERR_CONFIG, "EACCES", "cannot be opened for writing (Permission denied)");
	regain_root();
}
END_TEST

START_TEST(a_file_that_became_read_only_is_said)
{
	struct journal *j = open_ok();

	journal_close(&j);
	drop_root();
	ck_assert(chmod(directory, 0500) == 0);
	open_fails("acme", ERR_CONFIG, "SQLITE_READONLY", "make the file and its directory belong");
	ck_assert(chmod(directory, 0700) == 0);
	regain_root();
}
END_TEST

START_TEST(a_file_that_is_no_database_is_left_alone)
{
	static const char text[] = "name,mail\nann,ann@example.org\nand more, so that it is longer than a header of SQLite would be....\n";
	char back[sizeof text];
	int fd;

	ck_assert(mkdir(directory, 0700) == 0);
	fd = open(file, O_RDWR | O_CREAT, 0600);
	ck_assert(write(fd, text, sizeof text) == sizeof text);
	open_fails("acme", ERR_CONFIG, "SQLITE_NOTADB", "move it away");
	ck_assert(pread(fd, back, sizeof back, 0) == sizeof text && memcmp(back, text, sizeof text) == 0);
	close(fd);
}
END_TEST

START_TEST(somebody_elses_database_is_left_alone)
{
	char head[20];
	int fd;

	ck_assert(mkdir(directory, 0700) == 0);
	sql("CREATE TABLE bookmarks (url TEXT)");
	open_fails("acme", ERR_CONFIG, "SQLITE_NOTADB", "not a journal");
	fd = open(file, O_RDONLY);
	ck_assert(read(fd, head, sizeof head) == sizeof head && head[18] == 1);	/* 2 would be WAL */
	close(fd);
}
END_TEST

START_TEST(a_newer_journal_is_not_touched)
{
	struct journal *j = open_ok();

	journal_close(&j);
	sql("PRAGMA user_version = 10");
	open_fails("acme", ERR_CONFIG, "journal-newer", "journal version 10, this one knows 9");
}
END_TEST

START_TEST(a_journal_belongs_to_one_topology)
{
	struct journal *j = open_ok();

	journal_close(&j);
	open_fails("other", ERR_CONFIG, "journal-other", "topology 'acme', not to 'other'");
	j = open_ok();
	journal_close(&j);
}
END_TEST

START_TEST(a_damaged_journal_is_said)
{
	struct journal *j = open_ok();
	int fd;

	journal_close(&j);
	fd = open(file, O_WRONLY);
	for (int page = 1; page < 12; page++)
		ck_assert(pwrite(fd, "damagedamagedamage", 18, page * 4096) == 18);
	close(fd);
	open_fails("acme", ERR_CONFIG, "SQLITE_CORRUPT", "damaged");
}
END_TEST

START_TEST(a_file_that_is_held_is_tried_again_later)
{
	struct journal *j = open_ok();
	struct journal_parked p = parked("r1", "");
	struct err e = { 0 };
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(file, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert(!journal_park(j, &p, &e));
	ck_assert_int_eq(e.kind, ERR_TRANSIENT);
	ck_assert_str_eq(e.code, "SQLITE_BUSY");
	journal_begin(j);
	ck_assert(!journal_park(j, &p, NULL));
	sqlite3_close(db);
	/* The lock is gone, but half a group is not written. */
	ck_assert(!journal_park(j, &p, NULL));
	e = (struct err){ 0 };
	ck_assert(!journal_commit(j, &e));
	ck_assert_str_eq(e.code, "SQLITE_BUSY");
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 0);
	ck_assert_str_eq(journal_trouble(j)->code, "SQLITE_BUSY");
	OK(journal_expire(j, 0, why));		/* nothing to do, and yet it is told that it can be written */
	ck_assert_ptr_null(journal_trouble(j));
	OK(journal_park(j, &p, why));
	journal_close(&j);
}
END_TEST

/* A limit on the size of files is the full disk that needs no privileges. */
START_TEST(a_full_disk_keeps_what_was_and_recovers)
{
	struct journal *j = open_ok();
	struct rlimit limit, old;
	struct err e = { 0 };
	int64_t before;
	char rid[32];
	struct journal_parked p = parked(rid, "");
	bool ok = true;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert(getrlimit(RLIMIT_FSIZE, &old) == 0);
	limit = (struct rlimit){ 256 * 1024, old.rlim_max };
	ck_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	for (int i = 0; i < 10000 && ok; i++) {
		snprintf(rid, sizeof rid, "%020d", i);
		before = journal_parked_count(j, "contact", NULL);
		ok = journal_park(j, &p, &e);
	}
	ck_assert(!ok);
	ck_assert_int_eq(e.kind, ERR_TRANSIENT);
	ck_assert_msg(strcmp(e.code, "SQLITE_FULL") == 0, "%s", e.text);
	ck_assert_msg(strstr(e.text, "no space left") != NULL, "%s", e.text);
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), before);

	journal_begin(j);
	OK(journal_park(j, &p, why));	/* nothing reaches the disk before the commit */
	p.rid = "another";
	OK(journal_park(j, &p, why));
	e = (struct err){ 0 };
	ck_assert(!journal_commit(j, &e));
	ck_assert_str_eq(e.code, "SQLITE_FULL");
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), before);

	ck_assert(setrlimit(RLIMIT_FSIZE, &old) == 0);
	OK(journal_park(j, &p, why));
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), before + 1);
	journal_close(&j);
}
END_TEST

/* The child parks and tells of each record after its commit; whatever was told must be there. */
START_TEST(what_was_committed_survives_kill_9)
{
	int told[2], last = -1, number;
	struct journal *j;
	char rid[32];
	pid_t child;

	ck_assert(pipe(told) == 0);
	child = fork();
	if (child == 0) {
		j = journal_open(directory, "acme", NULL);
		for (int i = 0; j != NULL; i++) {
			struct journal_parked a, b;

			snprintf(rid, sizeof rid, "a%d", i);
			a = parked(rid, "");
			b = parked("", rid);
			journal_begin(j);
			journal_park(j, &a, NULL);
			journal_park(j, &b, NULL);
			if (!journal_commit(j, NULL) || write(told[1], &i, sizeof i) != sizeof i)
				break;
		}
		_exit(1);
	}
	close(told[1]);
	while (last < 40 + _i * 37 && read(told[0], &number, sizeof number) == sizeof number)
		last = number;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	while (read(told[0], &number, sizeof number) == sizeof number)
		last = number;
	close(told[0]);
	ck_assert_int_ge(last, 40);
	j = open_ok();
	/* Both of a group or none; perhaps one group more than it could tell of. */
	number = (int)journal_parked_count(j, "contact", NULL);
	ck_assert(number == 2 * (last + 1) || number == 2 * (last + 2));
	journal_close(&j);
}
END_TEST

/* ---- parked records --------------------------------------------------------------------------------------------- */

START_TEST(parking_again_renews)
{
	struct journal *j = open_ok();
	struct journal_parked p = parked("r1", "17");
	struct list l = { .n = 0 };

	OK(journal_park(j, &p, why));
	p.code = "23505", p.cause = "not unique", p.field = "", p.last_us = 2000, p.since_us = 2000, p.key = "anna@example.org", p.local_id = "18";
	OK(journal_park(j, &p, why));
	OK(journal_park(j, &p, why));
	ck_assert_int_eq(journal_parked_count(j, "contact", "sales"), 1);
	journal_close(&j);
	j = open_ok();

	sqlite3 *db;
	sqlite3_stmt *stmt;
	ck_assert_int_eq(sqlite3_open(file, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT code || cause || field || key || local_id || since_us || last_us || tries FROM parked", -1,
					    &stmt, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "23505not uniqueanna@example.org18100020003");
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	OK(journal_parked_each(j, NULL, NULL, 0, 0, collect_parked, &l, why));
	ck_assert_int_eq(l.parked[0].since_us, 1000);
	ck_assert_int_eq(l.parked[0].last_us, 2000);
	ck_assert_int_eq(l.parked[0].tries, 3);
	ck_assert(!l.parked[0].capture);
	journal_close(&j);
}
END_TEST

START_TEST(a_record_is_known_by_rid_or_else_by_local_id)
{
	struct journal *j = open_ok();
	struct journal_parked p = parked("r1", "17"), q = parked("", "17"), r = parked("r1", "17"), s = parked("17", "");

	r.capture = true;
	OK(journal_park(j, &p, why));
	OK(journal_park(j, &q, why));
	OK(journal_park(j, &r, why));
	OK(journal_park(j, &s, why));
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 4);
	p.local_id = "changed";
	OK(journal_unpark(j, &p, why));
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 3);
	OK(journal_unpark(j, &p, why));	/* not there any more: nothing to do */
	OK(journal_unpark(j, &q, why));
	OK(journal_unpark(j, &r, why));
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 1);
	journal_close(&j);
}
END_TEST

START_TEST(lists_are_filtered_and_paged)
{
	struct journal *j = open_ok();
	static const struct { const char *entity, *endpoint, *key; } rows[] = {
		{ "contact", "sales", "a" }, { "contact", "support", "b" }, { "account", "sales", "c" }, { "contact", "sales", "d" },
	};
	struct list l;
	int64_t second;

	for (size_t i = 0; i < countof(rows); i++) {
		struct journal_parked p = parked(rows[i].key, "");

		p.entity = rows[i].entity, p.endpoint = rows[i].endpoint, p.key = rows[i].key;
		OK(journal_park(j, &p, why));
	}
#define LIST(want, ...) do { \
		l = (struct list){ .n = 0 }; \
		OK(journal_parked_each(j, __VA_ARGS__, collect_parked, &l, why)); \
		ck_assert_str_eq(l.text, want); \
	} while (0)
	LIST("a@sales b@support c@sales d@sales", NULL, NULL, 0, 0);
	LIST("a@sales b@support d@sales", "contact", NULL, 0, 0);
	LIST("a@sales c@sales d@sales", NULL, "sales", 0, 0);
	LIST("a@sales d@sales", "contact", "sales", 0, 0);
	LIST("a@sales b@support", NULL, NULL, 0, 2);
	second = l.parked[1].id;
	LIST("c@sales d@sales", NULL, NULL, second, 2);
	LIST("", "nobody", NULL, 0, 0);
	l = (struct list){ .stop_after = 1 };
	OK(journal_parked_each(j, NULL, NULL, 0, 0, collect_parked, &l, why));
	ck_assert_str_eq(l.text, "a@sales");
	ck_assert_int_eq(journal_parked_count(j, "contact", "sales"), 2);
	ck_assert_int_eq(journal_parked_count(j, "account", "support"), 0);
	journal_close(&j);
}
END_TEST

struct weeder {
	struct journal *j;
	int seen;
};

static bool discard_each(void *arg, const struct journal_parked *p)
{
	struct weeder *w = arg;
	struct list inner = { .n = 0 };

	w->seen++;
	OK(journal_parked_each(w->j, "contact", NULL, 0, 0, collect_parked, &inner, why));
	OK(journal_discard(w->j, p->id, why));
	return true;
}

START_TEST(a_list_may_be_changed_while_it_is_read)
{
	struct weeder w = { .j = open_ok() };

	for (int i = 0; i < 10; i++) {
		char rid[8];
		struct journal_parked p = parked(rid, "");

		snprintf(rid, sizeof rid, "%d", i);
		OK(journal_park(w.j, &p, why));
	}
	OK(journal_parked_each(w.j, NULL, NULL, 0, 0, discard_each, &w, why));
	ck_assert_int_eq(w.seen, 10);
	ck_assert_int_eq(journal_parked_count(w.j, "contact", NULL), 0);
	journal_close(&w.j);
}
END_TEST

START_TEST(numbers_are_never_given_twice)
{
	struct journal *j = open_ok();
	struct journal_parked p = parked("r1", "");
	struct list l = { .n = 0 };
	int64_t id;

	OK(journal_park(j, &p, why));
	OK(journal_parked_each(j, NULL, NULL, 0, 0, collect_parked, &l, why));
	id = l.parked[0].id;
	OK(journal_unpark(j, &p, why));
	OK(journal_park(j, &p, why));
	OK(journal_parked_each(j, NULL, NULL, 0, 0, collect_parked, &l, why));
	ck_assert_int_gt(l.parked[1].id, id);
	journal_close(&j);
}
END_TEST

static bool discarded(struct journal *j, struct journal_parked *p, bool capture, const char *code)
{
	p->capture = capture;
	p->code = code;
	OK(journal_park(j, p, why));
	return journal_is_discarded(j, p);
}

START_TEST(what_is_discarded_stays_so_while_nothing_changes)
{
	struct journal *j = open_ok();
	struct journal_parked p = parked("r1", "");
	struct list l = { .n = 0 };
	struct err e = { 0 };

	ck_assert(!discarded(j, &p, true, "range"));
	OK(journal_discard(j, 1, why));
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 0);
	ck_assert(!journal_discard(j, 1, &e));
	ck_assert_int_eq(e.kind, ERR_ROW);
	ck_assert_str_eq(e.code, "no-such-record");
	ck_assert(discarded(j, &p, true, "range"));		/* the same row once more */
	ck_assert(!discarded(j, &p, true, "length"));		/* something else is wrong with it */
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 1);
	ck_assert(!discarded(j, &p, false, "22001"));
	OK(journal_parked_each(j, NULL, NULL, 0, 0, collect_parked, &l, why));
	OK(journal_discard(j, l.parked[1].id, why));
	ck_assert(!discarded(j, &p, false, "22001"));		/* a write is only tried when something changed */
	journal_close(&j);
}
END_TEST

START_TEST(a_group_that_is_not_committed_is_not_there)
{
	struct journal *j = open_ok();
	struct journal_parked p = parked("r1", "");

	journal_begin(j);
	OK(journal_park(j, &p, why));
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 1);
	journal_close(&j);
	j = open_ok();
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 0);
	journal_begin(j);
	OK(journal_park(j, &p, why));
	OK(journal_commit(j, why));
	journal_begin(j);
	OK(journal_commit(j, why));
	journal_close(&j);
	j = open_ok();
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 1);
	journal_close(&j);
}
END_TEST

/* ---- decisions ---------------------------------------------------------------------------------------------------- */

static bool is_the_decision(void *arg, const struct journal_decision *d)
{
	int *seen = arg;

	++*seen;
	ck_assert_str_eq(d->entity, "contact");
	ck_assert_str_eq(d->key, "ann");
	ck_assert_str_eq(d->field, "phone");
	ck_assert_str_eq(d->rule, "last-writer-wins");
	ck_assert_str_eq(d->kind, "conflict");
	ck_assert_str_eq(d->winner, "support");
	ck_assert_str_eq(d->tie_break, "stamp");
	ck_assert_str_eq(d->base_digest, "00ff");
	ck_assert_int_eq(d->time_us, 1000);
	ck_assert(d->round == UINT64_MAX);
	ck_assert_uint_eq(d->n_sides, 2);
	ck_assert_str_eq(d->sides[0].endpoint, "sales");
	ck_assert_str_eq(d->sides[0].value, "1");
	ck_assert_int_eq(d->sides[0].stamp_us, -5);
	ck_assert_str_eq(d->sides[0].digest, "aa");
	ck_assert(!d->sides[0].deleted);
	ck_assert_str_eq(d->sides[1].endpoint, "support");
	ck_assert_ptr_null(d->sides[1].value);
	ck_assert(d->sides[1].deleted);
	ck_assert(d->sides[1].competed);
	ck_assert_int_eq(d->sides[1].written, JOURNAL_OWED);
	ck_assert_str_eq(d->base, "0");
	return true;
}

START_TEST(a_decision_comes_back_as_it_was)
{
	struct journal *j = open_ok();
	struct journal_decision d = decision("ann", 1000);
	int seen = 0;

	OK(journal_decided(j, &d, why));
	OK(journal_decisions_each(j, NULL, 0, 0, is_the_decision, &seen, why));
	ck_assert_int_eq(seen, 1);
	journal_close(&j);
}
END_TEST

static bool count_sides(void *arg, const struct journal_decision *d)
{
	size_t *sides = arg;

	*sides = d->n_sides;
	return true;
}

START_TEST(a_decision_may_have_no_side_or_all)
{
	struct journal *j = open_ok();
	struct journal_decision d = decision("ann", 1000);
	size_t sides = 99;

	d.n_sides = 0;
	OK(journal_decided(j, &d, why));
	OK(journal_decisions_each(j, NULL, 0, 0, count_sides, &sides, why));
	ck_assert_uint_eq(sides, 0);
	d = decision("bob", 2000);
	for (d.n_sides = 0; d.n_sides < countof(d.sides); d.n_sides++)
		d.sides[d.n_sides] = (struct journal_side){ .endpoint = "e", .digest = "" };
	OK(journal_decided(j, &d, why));
	OK(journal_decisions_each(j, NULL, 0, 0, count_sides, &sides, why));
	ck_assert_uint_eq(sides, countof(d.sides));
	journal_close(&j);
}
END_TEST

START_TEST(the_same_decision_is_kept_once)
{
	struct journal *j = open_ok();
	struct journal_decision d = decision("ann", 1000);

	OK(journal_decided(j, &d, why));
	d.time_us = 2000;	/* the round was repeated after a crash */
	d.round = 7;
	OK(journal_decided(j, &d, why));
	ck_assert_int_eq(journal_decision_count(j, "contact"), 1);
	journal_close(&j);
	j = open_ok();
	OK(journal_decided(j, &d, why));
	ck_assert_int_eq(journal_decision_count(j, "contact"), 1);
	d.sides[d.n_sides++] = (struct journal_side){ .endpoint = "billing", .value = "0", .digest = "cc" };
	OK(journal_decided(j, &d, why));	/* who only looked on, does not make it another */
	ck_assert_int_eq(journal_decision_count(j, "contact"), 1);
	d.sides[0].stamp_us++;
	OK(journal_decided(j, &d, why));
	d.sides[0].given = true;
	OK(journal_decided(j, &d, why));
	d.sides[0].stamp_us++;	/* it is as old as the decision, that was made once more */
	OK(journal_decided(j, &d, why));
	d.sides[0].digest = "ab";
	OK(journal_decided(j, &d, why));
	d.base_digest = "";
	OK(journal_decided(j, &d, why));
	d.field = "name";
	OK(journal_decided(j, &d, why));
	ck_assert_int_eq(journal_decision_count(j, "contact"), 6);
	ck_assert_int_eq(journal_decision_count(j, "account"), 0);
	journal_close(&j);
}
END_TEST

static bool first_side(void *arg, const struct journal_decision *d)
{
	snprintf(arg, 64, "%s %s", d->sides[0].value != NULL ? d->sides[0].value : "-", d->sides[0].digest);
	return true;
}

START_TEST(what_lost_unseen_comes_in_when_it_is_seen)
{
	struct journal *j = open_ok();
	struct journal_decision d = decision("ann", 1000);
	struct journal_seen seen = { "contact", "ann", "phone", "sales", "+1 b", "aabbccddee123456" };
	char text[64];

	d.sides[0] = (struct journal_side){ .endpoint = "sales", .digest = "0000000000123456", .competed = true, .written = JOURNAL_OWED };
	OK(journal_decided(j, &d, why));
	seen.digest = "aabbccddee654321";	/* it was changed there meanwhile */
	OK(journal_seen(j, &seen, why));
	OK(journal_decisions_each(j, NULL, 0, 0, first_side, text, why));
	ck_assert_str_eq(text, "- 0000000000123456");
	seen.digest = "aabbccddee123456";
	OK(journal_seen(j, &seen, why));
	OK(journal_decisions_each(j, NULL, 0, 0, first_side, text, why));
	ck_assert_str_eq(text, "+1 b aabbccddee123456");
	journal_close(&j);
}
END_TEST

static bool last_written(void *arg, const struct journal_decision *d)
{
	*(enum journal_written *)arg = d->sides[1].written;
	return true;
}

static enum journal_written written_of(struct journal *j, const char *key)
{
	enum journal_written written = JOURNAL_NOT_WRITTEN;

	OK(journal_story_each(j, "contact", key, 0, 0, last_written, &written, why));
	return written;
}

START_TEST(what_is_owed_is_written_once_it_is)
{
	struct journal *j = open_ok();
	struct journal_decision ann = decision("ann", 1000), bob = decision("bob", 1000);

	ck_assert(!journal_owes(j));
	OK(journal_decided(j, &ann, why));
	OK(journal_decided(j, &bob, why));
	journal_close(&j);
	j = open_ok();
	ck_assert(journal_owes(j));
	OK(journal_written(j, "contact", "ann", "name", "support", why));
	OK(journal_written(j, "contact", "ann", "phone", "sales", why));
	ck_assert_int_eq(written_of(j, "ann"), JOURNAL_OWED);
	OK(journal_written(j, "contact", "ann", "phone", "support", why));
	ck_assert_int_eq(written_of(j, "ann"), JOURNAL_WRITTEN);
	ck_assert_int_eq(written_of(j, "bob"), JOURNAL_OWED);
	OK(journal_written(j, "contact", "bob", NULL, "support", why));
	ck_assert_int_eq(written_of(j, "bob"), JOURNAL_WRITTEN);
	ck_assert(!journal_owes(j));
	journal_close(&j);
}
END_TEST

START_TEST(what_another_process_has_written_is_noticed_and_counted)
{
	struct journal *j = open_ok(), *other = open_ok();
	struct journal_decision ann = decision("ann", 1000), bob = decision("bob", 1000);
	int64_t version = journal_version(j);

	ck_assert_int_gt(version, 0);
	ck_assert_int_eq(journal_version(j), version);
	OK(journal_decided(other, &ann, why));
	ck_assert_int_ne(journal_version(j), version);
	ck_assert(!journal_owes(j));
	journal_count_anew(j);
	ck_assert(journal_owes(j));
	version = journal_version(j);
	OK(journal_decided(j, &bob, why));
	ck_assert_int_eq(journal_version(j), version);
	journal_close(&other);
	journal_close(&j);
}
END_TEST

START_TEST(what_is_owed_no_more_was_not_written_but_for_what_was)
{
	struct journal *j = open_ok();
	struct journal_decision ann = decision("ann", 1000), bob = decision("bob", 1000);

	OK(journal_decided(j, &ann, why));
	OK(journal_decided(j, &bob, why));
	OK(journal_written(j, "contact", "bob", "phone", "support", why));
	OK(journal_owed_no_more(j, "contact", "ann", "support", why));
	OK(journal_owed_no_more(j, "contact", "bob", "support", why));
	ck_assert_int_eq(written_of(j, "ann"), JOURNAL_NOT_WRITTEN);
	ck_assert_int_eq(written_of(j, "bob"), JOURNAL_WRITTEN);
	ck_assert(!journal_owes(j));
	journal_close(&j);
}
END_TEST

START_TEST(what_is_decided_otherwise_is_owed_to_nobody_any_more)
{
	struct journal *j = open_ok();
	struct journal_decision ann = decision("ann", 1000), dead = decision("dead", 1000);
	struct journal_standing stands = { .entity = "contact", .rid = "ann", .field = "phone", .digest = "0000aa" };

	ann.sides[0].digest = "00000000000000aa";
	dead.sides[0].deleted = true;
	OK(journal_decided(j, &ann, why));
	OK(journal_decided(j, &dead, why));
	OK(journal_overtaken(j, &stands, why));
	ck_assert_int_eq(written_of(j, "ann"), JOURNAL_OWED);
	stands.field = "name";
	stands.digest = "0000bb";
	OK(journal_overtaken(j, &stands, why));
	ck_assert_int_eq(written_of(j, "ann"), JOURNAL_OWED);
	stands.field = "phone";
	OK(journal_overtaken(j, &stands, why));
	ck_assert_int_eq(written_of(j, "ann"), JOURNAL_NOT_WRITTEN);
	stands = (struct journal_standing){ .entity = "contact", .rid = "dead", .dead = true };
	OK(journal_overtaken(j, &stands, why));
	ck_assert_int_eq(written_of(j, "dead"), JOURNAL_OWED);
	stands.dead = false;
	OK(journal_overtaken(j, &stands, why));
	ck_assert_int_eq(written_of(j, "dead"), JOURNAL_NOT_WRITTEN);
	ck_assert(!journal_owes(j));
	journal_close(&j);
}
END_TEST

START_TEST(what_is_owed_goes_along_with_the_record)
{
	const struct journal_rename renames[] = { { "ann", "bob" }, { "bob", "ann" }, { "cid", "dan" } };
	struct journal *j = open_ok();
	struct journal_decision ann = decision("ann", 1000), bob = decision("bob", 1000), cid = decision("cid", 1000);

	OK(journal_decided(j, &ann, why));
	OK(journal_decided(j, &bob, why));
	OK(journal_decided(j, &cid, why));
	OK(journal_renamed(j, "contact", renames, countof(renames), why));
	OK(journal_written(j, "contact", "ann", "phone", "support", why));
	ck_assert_int_eq(written_of(j, "ann"), JOURNAL_OWED);
	ck_assert_int_eq(written_of(j, "bob"), JOURNAL_WRITTEN);
	OK(journal_written(j, "contact", "cid", "phone", "support", why));
	ck_assert_int_eq(written_of(j, "cid"), JOURNAL_OWED);
	OK(journal_written(j, "contact", "dan", "phone", "support", why));
	ck_assert_int_eq(written_of(j, "cid"), JOURNAL_WRITTEN);
	journal_close(&j);
}
END_TEST

START_TEST(what_is_owed_is_forgotten_by_entity_and_endpoint)
{
	struct journal *j = open_ok();
	struct journal_decision ann = decision("ann", 1000), bob = decision("bob", 1000);

	bob.entity = "account";
	OK(journal_decided(j, &ann, why));
	OK(journal_decided(j, &bob, why));
	OK(journal_owed_forget(j, "contact", "billing", why));
	ck_assert_int_eq(written_of(j, "ann"), JOURNAL_OWED);
	OK(journal_owed_forget(j, "contact", "support", why));
	ck_assert_int_eq(written_of(j, "ann"), JOURNAL_NOT_WRITTEN);
	ck_assert(journal_owes(j));
	OK(journal_owed_forget(j, "account", NULL, why));
	ck_assert(!journal_owes(j));
	journal_close(&j);
}
END_TEST

/* Its lines do not say which records they are of. */
START_TEST(what_was_owed_before_version_8_is_not_told_any_more)
{
	struct journal *j = open_ok();
	struct journal_decision d = decision("ann", 1000);

	OK(journal_decided(j, &d, why));
	journal_close(&j);
	sql("DROP INDEX decision_rid; ALTER TABLE decision DROP rid;"
	    "DROP INDEX undo_item_was; DROP INDEX undo_item_now; ALTER TABLE undo_item DROP was; PRAGMA user_version = 7");
	j = open_ok();
	ck_assert_int_eq(written_of(j, "ann"), JOURNAL_NOT_WRITTEN);
	ck_assert(!journal_owes(j));
	journal_close(&j);
}
END_TEST

START_TEST(decisions_are_listed_by_time_the_newest_when_limited)
{
	static const struct { const char *key, *entity; int64_t time_us; } rows[] = {
		{ "c", "contact", 3000 }, { "a", "contact", 1000 }, { "x", "account", 1500 }, { "d", "contact", 4000 }, { "b", "contact", 2000 },
	};
	struct journal *j = open_ok();
	struct list l;

	for (size_t i = 0; i < countof(rows); i++) {
		struct journal_decision d = decision(rows[i].key, rows[i].time_us);

		d.entity = rows[i].entity;
		OK(journal_decided(j, &d, why));
	}
#define DECISIONS(want, ...) do { \
		l = (struct list){ .n = 0 }; \
		OK(journal_decisions_each(j, __VA_ARGS__, collect_decision, &l, why)); \
		ck_assert_str_eq(l.text, want); \
	} while (0)
	DECISIONS("a x b c d", NULL, 0, 0);
	DECISIONS("a b c d", "contact", 0, 0);
	DECISIONS("b c d", "contact", 2000, 0);
	DECISIONS("c d", "contact", 0, 2);
	DECISIONS("", "contact", 5000, 0);
	l = (struct list){ .stop_after = 2 };
	OK(journal_decisions_each(j, NULL, 0, 0, collect_decision, &l, why));
	ck_assert_str_eq(l.text, "a x");
	OK(journal_expire(j, 2000, why));
	DECISIONS("b c d", NULL, 0, 0);
	journal_close(&j);
	j = open_ok();
	DECISIONS("b c d", NULL, 0, 0);
	journal_close(&j);
}
END_TEST

START_TEST(expiring_is_done_in_portions)
{
	struct journal *j = open_ok();
	char key[32];
	int64_t left = 5000;

	journal_begin(j);
	for (int i = 0; i < 5000; i++) {
		struct journal_decision d = decision(key, i);

		snprintf(key, sizeof key, "%d", i);
		OK(journal_decided(j, &d, why));
	}
	OK(journal_commit(j, why));
	while (left > 1000) {
		int64_t before = left;

		OK(journal_expire(j, 4000, why));
		left = journal_decision_count(j, "contact");
		ck_assert_int_lt(left, before);
		ck_assert_int_ge(left, before - 1000);
	}
	ck_assert_int_eq(left, 1000);
	journal_close(&j);
}
END_TEST

START_TEST(expired_values_are_gone_from_the_disk)
{
	struct journal *j = open_ok();
	struct journal_decision d = decision("ann", 1000);
	char *content;
	struct stat st;
	int fd;

	d.sides[0].value = "a-telling-value";
	OK(journal_decided(j, &d, why));
	OK(journal_expire(j, 2000, why));
	journal_close(&j);
	fd = open(file, O_RDONLY);
	ck_assert(fstat(fd, &st) == 0);
	content = xmalloc((size_t)st.st_size);
	ck_assert(read(fd, content, (size_t)st.st_size) == st.st_size);
	ck_assert_ptr_null(memmem(content, (size_t)st.st_size, "a-telling-value", 15));
	free(content);
	close(fd);
}
END_TEST

struct held_seen {
	int64_t sets, deletes, number, after;
	enum journal_held_state state;
	char keys[64];
};

static bool on_held_set(void *arg, const struct journal_held_set *set)
{
	struct held_seen *seen = arg;

	seen->sets++;
	seen->deletes += set->deletes;
	seen->number = set->number;
	seen->state = set->state;
	return true;
}

static struct held_seen held_sets(struct journal *j)
{
	struct held_seen seen = { 0 };

	OK(journal_held_sets_each(j, on_held_set, &seen, why));
	return seen;
}

static bool on_held(void *arg, const struct journal_held *h)
{
	struct held_seen *seen = arg;

	strncat(seen->keys, h->key, sizeof seen->keys - strlen(seen->keys) - 1);
	seen->after = h->id;
	return true;
}

static bool hold(struct journal *j, int64_t set, const char *rid)
{
	struct journal_held h = { .set = set, .entity = "contact", .endpoint = "sales", .rid = rid, .key = rid, .time_us = 5 };
	bool fresh = false;

	OK(journal_hold(j, &h, &fresh, why));
	return fresh;
}

START_TEST(held_deletes_stay_until_they_end)
{
	struct journal *j = open_ok();
	int64_t set = journal_held_set_new(j, "contact", "sales", NULL), n;
	struct held_seen seen = { 0 };

	ck_assert_int_gt(set, 0);
	ck_assert(hold(j, set, "aa"));
	ck_assert(hold(j, set, "bb"));
	ck_assert(!hold(j, journal_held_set_new(j, "contact", "sales", NULL), "aa"));	/* it stays in its set */
	journal_close(&j);
	j = open_ok();
	ck_assert_int_eq(journal_held_state(j, "contact", "sales", "aa"), HELD_WAITS);
	ck_assert_int_eq(journal_held_state(j, "contact", "support", "aa"), HELD_NOT);
	OK(journal_held_move(j, "contact", "bb", "cc", why));
	ck_assert_int_eq(journal_held_state(j, "contact", "sales", "bb"), HELD_NOT);
	OK(journal_held_each(j, set, 0, 1, on_held, &seen, why));
	OK(journal_held_each(j, set, seen.after, 10, on_held, &seen, why));
	ck_assert_str_eq(seen.keys, "aabb");	/* in pages; the key is what it was */
	OK(journal_held_end(j, "contact", "sales", "aa", &n, why));
	ck_assert_int_eq(n, 1);
	OK(journal_held_end(j, "contact", "sales", "aa", &n, why));
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(held_sets(j).deletes, 1);
	ck_assert_int_eq(held_sets(j).number, set);
	OK(journal_held_end(j, "contact", "sales", NULL, &n, why));
	ck_assert_int_eq(held_sets(j).sets, 0);
	ck_assert_int_gt(journal_held_set_new(j, "contact", "sales", NULL), set);	/* a name is never given twice */
	journal_close(&j);
}
END_TEST

START_TEST(an_order_about_held_deletes_stays)
{
	struct journal *j = open_ok();
	struct journal_held_set set = { .entity = "contact", .endpoint = "sales", .state = HELD_RELEASED };
	struct err e = { 0 };

	set.number = journal_held_set_new(j, "contact", "sales", NULL);
	hold(j, set.number, "aa");
	OK(journal_held_order(j, &set, why));
	journal_close(&j);
	j = open_ok();
	ck_assert_int_eq(journal_held_state(j, "contact", "sales", "aa"), HELD_RELEASED);
	ck_assert_int_eq(held_sets(j).state, HELD_RELEASED);
	set.endpoint = "support";
	ck_assert(!journal_held_order(j, &set, &e));
	ck_assert_str_eq(e.code, "no-such-set");
	journal_close(&j);
}
END_TEST

/* ---- what waits for a person */

static const char *wait_side[] = { "sales", "support" };

static bool lets_wait(struct journal *j, const char *rid, uint64_t mark, const char *value)
{
	struct journal_waiting w = { .entity = "contact", .rid = rid, .key = "ann", .field = "phone", .since_us = 5, .mark = mark,
		.base_digest = "0000ab", .n_sides = 2 };
	bool fresh;

	for (size_t i = 0; i < 2; i++)
		w.sides[i] = (struct journal_side){ .endpoint = wait_side[i], .value = i == 0 ? value : NULL, .stamp_us = 10 + (int64_t)i,
						    .digest = "12", .competed = i == 0 };
	ck_assert(journal_wait(j, &w, &fresh, NULL));
	return fresh;
}

struct seen_waiting {
	struct journal_waiting last;
	char key[32], value[32], chosen[32];
	size_t n;
};

static bool see_waiting(void *arg, const struct journal_waiting *w)
{
	struct seen_waiting *seen = arg;

	seen->last = *w;
	seen->n++;
	snprintf(seen->key, sizeof seen->key, "%s", w->key);
	snprintf(seen->value, sizeof seen->value, "%s", w->sides[0].value != NULL ? w->sides[0].value : "(null)");
	snprintf(seen->chosen, sizeof seen->chosen, "%s", w->chosen != NULL ? w->chosen : "NULL");
	return true;
}

static struct seen_waiting waiting_of(struct journal *j, const char *rid)
{
	struct seen_waiting seen = { 0 };

	ck_assert(journal_waiting_each(j, "contact", rid, NULL, 0, 0, see_waiting, &seen, NULL));
	return seen;
}

/* Sales is away: what it shows is known by the end of its digest only. */
static bool lets_wait_unseen(struct journal *j, const char *value)
{
	struct journal_waiting w = { .entity = "contact", .rid = "aa", .key = "ann", .field = "phone", .mark = 1, .base_digest = "", .n_sides = 1 };
	bool fresh;

	w.sides[0] = (struct journal_side){ .endpoint = "sales", .value = value, .competed = true,
					    .digest = value != NULL ? "a1b2c3d4e5f60718" : "0000000000f60718" };
	ck_assert(journal_wait(j, &w, &fresh, NULL));
	return fresh;
}

START_TEST(a_value_that_was_not_at_hand_comes_to_the_line_when_it_is)
{
	struct journal *j = open_ok();
	struct seen_waiting seen;

	ck_assert(lets_wait_unseen(j, NULL));
	seen = waiting_of(j, "aa");
	ck_assert_str_eq(seen.value, "(null)");
	ck_assert(journal_verdict(j, seen.last.id, VERDICT_SIDE, "sales", NULL));
	ck_assert_msg(!lets_wait_unseen(j, "x"), "it is the same line");
	seen = waiting_of(j, "aa");
	ck_assert_str_eq(seen.value, "x");
	ck_assert_msg(seen.last.verdict == VERDICT_SIDE, "and what was decided about it holds");
	lets_wait_unseen(j, NULL);
	ck_assert_msg(strcmp(waiting_of(j, "aa").value, "x") == 0, "it is not forgotten");
	journal_close(&j);
}
END_TEST

START_TEST(what_waits_is_kept_until_it_ends)
{
	struct journal *j = open_ok();
	struct seen_waiting seen;

	ck_assert(lets_wait(j, "aa", 1, "x"));
	ck_assert(!lets_wait(j, "aa", 1, "not looked at"));
	ck_assert(lets_wait(j, "bb", UINT64_MAX, "y"));
	ck_assert_int_eq(journal_waiting_count(j, "contact", false), 2);
	journal_close(&j);
	j = open_ok();
	seen = waiting_of(j, "aa");
	ck_assert_uint_eq(seen.n, 1);
	ck_assert_str_eq(seen.value, "x");
	ck_assert_uint_eq(seen.last.n_sides, 2);
	ck_assert(seen.last.sides[0].competed && !seen.last.sides[1].competed && seen.last.sides[1].value == NULL);
	ck_assert_uint_eq(waiting_of(j, "bb").last.mark, UINT64_MAX);
	ck_assert(journal_wait_end(j, seen.last.id, NULL));
	ck_assert_uint_eq(waiting_of(j, NULL).n, 1);
	ck_assert(journal_wait_forget(j, "contact", "support", NULL));
	ck_assert_msg(waiting_of(j, NULL).n == 1, "it does not compete");
	ck_assert(journal_wait_forget(j, "contact", "sales", NULL));
	ck_assert_int_eq(journal_waiting_count(j, "contact", false), 0);
	ck_assert(lets_wait(j, "cc", 1, "z"));
	ck_assert(journal_wait_forget(j, "contact", NULL, NULL));
	ck_assert_int_eq(journal_waiting_count(j, "contact", false), 0);
	journal_close(&j);
}
END_TEST

/* The round that gives the record another key may never end: it has its old one then, and a person's word about it must still be there. */
START_TEST(what_waits_does_so_under_both_keys_until_the_old_one_ends)
{
	struct journal *j = open_ok();
	struct seen_waiting old, new;

	ck_assert(lets_wait(j, "aa", 7, "x"));
	ck_assert(lets_wait(j, "bb", 8, "of a record that is not there any more"));
	ck_assert(journal_verdict(j, waiting_of(j, "aa").last.id, VERDICT_SIDE, "sales", NULL));
	for (size_t again = 0; again < 2; again++) {
		ck_assert(journal_wait_copy(j, "contact", "aa", "bb", "bob", NULL));
		old = waiting_of(j, "aa");
		new = waiting_of(j, "bb");
		ck_assert_uint_eq(waiting_of(j, NULL).n, 2);
		ck_assert_str_eq(old.key, "ann");
		ck_assert_str_eq(new.key, "bob");
		ck_assert(old.last.verdict == VERDICT_SIDE && new.last.verdict == VERDICT_SIDE);
		ck_assert_str_eq(new.chosen, "sales");
		ck_assert_str_eq(new.value, "x");
		ck_assert(new.last.mark == 7 && new.last.since_us == 5 && new.last.n_sides == 2);
	}
	ck_assert(journal_wait_end(j, old.last.id, NULL));
	ck_assert_uint_eq(waiting_of(j, "aa").n, 0);
	ck_assert_uint_eq(waiting_of(j, "bb").last.n_sides, 2);
	journal_close(&j);
}
END_TEST

START_TEST(a_verdict_is_about_what_waited_when_it_was_made)
{
	struct journal *j = open_ok();
	struct seen_waiting seen;
	struct err e = { 0 };

	lets_wait(j, "aa", 1, "x");
	seen = waiting_of(j, "aa");
	ck_assert_int_eq(seen.last.verdict, VERDICT_NONE);
	ck_assert(journal_verdict(j, seen.last.id, VERDICT_SIDE, "support", NULL));
	ck_assert(!lets_wait(j, "aa", 1, "x"));
	seen = waiting_of(j, "aa");
	ck_assert_int_eq(seen.last.verdict, VERDICT_SIDE);
	ck_assert_str_eq(seen.chosen, "support");
	ck_assert_int_eq(journal_waiting_count(j, "contact", true), 1);
	ck_assert(journal_verdict(j, seen.last.id, VERDICT_VALUE, NULL, NULL));
	ck_assert_str_eq(waiting_of(j, "aa").chosen, "NULL");
	ck_assert(lets_wait(j, "aa", 2, "z"));
	seen = waiting_of(j, "aa");
	ck_assert_int_eq(seen.last.verdict, VERDICT_NONE);
	ck_assert_str_eq(seen.value, "z");
	ck_assert_int_eq(seen.last.since_us, 5);
	ck_assert(!journal_verdict(j, 99, VERDICT_SIDE, "sales", &e));
	ck_assert_str_eq(e.code, "no-such-conflict");
	journal_close(&j);
}
END_TEST

/* ---- how long what was in which state ----------------------------------------------------------------------- */

struct spents {
	struct journal_spent rows[8];
	char subjects[8][16];
	size_t n;
};

static bool collect_spent(void *arg, const struct journal_spent *row)
{
	struct spents *s = arg;

	snprintf(s->subjects[s->n], sizeof s->subjects[0], "%s", row->subject);
	s->rows[s->n] = *row;
	s->rows[s->n].subject = s->subjects[s->n];
	s->n++;
	return true;
}

static const struct journal_spent *spent_of(struct spents *s, const char *subject, int ring, int64_t start)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->rows[i].subject, subject) == 0 && s->rows[i].ring == ring && s->rows[i].start_us == start)
			return &s->rows[i];
	return NULL;
}

START_TEST(spent_time_is_renewed_by_name_and_old_stretches_go)
{
	static const int64_t nothing[JOURNAL_RINGS] = { 0, 0, 0 }, old[JOURNAL_RINGS] = { 500, 300, 200 };
	struct journal_clocks clocks = { 1, 2, 3 }, back = { 0 };
	struct journal_spent first[] = {
		{ "a", -1, 100, { 1, 2, 3, 4, 5, 6 } }, { "a", 0, 400, { 0, 7 } }, { "a", 1, 400, { 0, 8 } }, { "b", -1, 150, { 9 } },
	};
	struct journal_spent then[] = { { "a", -1, 100, { 1, 300, 3, 4, 5, 6 } }, { "a", 0, 600, { 0, 11 } } };
	struct journal *j = open_ok();
	struct spents all = { 0 };

	ck_assert(!journal_clocks(j, &back));
	OK(journal_spent_keep(j, &clocks, first, 4, nothing, why));
	clocks.axis_us = 10;
	OK(journal_spent_keep(j, &clocks, then, 2, old, why));
	journal_close(&j);
	j = open_ok();
	ck_assert(journal_clocks(j, &back));
	ck_assert(back.axis_us == 10 && back.boot_us == 2 && back.wall_us == 3);
	OK(journal_spent_each(j, collect_spent, &all, why));
	ck_assert_uint_eq(all.n, 3);		/* b ended at 159, and the first stretch began before 500 */
	ck_assert_int_eq(spent_of(&all, "a", -1, 100)->us[1], 300);
	ck_assert_int_eq(spent_of(&all, "a", -1, 100)->us[5], 6);
	ck_assert_int_eq(spent_of(&all, "a", 0, 600)->us[1], 11);
	ck_assert_int_eq(spent_of(&all, "a", 1, 400)->us[1], 8);
	journal_close(&j);
}
END_TEST

/* It is not waited for until the disk has it; what is waited for afterwards is, as ever. */
START_TEST(spent_time_that_cannot_be_kept_leaves_the_journal_as_it_was)
{
	static const int64_t nothing[JOURNAL_RINGS] = { 0, 0, 0 };
	struct journal_spent row = { "a", -1, 100, { 1 } };
	struct journal_clocks clocks = { 1, 2, 3 };
	struct journal_parked p = parked("aa", "");
	struct journal *j = open_ok();
	struct spents all = { 0 };
	struct err e = { 0 };
	sqlite3 *other;

	ck_assert_int_eq(sqlite3_open(file, &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert(!journal_spent_keep(j, &clocks, &row, 1, nothing, &e));
	ck_assert_str_eq(e.code, "SQLITE_BUSY");
	ck_assert_ptr_null(journal_trouble(j));		/* nothing that is applied needs it */
	sqlite3_close(other);
	OK(journal_park(j, &p, why));
	OK(journal_spent_each(j, collect_spent, &all, why));
	ck_assert_uint_eq(all.n, 0);
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 1);
	journal_close(&j);
}
END_TEST

/* As the first version made it. */
START_TEST(a_journal_of_the_first_version_is_brought_up)
{
	struct journal *j = open_ok();
	struct journal_decision d = decision("ann", 1000);
	sqlite3 *db;

	OK(journal_decided(j, &d, why));
	journal_close(&j);
	ck_assert_int_eq(sqlite3_open(file, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "DROP TABLE held; DROP TABLE held_set; DROP INDEX decision_key; DROP INDEX decision_rid; DROP INDEX side_owed; ALTER TABLE decision DROP base; ALTER TABLE decision DROP rid;"
				      "DROP TABLE undo_item; DROP TABLE image_failed; DROP TABLE image_batch; DROP TABLE image_run; DROP TABLE waiting_side; DROP TABLE waiting; DROP TABLE spent; DROP TABLE clocks; ALTER TABLE parked DROP discarded; ALTER TABLE parked DROP stamp_us; ALTER TABLE side DROP competed; ALTER TABLE side DROP written; PRAGMA user_version = 1",
				      NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	j = open_ok();
	ck_assert_int_eq(journal_decision_count(j, "contact"), 1);
	ck_assert(hold(j, journal_held_set_new(j, "contact", "sales", NULL), "aa"));
	journal_close(&j);
}
END_TEST

/* ---- copies ------------------------------------------------------------------------------------------------- */

static void park_some(struct journal *j, int from, int to)
{
	journal_begin(j);
	for (int i = from; i < to; i++) {
		char rid[24];
		struct journal_parked p = parked(rid, "1");

		snprintf(rid, sizeof rid, "%020d", i);
		OK(journal_park(j, &p, why));
	}
	OK(journal_commit(j, why));
}

/* All of the copy goes into the other directory. */
static void install_copy(struct journal_copy *c, const char *to, const char *topology, char *aside, size_t size)
{
	static char piece[JOURNAL_COPY_PIECE];
	struct err e = { 0 };
	struct journal_install *in = journal_install_new(to, &e);
	bool over = false;
	size_t n;

	ck_assert_msg(in != NULL, "%s", e.text);
	while (!over) {
		OK(journal_copy_step(c, piece, &n, &over, why));
		OK(journal_install_add(in, piece, n, why));
	}
	OK(journal_install_finish(in, topology, aside, size, why));
	journal_install_free(&in);
}

static void holds(const char *where, const char *topology, int64_t parked)
{
	struct err e = { 0 };
	struct journal *j = journal_open(where, topology, &e);

	ck_assert_msg(j != NULL, "%s", e.text);
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), parked);
	journal_close(&j);
}

START_TEST(a_copy_is_of_one_moment_although_it_is_written_to)
{
	struct journal *j = open_ok();
	struct journal_copy *c;
	struct err e = { 0 };
	char aside[200], other[160];

	snprintf(other, sizeof other, "%s/other", base);
	park_some(j, 0, 2000);		/* more pages than a step takes */
	c = journal_copy_new(j, &e);
	ck_assert_msg(c != NULL, "%s", e.text);
	park_some(j, 1000, 3000);
	install_copy(c, other, "acme", aside, sizeof aside);
	journal_copy_free(&c);
	ck_assert_str_eq(aside, "");
	ck_assert_int_eq(journal_parked_count(j, "contact", NULL), 3000);
	journal_close(&j);
	holds(other, "acme", 2000);
	snprintf(other, sizeof other, "%s.copy", file);
	ck_assert_int_ne(access(other, F_OK), 0);
}
END_TEST

START_TEST(what_is_put_in_place_moves_aside_what_was_there)
{
	struct journal *j = open_ok();
	struct journal_install *in;
	struct journal_copy *c;
	struct err e = { 0 };
	struct stat st;
	char aside[200], other[160];

	snprintf(other, sizeof other, "%s/other", base);
	park_some(j, 0, 5);
	c = journal_copy_new(j, &e);
	install_copy(c, other, "another", aside, sizeof aside);
	journal_copy_free(&c);
	c = journal_copy_new(j, &e);
	park_some(j, 5, 7);
	install_copy(c, other, "acme", aside, sizeof aside);
	journal_copy_free(&c);
	journal_close(&j);
	ck_assert_int_eq(stat(aside, &st), 0);
	in = journal_install_new(other, &e);	/* not finished: nothing has happened */
	OK(journal_install_add(in, "junk", 4, why));
	journal_install_free(&in);
	holds(other, "acme", 5);
	/* The one from before is whole, too, and was given to the topology for which it had been put there. */
	snprintf(file, sizeof file, "%.100s/journal.db", other);
	ck_assert_int_eq(rename(aside, file), 0);
	holds(other, "another", 5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("journal");
	TCase *files = tcase_create("files"), *records = tcase_create("records");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(files, setup, teardown);
	tcase_set_timeout(files, 60);
	tcase_add_test(files, files_are_the_daemons_alone);
	tcase_add_test(files, a_link_in_the_place_of_the_file_is_refused);
	tcase_add_test(files, a_journal_in_the_place_of_another_is_another);
	tcase_add_test(files, memory_needs_no_directory);
	tcase_add_test(files, a_missing_parent_is_said);
	tcase_add_test(files, a_directory_that_is_read_only_is_said);
	tcase_add_test(files, a_file_that_became_read_only_is_said);
	tcase_add_test(files, a_file_that_is_no_database_is_left_alone);
	tcase_add_test(files, somebody_elses_database_is_left_alone);
	tcase_add_test(files, a_newer_journal_is_not_touched);
	tcase_add_test(files, a_journal_belongs_to_one_topology);
	tcase_add_test(files, a_damaged_journal_is_said);
	tcase_add_test(files, a_file_that_is_held_is_tried_again_later);
	tcase_add_test(files, a_full_disk_keeps_what_was_and_recovers);
	tcase_add_loop_test(files, what_was_committed_survives_kill_9, 0, 5);
	tcase_add_test(files, a_copy_is_of_one_moment_although_it_is_written_to);
	tcase_add_test(files, what_is_put_in_place_moves_aside_what_was_there);
	tcase_add_checked_fixture(records, setup, teardown);
	tcase_set_timeout(records, 60);
	tcase_add_test(records, parking_again_renews);
	tcase_add_test(records, a_record_is_known_by_rid_or_else_by_local_id);
	tcase_add_test(records, lists_are_filtered_and_paged);
	tcase_add_test(records, a_list_may_be_changed_while_it_is_read);
	tcase_add_test(records, numbers_are_never_given_twice);
	tcase_add_test(records, what_is_discarded_stays_so_while_nothing_changes);
	tcase_add_test(records, a_group_that_is_not_committed_is_not_there);
	tcase_add_test(records, a_decision_comes_back_as_it_was);
	tcase_add_test(records, a_decision_may_have_no_side_or_all);
	tcase_add_test(records, the_same_decision_is_kept_once);
	tcase_add_test(records, what_lost_unseen_comes_in_when_it_is_seen);
	tcase_add_test(records, what_is_owed_is_written_once_it_is);
	tcase_add_test(records, what_another_process_has_written_is_noticed_and_counted);
	tcase_add_test(records, what_is_owed_no_more_was_not_written_but_for_what_was);
	tcase_add_test(records, what_is_decided_otherwise_is_owed_to_nobody_any_more);
	tcase_add_test(records, what_is_owed_goes_along_with_the_record);
	tcase_add_test(records, what_is_owed_is_forgotten_by_entity_and_endpoint);
	tcase_add_test(records, what_was_owed_before_version_8_is_not_told_any_more);
	tcase_add_test(records, decisions_are_listed_by_time_the_newest_when_limited);
	tcase_add_test(records, expiring_is_done_in_portions);
	tcase_add_test(records, expired_values_are_gone_from_the_disk);
	tcase_add_test(records, held_deletes_stay_until_they_end);
	tcase_add_test(records, an_order_about_held_deletes_stays);
	tcase_add_test(records, a_value_that_was_not_at_hand_comes_to_the_line_when_it_is);
	tcase_add_test(records, what_waits_is_kept_until_it_ends);
	tcase_add_test(records, what_waits_does_so_under_both_keys_until_the_old_one_ends);
	tcase_add_test(records, a_verdict_is_about_what_waited_when_it_was_made);
	tcase_add_test(records, spent_time_is_renewed_by_name_and_old_stretches_go);
	tcase_add_test(records, spent_time_that_cannot_be_kept_leaves_the_journal_as_it_was);
	tcase_add_test(files, a_journal_of_the_first_version_is_brought_up);
	suite_add_tcase(s, files);
	suite_add_tcase(s, records);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);	/* nothing here hangs; a process for each test costs more than the tests */
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
