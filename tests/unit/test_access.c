/*
 * test_access.c: who may connect.
 *
 * The functions of the name service are replaced by some that know a user and a group each of two
 * names.
 */
#include "config/access.h"

#include "lib/cases.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OVERFLOW 65534
#define TOP 4294967294

static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	return arena_open(&arena);
}

struct passwd *getpwnam(const char *who)
{
	static char text[] = "/";
	static struct passwd root = {.pw_name = text, .pw_dir = text, .pw_shell = text};
	static struct passwd alice = {.pw_name = text,
				      .pw_uid = 4711,
				      .pw_gid = 4712,
				      .pw_dir = text,
				      .pw_shell = text};

	return strcmp(who, "root") == 0    ? &root
	       : strcmp(who, "alice") == 0 ? &alice
					   : NULL;
}

struct group *getgrnam(const char *who)
{
	static struct group root, staff = {.gr_gid = 4713};

	return strcmp(who, "root") == 0    ? &root
	       : strcmp(who, "staff") == 0 ? &staff
					   : NULL;
}

static const struct {
	const char *text, *error;
	enum rule_kind kind;
	bool number;
	uint32_t low, high;
} texts[] = {
	{"any", NULL, RULE_ANY, false, 0, 0},
	{"uid:0", NULL, RULE_UID, true, 0, 0},
	{"uid:1000", NULL, RULE_UID, true, 1000, 1000},
	{"uid:65534", NULL, RULE_UID, true, OVERFLOW, OVERFLOW},
	{"uid:4294967294", NULL, RULE_UID, true, TOP, TOP},
	{"uid:1000-59999", NULL, RULE_UID, false, 1000, 59999},
	{"uid:0-4294967294", NULL, RULE_UID, false, 0, TOP},
	{"uid:7-7", NULL, RULE_UID, false, 7, 7},
	{"gid:5", NULL, RULE_GID, true, 5, 5},
	{"gid:5-6", NULL, RULE_GID, false, 5, 6},
	{"user:root", NULL, RULE_UID, false, 0, 0},
	{"group:root", NULL, RULE_GID, false, 0, 0},
	{"user:alice", NULL, RULE_UID, false, 4711, 4711},
	{"group:staff", NULL, RULE_GID, false, 4713, 4713},
	{"user:staff", "does not exist", 0, 0, 0, 0},
	{"group:alice", "does not exist", 0, 0, 0, 0},
	{"user:54321", NULL, RULE_UID, false, 54321, 54321},
	{"group:54321", NULL, RULE_GID, false, 54321, 54321},
	{"uid:", "must have a number", 0, 0, 0, 0},
	{"uid:-", "must have a number", 0, 0, 0, 0},
	{"uid:1-", "must have a number", 0, 0, 0, 0},
	{"uid:-1", "must have a number", 0, 0, 0, 0},
	{"uid:1-2-3", "must have a number", 0, 0, 0, 0},
	{"uid:4294967295", "must have a number", 0, 0, 0, 0},
	{"uid:0-4294967295", "must have a number", 0, 0, 0, 0},
	{"uid:root", "must have a number", 0, 0, 0, 0},
	{"uid: 1", "must have a number", 0, 0, 0, 0},
	{"uid:1 ", "must have a number", 0, 0, 0, 0},
	{"gid:+1", "must have a number", 0, 0, 0, 0},
	{"uid:2-1", "from high to low", 0, 0, 0, 0},
	{"user:no such user", "does not exist", 0, 0, 0, 0},
	{"group:no such group", "does not exist", 0, 0, 0, 0},
	{"user:", "does not exist", 0, 0, 0, 0},
	{"user:65534", "overflow", 0, 0, 0, 0},
	{"group:65534", "overflow", 0, 0, 0, 0},
	{"", "must be user:", 0, 0, 0, 0},
	{"Any", "must be user:", 0, 0, 0, 0},
	{"self:", "must be user:", 0, 0, 0, 0},
	{"root", "must be user:", 0, 0, 0, 0},
	{"1000", "must be user:", 0, 0, 0, 0},
	{" any", "must be user:", 0, 0, 0, 0},
	{"UID:1", "must be user:", 0, 0, 0, 0},
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct rule rule;
		const char *error = rule_parse(&arena, texts[i].text, &rule);

		check(same_error(error, texts[i].error), "%s: %s", texts[i].text,
		      shown(error));
		assert_string_equal(rule.text, texts[i].text);
		if (error == NULL) {
			check(rule.kind == texts[i].kind, "%s", texts[i].text);
			check(rule.low == texts[i].low && rule.high == texts[i].high,
			      "%s", texts[i].text);
			check(rule.kind == RULE_ANY ||
				      (rule.except == UINT32_MAX) == texts[i].number,
			      "%s", texts[i].text);
		}
	}
}

static void test_self(void **state)
{
	struct rule rule;

	(void)state;
	assert_null(rule_parse(&arena, "self", &rule));
	assert_int_equal(rule.kind, RULE_UID);
	assert_int_equal(rule.low, geteuid());
	assert_int_equal(rule.high, geteuid());
}

/* Where the overflow ids are others, names of these are refused. */
static void test_set_overflow(void **state)
{
	struct rule rule;

	(void)state;
	rule_set_overflow(0, 54321);
	assert_non_null(strstr(rule_parse(&arena, "user:root", &rule), "overflow"));
	assert_null(rule_parse(&arena, "group:root", &rule));
	assert_non_null(strstr(rule_parse(&arena, "group:54321", &rule), "overflow"));
	rule_set_overflow(OVERFLOW, OVERFLOW);
}

/* Rules from a text with spaces between. */
static struct rule_list rules(const char *text)
{
	struct rule_list list = {0, arena_take(&arena, 8 * sizeof(*list.rules))};
	char copy[200], *word, *rest = copy;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strsep(&rest, " ")) != NULL)
		if (*word != '\0')
			assert_null(rule_parse(&arena, word, &list.rules[list.count++]));
	return list;
}

static gid_t groups[] = {20, 30, OVERFLOW};

static const struct {
	const char *allow, *deny;
	uid_t uid;
	gid_t gid;
	size_t ngroups;     /* of `groups` */
	const char *rule;   /* that lets it in; NULL: it is not let in */
	const char *denied; /* the rule that kept it out */
} cases[] = {
	{"", "", 7, 7, 0, "none", NULL},
	{"", "", OVERFLOW, OVERFLOW, 0, "none", NULL},
	{"any", "", 7, 7, 0, "any", NULL},
	{"any", "", OVERFLOW, OVERFLOW, 0, "any", NULL},
	{"", "any", 0, 0, 0, NULL, "any"},
	{"any", "any", 0, 0, 0, NULL, "any"},
	{"", "uid:7", 7, 7, 0, NULL, "uid:7"},
	{"", "uid:7", 8, 7, 0, "none", NULL},
	{"uid:7", "uid:7", 7, 7, 0, NULL, "uid:7"},
	{"uid:7", "gid:8", 7, 8, 0, NULL, "gid:8"},
	{"uid:7", "gid:8", 7, 7, 0, "uid:7", NULL},
	{"uid:7", "", 8, 7, 0, NULL, NULL},
	{"uid:7 uid:8", "", 8, 7, 0, "uid:8", NULL},
	{"any uid:8", "", 8, 8, 0, "any", NULL},
	{"uid:8 any", "", 8, 8, 0, "uid:8", NULL},
	{"", "uid:9 gid:8 uid:8", 8, 8, 0, NULL, "gid:8"},
	{"uid:10-20", "", 9, 0, 0, NULL, NULL},
	{"uid:10-20", "", 10, 0, 0, "uid:10-20", NULL},
	{"uid:10-20", "", 20, 0, 0, "uid:10-20", NULL},
	{"uid:10-20", "", 21, 0, 0, NULL, NULL},
	{"gid:10-20", "", 10, 9, 0, NULL, NULL},
	{"gid:10-20", "", 9, 10, 0, "gid:10-20", NULL},
	{"gid:20", "", 0, 0, 0, NULL, NULL},
	{"gid:20", "", 0, 0, 1, "gid:20", NULL},
	{"gid:30", "", 0, 0, 1, NULL, NULL},
	{"gid:30", "", 0, 0, 2, "gid:30", NULL},
	{"gid:25-35", "", 0, 0, 2, "gid:25-35", NULL},
	{"any", "gid:30", 0, 0, 2, NULL, "gid:30"},
	{"any", "group:20", 0, 0, 2, NULL, "group:20"},
	{"uid:20", "", 0, 0, 2, NULL, NULL},
	{"user:root", "", 0, 7, 0, "user:root", NULL},
	{"user:root", "", 7, 0, 0, NULL, NULL},
	{"group:root", "", 7, 0, 0, "group:root", NULL},
	{"group:root", "", 0, 7, 0, NULL, NULL},
	{"uid:0-4294967294", "", OVERFLOW, 7, 0, NULL, NULL},
	{"uid:65534-65534", "", OVERFLOW, 7, 0, NULL, NULL},
	{"uid:65534", "", OVERFLOW, 7, 0, "uid:65534", NULL},
	{"uid:0-4294967294", "", OVERFLOW - 1, 7, 0, "uid:0-4294967294", NULL},
	{"gid:0-4294967294", "", 7, OVERFLOW, 0, NULL, NULL},
	{"gid:65534", "", 7, OVERFLOW, 0, "gid:65534", NULL},
	{"gid:65000-65535", "", 7, 7, 3, NULL, NULL},
	{"gid:65534", "", 7, 7, 3, "gid:65534", NULL},
	{"any", "uid:60000-70000", OVERFLOW, 7, 0, "any", NULL},
	{"any", "uid:65534", OVERFLOW, 7, 0, NULL, "uid:65534"},
};

static void test_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct access access = {rules(cases[i].allow), rules(cases[i].deny)};
		const struct peer peer = {cases[i].uid, cases[i].gid, 1, cases[i].ngroups,
					  groups};
		const char *denied = "not set",
			   *rule = access_check(&access, &peer, &denied);

		check(same(rule, cases[i].rule), "allow %s deny %s, %u:%u: %s",
		      cases[i].allow, cases[i].deny, peer.uid, peer.gid, shown(rule));
		check(same(denied, cases[i].denied), "allow %s deny %s, %u:%u: %s",
		      cases[i].allow, cases[i].deny, peer.uid, peer.gid, shown(denied));
	}
}

/* The overflow ids are the kernel's, not a constant. */
static void test_check_overflow(void **state)
{
	struct access access = {rules("uid:0-4294967294"), rules("")};
	const struct peer one = {1234, 7, 1, 0, NULL}, two = {OVERFLOW, 7, 1, 0, NULL};
	const char *denied;

	(void)state;
	assert_non_null(access_check(&access, &one, &denied));
	assert_null(access_check(&access, &two, &denied));
	rule_set_overflow(1234, 4321);
	access.allow = rules("uid:0-4294967294");
	rule_set_overflow(OVERFLOW, OVERFLOW);
	assert_null(access_check(&access, &one, &denied));
	assert_non_null(access_check(&access, &two, &denied));
}

static void test_wants_groups(void **state)
{
	static const struct {
		const char *allow, *deny;
		bool wanted;
	} rows[] = {
		{"", "", false},
		{"any uid:1 self user:root", "uid:3 any", false},
		{"any gid:1", "", true},
		{"", "uid:1 gid:1-2", true},
		{"group:root", "any", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct access access = {rules(rows[i].allow), rules(rows[i].deny)};

		check(access_wants_groups(&access) == rows[i].wanted, "allow %s deny %s",
		      rows[i].allow, rows[i].deny);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_set_overflow),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_check_overflow),
		cmocka_unit_test(test_wants_groups),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
