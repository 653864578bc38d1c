/*
 * client.h: a client of the control socket, and its answer.
 *
 * An answer ends the client, and the supervisor waits for none. A short one goes out at
 * once, as a fresh socket takes that much. A long one is written by a process of its own,
 * which sees all as it is now; the client counts until that has ended. The answer to a
 * reload comes when it is over.
 */
#ifndef UDSD_CLIENT_H
#define UDSD_CLIENT_H

#include "common/events.h"
#include "common/log.h"
#include "common/peer.h"
#include "common/protocol.h"

#include <stdbool.h>
#include <stdio.h>

#define ANSWER_SHORT 4096 /* bytes of a short answer */

struct client {
	struct watch watch; /* the first member: a watch is a client */
	bool used;
	int fd;       /* -1: the writer has it */
	pid_t writer; /* 0: none */
	struct peer peer;
	int64_t due;      /* when it is given up */
	unsigned reload;  /* the number of the one that it waits for; 0: none */
	unsigned recheck; /* likewise, and for which */
	const char *service;
	size_t len; /* bytes in request */
	char request[REQUEST_BYTES];
};

/* Ends a client with a short answer (NULL: none), or with `error` and a text. */
void control_answer(struct client *client, const char *text);
void control_error(struct client *client, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Begins a long answer: true in the process that is to write it to *out, then ends itself
 * by control_end_answer(). */
bool control_begin_answer(struct client *client, FILE **out);
_Noreturn void control_end_answer(FILE *out);

/* The client waits for the end of the reload with this number. */
void control_await_reload(struct client *client, unsigned number, int64_t now);

/* Likewise of a recheck, for a service that is named in its request. */
void control_await_recheck(struct client *client, unsigned number, const char *service,
			   int64_t now);

#endif
