/* unixsock.h: addresses of Unix domain sockets, and descriptors passed over them. */
#ifndef UDSD_UNIXSOCK_H
#define UDSD_UNIXSOCK_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef SO_PASSRIGHTS
# define SO_PASSRIGHTS 83 /* since Linux 6.16 */
#endif

/* Fills in the address of a path, or of @name in the abstract namespace. Its length, as
 * for bind(2); 0 and ENAMETOOLONG if the name is empty or too long. A path always ends
 * with a byte 0. */
socklen_t unixsock_address(const char *name, struct sockaddr_un *address);

/* Sends bytes in one message, without blocking and without SIGPIPE, with a descriptor
 * unless it is -1. 0, or -1 and errno. */
int unixsock_send(int socket, const char *bytes, size_t len, int fd);

#endif
