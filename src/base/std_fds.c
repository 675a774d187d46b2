#include "base/std_fds.h"

#include <fcntl.h>
#include <unistd.h>

void std_fds_fill(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			_exit(71);	/* not even that: there is nobody to tell */
}
