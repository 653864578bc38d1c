/*
 * access.c: reads and matches access rules. Matching is pure: no I/O, no allocation.
 */
#include "config/access.h"

#include "config/account.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint32_t overflow_uid = 65534;
static uint32_t overflow_gid = 65534;

void rule_set_overflow(uint32_t uid, uint32_t gid)
{
	overflow_uid = uid;
	overflow_gid = gid;
}

/* N or N-M */
static const char *rule_range(const char *text, struct rule *rule)
{
	const char *dash = strchrnul(text, '-');
	char low[32];

	bool good = snprintf(low, sizeof(low), "%.*s", (int)(dash - text), text) <
			    (int)sizeof(low) &&
		    account_number(low, &rule->low) == 0 &&
		    account_number(*dash != '\0' ? dash + 1 : text, &rule->high) == 0;

	errno = 0;
	if (!good)
		return "must have a number, or two with a - between";
	if (rule->low > rule->high)
		return "is a range from high to low";
	if (*dash == '\0')
		rule->except = UINT32_MAX;
	return NULL;
}

static const char *rule_name(const char *name, struct rule *rule)
{
	int found = rule->kind == RULE_UID ? account_user(name, &rule->low)
					   : account_group(name, &rule->low);

	if (found < 0)
		return errno == ENOENT ? "names a user or group that does not exist"
				       : "cannot be looked up: the name service failed";
	errno = 0;
	rule->high = rule->low;
	if (rule->low == rule->except)
		return "names the overflow id, which stands for everybody from other user "
		       "namespaces: write its number if you mean that";
	return NULL;
}

const char *rule_parse(struct arena *arena, const char *text, struct rule *rule)
{
	static const char *const kinds[] = {"user:", "group:", "uid:", "gid:"};

	*rule = (struct rule){.kind = RULE_ANY, .text = arena_text(arena, text)};
	if (strcmp(text, "any") == 0)
		return NULL;
	if (strcmp(text, "self") == 0) {
		rule->kind = RULE_UID;
		rule->low = rule->high = geteuid();
		rule->except = overflow_uid;
		return NULL;
	}
	for (int i = 0; i < 4; i++) {
		const char *value = text + strlen(kinds[i]);

		if (strncmp(text, kinds[i], strlen(kinds[i])) != 0)
			continue;
		rule->kind = i % 2 == 0 ? RULE_UID : RULE_GID;
		rule->except = i % 2 == 0 ? overflow_uid : overflow_gid;
		return i < 2 ? rule_name(value, rule) : rule_range(value, rule);
	}
	errno = 0;
	return "must be user:, group:, uid: or gid: with a name or number, self or any";
}

const char *rule_list_parse(struct arena *arena, const char *const *texts, size_t count,
			    struct rule_list *list, const char **text)
{
	*text = "";
	list->count = 0;
	list->rules = arena_take(arena, count * sizeof(*list->rules));
	for (size_t i = 0; i < count; i++) {
		const char *error =
			rule_parse(arena, texts[i], &list->rules[list->count++]);

		*text = texts[i];
		if (error != NULL)
			return error;
	}
	errno = 0;
	return count > 0 ? NULL : "must have a rule";
}

static bool rule_holds(const struct rule *rule, uint32_t id)
{
	return id >= rule->low && id <= rule->high && id != rule->except;
}

static bool rule_match(const struct rule *rule, const struct peer *peer)
{
	if (rule->kind == RULE_ANY)
		return true;
	if (rule->kind == RULE_UID)
		return rule_holds(rule, peer->uid);
	if (rule_holds(rule, peer->gid))
		return true;
	for (size_t i = 0; i < peer->ngroups; i++)
		if (rule_holds(rule, peer->groups[i]))
			return true;
	return false;
}

static const char *rule_first_match(const struct rule_list *list, const struct peer *peer)
{
	for (size_t i = 0; i < list->count; i++)
		if (rule_match(&list->rules[i], peer))
			return list->rules[i].text;
	return NULL;
}

const char *access_check(const struct access *access, const struct peer *peer,
			 const char **denied)
{
	*denied = rule_first_match(&access->deny, peer);
	if (*denied != NULL)
		return NULL;
	if (access->allow.count == 0)
		return RULE_NONE;
	return rule_first_match(&access->allow, peer);
}

static bool rules_want_groups(const struct rule_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->rules[i].kind == RULE_GID)
			return true;
	return false;
}

bool access_wants_groups(const struct access *access)
{
	return rules_want_groups(&access->allow) || rules_want_groups(&access->deny);
}
