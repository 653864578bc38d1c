/*
 * fuzz_config.c: any text as a config: walked by scan_text() with sections and options that are
 * known or not, and read as a whole by config_parse().
 *
 * What holds of every text: it passes with no fault or is refused with one, lines and length stay
 * as they were, and the places noted lie within the text.
 */
#include "config/config.h"
#include "config/scan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Enough for every construct; a longer text only takes longer. */
#define LEN_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct syntax inner[] = {
	{.name = "b"},
	{.name = "list", .list = true},
	{0},
};
static const struct syntax syntax[] = {
	{.name = "a"},
	{.name = "list", .list = true},
	{.name = "defaults", .section = inner},
	{.name = "service", .titled = true, .section = inner},
	{0},
};

static struct arena *fresh_arena(void)
{
	static struct arena arena;

	arena_close(&arena);
	if (arena_open(&arena) < 0)
		abort();
	return &arena;
}

static char *copy_of(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (text == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

static unsigned lines_of(const char *text, size_t size)
{
	unsigned lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	return lines;
}

static void scan(const uint8_t *data, size_t size)
{
	char *text = copy_of(data, size);
	unsigned lines = lines_of(text, size);
	struct faults faults = {0};
	struct section *top = scan_text(fresh_arena(), "f", text, size, syntax, &faults);

	if (top == NULL && faults.errors == 0)
		abort();
	if (text[size] != '\0' || lines_of(text, size) != lines)
		abort();
	faults_finish(&faults);
	if ((faults.errors + faults.warnings > 0) != (faults.text != NULL))
		abort();
	for (struct section *s = top; s != NULL; s = s->next)
		for (struct statement *o = s->statements; o != NULL; o = o->next)
			if (o->at.line < 1 || o->at.line > lines)
				abort();
	faults_free(&faults);
	free(text);
}

/* Only texts that name nothing outside: files are not read, and the name service not asked. */
static bool is_closed(const char *text)
{
	static const char *const open[] = {"include", "user", "group", "owner"};

	for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++)
		if (strstr(text, open[i]) != NULL)
			return false;
	return true;
}

static void parse(const uint8_t *data, size_t size)
{
	char *text = copy_of(data, size);
	struct faults faults;
	const struct config *c;

	if (!is_closed(text)) {
		free(text);
		return;
	}
	c = config_parse(fresh_arena(), text, &faults);
	free(text);
	if ((c == NULL) != (faults.errors > 0) ||
	    (faults.errors + faults.problems + faults.warnings > 0) !=
		    (faults.text != NULL))
		abort();
	faults_free(&faults);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > LEN_MAX)
		return 0;
	scan(data, size);
	parse(data, size);
	return 0;
}
