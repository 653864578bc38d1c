/* alice.h: a service of hers and its peers, for tests of what handlers get. */
#ifndef UDSD_TESTS_ALICE_H
#define UDSD_TESTS_ALICE_H

#include "config/config.h"

static char her_name[] = "alice", her_home[] = "/home/alice", her_shell[] = "/bin/zsh",
	    her_key[] = "alice";
static const struct account alice = {
	.key = her_key, .name = her_name, .home = her_home, .shell = her_shell};
static char service_name[] = "echo", service_socket[] = "/run/udsd/echo.sock";
static gid_t groups[1];

#define SERVICE .name = service_name, .socket = service_socket, .account = &alice

#endif
