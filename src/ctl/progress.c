#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/words.h"
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

void job_add(struct buf *out, const json_t *job)
{
	doing_add(out, str(job, "phase"), str(job, "endpoint"), str(job, "unit"), num(job, "done"), num(job, "share"),
		  num(job, "per_second"), num(job, "seconds_left"));
}
