/*
 * access.h: access rules, `user: group: uid: gid: self any`.
 *
 * Names are resolved when a rule is read, so matching is pure. The overflow ids, which
 * the kernel shows for everybody from a user namespace that is not mapped, match `any`
 * and a rule that names exactly this number, and nothing else.
 */
#ifndef UDSD_ACCESS_H
#define UDSD_ACCESS_H

#include "config/arena.h"
#include "common/peer.h"

#include <stdbool.h>
#include <stdint.h>

enum rule_kind {
	RULE_ANY,
	RULE_UID,
	RULE_GID,
};

struct rule {
	enum rule_kind kind;
	uint32_t low;    /* the first id that matches */
	uint32_t high;   /* the last one */
	uint32_t except; /* the overflow id, which does not; UINT32_MAX: none */
	char *text;      /* as in the config */
};

struct rule_list {
	size_t count;
	struct rule *rules;
};

/* The rules of a service. */
struct access {
	struct rule_list allow; /* empty: everybody who is not denied */
	struct rule_list deny;
};

#define RULE_NONE "none" /* what lets a client in where there is no allow */

/* The kernel's overflow uid and gid (/proc/sys/kernel/overflow*), for rules that are read
 * from now on; 65534 each until it is called. */
void rule_set_overflow(uint32_t uid, uint32_t gid);

/* Reads `user: group: uid: gid: self any`; names are looked up now, `self` is the
 * caller's euid. NULL, or what is wrong with the text; errno is 0 unless a name could not
 * be looked up (account.h). */
const char *rule_parse(struct arena *arena, const char *text, struct rule *rule);

/* Reads a list of them, at least one. NULL, or what is wrong with *text, which is one of
 * `texts`, and errno as above. */
const char *rule_list_parse(struct arena *arena, const char *const *texts, size_t count,
			    struct rule_list *list, const char **text);

/* The text of the rule that admits the peer, or NULL if none does; then *denied is the
 * deny rule that matched, or NULL. */
const char *access_check(const struct access *access, const struct peer *peer,
			 const char **denied);

/* Whether a rule asks for groups, so that they have to be read from the peer. */
bool access_wants_groups(const struct access *access);

#endif
