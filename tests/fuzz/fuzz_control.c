/*
 * fuzz_control.c: any bytes from a client of the control socket, in up to three pieces.
 *
 * What holds: each whole line gets one answer of a known form, what cannot be a line gets an error or
 * an end, no client is left behind, and what is logged is clean. There are no processes here: fork()
 * fails, as when the system has none left, so long answers become errors.
 */
#include "control/control.h"

#include "common/clock.h"
#include "service/lifecycle.h"
#include "service/reload.h"
#include "service/services.h"

#include "records.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In place of the C library's. */
pid_t fork(void)
{
	errno = EAGAIN;
	return -1;
}

static struct instance *control;
static struct loaded loaded;
static struct sockaddr_un address = {.sun_family = AF_UNIX}; /* the kernel's choice */
static socklen_t address_len = sizeof(address);

static struct instance *add(const struct service *service)
{
	struct instance *i = lifecycle_new(&loaded, service);

	must(i != NULL);
	services_add(i);
	return i;
}

/* A service with live connections, one that is disabled, and the control socket. */
static void make_supervisor(void)
{
	static char own[] = CONTROL_NAME, a[] = "a", b[] = "b", path[] = "/nowhere/s";
	static char *handler[] = {path, NULL};
	static struct rule rule = {.kind = RULE_ANY, .text = own};
	static const struct config config = {.count = 2};
	static const struct load_source source;
	static const struct service services[] = {
		{.name = a, .socket = path, .handler = handler, .enabled = true},
		{.name = b, .socket = path, .handler = handler},
		{.name = own, .enabled = true, .access.allow = {1, &rule}}};
	struct instance *i;

	records_open();
	loaded = (struct loaded){.users = 1, .config = &config};
	services_origin.source = &source;
	services_set_config(&loaded);
	control_open();
	must(events_open() == 0);
	i = add(&services[0]);
	i->board = board_new();
	must(i->board != NULL);
	i->board->map->high = 3;
	i->board->map->slots[1] = (struct slot){.pid = INT32_MAX, .id = 2};
	add(&services[1]);
	control = add(&services[2]);
	control->listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	must(bind(control->listener.fd, (const void *)&address, sizeof(sa_family_t)) ==
	     0);
	must(getsockname(control->listener.fd, (void *)&address, &address_len) == 0);
	must(listen(control->listener.fd, 16) == 0);
}

/* A turn of the supervisor, as far as clients see it. */
static void look(void)
{
	events_wait(0);
	if (reload_is_wanted())
		reload_begin(clock_now());
	control_tick(clock_now());
}

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	must(fd >= 0 && connect(fd, (const void *)&address, address_len) == 0);
	control->on_listener.ready(&control->on_listener, clock_now());
	return fd;
}

static void check_answer(const char *text)
{
	must(strncmp(text, "ok\n", 3) == 0 || strncmp(text, "error ", 6) == 0 ||
	     strncmp(text, "refused\n", 8) == 0);
	must(text[strlen(text) - 1] == '\n');
}

/* A byte with the number of pieces, then what is sent. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t pieces, sent = 0;
	char answer[4096];
	ssize_t n;
	int fd;

	if (control == NULL)
		make_supervisor();
	if (size == 0)
		return 0;
	pieces = *data++ % 3 + 1;
	size--;
	fd = dial();
	for (size_t i = 1; i <= pieces; i++) {
		size_t upto = size * i / pieces;

		if (send(fd, data + sent, upto - sent, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break; /* it has been answered */
		sent = upto;
		look();
	}
	(void)shutdown(fd, SHUT_WR);
	look();
	n = recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT);
	must(n >= 0); /* an end, and no reset */
	answer[n] = '\0';
	if (n > 0)
		check_answer(answer);
	else
		must(memchr(data, '\n', size) == NULL);
	close(fd);
	look();
	must(control_due() == CLOCK_NEVER);
	while (records_next() != NULL)
		;
	return 0;
}
