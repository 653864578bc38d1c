/* program.h: what all programs do alike on a command line: names, complaints, output that
 * is whole. */
#ifndef UDSD_PROGRAM_H
#define UDSD_PROGRAM_H

#include <getopt.h>

/* Messages begin with this name from now on. Descriptors 0 to 2 are open afterwards, 1 so
 * that output to it fails if it was closed; a closed pipe, or a file that is too large,
 * is an error of write(2), not a signal. 0, or -1 and errno. */
int program_begin(const char *name);

/* For getopt_long() with opterr = 0 and `:` in front of the short options: says what is
 * wrong with the option for which it has returned `result`, ? or a colon. */
void program_wrong_option(int result, const struct option *options, char *const *argv);

/* Flushes standard output. 0, or -1 if not all of it could be written, which has been
 * said. */
int program_flush(void);

#endif
