/*
 * fuzz_peer.c: any address that a peer is bound to, as accept4() may return it, and any
 * name of a rule.
 *
 * What holds: the environment is a list of NAME=value, where the peer is bound is there
 * at most once and without a control character, and nothing of one connection is left in
 * the next.
 */
#include "worker/environment.h"

#include "records.h"

#include <stddef.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct environment *make_environment(void)
{
	static char name[] = "s", home[] = "/", path[] = "/run/s";
	static const struct account account = {.name = name, .home = home, .shell = home};
	static const struct service service = {
		.name = name, .socket = path, .account = &account};
	struct environment *e = environment_new(&service);

	must(e != NULL);
	return e;
}

static void check_environment(char *const *env, int bound)
{
	int paths = 0;

	for (; *env != NULL; env++) {
		const char *value = strchr(*env, '=');

		must(value != NULL && value > *env && strlen(*env) < 512);
		if (strncmp(*env, "UNIXREMOTEPATH=", 15) != 0)
			continue;
		paths++;
		must(value[1] == '/' || value[1] == '@' || value[1] != '\0');
		for (const char *c = value; *c != '\0'; c++)
			must((unsigned char)*c >= 0x20 && *c != 0x7f);
	}
	must(paths <= bound);
}

/* A byte with the length of the address, the address, the rest is the rule. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct environment *environment;
	const size_t at = offsetof(struct sockaddr_un, sun_path);
	struct sockaddr_un from = {.sun_family = AF_UNIX};
	const struct peer peer = {.uid = 1, .gid = 2, .pid = 3};
	struct environment_call call = {.peer = &peer, .from = &from};
	char rule[512] = "";
	size_t len;

	if (size == 0)
		return 0;
	if (environment == NULL)
		environment = make_environment();
	/* the length of a path that fills all is one more */
	len = *data++ % (sizeof(from.sun_path) + 2);
	call.from_len = (socklen_t)(at + len);
	size--;
	if (len > size)
		len = size;
	memcpy(from.sun_path, data,
	       len < sizeof(from.sun_path) ? len : sizeof(from.sun_path));
	data += len;
	size -= len;
	memcpy(rule, data, size < sizeof(rule) ? size : sizeof(rule) - 1);
	call.rule = rule;
	check_environment(environment_of(environment, &call), call.from_len > at);
	call.from_len = (socklen_t)at;
	check_environment(environment_of(environment, &call), 0);
	return 0;
}
