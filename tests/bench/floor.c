/*
 * floor.c: the least that a fork-per-connection server can do: accept4, vfork, dup2 twice, execve.
 * No limits, no log, no environment, no checks: the measure of what udsd adds.
 *
 * usage: floor vfork|fork SOCKET HANDLER
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *const env[] = {"PATH=/usr/bin:/bin", NULL};

	if (argc != 4 || strlen(argv[2]) >= sizeof(sun.sun_path))
		return 64;
	strcpy(sun.sun_path, argv[2]);
	unlink(argv[2]);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 4096) < 0)
		return 71;
	for (;;) {
		int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		pid_t pid = *argv[1] == 'v' ? vfork() : fork();

		if (pid == 0) {
			dup2(conn, 0);
			dup2(conn, 1);
			execve(argv[3], argv + 3, env);
			_exit(127);
		}
		close(conn);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
