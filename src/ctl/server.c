/*
 * server.c: reasons from the socket's inode, names from SO_PEERCRED and /proc.
 *
 * The credentials are those of the process that has called listen(2) last, which is the
 * supervisor also where systemd has made the socket.
 */
#include "ctl/server.h"

#include "common/log.h"
#include "common/unixsock.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A user's name, or its number. */
static const char *server_user(uid_t uid)
{
	static char number[16];
	const struct passwd *pw = getpwuid(uid);

	snprintf(number, sizeof(number), "%u", uid);
	return pw != NULL ? pw->pw_name : number;
}

/* Of a socket that is no stream. A datagram socket is not woken by a connect(2). */
static const char *server_type(const char *socket_name)
{
	struct sockaddr_un address;
	socklen_t len = unixsock_address(socket_name, &address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool datagrams = fd >= 0 && connect(fd, (struct sockaddr *)&address, len) == 0;

	if (fd >= 0)
		close(fd);
	return datagrams ? "a datagram socket" : "a seqpacket socket";
}

static const char *server_kind(mode_t mode)
{
	return S_ISREG(mode)   ? "a file"
	       : S_ISDIR(mode) ? "a directory"
			       : "a device or a pipe";
}

static void server_refused(const char *socket, const struct stat *st, char *text)
{
	if (st == NULL || S_ISSOCK(st->st_mode))
		snprintf(text, SERVER_TEXT, "%s: no process listens there", socket);
	else
		snprintf(text, SERVER_TEXT, "%s: it is %s, not a socket", socket,
			 server_kind(st->st_mode));
}

static void server_denied(const char *socket, const struct stat *st, char *text)
{
	int len = snprintf(text, SERVER_TEXT, "%s: Permission denied: ", socket);

	if (len < 0 || len >= SERVER_TEXT)
		return;
	if (st != NULL)
		snprintf(text + len, (size_t)(SERVER_TEXT - len),
			 "it is %s's with mode %04o; use sudo, or set control-mode and "
			 "control-allow in udsd.conf(5)",
			 server_user(st->st_uid), st->st_mode & 07777);
	else
		snprintf(
			text + len, (size_t)(SERVER_TEXT - len),
			"a directory above it is closed to %s; use sudo, or another "
			"control-socket, with control-mode and control-allow that admit you "
			"(udsd.conf(5))",
			server_user(geteuid()));
}

void server_unreachable(const char *socket, int error, char text[SERVER_TEXT])
{
	struct stat st;
	const struct stat *known = *socket != '@' && stat(socket, &st) == 0 ? &st : NULL;

	if (error == ECONNREFUSED)
		server_refused(socket, known, text);
	else if (error == EACCES || error == EPERM)
		server_denied(socket, known, text);
	else if (error == EPROTOTYPE)
		snprintf(text, SERVER_TEXT, "%s: it is %s, so not udsd's control-socket",
			 socket, server_type(socket));
	else if (error == EAGAIN)
		snprintf(text, SERVER_TEXT,
			 "%s: no process accepts there, and its backlog is full", socket);
	else
		snprintf(text, SERVER_TEXT, "%s: %s", socket, strerror(error));
}

/* The name of a process; "" if it is not visible. */
static void server_comm(pid_t pid, char name[64])
{
	char path[32], comm[17] = "";
	FILE *f;

	*name = '\0';
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	if (fgets(comm, sizeof(comm), f) != NULL) {
		comm[strcspn(comm, "\n")] = '\0';
		name[log_escape(name, 63, comm, strlen(comm), 0)] = '\0';
	}
	fclose(f);
}

bool server_name(int fd, char text[SERVER_TEXT])
{
	struct ucred peer = {0};
	socklen_t len = sizeof(peer);
	char comm[64];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0) {
		snprintf(text, SERVER_TEXT, "a process that is not visible here");
		return false;
	}
	server_comm(peer.pid, comm);
	snprintf(text, SERVER_TEXT, "%s%sprocess %d of %s%s", comm,
		 *comm != '\0' ? " (" : "", peer.pid, server_user(peer.uid),
		 *comm != '\0' ? ")" : "");
	return strncmp(comm, "udsd", 4) == 0;
}
