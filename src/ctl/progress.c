#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/words.h"
#include "ctl/asking.h"

enum { TELL_US = 5 * 1000 * 1000 };

static size_t drawn;			/* lines */

size_t screen(bool rows)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20 || size.ws_row < 4)
		return rows ? SIZE_MAX : 80;
	return rows ? size.ws_row : size.ws_col;
}

void progress_wipe(void)
{
	for (; drawn > 0; drawn--)
		fputs(drawn > 1 ? "\r\033[K\033[A" : "\r\033[K", stderr);
}

/* One that was longer than the screen is wide could not be wiped. */
static void draw_line(const char *line, size_t n)
{
	char *whole = xstrndup(line, n), *fits = cut_to_fit(whole, screen(false) - 1);

	fprintf(stderr, "%s%s", drawn > 0 ? "\n" : "", fits);
	drawn++;
	free(fits);
	free(whole);
}

void progress_draw(const char *lines)
{
	size_t n;

	if (!isatty(STDERR_FILENO))
		return;
	progress_wipe();
	for (; *lines != '\0' && drawn + 1 < screen(true); lines += n + (lines[n] == '\n')) {
		n = strcspn(lines, "\n");
		draw_line(lines, n);
	}
	fflush(stderr);
}

void progress_tell(const char *lines)
{
	static int64_t told_us;
	int64_t now = clock_mono_us();

	progress_draw(lines);
	if (isatty(STDERR_FILENO) || now - told_us < TELL_US)
		return;
	fprintf(stderr, "%s\n", lines);
	told_us = now;
}

void job_add(struct buf *out, const json_t *job)
{
	doing_add(out, str(job, "phase"), str(job, "endpoint"), str(job, "unit"), num(job, "done"), num(job, "share"),
		  num(job, "per_second"), num(job, "seconds_left"));
}
