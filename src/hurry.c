/*
 * hurry.c: a timer whose signal does nothing but interrupt.
 */
#include "hurry.h"

#include <signal.h>

#define USEC 1000

const struct itimerval hurry_on = {{0, USEC}, {0, USEC}};
const struct itimerval hurry_off;

static bool is_needed;

static void wake(int sig)
{
	(void)sig;
}

void hurry_init(bool needed)
{
	const struct sigaction action = {.sa_handler = wake};

	is_needed = needed;
	(void)sigaction(SIGALRM, &action, NULL);
}

bool hurry_is_needed(void)
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

void hurry_begin(void)
{
	if (!is_needed)
		return;
	(void)setitimer(ITIMER_REAL, &hurry_on, NULL);
	mask(SIG_UNBLOCK);
}

void hurry_end(void)
{
	if (!is_needed)
		return;
	mask(SIG_BLOCK);
	(void)setitimer(ITIMER_REAL, &hurry_off, NULL);
}
