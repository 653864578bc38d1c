/* cmdline.h: a service from the command line, written as a config. */
#ifndef UDSD_CMDLINE_H
#define UDSD_CMDLINE_H

#include <stddef.h>

/* The text of a config with one service: `options` are NAME=VALUE (lists may be
 * repeated), `argv` the socket, the handler (both absolute) and its arguments,
 * NULL-terminated. To be freed; NULL: no memory. */
char *command_config(char *const *options, size_t count, char *const *argv);

#endif
