/*
 * hurry.c: a timer whose signal does nothing but interrupt.
 */
#include "hurry.h"

#include <signal.h>

#define USEC 1000

const struct itimerval linger_on = {{0, USEC}, {0, USEC}};
const struct itimerval linger_off;

static bool is_needed;

static void wake(int sig)
{
	(void)sig;
}

void linger_init(bool needed)
{
	const struct sigaction action = {.sa_handler = wake};

	is_needed = needed;
	(void)sigaction(SIGALRM, &action, NULL);
}

bool linger_is_needed(void)
{
	return is_needed;
}

static void mask(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	(void)sigprocmask(how, &set, NULL);
}

void linger_begin(void)
{
	if (!is_needed)
		return;
	(void)setitimer(ITIMER_REAL, &linger_on, NULL);
	mask(SIG_UNBLOCK);
}

void linger_end(void)
{
	if (!is_needed)
		return;
	mask(SIG_BLOCK);
	(void)setitimer(ITIMER_REAL, &linger_off, NULL);
}
