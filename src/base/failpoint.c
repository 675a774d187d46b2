#include "base/failpoint.h"

#ifdef WITH_FAILPOINTS

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place {
	char name[96];
	unsigned long at, hits;		/* the hit that ends it; so far */
};

enum { PLACES_MOST = 16 };

static size_t read_places(struct place list[PLACES_MOST])
{
	const char *text = getenv("CRMSYNCD_FAILPOINTS");
	size_t n = 0;

	while (text != NULL && *text != '\0' && n < PLACES_MOST) {
		size_t len = strcspn(text, ","), name = strcspn(text, ":,");

		snprintf(list[n].name, sizeof list[n].name, "%.*s", (int)name, text);
		list[n++].at = name < len ? strtoul(text + name + 1, NULL, 10) : 1;
		text += len + (text[len] == ',');
	}
	return n;
}

static void come_to(const char *name)
{
	static struct place list[PLACES_MOST];
	static size_t n;
	static int known;

	if (!known)
		n = read_places(list);
	known = 1;
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0 && ++list[i].hits == list[i].at) {
			fprintf(stderr, "failure point %s\n", name);
			raise(SIGKILL);
		}
}

void failpoint(const char *room, const char *step, const char *moment)
{
	char name[96];

	snprintf(name, sizeof name, "%s/%s/%s", room, step, moment);
	come_to(name);
}

void failpoint_phase(const char *room, int phase)
{
	char name[96];

	snprintf(name, sizeof name, "%s/%d", room, phase);
	come_to(name);
}

#else
typedef int failpoint_nothing;		/* a file of C must declare something */
#endif
