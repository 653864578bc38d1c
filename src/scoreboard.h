/*
 * scoreboard.h: the table of a service's live connections and its counters.
 *
 * One memfd for each service, of a fixed size and sealed against resizing, mapped by the supervisor
 * and by the service's workers. It outlives workers, so limits and counters do not forget. A slot
 * is free (pid 0), reserved (the negative pid of a worker that is about to start a handler) or bears
 * the handler's pid, which the kernel itself writes there before the handler's first instruction
 * (CLONE_PARENT_SETTID). So a worker's death at any point leaves the table true.
 *
 * To the supervisor everything in here is untrusted input: a worker of another user wrote it.
 */
#ifndef UDSD_SCOREBOARD_H
#define UDSD_SCOREBOARD_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define SCOREBOARD_SLOTS 65536
#define SCOREBOARD_LAYOUT 2 /* changed whenever a structure below changes */

enum reject_reason {
	REJECT_RULE,
	REJECT_LIMIT,
	REJECT_USER_LIMIT,
	REJECT_RATE,
	REJECT_REASONS,
};

struct slot {
	_Atomic int32_t
		pid;   /* 0: free; below 0: reserved, see slot_reserved(); the handler */
	int32_t owner; /* pid of the worker that opened it */
	uint64_t conn; /* number of the connection in its service */
	int64_t started; /* CLOCK_MONOTONIC, nanoseconds */
	uint32_t uid;    /* the peer's */
	uint32_t gid;
	int32_t peer_pid;
	uint32_t expired; /* max-lifetime has passed */
	char rule[88];    /* that let it in; cut, always terminated */
};

/* Ends of handlers: exit statuses 0 to 255, then signals; the place of signal 0 is for those that
 * nobody knows. */
#define EXIT_SIGNALS 256
#define EXITS (EXIT_SIGNALS + 65)

/* Each is only ever added to, by workers of several generations and the supervisor, except for the
 * last two. */
struct counters {
	_Atomic uint64_t numbers;  /* given out to connections */
	_Atomic uint64_t opened;   /* handlers started */
	_Atomic uint64_t failures; /* starts that failed for good reasons */
	_Atomic uint64_t gone;     /* clients gone before they were served */
	_Atomic uint64_t rejected[REJECT_REASONS];
	_Atomic uint64_t log_dropped;    /* lines that the log did not take, */
	_Atomic uint64_t stderr_dropped; /* and handlers' lines above the limit */
	_Atomic uint64_t nanoseconds;    /* that ended connections have lasted */
	_Atomic uint64_t exits[EXITS];
	_Atomic uint32_t peak;    /* most connections live at once */
	_Atomic int64_t retry_at; /* until when the worker backs off; 0: it does not */
};

struct scoreboard {
	uint32_t layout;       /* SCOREBOARD_LAYOUT */
	_Atomic uint32_t high; /* slots from here on were never used */
	struct counters counters;
	_Alignas(4096) struct slot slots[SCOREBOARD_SLOTS];
};

/* What a slot bears that this worker has taken: one word, so that nothing but compare-and-swap is
 * needed to take it from under another worker, and it is known whose it was if the worker dies. */
static inline int32_t slot_reserved(pid_t worker)
{
	return -worker;
}

/* A scoreboard as the supervisor holds it: all generations of a service share one. */
struct board {
	unsigned users;
	int fd; /* its memfd */
	struct scoreboard *map;
};

/* A new one with one user; NULL and errno if there is none. */
struct board *board_new(void);

/* One that a memfd holds, which is taken over. NULL if it is not one of ours of this layout; then it
 * is closed. */
struct board *board_adopt(int fd);

struct board *board_hold(struct board *board);
void board_release(struct board *board); /* NULL: nothing */

/* The number of slots that may be in use: what it says of itself, but never beyond the end. */
uint32_t scoreboard_high(const struct scoreboard *board);

#define SLOT_STATUS_UNKNOWN (-1)

/* The connection in this slot of the board has ended, with this wait status: counts it, logs its
 * `close` line and frees the slot. usage NULL: not known. */
void slot_close(struct scoreboard *board, struct slot *slot, const char *service,
		int status, const struct rusage *usage);

/* The place of a wait status in counters.exits, and back. */
size_t exit_index(int status);
int exit_status(size_t index);

/* The name of a reason, as the log has it. */
const char *reject_name(enum reject_reason reason);

#endif
