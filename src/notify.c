/*
 * notify.c: datagrams to the service manager.
 */
#include "notify.h"

#include "clock.h"
#include "handover.h"
#include "unixsock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGES 8
#define MESSAGE_BYTES 512
#define SEND_AGAIN (50 * NSEC_PER_MSEC)

static int manager = -1; /* a connected socket; -1: nobody wants to know */
static char messages[MESSAGES][MESSAGE_BYTES]; /* those not sent yet, oldest first */
static size_t waiting;
static int64_t due = CLOCK_NEVER;

void notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun;
	socklen_t len;

	if (path == NULL || (*path != '/' && *path != '@'))
		return;
	len = unixsock_address(path, &sun);
	if (len == 0)
		return;
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (manager >= 0 && connect(manager, (void *)&sun, len) < 0) {
		close(manager);
		manager = -1;
	}
}

/* Sends a message, with a descriptor unless it is -1. False: it would block. */
static bool send_message(const char *text, int fd)
{
	return unixsock_send(manager, text, strlen(text), fd) == 0 ||
	       (errno != EAGAIN && errno != ENOBUFS);
}

/* The states must come in their order. Only a manager that reads none for long loses some. */
static void queue(const char *text)
{
	if (manager < 0)
		return;
	if (waiting == MESSAGES)
		memmove(messages[0], messages[1], --waiting * sizeof(messages[0]));
	snprintf(messages[waiting++], sizeof(messages[0]), "%s", text);
	due = 0;
	while (waiting > 0 && send_message(messages[0], -1))
		memmove(messages[0], messages[1], --waiting * sizeof(messages[0]));
}

void notify_ready(size_t sockets, size_t services)
{
	char text[MESSAGE_BYTES];

	snprintf(text, sizeof(text),
		 "READY=1\nMAINPID=%d\nSTATUS=serving %zu sockets of %zu services",
		 getpid(), sockets, services);
	queue(text);
}

void notify_reloading(void)
{
	char text[MESSAGE_BYTES];

	snprintf(text, sizeof(text),
		 "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reading the config",
		 (long long)(clock_now() / 1000));
	queue(text);
}

void notify_stopping(void)
{
	queue("STOPPING=1\nSTATUS=handlers may finish");
}

/* Brings the store up to date about one socket. False: it would block. */
static bool store(struct unit *u)
{
	struct listener *l = &u->listener;
	bool wanted = l->fd >= 0 && !l->foreign && !u->retiring;
	char name[HANDOVER_NAME], text[MESSAGE_BYTES];

	if (wanted == l->stored)
		return true;
	handover_listener_name(l, name);
	snprintf(text, sizeof(text), "%s=1\nFDNAME=%s",
		 wanted ? "FDSTORE" : "FDSTOREREMOVE", name);
	if (!send_message(text, wanted ? l->fd : -1))
		return false;
	l->stored = wanted;
	return true;
}

void notify_forget(const struct listener *l)
{
	char name[HANDOVER_NAME], text[MESSAGE_BYTES];

	handover_listener_name(l, name);
	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	if (manager >= 0)
		(void)send_message(text, -1);
}

void notify_store(struct unit *units)
{
	due = 0;
	notify_tick(units, due);
}

int64_t notify_due(void)
{
	return due;
}

void notify_tick(struct unit *units, int64_t now)
{
	bool sent = true;

	if (manager < 0)
		due = CLOCK_NEVER;
	if (now < due)
		return;
	while (waiting > 0 && sent) {
		sent = send_message(messages[0], -1);
		if (sent)
			memmove(messages[0], messages[1],
				--waiting * sizeof(messages[0]));
	}
	for (struct unit *u = units; u != NULL && sent; u = u->next)
		sent = store(u);
	due = sent ? CLOCK_NEVER : clock_now() + SEND_AGAIN;
}
