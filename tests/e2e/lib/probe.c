/*
 * probe.c: a handler that prints what it was given, a line `name value` for each attribute. Bytes that
 * may be anything are printed in hexadecimal digits.
 *
 * It is the main program of its process and changes nothing that it prints.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static const char *const limits[RLIM_NLIMITS] = {
	[RLIMIT_CPU] = "cpu",           [RLIMIT_FSIZE] = "fsize",
	[RLIMIT_DATA] = "data",         [RLIMIT_STACK] = "stack",
	[RLIMIT_CORE] = "core",         [RLIMIT_RSS] = "rss",
	[RLIMIT_NPROC] = "nproc",       [RLIMIT_NOFILE] = "nofile",
	[RLIMIT_MEMLOCK] = "memlock",   [RLIMIT_AS] = "as",
	[RLIMIT_LOCKS] = "locks",       [RLIMIT_SIGPENDING] = "sigpending",
	[RLIMIT_MSGQUEUE] = "msgqueue", [RLIMIT_NICE] = "nice",
	[RLIMIT_RTPRIO] = "rtprio",     [RLIMIT_RTTIME] = "rttime",
};

/* Every byte, and the ends of the strings too. */
static void show_strings(const char *name, char *const *list)
{
	printf("%s ", name);
	for (; *list != NULL; list++) {
		for (const char *c = *list; *c != '\0'; c++)
			printf("%02x", (unsigned char)*c);
		printf("00");
	}
	puts("");
}

static void show_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	printf("fds");
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
			printf(" %s", entry->d_name);
	puts("");
	if (dir != NULL)
		closedir(dir);
	for (int fd = 0; fd < 3; fd++) {
		struct stat st = {0};

		(void)fstat(fd, &st);
		printf("fd%d %s %s\n", fd, S_ISSOCK(st.st_mode) ? "socket" : "other",
		       fcntl(fd, F_GETFL) & O_NONBLOCK ? "non-blocking" : "blocking");
		printf("inode%d %ju\n", fd, (uintmax_t)st.st_ino);
	}
}

/* The text of a small file, its newlines as spaces. */
static void show_file(const char *name, const char *path)
{
	char text[256];
	FILE *file = fopen(path, "r");
	size_t len = file != NULL ? fread(text, 1, sizeof(text), file) : 0;

	while (len > 0 && text[len - 1] == '\n')
		len--;
	printf("%s %.*s\n", name, (int)len, text);
	if (file != NULL)
		fclose(file);
}

/* Signals, ids, capabilities and more, as the kernel names them. */
static void show_status(void)
{
	char line[4096];
	FILE *file = fopen("/proc/self/status", "r");

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		char *end = strchr(line, ':');

		if (end == NULL)
			continue;
		*end++ = '\0';
		for (char *c = end; *c != '\0'; c++)
			if (*c == '\t')
				*c = ' ';
		printf("%s %s", line, end + strspn(end, " "));
	}
	if (file != NULL)
		fclose(file);
}

static void show_link(const char *name, const char *path)
{
	char text[4096];
	ssize_t len = readlink(path, text, sizeof(text));

	printf("%s %.*s\n", name, len > 0 ? (int)len : 0, text);
}

static void show_process(void)
{
	int signal = -1, fd;

	printf("pid %d\nppid %d\ngroup %d\nsession %d\n", getpid(), getppid(), getpgrp(),
	       getsid(0));
	fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	printf("terminal %s\n", fd >= 0 ? "open" : strerrorname_np(errno));
	if (fd >= 0)
		close(fd);
	printf("nice %d\nscheduler %d\n", getpriority(PRIO_PROCESS, 0),
	       sched_getscheduler(0));
	(void)prctl(PR_GET_PDEATHSIG, &signal);
	printf("death-signal %d\n", signal);
	signal = -1;
	(void)prctl(PR_GET_CHILD_SUBREAPER, &signal);
	printf("subreaper %d\n", signal);
	printf("dumpable %d\nkeepcaps %d\nsecurebits %d\ntimer-slack %d\n",
	       prctl(PR_GET_DUMPABLE), prctl(PR_GET_KEEPCAPS), prctl(PR_GET_SECUREBITS),
	       prctl(PR_GET_TIMERSLACK));
	printf("personality %x\n", (unsigned)personality(0xffffffff));
	show_link("directory", "/proc/self/cwd");
	show_link("root", "/proc/self/root");
	show_file("oom-score-adj", "/proc/self/oom_score_adj");
	show_file("coredump-filter", "/proc/self/coredump_filter");
	show_file("timers", "/proc/self/timers");
}

static void show_clocks_and_limits(void)
{
	stack_t stack = {0};
	int running = 0;

	for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
		struct itimerval left = {0};

		(void)getitimer((__itimer_which_t)which, &left);
		running += left.it_value.tv_sec > 0 || left.it_value.tv_usec > 0;
	}
	(void)sigaltstack(NULL, &stack);
	printf("interval-timers %d\nsignal-stack %d\n", running,
	       stack.ss_flags != SS_DISABLE);
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit l = {0};

		(void)getrlimit((__rlimit_resource_t)i, &l);
		printf("limit-%s %jd %jd\n", limits[i], (intmax_t)l.rlim_cur,
		       (intmax_t)l.rlim_max);
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	show_descriptors();
	show_strings("argv", argv);
	show_strings("environment", environ);
	show_status();
	show_process();
	show_clocks_and_limits();
	return fflush(stdout) == 0 ? 0 : 1;
}
