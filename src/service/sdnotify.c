/*
 * sdnotify.c: datagrams to the service manager.
 */
#include "service/sdnotify.h"

#include "common/clock.h"
#include "service/services.h"
#include "common/unixsock.h"

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

static int manager = -1; /* a connected socket; -1: there is no manager */
static char messages[MESSAGES][MESSAGE_BYTES]; /* those not sent yet, oldest first */
static size_t waiting;
static int64_t due = CLOCK_NEVER;
static unsigned stored; /* the services_version() that the store has */

void sdnotify_open(void)
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

/* Sends what is queued. False: it would block. */
static bool flush_messages(void)
{
	while (waiting > 0 && send_message(messages[0], -1))
		memmove(messages[0], messages[1], --waiting * sizeof(messages[0]));
	return waiting == 0;
}

/* The states must come in their order. Only a manager that reads none for long loses
 * some. */
static void queue_message(const char *text)
{
	if (manager < 0)
		return;
	if (waiting == MESSAGES)
		memmove(messages[0], messages[1], --waiting * sizeof(messages[0]));
	snprintf(messages[waiting++], sizeof(messages[0]), "%s", text);
	due = 0; /* sockets may have changed with the state: sdnotify_tick() */
	(void)flush_messages();
}

void sdnotify_ready(void)
{
	char text[MESSAGE_BYTES];

	snprintf(text, sizeof(text),
		 "READY=1\nMAINPID=%d\nSTATUS=serving %zu sockets of %zu services",
		 getpid(), services_listening(), services_config()->count);
	queue_message(text);
}

void sdnotify_reloading(void)
{
	char text[MESSAGE_BYTES];

	snprintf(text, sizeof(text),
		 "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reading the config",
		 (long long)(clock_now() / 1000));
	queue_message(text);
}

void sdnotify_stopping(void)
{
	queue_message("STOPPING=1\nSTATUS=handlers may finish");
}

/* Brings the store up to date about one socket. False: it would block. */
static bool store_listener(struct instance *i)
{
	struct listener *l = &i->listener;
	bool wanted = l->fd >= 0 && !l->foreign && !instance_is_retiring(i);
	char name[LISTENER_NAME], text[MESSAGE_BYTES];

	if (wanted == l->stored)
		return true;
	listener_name(l, name);
	snprintf(text, sizeof(text), "%s=1\nFDNAME=%s",
		 wanted ? "FDSTORE" : "FDSTOREREMOVE", name);
	if (!send_message(text, wanted ? l->fd : -1))
		return false;
	l->stored = wanted;
	return true;
}

void sdnotify_forget(const struct listener *l)
{
	char name[LISTENER_NAME], text[MESSAGE_BYTES];

	listener_name(l, name);
	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	if (manager >= 0)
		(void)send_message(text, -1);
}

int64_t sdnotify_due(void)
{
	if (manager < 0)
		return CLOCK_NEVER;
	return stored != services_version() ? 0 : due;
}

void sdnotify_tick(int64_t now)
{
	bool sent;

	if (now < sdnotify_due())
		return;
	sent = flush_messages();
	stored = services_version();
	for (struct instance *i = services_first(); i != NULL && sent; i = i->next)
		sent = store_listener(i);
	due = sent ? CLOCK_NEVER : clock_now() + SEND_AGAIN;
}
