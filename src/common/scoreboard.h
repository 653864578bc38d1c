/*
 * scoreboard.h: the table of a service's live connections and its counters.
 *
 * One memfd for each service, of a fixed size and sealed against resizing, mapped by the
 * supervisor and by the service's workers. It outlives workers, so limits and counters do
 * not forget. A slot is free (pid 0), reserved (the negative pid of a worker that is
 * about to start a handler) or bears the handler's pid, which the kernel itself writes
 * there before the handler's first instruction (CLONE_PARENT_SETTID). So the table is
 * right at whatever point a worker exits.
 *
 * To the supervisor everything in here is untrusted input: a worker of another user wrote
 * it.
 */
#ifndef UDSD_SCOREBOARD_H
#define UDSD_SCOREBOARD_H

#include "common/counters.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define SCOREBOARD_SLOTS 65536

/* Changed when a field below moves or changes its meaning; then counts and limits are
 * lost at the upgrade. What is appended, to struct counters only, is no such change: its
 * bytes are 0 in an older scoreboard, and skipped by an older binary. */
#define SCOREBOARD_LAYOUT 3
#define SCOREBOARD_HEAD \
 (4096 + 64 * 1024) /* bytes before the slots, most of them reserved */

struct slot {
	/* 0: free; below 0: reserved, see slot_reserved(); else the handler */
	_Atomic int32_t pid;
	int32_t owner;   /* pid of the worker that opened it */
	uint64_t id;     /* number of the connection in its service */
	int64_t started; /* CLOCK_MONOTONIC, nanoseconds */
	uint32_t uid;    /* the peer's */
	uint32_t gid;
	int32_t peer_pid;
	uint32_t expired; /* max-lifetime has passed */
	char rule[88];    /* that let it in; cut, always terminated */
};

/* Ends of handlers: exit statuses 0 to 255, then signals; the place of signal 0 is for an
 * unknown end. */
#define EXIT_SIGNALS 256
#define EXITS (EXIT_SIGNALS + 65)

#define COUNTER_FIELD(field, key, unit, metric, help) _Atomic uint64_t field;

/* What is counted is only ever added to, by workers of several generations and the
 * supervisor. */
struct counters {
	_Atomic uint64_t numbers; /* given out to connections */
	_Atomic int64_t retry_at; /* until when the worker backs off; 0: it does not */
	_Atomic uint64_t rejected[REJECT_ROOM];
	_Atomic uint64_t exits[EXITS];
	COUNTERS(COUNTER_FIELD) /* append only */
};

struct scoreboard {
	uint32_t layout;       /* SCOREBOARD_LAYOUT */
	_Atomic uint32_t high; /* slots from here on were never used */
	union {
		struct counters counters;
		char reserved[SCOREBOARD_HEAD - 8];
	};
	struct slot slots[SCOREBOARD_SLOTS];
};

/* What a slot bears that this worker has taken: one word, so that compare-and-swap
 * suffices to take it, and its worker is known when that has exited. */
static inline int32_t slot_reserved(pid_t worker)
{
	return -worker;
}

/* The supervisor's handle of a scoreboard: all generations of a service share one. */
struct board {
	unsigned users;
	int fd; /* its memfd */
	struct scoreboard *map;
};

/* A new one with one user; NULL and errno. */
struct board *board_new(void);

/* That of a memfd, which it owns from now on. NULL if it is no scoreboard of this layout;
 * then it is closed. */
struct board *board_adopt(int fd);

struct board *board_hold(struct board *board);
void board_release(struct board *board); /* NULL: nothing */

/* The number of slots that may be in use: what it says of itself, but never beyond the
 * end. */
uint32_t scoreboard_high(const struct scoreboard *scoreboard);

#define SLOT_STATUS_UNKNOWN (-1)

/* The connection in this slot has ended, with this wait status: counts it, logs its
 * `close` line and frees the slot. usage NULL: not known. */
void slot_close(struct scoreboard *scoreboard, struct slot *slot, const char *service,
		int status, const struct rusage *usage);

/* The place of a wait status in counters.exits, and back. */
size_t exit_index(int status);
int exit_status(size_t index);

#endif
