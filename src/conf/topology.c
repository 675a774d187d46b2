#include "conf/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "conf/problem.h"
#include "conf/read.h"

/* A topology and the memory of everything in it. */
struct owned {
	struct topology t;	/* first: the pointer handed out is the pointer given back */
	struct arena arena;
};

void topology_free(struct topology **t)
{
	struct owned *o = (struct owned *)*t;

	*t = NULL;
	if (o == NULL)
		return;
	if (o->t.state.password != NULL)
		explicit_bzero(o->t.state.password, strlen(o->t.state.password));
	for (size_t i = 0; i < o->t.n_endpoints; i++)
		if (o->t.endpoints[i].connection != NULL)
			explicit_bzero(o->t.endpoints[i].connection, strlen(o->t.endpoints[i].connection));
	arena_fini(&o->arena);
	free(o);
}

/* Absolute where possible: the printed topology shall load from anywhere. */
static const char *directory_of(struct arena *arena, const char *file)
{
	const char *slash = strrchr(file, '/');
	char *dir = slash == NULL ? arena_dup(arena, ".", 1) : slash == file ? arena_dup(arena, "/", 1) :
		    arena_dup(arena, file, (size_t)(slash - file)), *whole = realpath(dir, NULL);

	if (whole != NULL)
		dir = arena_dup(arena, whole, strlen(whole));
	free(whole);
	return strcmp(dir, "/") == 0 ? "" : dir;
}

static struct topology *parse(const char *file, const char *text, size_t len, bool files, conf_connection_fn *understands,
			      struct conf_problems *problems)
{
	struct owned *o = xcalloc(1, sizeof *o);
	struct topology *t = &o->t;
	struct arena nodes;
	struct node *root = NULL;
	struct reader r = { .arena = &o->arena, .problems = problems, .t = t, .files = files, .understands = understands };

	arena_init(&o->arena);
	arena_init(&nodes);
	t->file = arena_dup(&o->arena, file, strlen(file));
	r.directory = directory_of(&o->arena, file);
	if (tree_parse(&nodes, text, len, problems, &root) && is_map(&r, root, "a topology: a map that begins with version: 1")) {
		read_section(&r, "", root, t);
		topology_check(&r, root);
	}
	arena_fini(&nodes);
	problems_sort(problems);
	if (problems->n > 0)
		topology_free(&t);
	return t;
}

struct topology *topology_parse(const char *file, const char *text, size_t len, conf_connection_fn *understands,
				struct conf_problems *problems)
{
	*problems = (struct conf_problems){ 0 };
	return parse(file, text, len, false, understands, problems);
}

/* Reads one byte more than may be there: enough to know that it is too much. */
static bool read_file(const char *file, struct buf *text, mode_t *mode)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY), saved;
	struct stat st = { 0 };
	ssize_t n = fd < 0 || fstat(fd, &st) < 0 ? -1 : 1;

	while (n > 0 && text->len <= TREE_BYTES_MAX) {
		n = read(fd, buf_room(text, 65536), 65536);
		if (n > 0)
			text->len += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	*mode = st.st_mode & 07777;
	return n >= 0;
}

static bool holds_password(const struct topology *t)
{
	struct buf shown = { 0 };
	bool found = t->state.password != NULL;

	for (size_t i = 0; !found && i < t->n_endpoints; i++) {
		buf_clear(&shown);
		conf_redact(&shown, t->endpoints[i].connection);
		found = strcmp(shown.p, t->endpoints[i].connection) != 0;
	}
	buf_fini(&shown);
	return found;
}

static void check_mode(const struct topology *t, mode_t mode, struct conf_problems *problems)
{
	if ((mode & 07) != 0 && holds_password(t))
		problem_add(problems, 0, 0, "", "holds a password, and others have rights on it (mode %04o): chmod o= takes them, or the password "
			    "goes into a password_file", (unsigned)mode);
}

/* The password stands beside the address from here on, wherever it came from. */
static void read_state_password(struct topology *t, struct conf_problems *problems)
{
	struct owned *o = (struct owned *)t;
	char why[200], *secret;

	if (t->state.password_file == NULL)
		return;
	secret = conf_read_secret(t->state.password_file, why, sizeof why);
	if (secret == NULL)
		problem_add(problems, 0, 0, "state.password_file", "%s", why);
	else
		t->state.password = arena_dup(&o->arena, secret, strlen(secret));
	conf_secret_free(&secret);
}

static void read_failed(struct conf_problems *problems)
{
	problem_add(problems, 0, 0, "", "cannot be read: %s%s", strerror(errno),
		    errno == ENOENT ? "; -c names another one, and crmsyncd.yaml.sample is one to begin with" : "");
}

struct topology *topology_load(const char *file, conf_connection_fn *understands, struct conf_problems *problems)
{
	struct topology *t = NULL;
	struct buf text = { 0 };
	mode_t mode;

	*problems = (struct conf_problems){ 0 };
	if (!read_file(file, &text, &mode)) {
		read_failed(problems);
	} else {
		t = parse(file, text.p != NULL ? text.p : "", text.len, true, understands, problems);
		if (t != NULL) {
			check_mode(t, mode, problems);
			read_state_password(t, problems);
		}
		if (problems->n > 0)
			topology_free(&t);
	}
	if (text.p != NULL)
		explicit_bzero(text.p, text.cap);	/* it may hold passwords */
	buf_fini(&text);
	return t;
}

static void read_control(const char *file, struct reader *r, struct arena *nodes)
{
	struct buf text = { 0 };
	struct node *root = NULL;
	mode_t mode;

	if (!read_file(file, &text, &mode))
		read_failed(r->problems);
	else if (tree_parse(nodes, text.p != NULL ? text.p : "", text.len, r->problems, &root) && is_map(r, root, "a topology: a map"))
		read_section(r, "control", node_get(root, "control"), r->t);
	if (text.p != NULL)
		explicit_bzero(text.p, text.cap);
	buf_fini(&text);
}

char *topology_control_socket(const char *file, struct conf_problems *problems)
{
	struct topology t = { 0 };
	struct arena arena;
	struct reader r = { .arena = &arena, .problems = problems, .t = &t };
	char *path = NULL;

	*problems = (struct conf_problems){ 0 };
	arena_init(&arena);
	if (file != NULL)
		read_control(file, &r, &arena);
	else
		read_section(&r, "control", NULL, &t);
	problems_sort(problems);
	if (problems->n == 0)
		path = xstrdup(t.control.socket);
	arena_fini(&arena);
	return path;
}

void topology_check_bound(const struct topology *was, const struct topology *is, struct conf_problems *problems)
{
	static const char words[] = "cannot change while running; restart for that";

	if (strcmp(is->name, was->name) != 0)
		problem_add(problems, is->name_at.line, is->name_at.column, "topology", words);
	if (strcmp(is->journal.directory, was->journal.directory) != 0)
		problem_add(problems, is->directory_at.line, is->directory_at.column, "journal.directory", words);
}

const char *mapping_zone(const struct mapping *m)
{
	return m->zone != NULL ? m->zone : m->endpoint->zone;
}

const struct mapping *topology_mapping(const struct topology *t, size_t entity, size_t endpoint)
{
	if (entity >= t->n_entities || endpoint >= t->n_endpoints)
		return NULL;
	return t->entities[entity].mapping[endpoint];
}
