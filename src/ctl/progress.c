#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "ctl/asking.h"

static bool drawn;

void progress_wipe(void)
{
	if (drawn)
		fputs("\r\033[K", stderr);
	drawn = false;
}

void progress_draw(const char *line)
{
	if (!isatty(STDERR_FILENO))
		return;
	progress_wipe();
	fputs(line, stderr);
	fflush(stderr);
	drawn = true;
}

void progress_add_share(struct buf *line, const json_t *progress)
{
	const json_t *share = json_object_get(progress, "share");
	json_int_t done = json_integer_value(json_object_get(progress, "done"));

	if (json_is_number(share))
		buf_addf(line, ": %.0f %%", floor(100 * json_number_value(share)));
	else if (done > 0)
		buf_addf(line, ": %lld", (long long)done);
}
