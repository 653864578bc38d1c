/*
 * expected_faults.h: compares faults with what was expected of them.
 *
 * Expected are lines `LINE PART`: the place, and a part of the message, so that a better wording
 * does not break a test.
 */
#ifndef UDSD_TESTS_EXPECTED_FAULTS_H
#define UDSD_TESTS_EXPECTED_FAULTS_H

#include "cases.h"

#include <stdio.h>

/* Whether `line` (up to its newline) is `FILE:LINE: ...PART...`; file NULL: `...PART...`. */
static inline bool same_place(const char *line, const char *file, const char *expected)
{
	char prefix[300] = "";
	int number = 0, at = 0;
	const char *found;

	if (sscanf(expected, "%d %n", &number, &at) < 1)
		return false;
	if (file != NULL && number > 0)
		snprintf(prefix, sizeof(prefix), "%s:%d: ", file, number);
	else if (file != NULL)
		snprintf(prefix, sizeof(prefix), "%s: ", file);
	if (strncmp(line, prefix, strlen(prefix)) != 0)
		return false;
	found = memmem(line, strcspn(line, "\n"), expected + at,
		       strcspn(expected + at, "\n"));
	return found != NULL;
}

/* Whether faults are the expected ones in the same order; "" and NULL: none. */
static inline bool same_faults(const char *text, const char *file, const char *expected)
{
	if (text == NULL)
		text = "";
	while (*text != '\0' && *expected != '\0') {
		if (!same_place(text, file, expected))
			return false;
		text += strcspn(text, "\n");
		text += *text == '\n';
		expected += strcspn(expected, "\n");
		expected += *expected == '\n';
	}
	return *text == '\0' && *expected == '\0';
}

#endif
