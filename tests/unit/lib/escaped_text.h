/*
 * escaped_text.h: judges escaped text by rules of its own: strict UTF-8, no control character, and the
 * way back to what was escaped.
 */
#ifndef UDSD_TESTS_ESCAPED_TEXT_H
#define UDSD_TESTS_ESCAPED_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a character: its code and, in *used, its bytes; -1: not UTF-8. */
static inline int32_t utf8_next(const unsigned char *s, size_t len, size_t *used)
{
	static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80 ? 1 : (s[0] >> 5) == 6 ? 2 : (s[0] >> 4) == 14 ? 3 : 4;
	int32_t code = n == 1 ? s[0] : s[0] & (0xff >> (n + 1));

	if ((n == 4 && (s[0] >> 3) != 30) || n > len)
		return -1;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] >> 6) != 2)
			return -1;
		code = code << 6 | (s[i] & 63);
	}
	*used = n;
	return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)
		       ? -1
		       : code;
}

/* Whether this may stand in a log: UTF-8 without control characters. */
static inline bool is_clean(const char *text, size_t len)
{
	size_t used = 0;

	for (size_t i = 0; i < len; i += used) {
		int32_t code = utf8_next((const unsigned char *)text + i, len - i, &used);

		if (code < 0x20 || (code >= 0x7f && code < 0xa0))
			return false;
	}
	return true;
}

static inline int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes the escapes of a quoted text: the bytes in `to`, or -1 if an escape is broken or a quote
 * stands bare. */
static inline long unescape(const char *text, size_t len, char *to)
{
	long out = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			return -1;
		if (text[i] != '\\') {
			to[out++] = text[i];
		} else if (i + 1 < len && (text[i + 1] == '"' || text[i + 1] == '\\')) {
			to[out++] = text[++i];
		} else if (i + 3 < len && text[i + 1] == 'x' &&
			   hex_digit(text[i + 2]) >= 0 && hex_digit(text[i + 3]) >= 0) {
			to[out++] = (char)(hex_digit(text[i + 2]) * 16 +
					   hex_digit(text[i + 3]));
			i += 3;
		} else {
			return -1;
		}
	}
	return out;
}

#endif
