/*
 * linger.c: a timer; its signal does nothing but interrupt close(2).
 */
#include "common/linger.h"

#include <signal.h>

#define USEC 1000

const struct itimerval linger_on = {{0, USEC}, {0, USEC}};
const struct itimerval linger_off;

static bool is_needed;
static sigset_t alarm_set;

static void ignore_alarm(int sig)
{
	(void)sig;
}

void linger_init(bool needed)
{
	const struct sigaction action = {.sa_handler = ignore_alarm};

	is_needed = needed;
	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGALRM);
	(void)sigaction(SIGALRM, &action, NULL);
}

bool linger_is_needed(void)
{
	return is_needed;
}

void linger_begin(void)
{
	if (!is_needed)
		return;
	(void)setitimer(ITIMER_REAL, &linger_on, NULL);
	(void)sigprocmask(SIG_UNBLOCK, &alarm_set, NULL);
}

void linger_end(void)
{
	if (!is_needed)
		return;
	(void)sigprocmask(SIG_BLOCK, &alarm_set, NULL);
	(void)setitimer(ITIMER_REAL, &linger_off, NULL);
}
