/*
 * options.c: THE table of a service's options.
 *
 * A new option is a row here, its field in config.h and what obeys it (and its text in
 * udsd.conf(5) and in the completion, which a test compares with this table).
 */
#include "config/options.h"

#include <stdint.h>

#define OWN OPTION_OWN
#define ACCEPTS OPTION_ACCEPTS
#define APPLIED OPTION_APPLIED
#define SOCKET_ONLY (OPTION_APPLIED | OPTION_NO_WORKER)
#define RANGE(from, to) .low = (from), .high = (to)
#define AT(field) offsetof(struct service, field)

const struct option_row service_options[] = {
	{"enabled", KIND_BOOL, AT(enabled), .fallback = "true"},
	{"socket", KIND_SOCKET, AT(socket), .flags = OWN},
	{"handler", KIND_HANDLER, AT(handler), .flags = OWN},
	{"type", KIND_TYPE, AT(type), .fallback = "stream"},
	{"wait", KIND_BOOL, AT(wait), .fallback = "false"},
	{"socket-owner", KIND_USER, AT(socket_owner), .flags = SOCKET_ONLY},
	{"socket-group", KIND_GROUP, AT(socket_group), .flags = SOCKET_ONLY},
	{"socket-mode", KIND_MODE, AT(socket_mode), .fallback = "0600",
	 .flags = SOCKET_ONLY},
	{"directory-mode", KIND_MODE, AT(directory_mode), .fallback = "0755",
	 .flags = OPTION_NO_WORKER},
	{"backlog", KIND_INT, AT(backlog), .fallback = "2147483647", .flags = SOCKET_ONLY,
	 RANGE(0, INT32_MAX)},
	{"user", KIND_ACCOUNT, AT(account), .flags = 0},
	{"group", KIND_GROUP, AT(identity.gid), .flags = 0},
	{"supplementary-groups", KIND_GROUPS, AT(identity), .flags = 0},
	{"directory", KIND_PATH, AT(directory), .fallback = "/"},
	{"umask", KIND_MODE, AT(umask), .fallback = "022"},
	{"nice", KIND_INT, AT(nice), .fallback = "0", RANGE(-20, 19)},
	{"environment", KIND_ENVIRONMENT, AT(environment), .flags = 0},
	{"pass-environment", KIND_PASS, AT(environment), .flags = 0},
	{"no-new-privileges", KIND_BOOL, AT(no_new_privileges), .fallback = "true"},
	{"limit-nofile", KIND_LIMIT, AT(limits[RLIMIT_NOFILE]), .flags = 0},
	{"limit-nproc", KIND_LIMIT, AT(limits[RLIMIT_NPROC]), .flags = 0},
	{"limit-as", KIND_LIMIT, AT(limits[RLIMIT_AS]), .flags = 0},
	{"limit-cpu", KIND_LIMIT, AT(limits[RLIMIT_CPU]), .flags = 0},
	{"limit-core", KIND_LIMIT, AT(limits[RLIMIT_CORE]), .flags = 0},
	{"limit-fsize", KIND_LIMIT, AT(limits[RLIMIT_FSIZE]), .flags = 0},
	{"stderr", KIND_STDERR, AT(stderr_target), .flags = 0},
	{"pass-fds", KIND_BOOL, AT(pass_fds), .fallback = "false", .flags = APPLIED},
	{"allow", KIND_RULES, AT(access.allow), .flags = ACCEPTS},
	{"deny", KIND_RULES, AT(access.deny), .flags = ACCEPTS},
	{"max-connections", KIND_INT, AT(max_connections), .fallback = "64",
	 .flags = ACCEPTS, RANGE(1, 65536)},
	{"max-connections-per-user", KIND_INT, AT(per_user), .fallback = "0",
	 .flags = ACCEPTS, RANGE(0, 65536)},
	{"rate", KIND_RATE, AT(rate), .flags = ACCEPTS},
	{"overflow", KIND_OVERFLOW, AT(overflow_reject), .fallback = "queue",
	 .flags = ACCEPTS},
	{"reject-message", KIND_TEXT, AT(reject_message), .flags = ACCEPTS},
	{"max-lifetime", KIND_DURATION, AT(max_lifetime), .fallback = "0",
	 .flags = ACCEPTS},
	{"kill-grace", KIND_DURATION, AT(kill_grace), .fallback = "5s"},
	{"idle-timeout", KIND_DURATION, AT(idle_timeout), .fallback = "0",
	 .flags = ACCEPTS},
	{"worker-idle", KIND_DURATION, AT(worker_idle), .fallback = "30s",
	 .flags = ACCEPTS},
	{"log-level", KIND_LEVEL, AT(log_level), .flags = 0},
	{0},
};
