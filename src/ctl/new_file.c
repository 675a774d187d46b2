#include "ctl/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/ctl.h"

static const char tail[] = ".part";

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:	return "a directory";
	case S_IFLNK:	return "a symbolic link";
	case S_IFIFO:	return "a fifo";
	case S_IFSOCK:	return "a socket";
	default:	return "a device";	/* a number of the system's, not an enum of ours */
	}
}

int new_file_failed(const struct new_file *f, const char *doing)
{
	int number = errno;

	complain("%s: cannot %s: %s", f->path, doing, strerror(number));
	return number == EACCES || number == EPERM ? CTL_NOT_PERMITTED : CTL_TROUBLE;
}

int new_file_make(struct new_file *f, const char *path)
{
	struct stat st;

	*f = (struct new_file){ .path = path, .fd = -1 };
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		complain("%s is %s and stays that: name a file, or a place where there is none", path, kind_of(st.st_mode));
		return CTL_TROUBLE;
	}
	f->temp = xasprintf("%s.XXXXXX%s", path, tail);
	f->fd = mkostemps(f->temp, (int)sizeof tail - 1, O_CLOEXEC);	/* 0600 */
	if (f->fd >= 0)
		return CTL_OK;
	free(f->temp);
	f->temp = NULL;
	return new_file_failed(f, "be made");
}

static bool sync_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash == NULL ? xstrdup(".") : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	free(directory);
	return ok;
}

int new_file_keep(struct new_file *f)
{
	if (fsync(f->fd) != 0)
		return new_file_failed(f, "be made durable");
	if (rename(f->temp, f->path) != 0)
		return new_file_failed(f, "get its name");
	free(f->temp);
	f->temp = NULL;
	return sync_directory_of(f->path) ? CTL_OK : new_file_failed(f, "be made durable");
}

void new_file_end(struct new_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	if (f->temp != NULL)
		unlink(f->temp);
	free(f->temp);
	f->temp = NULL;
}
