#include "endpoint/endpoint.h"

#include <math.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"

struct link *endpoint_link(const struct endpoint *ep, size_t entity)
{
	return entity < countof(ep->links) ? ep->links[entity] : NULL;
}

const char *endpoint_state_name(enum endpoint_state state)
{
	switch (state) {
	case ENDPOINT_UNKNOWN:
		return "unknown";
	case ENDPOINT_UP:
		return "up";
	case ENDPOINT_DOWN:
		return "down";
	case ENDPOINT_PAUSED:
		return "paused";
	}
	return "unknown";
}

int64_t endpoint_offset_us(const struct endpoint *ep)
{
	return fabs(ep->clock_offset_s) <= ep->clock_error_s || fault("f06-clocks-are-believed") ? 0 : (int64_t)(ep->clock_offset_s * 1e6);
}

void captured_free(struct captured **cp)
{
	struct captured *c = *cp;

	if (c == NULL)
		return;
	rowset_free(&c->rows);
	free(c->news);
	free(c->position);
	free(c->gap);
	free(c);
	*cp = NULL;
}

void endpoint_free(struct endpoint **epp)
{
	struct endpoint *ep = *epp;

	*epp = NULL;	/* first: the answers that free gives must not find it */
	if (ep != NULL)
		ep->ops->free(ep);
}
