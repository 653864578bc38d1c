/* title.h: sets the command line that ps(1) shows of a process. */
#ifndef UDSD_TITLE_H
#define UDSD_TITLE_H

/* Call once, first: takes the place of argv and the environment for titles, and moves the
 * environment elsewhere. argv must not be used afterwards, but for *argvp, a copy. 0, or
 * -1. */
int title_init(int argc, char ***argvp);

/* The title is "udsd: NAME", or "udsd" for NULL; comm is its first 15 bytes. */
void title_set(const char *name);

#endif
