/*
 * fuzz_log.c: any bytes in a line of the log come out without a control character, as UTF-8, in
 * the room there is; and what was quoted can be read back.
 */
#include "common/log.h"

#include "../unit/lib/escaped_text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void escape(const char *from, size_t len, size_t room, int quoted)
{
	char *to = malloc(room + 1), *back = malloc(room + 1);
	size_t out;
	long n;

	if (to == NULL || back == NULL)
		abort();
	to[room] = '#';
	out = log_escape(to, room, from, len, quoted);
	if (out > room || to[room] != '#' || !is_clean(to, out))
		abort();
	n = quoted ? unescape(to, out, back) : 0;
	if (n < 0 || (size_t)n > len || memcmp(back, from, (size_t)n) != 0)
		abort();
	if (quoted && room >= 4 * len && (size_t)n != len)
		abort();
	free(to);
	free(back);
}

static void build_line(const char *from, size_t len)
{
	struct log_line line;

	log_begin(&line, LOG_ERR, "verb");
	log_bytes(&line, "key", from, len);
	log_bytes(&line, "again", from, len);
	if (line.len > sizeof(line.text) || !is_clean(line.text, line.len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *from = (const char *)data;
	size_t room = size > 0 ? data[0] : 0;

	escape(from, size, 4 * size, 0);
	escape(from, size, 4 * size, 1);
	escape(from, size, room, 0);
	escape(from, size, room, 1);
	build_line(from, size);
	return 0;
}
