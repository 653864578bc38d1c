/*
 * control_state.h: what the two rooms of the control socket share: control.c (clients and their
 * answers) and request.c (what they ask for).
 */
#ifndef UDSD_CONTROL_STATE_H
#define UDSD_CONTROL_STATE_H

#include "peer.h"
#include "supervisor_state.h"

#include <stdio.h>

#define REQUEST_BYTES 256

struct client {
	struct watch watch; /* the first member: a watch is a client */
	bool used;
	int fd;       /* -1: the writer has it */
	int epoll;    /* where it is watched */
	pid_t writer; /* 0: none */
	struct peer peer;
	int64_t due;     /* when it is given up */
	unsigned reload; /* the number of the one that it waits for; 0: none */
	size_t len;      /* bytes in request */
	char request[REQUEST_BYTES];
};

/* Does what the line in client->request asks for. The client is answered by then, or waits. */
void request_run(struct supervisor *sup, struct client *client, int64_t now);

/* A short answer, or `error` with a text; either ends the client. */
void control_answer(struct client *client, const char *text);
void control_error(struct client *client, const char *error);

/* Begins a long answer: true in the process that is to write it to *out and then ends itself. The
 * supervisor is done with the client, except that it counts until the writer has ended. */
bool control_begin_answer(struct client *client, FILE **out);
_Noreturn void control_end_answer(FILE *out);

/* It is answered when the next reload is over. One that has begun may have read the config before it
 * was changed. */
void control_await_reload(struct supervisor *sup, struct client *client, int64_t now);

#endif
