/*
 * cases.h: what all unit tests share.
 *
 * Tests are tables, one row a case; the message of a failure names the row. A child that a test
 * forks ends with _exit(): a failed assertion would return into the parent's runner.
 */
#ifndef UDSD_TESTS_CASES_H
#define UDSD_TESTS_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

/* Fails the test with a message, formatted as by printf(3), unless the condition holds. That it ends
 * there is not known to those who read the code for errors, so they must be given. */
#define check(condition, ...) \
 do {                         \
  if (!(condition)) {         \
   fail_msg(__VA_ARGS__);     \
   abort();                   \
  }                           \
 } while (0)

/* For messages: a text that may be missing. */
static inline const char *shown(const char *text)
{
	return text != NULL ? text : "(none)";
}

static inline bool same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Whether what is wrong is what was expected: NULL is nothing, else a part of the message. */
static inline bool same_error(const char *error, const char *part)
{
	return error == NULL || part == NULL ? error == part
					     : strstr(error, part) != NULL;
}

#endif
