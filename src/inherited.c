/*
 * inherited.c: puts right what our parent may have left us.
 */
#include "inherited.h"

#include <signal.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* By hand: glibc refuses to touch two signals of its own, which a parent may have ignored. All bytes
 * zero is SIG_DFL in the kernel's structure. */
static void reset_signal(int sig)
{
	static const uint64_t action[8];

	(void)syscall(SYS_rt_sigaction, sig, action, NULL, sizeof(uint64_t));
}

int inherited_signals(void)
{
	sigset_t all, read_set;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return -1;
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		reset_signal(sig);
	sigemptyset(&read_set);
	for (const int *sig =
		     (const int[]){SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, 0};
	     *sig != 0; sig++)
		sigaddset(&read_set, *sig);
	return signalfd(-1, &read_set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int inherited_limit(struct rlimit *before)
{
	struct rlimit all;

	if (getrlimit(RLIMIT_NOFILE, before) < 0)
		return -1;
	all = *before;
	all.rlim_cur = all.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &all);
	return 0;
}
