#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/topology.h"
#include "ctl/ctl.h"

#define DEFAULT_CONFIG SYSCONFDIR "/crmsyncd/crmsyncd.yaml"

/* One line each, as crmsyncd -t says them. */
static void complain_each(const struct conf_problems *problems, const char *file)
{
	struct buf text = { 0 };

	conf_problems_text(problems, file, &text);
	text.p[text.len - 1] = '\0';		/* complain() ends the last line */
	complain("%s", text.p);
	buf_fini(&text);
}

/* A file that cannot be understood names no socket: to take the usual one then could mean another daemon. */
static int socket_of(struct ctl *c, const char *file)
{
	struct conf_problems problems;

	c->path = topology_control_socket(file, &problems);
	if (c->path == NULL)
		complain_each(&problems, file);
	conf_problems_fini(&problems);
	return c->path != NULL ? CTL_OK : CTL_CONFIGURATION;
}

int find_socket(struct ctl *c)
{
	const char *file = c->config != NULL ? c->config : DEFAULT_CONFIG;
	int error = access(file, R_OK) == 0 ? 0 : errno;

	if (c->socket != NULL) {
		c->path = xstrdup(c->socket);
		return CTL_OK;
	}
	if (error == ENOENT && c->config == NULL)
		return socket_of(c, NULL);
	if (error == EACCES) {
		complain("%s: cannot be read: %s; -s names the socket itself", file, strerror(error));
		return CTL_NOT_PERMITTED;
	}
	return socket_of(c, file);
}
