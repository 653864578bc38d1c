/*
 * peer.c: a client's identity, whether it is still connected, and a clean end of its
 * connection.
 */
#include "common/peer.h"

#include "common/linger.h"
#include "common/protocol.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
# define SO_PEERGROUPS 59
#endif

/* SO_PEERGROUPS reports by ERANGE and the length how much room it needs. */
static int read_groups(int fd, struct peer *peer)
{
	static gid_t *groups; /* grows to the largest peer seen */
	static socklen_t room;
	socklen_t len = room;

	while (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0) {
		gid_t *more;

		if (errno != ERANGE || len <= room)
			return -1;
		more = realloc(groups, len);
		if (more == NULL)
			return -1;
		groups = more;
		room = len;
	}
	peer->groups = groups;
	peer->ngroups = len / sizeof(gid_t);
	return 0;
}

int peer_read(int fd, bool want_groups, struct peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -1;
	*peer = (struct peer){.uid = cred.uid, .gid = cred.gid, .pid = cred.pid};
	return want_groups ? read_groups(fd, peer) : 0;
}

void peer_log(struct log_line *line, const struct peer *peer)
{
	log_num(line, KEY_PEER_UID, peer->uid);
	log_num(line, KEY_PEER_GID, peer->gid);
	log_num(line, KEY_PEER_PID, peer->pid);
}

bool peer_disconnected(int fd)
{
	struct pollfd p = {.fd = fd, .events = 0};
	int pending = 0;

	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLHUP))
		return false;
	return ioctl(fd, FIONREAD, &pending) == 0 && pending == 0;
}

/* Reads one piece of pending data: false at the end. An empty packet reads as 0 too,
 * but bears its sender's credentials. */
static bool discard(int fd, int type)
{
	static char sink[65536];
	char control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec part = {sink, sizeof(sink)};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen =
				     type == SOCK_SEQPACKET ? sizeof(control) : 0};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	return n > 0 || (n == 0 && type == SOCK_SEQPACKET && msg.msg_controllen > 0);
}

/* shutdown() first stops the client's writes (EPIPE), so what has to be read is bounded;
 * closing with something unread would reset the connection. Descriptors that were sent
 * along do not fit into the control buffer, which credentials fill if there are any, and
 * the kernel closes them. */
void peer_reject(int fd, int type, const char *message)
{
	const int on = 1;

	linger_begin();
	if (message != NULL)
		(void)send(fd, message, strlen(message), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_RDWR);
	if (type == SOCK_SEQPACKET)
		(void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	while (discard(fd, type))
		;
	close(fd);
	linger_end();
}

void peer_close(int fd)
{
	linger_begin();
	close(fd);
	linger_end();
}
