/*
 * executable.h: whether execve(2) would start a file, judged by its first bytes.
 */
#ifndef UDSD_EXECUTABLE_H
#define UDSD_EXECUTABLE_H

#include <stdbool.h>
#include <stddef.h>

#define EXECUTABLE_HEAD 256 /* bytes that the kernel looks at */

/* The first bytes of a file, terminated; `len` is -1 if they cannot be read. */
struct executable_head {
	long len;
	char text[EXECUTABLE_HEAD + 1];
};

void executable_read(const char *path, struct executable_head *head);

/* What would keep the calling user from starting it, into `text`, to be printed after the
 * path; "" if nothing would. `head`: as read by a user who may. `search`: the PATH that
 * it would have, for env(1); what that does not find is a warning (true). */
bool executable_fault(const char *path, const struct executable_head *head,
		      const char *search, char *text, size_t size);

#endif
