/*
 * kind.c: what each kind of option does: reads its value, and compares two.
 *
 * Reading gives NULL, or what is wrong with x->text. All that is kept is in the arena.
 */
#include "config/kind.h"

#include "common/log.h"
#include "config/compare.h"
#include "config/hint.h"
#include "config/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* One option at work. */
struct setter {
	const struct build *build;
	const struct option_row *row;
	void *field;
	const char *text; /* the value; of a list, the element that is looked at */
	size_t count;     /* of a list */
	const char **texts;
	bool append; /* to what is the default */
	int lookup;  /* errno, where a name could not be looked up */
};

static const char *set_bool(struct setter *x)
{
	return value_bool(x->text, x->field);
}

static const char *set_int(struct setter *x)
{
	int64_t n;
	const char *error = value_number(x->text, x->row->low, x->row->high, &n);

	if (error == NULL)
		*(int *)x->field = (int)n;
	return error;
}

static const char *set_duration(struct setter *x)
{
	return value_duration(x->text, x->field);
}

static const char *set_mode(struct setter *x)
{
	return value_mode(x->text, x->field);
}

static const char *set_level(struct setter *x)
{
	int *level = x->field;

	*level = log_level_parse(x->text);
	return *level >= 0 ? NULL : "must be error, warning, notice, info or debug";
}

static const char *set_facility(struct setter *x)
{
	return value_facility(x->text, x->field);
}

static const char *set_type(struct setter *x)
{
	bool stream = strcmp(x->text, "stream") == 0;

	*(int *)x->field = stream ? SOCK_STREAM : SOCK_SEQPACKET;
	return stream || strcmp(x->text, "seqpacket") == 0
		       ? NULL
		       : "must be stream or seqpacket";
}

static const char *set_overflow(struct setter *x)
{
	bool reject = strcmp(x->text, "reject") == 0;

	*(bool *)x->field = reject;
	return reject || strcmp(x->text, "queue") == 0 ? NULL : "must be queue or reject";
}

static const char *set_rate(struct setter *x)
{
	struct rate *rate = x->field;

	return value_rate(x->text, &rate->burst, &rate->period);
}

static const char *set_limit(struct setter *x)
{
	struct limit_setting *limit = x->field;

	const char *error = value_size(x->text, &limit->value);

	limit->name = error == NULL ? x->row->name : NULL;
	return error;
}

static const char *set_stderr(struct setter *x)
{
	static const char *const kinds[] = {"syslog", "null", "client"};
	struct stderr_target *target = x->field;
	unsigned i = 0;

	while (i < STDERR_FILE && strcmp(x->text, kinds[i]) != 0)
		i++;
	target->kind = (enum stderr_kind)i;
	if (i < STDERR_FILE)
		return NULL;
	if (value_path(x->text) != NULL) {
		target->kind = STDERR_NULL;
		return "must be syslog, null, client or an absolute path";
	}
	target->path = arena_text(x->build->arena, x->text);
	return NULL;
}

static const char *set_text(struct setter *x)
{
	*(char **)x->field =
		*x->text != '\0' ? arena_text(x->build->arena, x->text) : NULL;
	return NULL;
}

static const char *set_path(struct setter *x)
{
	const char *error = value_path(x->text);

	return error != NULL ? error : set_text(x);
}

static const char *set_socket(struct setter *x)
{
	const char *error = value_socket(x->text);

	return error != NULL ? error : set_text(x);
}

static const char *set_maybe_path(struct setter *x)
{
	*(char **)x->field = arena_text(x->build->arena, x->text);
	return *x->text != '\0' ? value_path(x->text) : NULL;
}

static const char *set_maybe_socket(struct setter *x)
{
	return *x->text != '\0' ? set_socket(x) : set_text(x);
}

static const char *lookup_error(struct setter *x)
{
	x->lookup = errno;
	return errno == ENOENT ? "does not exist"
			       : "cannot be looked up: the name service failed";
}

static const char *set_account(struct setter *x)
{
	const struct account **account = x->field;

	*account = account_find(x->build->arena, &x->build->config->accounts, x->text);
	return *account != NULL ? NULL : lookup_error(x);
}

static const char *set_user(struct setter *x)
{
	return account_user(x->text, x->field) == 0 ? NULL : lookup_error(x);
}

static const char *set_group(struct setter *x)
{
	return account_group(x->text, x->field) == 0 ? NULL : lookup_error(x);
}

static const char *set_groups(struct setter *x)
{
	struct identity *id = x->field;

	const struct service *s = (const void *)((char *)x->field - x->row->offset);
	size_t own = x->append && s->account != NULL ? s->account->ngroups : 0;
	gid_t *groups = arena_take(x->build->arena, (own + x->count + 1) * sizeof(gid_t));

	if (own > 0)
		memcpy(groups, s->account->groups, own * sizeof(gid_t));
	for (size_t i = 0; i < x->count; i++) {
		x->text = x->texts[i];
		if (account_group(x->text, &groups[own + i]) < 0)
			return lookup_error(x);
	}
	id->ngroups = own + x->count;
	id->groups = groups;
	return NULL;
}

/* Adds a text to a list, NULL-terminated. */
static void list_add(struct arena *arena, char ***list, const char *text)
{
	size_t n = 0;

	while (*list != NULL && (*list)[n] != NULL)
		n++;
	*list = arena_grow(arena, *list, n, sizeof(**list));
	(*list)[n] = arena_text(arena, text);
	*list = arena_grow(arena, *list, n + 1, sizeof(**list));
	(*list)[n + 1] = NULL;
}

static const char *set_list(struct setter *x)
{
	for (size_t i = 0; i < x->count; i++)
		list_add(x->build->arena, x->field, x->texts[i]);
	return NULL;
}

static const char *set_handler(struct setter *x)
{
	if (value_path(x->text) != NULL)
		return "must be a list: the absolute path of an executable, then its arguments";
	return set_list(x);
}

/* What identifies the client to a handler cannot be set. */
static const char *check_variable(const char *text, bool name_only)
{
	const char *error = value_variable(text, name_only);

	if (error == NULL &&
	    (strncmp(text, "UNIX", 4) == 0 || strncmp(text, "UDSD_", 5) == 0 ||
	     strcmp(text, "PROTO") == 0 || strncmp(text, "PROTO=", 6) == 0))
		error = "is a name that udsd sets itself (UNIX*, UDSD_*, PROTO)";
	return error;
}

static const char *set_environment(struct setter *x)
{
	for (size_t i = 0; i < x->count; i++) {
		const char *error = check_variable(x->texts[i], false);

		x->text = x->texts[i];
		if (error != NULL)
			return error;
	}
	return set_list(x);
}

/* Names become NAME=value here, as udsd was started with them; a variable it has not is
 * left out. */
static const char *set_pass(struct setter *x)
{
	for (size_t i = 0; i < x->count; i++) {
		const char *error = check_variable(x->texts[i], true), *value;
		char *pair;

		x->text = x->texts[i];
		if (error != NULL)
			return error;
		value = getenv(x->text);
		if (value == NULL)
			continue;
		if (asprintf(&pair, "%s=%s", x->text, value) < 0)
			return "cannot be passed: out of memory";
		list_add(x->build->arena, x->field, pair);
		free(pair);
	}
	return NULL;
}

static const char *set_rules(struct setter *x)
{
	const char *error =
		rule_list_parse(x->build->arena, x->texts, x->count, x->field, &x->text);

	x->lookup = error != NULL ? errno : 0;
	return error;
}

static const struct {
	const char *(*set)(struct setter *x);
	size_t size; /* of the field, all of which counts, or */
	bool (*same)(const void *a, const void *b); /* compares two */
} kinds[] = {
	[KIND_BOOL] = {set_bool, sizeof(bool), NULL},
	[KIND_INT] = {set_int, sizeof(int), NULL},
	[KIND_DURATION] = {set_duration, sizeof(int64_t), NULL},
	[KIND_MODE] = {set_mode, sizeof(mode_t), NULL},
	[KIND_LEVEL] = {set_level, sizeof(int), NULL},
	[KIND_FACILITY] = {set_facility, sizeof(int), NULL},
	[KIND_TYPE] = {set_type, sizeof(int), NULL},
	[KIND_OVERFLOW] = {set_overflow, sizeof(bool), NULL},
	[KIND_RATE] = {set_rate, 0, compare_rate},
	[KIND_LIMIT] = {set_limit, 0, compare_limit},
	[KIND_STDERR] = {set_stderr, 0, compare_stderr},
	[KIND_TEXT] = {set_text, 0, compare_pointed},
	[KIND_PATH] = {set_path, 0, compare_pointed},
	[KIND_SOCKET] = {set_socket, 0, compare_socket},
	[KIND_MAYBE_PATH] = {set_maybe_path, 0, compare_pointed},
	[KIND_MAYBE_SOCKET] = {set_maybe_socket, 0, compare_socket},
	[KIND_ACCOUNT] = {set_account, 0, compare_account},
	[KIND_USER] = {set_user, sizeof(uid_t), NULL},
	[KIND_GROUP] = {set_group, sizeof(gid_t), NULL},
	[KIND_GROUPS] = {set_groups, 0, compare_groups},
	[KIND_LIST] = {set_list, 0, compare_list},
	[KIND_HANDLER] = {set_handler, 0, compare_list},
	[KIND_ENVIRONMENT] = {set_environment, 0, compare_list},
	[KIND_PASS] = {set_pass, 0, compare_list},
	[KIND_RULES] = {set_rules, 0, compare_rules},
};

bool option_is_list(const struct option_row *row)
{
	return row->kind >= KIND_GROUPS;
}

static enum hint_kind hint_of(const struct option_row *row)
{
	if (option_is_list(row))
		return HINT_LIST;
	if (row->kind == KIND_LIMIT)
		return HINT_SIZE;
	if (row->kind == KIND_DURATION)
		return HINT_DURATION;
	if (row->kind == KIND_BOOL)
		return HINT_BOOL;
	return (row->kind >= KIND_LEVEL && row->kind <= KIND_OVERFLOW) ||
			       row->kind == KIND_STDERR
		       ? HINT_WORDS
		       : HINT_NONE;
}

/* What is wrong with the option. A name that could not be looked up is no fault of the
 * text. */
static void option_fault(const struct setter *x, void *of, struct place at,
			 const char *error)
{
	const struct build *b = x->build;
	struct service *s = of == b->config ? &b->config->control : of;
	bool lasts = x->lookup == ENOENT || x->lookup == E2BIG;
	const char *hint =
		hint_value(hint_of(x->row), x->text, x->count, error, x->lookup);

	if (x->lookup == 0)
		fault_add(b->faults, at, "%s: \"%s\" %s%s", x->row->name, x->text, error,
			  hint);
	else
		fault_problem(b->faults, &s->problem,
			      lasts ? PROBLEM_FAILED : PROBLEM_PASSING, x->row->name, at,
			      "%s: \"%s\" %s%s", x->row->name, x->text, error, hint);
}

void option_set(const struct build *b, void *of, const struct option_row *row,
		const struct statement *given)
{
	struct setter x = {.build = b,
			   .row = row,
			   .field = (char *)of + row->offset,
			   .text = row->fallback};
	const char *error;

	if (given != NULL && given->bad)
		given = NULL; /* the default does no harm: the config is refused */
	if (given != NULL) {
		x.count = given->count;
		x.texts = given->texts;
		x.append = given->append;
		x.text = x.count > 0 ? x.texts[0] : "";
	} else if (row->find_fallback != NULL) {
		x.text = row->find_fallback();
	}
	error = x.text != NULL ? kinds[row->kind].set(&x) : NULL;
	if (error == NULL)
		return;
	option_fault(&x, of, given != NULL ? given->at : PLACE_NONE, error);
	x.text = row->fallback;
	if (x.text != NULL) /* so that one fault does not bring about others */
		(void)kinds[row->kind].set(&x);
}

bool option_same(const void *a, const void *b, const struct option_row *row)
{
	a = (const char *)a + row->offset;
	b = (const char *)b + row->offset;
	return kinds[row->kind].same != NULL ? kinds[row->kind].same(a, b)
					     : memcmp(a, b, kinds[row->kind].size) == 0;
}
