/*
 * new_file.h - a file that a command writes: beside its place, under another name, until it is whole and on the disk.
 *
 * Only its owner may read it. It takes the place of a regular file or of nothing: a device, a fifo, a directory or a symbolic link that has
 * its name is left alone, for to rename over it would put a file where others look for something else.
 */
#ifndef CTL_NEW_FILE_H
#define CTL_NEW_FILE_H

struct new_file {
	const char *path;		/* the caller's; where it belongs */
	char *temp;			/* owned; where it is; NULL: there is none, or it is in its place */
	int fd;				/* for reading and writing */
};

/* These answer CTL_OK, or an exit code when what went wrong has been said. */
int new_file_make(struct new_file *, const char *path);
int new_file_keep(struct new_file *);
int new_file_failed(const struct new_file *, const char *doing);	/* errno says why it cannot `doing`, as "be written" */
void new_file_end(struct new_file *);		/* one that was not kept is gone; as often as you like */

#endif
