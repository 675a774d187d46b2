#include "pg_server.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

struct pg_server {
	char *dir;		/* ours: data/, log, the socket */
	char *bin;		/* where initdb and postgres are */
	const struct passwd *user;	/* who runs it; NULL: ourselves */
	pid_t starter;		/* the process whose child the first server is */
};

static char *find_bin(void)
{
	const char *set = getenv("PG_BINDIR");
	glob_t g;
	char *bin = NULL;

	if (set != NULL)
		return xstrdup(set);
	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &g) == 0) {
		bin = xstrdup(g.gl_pathv[g.gl_pathc - 1]);
		*strrchr(bin, '/') = '\0';
	}
	globfree(&g);
	return bin;
}

static const struct passwd *find_user(void)
{
	const struct passwd *user;

	if (geteuid() != 0)
		return NULL;
	user = getpwnam("postgres");
	return user != NULL ? user : getpwnam("nobody");
}

bool pg_server_available(void)
{
	char *bin = find_bin();
	bool there = bin != NULL && (geteuid() != 0 || find_user() != NULL);

	free(bin);
	return there;
}

static void show_log(const struct pg_server *s)
{
	char *path = xasprintf("%s/log", s->dir);
	FILE *f = fopen(path, "r");
	char line[1024];

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		fprintf(stderr, "| %s", line);
	if (f != NULL)
		fclose(f);
	free(path);
}

static void __attribute__((format(printf, 2, 3), noreturn)) give_up(const struct pg_server *s, const char *fmt, ...)
{
	char why[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	show_log(s);
	ck_abort_msg("private PostgreSQL: %s", why);
	abort();
}

static void become(const struct passwd *user)
{
	if (user != NULL && (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
			     setuid(user->pw_uid) != 0))
		_exit(126);
}

/* Starts a program of the server's; its output goes to the log. */
static pid_t spawn(const struct pg_server *s, const char *const argv[], bool tied)
{
	char *path = xasprintf("%s/%s", s->bin, argv[0]), *log = xasprintf("%s/log", s->dir);
	pid_t pid = fork();

	if (pid == 0) {
		int fd;

		become(s->user);
		if (chdir(s->dir) != 0 || (fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600)) < 0)
			_exit(126);
		dup2(fd, 1);
		dup2(fd, 2);
		for (int other = 3; other < 256; other++)
			close(other);
		setsid();
		if (tied)
			prctl(PR_SET_PDEATHSIG, SIGQUIT);
		unsetenv("PGOPTIONS");
		execv(path, (char *const *)argv);
		_exit(127);
	}
	free(log);
	free(path);
	return pid;
}

static void run(const struct pg_server *s, const char *const argv[])
{
	pid_t pid = spawn(s, argv, false);
	int status;

	if (waitpid(pid, &status, 0) != pid || status != 0)
		give_up(s, "%s failed", argv[0]);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

static void remove_dir(const char *dir)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", dir, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static void append(const struct pg_server *s, const char *file, const char *mode, const char *text)
{
	char *path = xasprintf("%s/data/%s", s->dir, file);
	FILE *f = fopen(path, mode);

	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		give_up(s, "cannot write %s", file);
	free(path);
}

struct pg_server *pg_server_new(void)
{
	static const char conf[] =
		"listen_addresses = ''\nfsync = off\nfull_page_writes = off\nsynchronous_commit = off\n"
		"max_prepared_transactions = 5\nwal_level = logical\nmax_connections = 60\nshared_buffers = 16MB\n"
		"max_wal_senders = 4\nautovacuum_naptime = 10s\nlog_line_prefix = '%m %q%u@%d '\nunix_socket_permissions = 0777\n";
	static const char hba[] = "local all secret,secret_a,secret_b scram-sha-256\nlocal all all trust\n";
	const char *scratch = getenv("TMPDIR");
	struct pg_server *s = xcalloc(1, sizeof *s);

	s->bin = find_bin();
	s->user = find_user();
	s->dir = xasprintf("%s/crmsync-test-XXXXXX", scratch != NULL ? scratch : "/tmp");
	if (s->bin == NULL || mkdtemp(s->dir) == NULL)
		ck_abort_msg("private PostgreSQL: no server programs, or no temporary directory");
	if (s->user != NULL && chown(s->dir, s->user->pw_uid, s->user->pw_gid) != 0)
		give_up(s, "chown: %s", strerror(errno));
	if (chmod(s->dir, 0711) != 0)
		give_up(s, "chmod: %s", strerror(errno));
	run(s, (const char *[]){ "initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N", NULL });
	append(s, "postgresql.conf", "a", conf);
	append(s, "pg_hba.conf", "w", hba);
	pg_server_start(s);
	return s;
}

static PGconn *try_connect(const struct pg_server *s, const char *user, const char *dbname)
{
	char *conninfo = pg_server_conninfo(s, user, dbname);
	PGconn *c = PQconnectdb(conninfo);

	free(conninfo);
	return c;
}

static pid_t postmaster(const struct pg_server *s)
{
	char *path = xasprintf("%s/data/postmaster.pid", s->dir);
	FILE *f = fopen(path, "r");
	int pid = 0;

	free(path);
	if (f == NULL)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return (pid_t)pid;
}

void pg_server_start(struct pg_server *s)
{
	pid_t pid;

	/* Only the process that owns the server ties it to its life: a forked test that restarts it will end before it. */
	if (s->starter == 0)
		s->starter = getpid();
	pid = spawn(s, (const char *[]){ "postgres", "-D", "data", "-k", s->dir, NULL }, s->starter == getpid());
	for (int tries = 0; tries < 4000; tries++) {
		PGconn *c = try_connect(s, NULL, NULL);
		bool up = PQstatus(c) == CONNECTION_OK;

		PQfinish(c);
		if (up)
			return;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			give_up(s, "it ended while starting");
		nap();
	}
	give_up(s, "it does not answer");
}

void pg_server_stop(struct pg_server *s)
{
	pid_t pid = postmaster(s);

	if (pid == 0)
		return;
	kill(pid, SIGINT);
	for (int tries = 0; tries < 4000; tries++) {
		waitpid(pid, NULL, WNOHANG);	/* it may be our child */
		if (postmaster(s) == 0)
			return;
		if (tries == 2000)
			kill(pid, SIGQUIT);	/* a test may have left a backend that does not listen to anything */
		nap();
	}
	give_up(s, "it does not stop");
}

/*
 * The session that questions are asked in. A test asks some hundred, and a connection costs the server far more than an answer.
 * A forked test that finds its parent's leaves it alone: it is not the one who may speak there.
 */
static struct {
	const struct pg_server *server;
	char *dbname;
	PGconn *c;
	pid_t owner;
} asking;

static void asking_end(void)
{
	if (asking.owner == getpid())
		PQfinish(asking.c);
	free(asking.dbname);
	memset(&asking, 0, sizeof asking);
}

void pg_server_free(struct pg_server **sp)
{
	struct pg_server *s = *sp;

	if (s == NULL)
		return;
	if (asking.server == s)
		asking_end();
	pg_server_stop(s);
	remove_dir(s->dir);
	free(s->dir);
	free(s->bin);
	free(s);
	*sp = NULL;
}

const char *pg_server_socket_dir(const struct pg_server *s)
{
	return s->dir;
}

char *pg_server_conninfo(const struct pg_server *s, const char *user, const char *dbname)
{
	return xasprintf("host=%s port=5432 user=%s dbname=%s", s->dir, user != NULL ? user : "postgres",
			 dbname != NULL ? dbname : "postgres");
}

static PGconn *must_connect(const struct pg_server *s, const char *user, const char *dbname)
{
	PGconn *c = try_connect(s, user, dbname);

	if (PQstatus(c) != CONNECTION_OK)
		give_up(s, "%s", PQerrorMessage(c));
	return c;
}

bool pg_server_try(const struct pg_server *s, const char *user, const char *dbname, const char *sql, char **why)
{
	PGconn *c = must_connect(s, user, dbname);
	PGresult *res = PQexec(c, sql);
	ExecStatusType status = PQresultStatus(res);
	bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;

	if (why != NULL)
		*why = ok ? NULL : xstrdup(PQresultErrorMessage(res));
	PQclear(res);
	PQfinish(c);
	return ok;
}

void pg_server_sql(const struct pg_server *s, const char *dbname, const char *sql)
{
	char *why;

	if (!pg_server_try(s, NULL, dbname, sql, &why))
		give_up(s, "%s: %s", sql, why);
}

static PGconn *asking_in(const struct pg_server *s, const char *dbname)
{
	if (asking.owner == getpid() && asking.server == s && strcmp(asking.dbname, dbname) == 0 && PQstatus(asking.c) == CONNECTION_OK)
		return asking.c;
	asking_end();
	asking.server = s;
	asking.dbname = xstrdup(dbname);
	asking.c = must_connect(s, NULL, dbname);
	asking.owner = getpid();
	return asking.c;
}

char *pg_server_value(const struct pg_server *s, const char *dbname, const char *sql)
{
	PGconn *c = asking_in(s, dbname != NULL ? dbname : "postgres");
	PGresult *res = PQexec(c, sql);
	char *v;

	/* The server was stopped in between, or the database is another one of that name. */
	if (PQstatus(c) != CONNECTION_OK) {
		PQclear(res);
		c = asking_in(s, dbname != NULL ? dbname : "postgres");
		res = PQexec(c, sql);
	}
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		give_up(s, "%s: %s", sql, PQresultErrorMessage(res));
	if (PQntuples(res) == 0)
		v = xstrdup("");
	else
		v = xstrdup(PQgetisnull(res, 0, 0) ? "(null)" : PQgetvalue(res, 0, 0));
	PQclear(res);
	return v;
}

bool pg_server_psql(const struct pg_server *s, const char *user, const char *dbname, const char *text)
{
	char *conninfo = pg_server_conninfo(s, user, dbname), *psql = xasprintf("%s/psql", s->bin);
	int ends[2], status;
	size_t len = strlen(text);
	pid_t pid;

	signal(SIGPIPE, SIG_IGN);	/* psql may stop reading at an error */
	if (pipe(ends) != 0 || (pid = fork()) < 0)
		give_up(s, "psql: %s", strerror(errno));
	if (pid == 0) {
		dup2(ends[0], 0);
		close(ends[0]);
		close(ends[1]);
		execl(psql, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", conninfo, (char *)NULL);
		_exit(127);
	}
	close(ends[0]);
	while (len > 0) {
		ssize_t n = write(ends[1], text, len);

		if (n <= 0)
			break;
		text += n;
		len -= (size_t)n;
	}
	close(ends[1]);
	free(psql);
	free(conninfo);
	return waitpid(pid, &status, 0) == pid && status == 0;
}
