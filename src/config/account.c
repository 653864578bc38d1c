/*
 * account.c: asks the name service, always in a child.
 */
#include "config/account.h"

#include "common/clock.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A load as a whole has 10 s (reload.c), however many names are not answered for. */
#define ASK_TIME (3 * NSEC_PER_SEC)       /* for one answer, */
#define ASK_TIME_ALL (6 * NSEC_PER_SEC)   /* for all that do not come, */
#define ASK_TIME_LEAST (NSEC_PER_SEC / 5) /* then for each of them */
#define STOP_CHECK 50                     /* milliseconds */

/* What a child answers. */
struct account_answer {
	int error;   /* errno; 0: found */
	unsigned id; /* of the user or group */
	gid_t gid;   /* the rest: of a user */
	int ngroups;
	gid_t groups[ACCOUNT_GROUPS];
	char name[256];
	char home[PATH_MAX];
	char shell[PATH_MAX];
};

int account_number(const char *text, unsigned *id)
{
	char *end;
	unsigned long long n;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end != '\0' || errno != 0 || n >= UINT32_MAX)
		return -1;
	*id = (unsigned)n;
	return 0;
}

/* A child that has become a user can be stopped by that user. */
static bool account_is_stopped(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};

	return waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

/* Reads up to `size` bytes until the end of file or the time, or until the child has been
 * stopped. */
static ssize_t account_read(pid_t pid, int fd, char *answer, size_t size)
{
	static int64_t wasted; /* on answers that did not come */
	int64_t now = clock_now(), began = now;
	int64_t most = clock_min(ASK_TIME, ASK_TIME_ALL - wasted);
	int64_t until = now + clock_max(most, ASK_TIME_LEAST);
	size_t len = 0;

	while (len < size) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ready = poll(&p, 1, STOP_CHECK);
		ssize_t n;

		now = clock_now();
		if (ready == 0 && (now >= until || account_is_stopped(pid))) {
			wasted += now - began;
			errno = ETIMEDOUT;
			return -1;
		}
		if (ready < 0 && errno != EINTR)
			return -1;
		if (ready <= 0)
			continue;
		n = read(fd, answer + len, size - len);
		if (n <= 0)
			return n < 0 ? -1 : (ssize_t)len;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

ssize_t account_ask(void (*ask)(int fd, const void *arg), const void *arg, void *answer,
		    size_t size)
{
	int saved, fd[2];
	ssize_t len;
	pid_t pid;

	if (pipe(fd) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		if (dup2(fd[1], STDERR_FILENO + 1) < 0 ||
		    close_range(STDERR_FILENO + 2, ~0U, 0) < 0)
			_exit(1);
		ask(STDERR_FILENO + 1, arg);
		_exit(0);
	}
	saved = errno;
	close(fd[1]);
	len = -1;
	if (pid > 0) {
		len = account_read(pid, fd[0], answer, size);
		saved = errno;
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(fd[0]);
	errno = saved;
	return len;
}

static void account_fill(struct account_answer *a, const struct passwd *pw)
{
	a->id = pw->pw_uid;
	a->gid = pw->pw_gid;
	a->ngroups = ACCOUNT_GROUPS;
	if (getgrouplist(pw->pw_name, pw->pw_gid, a->groups, &a->ngroups) < 0)
		a->error = E2BIG;
	snprintf(a->name, sizeof(a->name), "%s", pw->pw_name);
	snprintf(a->home, sizeof(a->home), "%s", pw->pw_dir);
	snprintf(a->shell, sizeof(a->shell), "%s",
		 *pw->pw_shell ? pw->pw_shell : "/bin/sh");
}

static void account_write(int fd, const struct account_answer *a)
{
	const char *at = (const char *)a;
	size_t left = sizeof(*a);
	ssize_t n;

	while (left > 0 && (n = write(fd, at, left)) > 0) {
		at += n;
		left -= (size_t)n;
	}
}

static void ask_user(int fd, const void *arg)
{
	static struct account_answer a;
	const char *user = arg;
	const struct passwd *pw;
	bool number = account_number(user, &a.id) == 0;

	errno = 0;
	pw = number ? getpwuid(a.id) : getpwnam(user);
	if (pw != NULL) {
		account_fill(&a, pw);
	} else if (number) {
		a.gid = a.id;
		a.groups[0] = a.gid;
		a.ngroups = 1;
		snprintf(a.name, sizeof(a.name), "%u", a.id);
		snprintf(a.home, sizeof(a.home), "/");
		snprintf(a.shell, sizeof(a.shell), "/bin/sh");
	} else {
		a.error = errno != 0 && errno != ESRCH ? errno : ENOENT;
	}
	account_write(fd, &a);
}

static void ask_group(int fd, const void *arg)
{
	static struct account_answer a;
	const struct group *gr;

	errno = 0;
	gr = getgrnam(arg);
	if (gr != NULL)
		a.id = gr->gr_gid;
	else
		a.error = errno != 0 && errno != ESRCH ? errno : ENOENT;
	account_write(fd, &a);
}

/* The answer to `ask`, valid until the next one; NULL and errno. */
static const struct account_answer *account_question(void (*ask)(int fd, const void *arg),
						     const char *name)
{
	static struct account_answer a;
	ssize_t len = account_ask(ask, name, &a, sizeof(a));

	if (len == (ssize_t)sizeof(a) && a.error == 0)
		return &a;
	if (len >= 0)
		errno = len == (ssize_t)sizeof(a) ? a.error : EIO;
	return NULL;
}

static struct account *account_keep(struct arena *arena, const char *user,
				    const struct account_answer *a)
{
	struct account *account = arena_take(arena, sizeof(*account));

	*account = (struct account){
		.key = arena_text(arena, user),
		.uid = a->id,
		.gid = a->gid,
		.ngroups = (size_t)a->ngroups,
		.groups =
			arena_keep(arena, a->groups, (size_t)a->ngroups * sizeof(gid_t)),
		.name = arena_text(arena, a->name),
		.home = arena_text(arena, a->home),
		.shell = arena_text(arena, a->shell),
	};
	return account;
}

const struct account *account_find(struct arena *arena, struct account **list,
				   const char *user)
{
	struct account *account = *list;
	const struct account_answer *a;

	while (account != NULL && strcmp(account->key, user) != 0)
		account = account->next;
	if (account != NULL)
		return account;
	a = account_question(ask_user, user);
	if (a == NULL)
		return NULL;
	account = account_keep(arena, user, a);
	account->next = *list;
	return *list = account;
}

static int account_id(void (*ask)(int fd, const void *arg), const char *name,
		      unsigned *id)
{
	const struct account_answer *a;

	if (account_number(name, id) == 0)
		return 0;
	a = account_question(ask, name);
	if (a == NULL)
		return -1;
	*id = a->id;
	return 0;
}

int account_user(const char *user, uid_t *uid)
{
	return account_id(ask_user, user, uid);
}

int account_group(const char *group, gid_t *gid)
{
	return account_id(ask_group, group, gid);
}
