/* cmdpath.h: paths on the command line, as the user meant them. */
#ifndef UDSD_CMDPATH_H
#define UDSD_CMDPATH_H

/* A relative path made absolute by the current directory; others, and names of abstract
 * sockets, as they are. Also as it is if that fails: it is refused later. */
char *cmdpath_absolute(char *path);

/* A program found as execvp(3), env(1) and xargs(1) find it: by $PATH if its name has no
 * slash. Absolute; NULL and errno: ENOENT, or EACCES where all that was found may not be
 * executed. */
char *cmdpath_program(char *name);

/* Makes SOCKET and HANDLER of a command absolute, words of which are allocated. 0, or -1
 * and errno: of the handler. */
int cmdpath_resolve(char **command);

#endif
