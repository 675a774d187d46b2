/*
 * std_fds.h - descriptors 0 to 2 are nobody's but those of standard input and output.
 *
 * Started with one of them closed, the next socket or file that is opened would get its number, and what is printed would go there.
 */
#ifndef BASE_STD_FDS_H
#define BASE_STD_FDS_H

/* Before anything is opened: what is closed is filled with something that can neither be read nor written as it is used. */
void std_fds_fill(void);

#endif
