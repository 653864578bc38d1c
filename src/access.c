/*
 * access.c: who may connect. Matching is pure: no I/O, no allocation.
 */
#include "access.h"

#include "account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t overflow_uid = 65534;
static uint32_t overflow_gid = 65534;

void rule_set_overflow(uint32_t uid, uint32_t gid)
{
	overflow_uid = uid;
	overflow_gid = gid;
}

uint32_t rule_overflow_uid(void)
{
	return overflow_uid;
}

uint32_t rule_overflow_gid(void)
{
	return overflow_gid;
}

/* N or N-M */
static const char *parse_range(char *text, struct rule *rule)
{
	char *dash = strchr(text, '-');

	if (dash != NULL)
		*dash = '\0';
	if (account_number(text, &rule->low) < 0 ||
	    account_number(dash != NULL ? dash + 1 : text, &rule->high) < 0)
		return "must have a number, or two with a - between";
	if (rule->low > rule->high)
		return "is a range from high to low";
	rule->number = dash == NULL;
	return NULL;
}

static const char *parse_name(const char *name, struct rule *rule)
{
	uint32_t overflow = rule->kind == RULE_UID ? overflow_uid : overflow_gid;
	int found = -1;

	if (rule->kind == RULE_UID) {
		struct account *account = account_lookup(name);

		if (account != NULL) {
			rule->low = account->uid;
			found = 0;
		}
		account_free(account);
	} else {
		found = account_group(name, &rule->low);
	}
	if (found < 0)
		return errno == ENOENT ? "names somebody who does not exist"
				       : "cannot be looked up: the name service failed";
	rule->high = rule->low;
	if (rule->low == overflow)
		return "names the overflow id, which stands for everybody from other user "
		       "namespaces: write its number if you mean that";
	return NULL;
}

const char *rule_parse(const char *text, struct rule *rule)
{
	static const char *const kinds[] = {"user:", "group:", "uid:", "gid:"};
	const char *error =
		"must be user:, group:, uid: or gid: with a name or number, self or any";

	*rule = (struct rule){.kind = RULE_ANY, .text = strdup(text)};
	if (rule->text == NULL)
		return "finds no memory left";
	if (strcmp(text, "any") == 0)
		return NULL;
	if (strcmp(text, "self") == 0) {
		rule->kind = RULE_UID;
		rule->low = rule->high = geteuid();
		return NULL;
	}
	for (int i = 0; i < 4; i++) {
		char *value;

		if (strncmp(text, kinds[i], strlen(kinds[i])) != 0)
			continue;
		rule->kind = i % 2 == 0 ? RULE_UID : RULE_GID;
		value = strdup(text + strlen(kinds[i]));
		if (value == NULL)
			return "finds no memory left";
		error = i < 2 ? parse_name(value, rule) : parse_range(value, rule);
		free(value);
	}
	return error;
}

const char *rule_list_parse(const char *const *texts, size_t count,
			    struct rule_list *list, const char **text)
{
	*text = "";
	list->rules = calloc(count + 1, sizeof(*list->rules));
	if (list->rules == NULL)
		return "finds no memory left";
	for (size_t i = 0; i < count; i++) {
		const char *error = rule_parse(texts[i], &list->rules[list->count++]);

		*text = texts[i];
		if (error != NULL)
			return error;
	}
	return count > 0 ? NULL : "must have a rule";
}

static bool holds(const struct rule *rule, uint32_t id, uint32_t overflow)
{
	if (id == overflow && !rule->number)
		return false;
	return id >= rule->low && id <= rule->high;
}

static bool rule_match(const struct rule *rule, const struct peer *peer)
{
	if (rule->kind == RULE_ANY)
		return true;
	if (rule->kind == RULE_UID)
		return holds(rule, peer->uid, overflow_uid);
	if (holds(rule, peer->gid, overflow_gid))
		return true;
	for (size_t i = 0; i < peer->ngroups; i++)
		if (holds(rule, peer->groups[i], overflow_gid))
			return true;
	return false;
}

static const char *first_match(const struct rule_list *list, const struct peer *peer)
{
	for (size_t i = 0; i < list->count; i++)
		if (rule_match(&list->rules[i], peer))
			return list->rules[i].text;
	return NULL;
}

const char *access_check(const struct access *access, const struct peer *peer,
			 const char **denied)
{
	*denied = first_match(&access->deny, peer);
	if (*denied != NULL)
		return NULL;
	if (access->allow.count == 0)
		return RULE_NONE;
	return first_match(&access->allow, peer);
}

static bool list_wants_groups(const struct rule_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->rules[i].kind == RULE_GID)
			return true;
	return false;
}

bool access_wants_groups(const struct access *access)
{
	return list_wants_groups(&access->allow) || list_wants_groups(&access->deny);
}
