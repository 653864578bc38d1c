/*
 * fuzz_stderr.c: any bytes that handlers write to their standard error, in any pieces.
 *
 * What holds: each record is a `stderr` or `drop` line without control characters, and no
 * text is longer than a line may be. Each piece is a byte with its length and what the
 * clock does, then the bytes.
 */
#include "worker/stderr.h"

#include "common/clock.h"
#include "records.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The writer is a handler, or has exited, as the fuzzer likes. */
static struct stderr_writer find(void *arg, pid_t writer)
{
	const uint8_t *mode = arg;

	if (*mode & 0x40)
		return (struct stderr_writer){0, 0};
	return (struct stderr_writer){*mode, *mode & 0x20 ? writer : 1};
}

static void check_records(void)
{
	static char text[2 * LOG_RECORD_MAX];
	const char *record, *from;
	long len;

	while ((record = records_next()) != NULL) {
		if (strncmp(record + 1, "drop ", 5) == 0) /* or of the log itself */
			continue;
		must(strncmp(record + 1, "stderr service=s ", 17) == 0);
		from = strstr(record, "text=");
		must(from != NULL);
		from += 5;
		len = (long)strlen(from);
		if (*from == '"') {
			must(len >= 2 && from[len - 1] == '"');
			from++;
			len -= 2;
		}
		len = unescape(from, (size_t)len, text);
		must(len >= 0 && len <= STDERR_LINE_MAX + 3);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int in = -1, out;
	static int64_t now;
	_Atomic uint64_t dropped = 0;
	uint8_t mode = 0;
	struct stderr_relay *relay;

	if (in < 0) {
		must(stderr_pair(&in, &out) == 0);
		records_open();
		now = clock_now();
	}
	relay = stderr_new(out, "s", find, &mode, &dropped);
	must(relay != NULL);
	while (size > 0) {
		size_t len;

		mode = *data++;
		len = (size_t)(mode & 0x1f) * (mode & 0x1f) * 8;
		if (len > --size)
			len = size;
		must(write(in, data, len) == (ssize_t)len);
		now += mode & 0x80 ? NSEC_PER_SEC : 1;
		must(stderr_read(relay, now));
		stderr_tick(relay, now);
		must(stderr_due(relay) >= 0);
		check_records();
		data += len;
		size -= len;
	}
	stderr_finish(relay);
	check_records();
	free(relay);
	return 0;
}
