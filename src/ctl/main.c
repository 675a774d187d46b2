#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/std_fds.h"
#include "base/text.h"
#include "conf/topology.h"
#include "config.h"
#include "ctl/ctl.h"

volatile sig_atomic_t ctl_interrupted;

/* Upper part: options of the program, which every command takes. Lower part: of some commands; ctl_command.options names them. */
const struct option ctl_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "config", required_argument, NULL, 'c' },
	{ "json", no_argument, NULL, 'j' },
	{ "timeout", required_argument, NULL, 't' },
	{ "no-color", no_argument, NULL, 'n' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "watch", no_argument, NULL, 'w' },
	{ "print", no_argument, NULL, 'p' },
	{ "sweep", no_argument, NULL, 'S' },
	{ "entity", required_argument, NULL, 'e' },
	{ "endpoint", required_argument, NULL, 'E' },
	{ "since", required_argument, NULL, 'i' },
	{ "key", required_argument, NULL, 'k' },
	{ "waiting", no_argument, NULL, 'W' },
	{ "value", required_argument, NULL, 'v' },
	{ "null", no_argument, NULL, '0' },
	{ "run", required_argument, NULL, 'r' },
	{ "runs", no_argument, NULL, 'R' },
	{ "until", required_argument, NULL, 'u' },
	{ "source", required_argument, NULL, 'o' },
	{ "rule", required_argument, NULL, 'l' },
	{ "dry-run", no_argument, NULL, 'd' },
	{ "from", required_argument, NULL, 'F' },
	{ "to", required_argument, NULL, 'D' },
	{ "strategy", required_argument, NULL, 'y' },
	{ "onto", required_argument, NULL, 'O' },
	{ "jobs", required_argument, NULL, 'J' },
	{ "rate", required_argument, NULL, 'a' },
	{ "max-load", required_argument, NULL, 'm' },
	{ "max-lag", required_argument, NULL, 'g' },
	{ "replace", no_argument, NULL, 'x' },
	{ "other-topology", no_argument, NULL, 'T' },
	{ "html", required_argument, NULL, 'H' },
	{ "depth", required_argument, NULL, 'L' },
	{ NULL },
};

static char said[1000];		/* the last complaint: with --json it becomes an object, too */

void complain(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("crmsyncctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	va_start(ap, fmt);
	vsnprintf(said, sizeof said, fmt, ap);
	va_end(ap);
}

/* ---- help -------------------------------------------------------------------------------------------- */

static void help_options(void)
{
	puts("Options:\n"
	     "  -s, --socket SOCKET     the daemon's control socket\n"
	     "  -c, --config FILE       the topology file that names it\n"
	     "      --json              one JSON object, or one a line, each with \"schema\": 1\n"
	     "      --timeout DURATION  how long to wait for an answer: 500ms, 30s, 10m\n"
	     "      --no-color\n"
	     "  -h, --help, -V, --version");
}

enum { NAME_WIDTH = 18, HELP_WIDTH = 80 };

/* Its name, and the first sentence of its help beside it. */
static void help_line(const struct ctl_command *c)
{
	const char *end = strstr(c->help, ". ");
	char *sentence = xstrndup(c->help, end != NULL ? (size_t)(end - c->help) : strlen(c->help) - 1);
	struct buf words = { 0 };

	wrap_add(&words, sentence, NAME_WIDTH, HELP_WIDTH);
	printf("  %-*s%s", NAME_WIDTH - 2, c->name, words.p + NAME_WIDTH);
	buf_fini(&words);
	free(sentence);
}

static void help(void)
{
	puts("Usage: crmsyncctl [OPTION]... COMMAND [ARGUMENT]...\n"
	     "Talks to a running crmsyncd.\n\nCommands:");
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++)
		help_line(c);
	putchar('\n');
	help_options();
	puts("\nExit codes: 0 fine, 1 differences, 2 trouble, 64 usage, 69 no daemon, 75 timed out,\n"
	     "77 not permitted, 78 configuration, 130 interrupted.\n"
	     "What a command takes: crmsyncctl COMMAND --help. More: crmsyncctl(1).");
}

/* With all that begin with the same word: `parked --help` is asked by somebody who does not know yet what there is. */
static void help_command(const struct ctl_command *asked)
{
	size_t word = strcspn(asked->name, " ");

	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++)
		if (strncmp(c->name, asked->name, word) == 0 && strcspn(c->name, " ") == word)
			printf("Usage: crmsyncctl %s%s%s\n%s\n\n", c->name, c->args[0] != '\0' ? " " : "", c->args, c->help);
	help_options();
}

static void version(void)
{
	char line[100];

	printf("crmsyncctl %s\njansson %s (built with %s)\n%s\n", PACKAGE_VERSION, jansson_version_str(), JANSSON_VERSION,
	       conf_library(line, sizeof line));
}

/* ---- options ----------------------------------------------------------------------------------------- */

enum { GO_ON = -1 };		/* else an exit code */

/* Only that it is one: with what is it compared, the daemon's clock says. */
static int take_moment(const char *option, const char *text)
{
	int64_t us;

	if (time_parse(text, &us) || duration_parse(text, &us))
		return GO_ON;
	complain("--%s: '%s' is neither a time like 2026-03-01T12:00:00Z nor a duration like 15m", option, text);
	return CTL_USAGE;
}

/* It may have been meant for no option: the key of a record, which may begin with anything. */
static int refuse_option(const struct ctl_command *command)
{
	const char *or_word = command != NULL && command->max > 0 ? "; before a word that begins with - put --" : "";

	fprintf(stderr, "Try: crmsyncctl --help%s\n", or_word);
	snprintf(said, sizeof said, "an option is not known, or lacks its value; crmsyncctl --help lists them%s", or_word);
	return CTL_USAGE;
}

static int take_option(struct ctl *c, int option, const struct ctl_command *command)
{
	switch (option) {
	case 's': c->socket = optarg; break;
	case 'c': c->config = optarg; break;
	case 'j': c->json = c->json_errors = true; break;
	case 'n': c->no_color = true; break;
	case 'w': c->watch = true; break;
	case 'p': c->print = true; break;
	case 'S': c->sweep = true; break;
	case 'e': c->entity = optarg; break;
	case 'E': c->endpoint = optarg; break;
	case 'i': c->since = optarg; return take_moment("since", optarg);
	case 'k': c->key = optarg; break;
	case 'W': c->waiting = true; break;
	case 'v': c->value = optarg; break;
	case '0': c->null = true; break;
	case 'r': c->run = optarg; break;
	case 'R': c->runs = true; break;
	case 'u': c->until = optarg; return take_moment("until", optarg);
	case 'o': c->source = optarg; break;
	case 'l': c->rule = optarg; break;
	case 'd': c->dry_run = true; break;
	case 'F': c->from = optarg; break;
	case 'D': c->to = optarg; break;
	case 'y': c->strategy = optarg; break;
	case 'O': c->onto = optarg; break;
	case 'J': c->jobs = optarg; break;
	case 'a': c->rate = optarg; break;
	case 'm': c->max_load = optarg; break;
	case 'g': c->max_lag = optarg; break;
	case 'x': c->replace = true; break;
	case 'T': c->other_topology = true; break;
	case 'H': c->html = optarg; break;
	case 'L': c->depth = optarg; break;
	case 'h':
		if (command != NULL)
			help_command(command);
		else
			help();
		return CTL_OK;
	case 'V':
		version();
		return CTL_OK;
	case 't':
		if (duration_parse(optarg, &c->timeout_us))
			break;
		complain("--timeout: '%s' is not a duration such as 500ms, 30s or 10m", optarg);
		return CTL_USAGE;
	default:				/* '?': getopt_long() has said what is wrong */
		return refuse_option(command);
	}
	return GO_ON;
}

/* "'top' is not merge or replace". True of options that take any word, too. */
static bool word_fits(int option, const char *word)
{
	const char *const sep[] = { "", " or ", ", " };
	struct buf known = { 0 };
	size_t n = 0;
	bool fits = false;

	for (const struct ctl_word *w = ctl_words; w->word != NULL; w++)
		if (w->option == option) {
			fits |= strcmp(word, w->word) == 0;
			buf_addf(&known, "%s%s", sep[n == 0 ? 0 : w[1].option == option ? 2 : 1], w->word);
			n++;
		}
	if (n > 0 && !fits)
		complain("'%s' is not %s", word, known.p);
	buf_fini(&known);
	return fits || n == 0;
}

static bool option_fits(int option, const struct ctl_command *command)
{
	for (size_t i = 0; ctl_options[i].name != NULL; i++) {
		if (ctl_options[i].val != option)
			continue;
		if (i < CTL_OPTIONS_OF_ALL || (command != NULL && strchr(command->options, option) != NULL))
			return optarg == NULL || word_fits(option, optarg);
		complain("--%s belongs to other commands%s%s", ctl_options[i].name, command != NULL ? " than " : "",
			 command != NULL ? command->name : "");
		return false;
	}
	return true;
}

/* `short_options` begins with '+' to stop at the first word that is no option. Leaves optind behind the options. */
static int take_options(struct ctl *c, int argc, char **argv, const char *short_options, const struct ctl_command *command)
{
	int option, rc = GO_ON;

	optind = 0;				/* GNU: start afresh */
	while (rc == GO_ON && (option = getopt_long(argc, argv, short_options, ctl_options, NULL)) != -1)
		rc = option_fits(option, command) ? take_option(c, option, command) : CTL_USAGE;
	return rc;
}

/* ---- the command ------------------------------------------------------------------------------------- */

static const struct ctl_command *command_find(const char *name)
{
	for (const struct ctl_command *c = ctl_commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static int refuse_unknown(const char *name)
{
	const char *names[64], *near;
	size_t n = 0;

	for (const struct ctl_command *c = ctl_commands; c->name != NULL && n + 1 < countof(names); c++)
		names[n++] = c->name;
	names[n] = NULL;
	near = text_nearest(name, names);
	complain("there is no command '%s'%s%s%s", name, near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
		 near != NULL ? "'?" : "; --help lists them");
	return CTL_USAGE;
}

/* The first word, or the first two for commands that have a second word. How many words it was: *words. */
static const struct ctl_command *command_of(int argc, char **argv, int *words)
{
	const struct ctl_command *command = command_find(argv[0]);
	char *both;

	*words = 1;
	if (command != NULL)
		return command;
	if (argc < 2 || argv[1][0] == '-') {
		both = xasprintf("%s list", argv[0]);
		command = command_find(both);
		free(both);
		if (command != NULL)
			return command;
	}
	both = argc > 1 ? xasprintf("%s %s", argv[0], argv[1]) : xstrdup(argv[0]);
	command = command_find(both);
	*words = 2;
	if (command == NULL)
		refuse_unknown(strcmp(argv[0], "parked") == 0 || strcmp(argv[0], "held") == 0 ? both : argv[0]);
	free(both);
	return command;
}

static void on_interrupt(int signo)
{
	ctl_interrupted = 1;
}

static void catch_interrupts(void)
{
	struct sigaction act = { .sa_handler = on_interrupt };	/* no SA_RESTART: whatever waits, ends */

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
}

static const char *code_of(int rc)
{
	switch (rc) {
	case CTL_USAGE:		return "usage";
	case CTL_UNAVAILABLE:	return "unavailable";
	case CTL_AGAIN:		return "timeout";
	case CTL_NOT_PERMITTED:	return "not-permitted";
	case CTL_CONFIGURATION:	return "config";
	default:		return "trouble";
	}
}

/* What went wrong before there was an answer, or with it, in the form in which the daemon says such things. */
static void print_error(const struct ctl *c, int rc)
{
	struct buf line = { 0 };

	buf_addf(&line, "{\"schema\": 1, \"error\": {\"code\": \"%s\", \"text\": ", c->error_code != NULL ? c->error_code : code_of(rc));
	text_json(&line, said, strlen(said));
	buf_addf(&line, ", \"exit\": %d}}", rc);
	puts(line.p);
	buf_fini(&line);
}

static int finish(const struct ctl *c, int rc)
{
	bool wrong = rc > CTL_DIFFERENT && rc != CTL_INTERRUPTED;	/* who interrupts it knows that */

	if (wrong && c->json_errors && !c->error_told && said[0] != '\0')
		print_error(c, rc);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		complain("cannot write the output");
		return CTL_TROUBLE;
	}
	return rc;
}

/* Also of a line that is not understood to its end: who wants objects wants them of what is wrong with it. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

static int run(struct ctl *c, const struct ctl_command *command, char **args, int n)
{
	const char *no_color = getenv("NO_COLOR");
	int rc;

	if (n < command->min || n > command->max) {
		complain("usage: crmsyncctl %s %s", command->name, command->args);
		return CTL_USAGE;
	}
	c->color = !c->no_color && (no_color == NULL || no_color[0] == '\0') && isatty(STDOUT_FILENO);
	rc = command->alone ? CTL_OK : find_socket(c);
	if (rc != CTL_OK)
		return rc;
	catch_interrupts();
	rc = command->run(c, args, n);
	free(c->path);
	return rc;
}

/* An exit code; whatever is wrong has been said. */
static int take_line(struct ctl *c, int argc, char **argv)
{
	const struct ctl_command *command;
	int words, rc = take_options(c, argc, argv, "+s:c:hV", NULL);

	if (rc != GO_ON)
		return rc;
	if (optind >= argc) {
		complain("which command? Try: crmsyncctl --help");
		return CTL_USAGE;
	}
	argc -= optind;
	argv += optind;
	command = command_of(argc, argv, &words);
	if (command == NULL)
		return CTL_USAGE;
	/* getopt takes argv[0] for the program and names it in its messages: that is the command's last word. */
	argc -= words - 1;
	argv += words - 1;
	rc = take_options(c, argc, argv, "s:c:hV", command);
	return rc != GO_ON ? rc : run(c, command, argv + optind, argc - optind);
}

int main(int argc, char **argv)
{
	struct ctl c = { .timeout_us = TIMEOUT_USUAL };

	std_fds_fill();
	if (argc > 2 && strcmp(argv[1], "--complete") == 0 && strcmp(argv[2], "--") == 0)
		return finish(&c, complete(&c, argv + 3, argc - 3));
	c.json_errors = wants_json(argc, argv);
	return finish(&c, take_line(&c, argc, argv));
}
