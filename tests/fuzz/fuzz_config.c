/*
 * fuzz_config.c: any text as a config: walked by scan_text() with sections and options that are
 * known or not, and read as a whole by config_parse().
 *
 * What holds of every text: it passes with no fault or is refused with one, lines and length stay
 * as they were, and the places noted lie within the text.
 */
#include "config.h"
#include "scan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Enough for every construct; a longer text only takes longer. */
#define LEN_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool known(const char *section, const char *option)
{
	const char *name = option != NULL ? option : section;

	return *name % 2 == 0;
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
	struct scan s;

	if (scan_text(&s, "f", text, size, known, &faults) < 0 && faults.errors == 0)
		abort();
	if (text[size] != '\0' || lines_of(text, size) != lines)
		abort();
	if ((faults.errors > 0) != (faults.text != NULL) || faults.warnings != NULL)
		abort();
	for (size_t i = 0; i < s.count; i++)
		if (s.marks[i].line < 1 || s.marks[i].line > lines)
			abort();
	scan_free(&s);
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
	struct config *c;

	if (!is_closed(text)) {
		free(text);
		return;
	}
	c = config_parse(text, &faults); /* which takes it over */
	if ((c == NULL) != (faults.errors > 0) ||
	    (faults.errors > 0) != (faults.text != NULL))
		abort();
	config_free(c);
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
