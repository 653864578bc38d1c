/* server.h: what is wrong with the control socket or the program behind it, for udsctl's
 * user. */
#ifndef UDSD_SERVER_H
#define UDSD_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#define SERVER_TEXT 512

/* Why a connect(2) to the socket has failed with this error, and what would help. */
void server_unreachable(const char *socket, int error, char text[SERVER_TEXT]);

/* Who listens at the other end of a connection, such as `nginx (process 12 of www-data)`.
 * Whether it bears udsd's name: then it may just be busy. */
bool server_name(int fd, char text[SERVER_TEXT]);

#endif
