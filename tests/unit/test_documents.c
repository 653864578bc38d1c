/*
 * test_documents.c: the tables of options, udsd.conf(5) and the completion have the same names.
 */
#include "config/globals.h"
#include "config/options.h"

#include "lib/cases.h"

#include <stdio.h>

/* A text of the source tree; lives as long as the test. */
static char *read_source(const char *name)
{
	const char *tree = getenv("UDSD_SRC");
	char path[4096], *text = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", tree != NULL ? tree : ".", name);
	f = fopen(path, "re");
	check(f != NULL, "%s: it cannot be read", path);
	assert_true(getdelim(&text, &size, '\0', f) > 0);
	fclose(f);
	return text;
}

/* Whether `name` stands in the text between `before` and `after`. */
static bool has_name(const char *text, const char *before, const char *name,
		     const char *after)
{
	char whole[200];

	snprintf(whole, sizeof(whole), "%s%s%s", before, name, after);
	return strstr(text, whole) != NULL;
}

static size_t count_of(const char *text, const char *part)
{
	size_t n = 0;

	while ((text = strstr(text, part)) != NULL) {
		text += strlen(part);
		n++;
	}
	return n;
}

/* Each option has a paragraph of its own, and no other has one. */
static void test_manual(void **state)
{
	char *text = read_source("man/udsd.conf.5");
	const struct option_row *const tables[] = {global_options, service_options};
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(tables); i++)
		for (const struct option_row *row = tables[i]; row->name != NULL;
		     row++, n++)
			check(has_name(text, "\n.It Ic ", row->name, " No ="),
			      "udsd.conf(5) has no %s", row->name);
	/* log-level is in both tables */
	assert_int_equal(count_of(text, "\n.It Ic "), n);
	free(text);
}

/* -o completes to the options that a command line may have: all but the socket and the handler,
 * which are its arguments. */
static void test_completion(void **state)
{
	char *text = read_source("etc/udsctl.bash"), *words, *word, *rest;
	size_t n = 0, found = 0;

	(void)state;
	words = strstr(text, "_udsd_options='");
	assert_non_null(words);
	words = strchr(words, '\'') + 1;
	*strchr(words, '\'') = '\0';
	for (const struct option_row *row = service_options; row->name != NULL; row++)
		n += (row->flags & OPTION_OWN) == 0;
	for (word = strtok_r(words, " \t\n", &rest); word != NULL;
	     word = strtok_r(NULL, " \t\n", &rest)) {
		const struct option_row *row = service_options;

		while (row->name != NULL &&
		       (strncmp(row->name, word, strlen(row->name)) != 0 ||
			strcmp(word + strlen(row->name), "=") != 0))
			row++;
		check(row->name != NULL && (row->flags & OPTION_OWN) == 0,
		      "the completion has %s", word);
		found++;
	}
	assert_int_equal(found, n);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_completion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
