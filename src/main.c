/*
 * main.c - crmsyncd's options.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/std_fds.h"
#include "conf/topology.h"
#include "config.h"
#include "daemon/daemon.h"
#include "daemon/restore.h"
#include "daemon/version.h"

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check-config", no_argument, NULL, 't' },
	{ "print-config", no_argument, NULL, 'P' },
	{ "print-schema", no_argument, NULL, 'S' },
	{ "once", no_argument, NULL, 'O' },
	{ "paused", no_argument, NULL, 'p' },
	{ "restore", required_argument, NULL, 'R' },
	{ "replace", no_argument, NULL, 'r' },
	{ "other-topology", no_argument, NULL, 'o' },
	{ "log-level", required_argument, NULL, 'L' },
	{ "log-format", required_argument, NULL, 'F' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char help[] =
	"crmsyncd - keeps several CRM databases in step\n"
	"\n"
	"usage: crmsyncd [options]\n"
	"\n"
	"  -c, --config FILE       topology [" SYSCONFDIR "/crmsyncd/crmsyncd.yaml]\n"
	"  -t, --check-config      check the file, print every problem; exit 0 or 78\n"
	"      --print-config      the effective topology with all defaults, secrets redacted\n"
	"      --print-schema      JSON Schema of the topology file\n"
	"      --once              reconcile until nothing is pending, then exit 0\n"
	"                          (1: something is parked, held back or waits for a decision;\n"
	"                          69: an endpoint stayed away)\n"
	"      --paused            connect, but let each entity rest until crmsyncctl resume\n"
	"      --restore FILE      put a backup back, then exit; what crmsyncctl restore does\n"
	"      --replace           with it: give up what Redis holds\n"
	"      --other-topology    with it: take a backup of another topology\n"
	"      --log-level LEVEL   error, warn, info (default) or debug\n"
	"      --log-format FORMAT text (default) or json\n"
	"  -V, --version           version, and the libraries it was built with and runs on\n"
	"  -h, --help              this text\n"
	"\n"
	"It stays in the foreground and logs to stderr. HUP reads the topology again, TERM stops.\n"
	"See crmsyncd(8), crmsyncd.yaml(5), crmsyncctl(1).\n";

struct choice {
	const char *file;
	bool check, print, schema, once, paused, json;
	struct restore_choice restore;	/* file NULL: nothing is restored */
	enum log_level level;
};

__attribute__((format(printf, 1, 2)))
static int usage(const char *fmt, ...)
{
	va_list ap;

	fputs("crmsyncd: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\nTry 'crmsyncd --help'.\n", stderr);
	return EXIT_USAGE;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct choice *c)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "c:tVh", options, NULL)) != -1)
		switch (opt) {
		case 'c': c->file = optarg; break;
		case 't': c->check = true; break;
		case 'P': c->print = true; break;
		case 'S': c->schema = true; break;
		case 'O': c->once = true; break;
		case 'p': c->paused = true; break;
		case 'R': c->restore.file = optarg; break;
		case 'r': c->restore.replace = true; break;
		case 'o': c->restore.other_topology = true; break;
		case 'L':
			if (!log_level_parse(optarg, &c->level))
				return usage("--log-level takes error, warn, info or debug, not '%s'", optarg);
			break;
		case 'F':
			if (strcmp(optarg, "json") != 0 && strcmp(optarg, "text") != 0)
				return usage("--log-format takes text or json, not '%s'", optarg);
			c->json = strcmp(optarg, "json") == 0;
			break;
		case 'V': version_print(stdout); return EXIT_FINE;
		case 'h': fputs(help, stdout); return EXIT_FINE;
		default:
			fputs("Try 'crmsyncd --help'.\n", stderr);
			return EXIT_USAGE;
		}
	if (optind < argc)
		return usage("unexpected argument '%s'", argv[optind]);
	if (c->once && c->paused)
		return usage("--once and --paused exclude each other");
	if (c->restore.file == NULL && (c->restore.replace || c->restore.other_topology))
		return usage("%s goes with --restore only", c->restore.replace ? "--replace" : "--other-topology");
	return -1;
}

/* Row values and passwords pass through our memory: they must not end in a core file, nor be read by a debugger. */
static void guard_memory(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

static int print_and_free(struct buf *b)
{
	size_t n = fwrite(b->p, 1, b->len, stdout);
	bool ok = n == b->len && fflush(stdout) == 0;

	buf_fini(b);
	return ok ? EXIT_FINE : EXIT_TROUBLE;
}

int main(int argc, char **argv)
{
	struct choice c = { .file = SYSCONFDIR "/crmsyncd/crmsyncd.yaml", .level = LOG_LEVEL_INFO };
	struct conf_problems problems = { 0 };
	struct topology *topology;
	struct buf out = { 0 };
	int code;

	std_fds_fill();
	code = parse(argc, argv, &c);
	if (code >= 0)
		return code;
	guard_memory();
	mem_keep_freed();
	log_setup(c.level, c.json);
	if (c.schema) {
		topology_print_schema(&out);
		return print_and_free(&out);
	}
	topology = daemon_topology(c.file, &problems);
	if (topology == NULL) {
		conf_problems_print(&problems, c.file, stderr);
		if (!c.check && !c.print)	/* whoever reads only what the log calls an error hears of it, too */
			log_error("cannot start: the topology is wrong", LOG_S("file", c.file), LOG_I("problems", problems.n));
		conf_problems_fini(&problems);
		return EXIT_CONFIGURATION;
	}
	conf_problems_fini(&problems);
	if (!c.check && !c.print && c.restore.file != NULL)
		return restore_run(topology, &c.restore);
	if (!c.check && !c.print)
		return daemon_run(topology, c.once, c.paused);
	if (c.print)
		topology_print(topology, &out);
	else
		buf_addf(&out, "%s: fine: topology %s, %zu endpoint%s, %zu entit%s\n", c.file, topology->name, topology->n_endpoints,
			 topology->n_endpoints == 1 ? "" : "s", topology->n_entities, topology->n_entities == 1 ? "y" : "ies");
	topology_free(&topology);
	return print_and_free(&out);
}
