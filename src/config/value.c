/*
 * value.c: values of the config, from text. Pure: no I/O.
 */
#include "config/value.h"

#include "common/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <syslog.h>

const char *value_bool(const char *text, bool *value)
{
	static const char *const names[] = {"false", "true", "no", "yes", "off", "on"};

	for (int i = 0; i < 6; i++) {
		if (strcasecmp(text, names[i]) == 0) {
			*value = i % 2 == 1;
			return NULL;
		}
	}
	return "must be true or false";
}

/* Digits at the start of `text`: the number, and *end behind it. -1 if there are none, or
 * too many for a number below 2^62. */
static int64_t digits(const char *text, char **end)
{
	unsigned long long n;

	*end = (char *)(uintptr_t)text;
	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	n = strtoull(text, end, 10);
	return errno != 0 || n >= UINT64_C(1) << 62 ? -1 : (int64_t)n;
}

const char *value_number(const char *text, int64_t low, int64_t high, int64_t *value)
{
	static char error[80];
	bool negative = *text == '-';
	char *end;
	int64_t n = digits(text + negative, &end);

	bool number = n >= 0 && *end == '\0';

	n = negative ? -n : n;
	if (!number || n < low || n > high) {
		snprintf(error, sizeof(error),
			 "%smust be a number from %" PRId64 " to %" PRId64,
			 !number   ? ""
			 : n < low ? "is too small: "
				   : "is too large: ",
			 low, high);
		return error;
	}
	*value = n;
	return NULL;
}

const char *value_duration(const char *text, int64_t *value)
{
	static const struct {
		const char *unit;
		int64_t nsec;
	} units[] = {{"", NSEC_PER_SEC},
		     {"s", NSEC_PER_SEC},
		     {"ms", NSEC_PER_MSEC},
		     {"m", 60 * NSEC_PER_SEC},
		     {"h", 3600 * NSEC_PER_SEC}};
	char *end;
	int64_t n = digits(text, &end);

	for (size_t i = 0; n >= 0 && i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		if (n > 366 * 24 * 3600 * NSEC_PER_SEC / units[i].nsec)
			return "is longer than a year, which is the most";
		*value = n * units[i].nsec;
		return NULL;
	}
	return "must be a duration: 250ms, 10s, 5m or 2h";
}

const char *value_mode(const char *text, mode_t *value)
{
	size_t len = strspn(text, "01234567");
	unsigned long n = strtoul(text, NULL, 8);

	if (len == 0 || len > 4 || text[len] != '\0' || n > 0777)
		return "must be an octal number up to 0777, as in 0660";
	*value = (mode_t)n;
	return NULL;
}

const char *value_size(const char *text, rlim_t *value)
{
	static const char units[] = "KMG";
	const char *unit;
	char *end;
	int64_t n = digits(text, &end);
	int shift = 0;

	if (strcmp(text, "infinity") == 0) {
		*value = RLIM_INFINITY;
		return NULL;
	}
	if (n < 0)
		return "must be a number, a size (64K, 10M, 2G) or infinity";
	if (*end != '\0') {
		unit = strchr(units, *end);
		if (unit == NULL || end[1] != '\0')
			return "must be a number, a size (64K, 10M, 2G) or infinity";
		shift = 10 * (int)(unit - units + 1);
	}
	if (n > INT64_MAX >> shift)
		return "is too large: write infinity";
	*value = (rlim_t)n << shift;
	return NULL;
}

const char *value_rate(const char *text, uint32_t *count, int64_t *period)
{
	char *end;
	int64_t n = digits(text, &end);

	if (n < 1 || n > 1000000 || *end != '/' ||
	    value_duration(end + 1, period) != NULL || *period == 0)
		return "must be a number of connections (1 to 1000000) and a time: 100/10s";
	*count = (uint32_t)n;
	return NULL;
}

const char *value_facility(const char *text, int *value)
{
	static const struct {
		const char *name;
		int value;
	} facilities[] = {{"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV},
			  {"cron", LOG_CRON},     {"daemon", LOG_DAEMON},
			  {"ftp", LOG_FTP},       {"kern", LOG_KERN},
			  {"lpr", LOG_LPR},       {"mail", LOG_MAIL},
			  {"news", LOG_NEWS},     {"user", LOG_USER},
			  {"uucp", LOG_UUCP},     {"local0", LOG_LOCAL0},
			  {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},
			  {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
			  {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6},
			  {"local7", LOG_LOCAL7}};

	for (size_t i = 0; i < sizeof(facilities) / sizeof(*facilities); i++) {
		if (strcmp(text, facilities[i].name) == 0) {
			*value = facilities[i].value;
			return NULL;
		}
	}
	return "must be a facility of syslog(3): auth, authpriv, cron, daemon, ftp, kern, "
	       "lpr, mail, news, user, uucp or local0 to local7";
}

static bool is_name_char(char c, bool first)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

const char *value_variable(const char *text, bool name_only)
{
	const char *c = text;

	while (is_name_char(*c, c == text))
		c++;
	if (c == text || *c != (name_only ? '\0' : '='))
		return name_only ? "must be the name of a variable"
				 : "must be NAME=value";
	return NULL;
}

static bool has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

const char *value_path(const char *text)
{
	if (*text != '/')
		return "must be an absolute path";
	return has_control(text) ? "holds a control character" : NULL;
}

const char *value_socket(const char *text)
{
	struct sockaddr_un sun;

	if (*text != '/' && *text != '@')
		return "must be an absolute path, or @ and a name";
	if (text[1] == '\0' || (*text == '/' && text[strlen(text) - 1] == '/'))
		return "has no name at its end";
	if (strlen(text) >= sizeof(sun.sun_path))
		return "is too long: at most 107 bytes";
	return has_control(text) ? "holds a control character" : NULL;
}

const char *value_service_name(const char *text)
{
	size_t len = 0;

	for (const char *c = text; *c != '\0'; c++, len++)
		if (!is_name_char(*c, false) && strchr(".@-", *c) == NULL)
			len = 65;
	return len >= 1 && len <= 64
		       ? NULL
		       : "must be 1 to 64 letters, digits and . _ @ - for a service name";
}
