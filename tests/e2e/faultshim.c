/*
 * faultshim.c: lets one call of a program fail while a test wants it. Preloaded into udsd.
 *
 * The file that UDSD_FAULTS names is mapped by the program and, since they are forked, by all its
 * workers. The test writes into it which call fails, and with which errno.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The order is that of CALLS in more.py. */
enum call { NONE, ACCEPT4, CLONE, EXECVE, FORK, SOCKETPAIR, MEMFD, SIGNALFD, GETSOCKOPT, EPOLL };

static struct control {
	_Atomic uint32_t loaded, call, error, hits;
} *control;

static int (*real_accept4)(int, struct sockaddr *, socklen_t *, int);
static int (*real_clone)(int (*)(void *), void *, int, void *, ...);
static int (*real_execve)(const char *, char *const[], char *const[]);
static pid_t (*real_fork)(void);
static int (*real_socketpair)(int, int, int, int *);
static int (*real_memfd_create)(const char *, unsigned);
static int (*real_signalfd)(int, const sigset_t *, int);
static int (*real_getsockopt)(int, int, int, void *, socklen_t *);
static int (*real_epoll_ctl)(int, int, int, struct epoll_event *);

/* All is found now: a child that shares its parent's memory must not look for it. */
__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("UDSD_FAULTS");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map;

	real_accept4 = dlsym(RTLD_NEXT, "accept4");
	real_clone = dlsym(RTLD_NEXT, "clone");
	real_execve = dlsym(RTLD_NEXT, "execve");
	real_fork = dlsym(RTLD_NEXT, "fork");
	real_socketpair = dlsym(RTLD_NEXT, "socketpair");
	real_memfd_create = dlsym(RTLD_NEXT, "memfd_create");
	real_signalfd = dlsym(RTLD_NEXT, "signalfd");
	real_getsockopt = dlsym(RTLD_NEXT, "getsockopt");
	real_epoll_ctl = dlsym(RTLD_NEXT, "epoll_ctl");
	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return;
	control = map;
	control->loaded = 1;
}

static int fails(enum call call)
{
	if (control == NULL || control->call != call)
		return 0;
	control->hits++;
	errno = (int)control->error;
	return 1;
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	return fails(ACCEPT4) ? -1 : real_accept4(fd, address, length, flags);
}

int clone(int (*function)(void *), void *stack, int flags, void *arg, ...)
{
	pid_t *parent, *child;
	va_list list;
	void *tls;

	va_start(list, arg);
	parent = va_arg(list, pid_t *);
	tls = va_arg(list, void *);
	child = va_arg(list, pid_t *);
	va_end(list);
	return fails(CLONE) ? -1 : real_clone(function, stack, flags, arg, parent, tls, child);
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	return fails(EXECVE) ? -1 : real_execve(path, argv, envp);
}

pid_t fork(void)
{
	return fails(FORK) ? -1 : real_fork();
}

int socketpair(int domain, int type, int protocol, int pair[2])
{
	return fails(SOCKETPAIR) ? -1 : real_socketpair(domain, type, protocol, pair);
}

int memfd_create(const char *name, unsigned flags)
{
	return fails(MEMFD) ? -1 : real_memfd_create(name, flags);
}

int signalfd(int fd, const sigset_t *mask, int flags)
{
	return fails(SIGNALFD) ? -1 : real_signalfd(fd, mask, flags);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	return fails(GETSOCKOPT) ? -1 : real_getsockopt(fd, level, name, value, length);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	if (operation == EPOLL_CTL_ADD && fails(EPOLL))
		return -1;
	return real_epoll_ctl(epoll, operation, fd, event);
}
