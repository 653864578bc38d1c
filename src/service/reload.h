/*
 * reload.h: SIGHUP. A child reads and checks the config; only what passes is put in
 * force, all of it or nothing (apply.h). It is done when every replaced worker has said
 * that it accepts no more.
 *
 * A request only sets a flag: the supervisor begins one task after the other
 * (supervisor.c). What a reload came to is kept for those who ask.
 */
#ifndef UDSD_RELOAD_H
#define UDSD_RELOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the last reload that has ended came to. */
struct reload_result {
	unsigned number; /* counted from 1; 0: none has ended */
	const char
		*verdict; /* what an answer begins with: "ok\n", "refused\n", "error " */
	/* Lines: faults, warnings, what has changed. Valid until the next reload
	 * begins. */
	const char *text;
};

/* Asks for a reload. The number of the one that reads the config after now. */
unsigned reload_request(void);

/* Whether one was asked for that has not begun; whether one is at work. */
bool reload_is_wanted(void);
bool reload_is_running(void);

void reload_begin(int64_t now);

/* Whether this child reads the config; that it has exited (false: it was another). */
bool reload_is(pid_t pid);
bool reload_exited(pid_t pid, int status, int64_t now);

/* udsd stops: drops what was asked for or has begun; what was put in force stays. */
void reload_abandon(void);

struct reload_result reload_result(void);

int64_t reload_due(void);
void reload_tick(int64_t now);

#endif
