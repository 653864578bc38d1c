/*
 * log_output.c: buffers lines, and writes many with one call.
 */
#include "supervisor/log_output.h"

#include "common/log.h"
#include "common/log_channel.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OUTPUT_BYTES 32768
#define HEAD_BYTES 64 /* of what a line begins with */

static char output[OUTPUT_BYTES + HEAD_BYTES];
static size_t output_len;
static bool output_is_journal;
static bool output_cut; /* the last line that was written has no end */
static struct {
	unsigned long lines; /* that could not be written, and are to be reported */
	int error;
} output_lost;

/* $JOURNAL_STREAM is DEVICE:INODE, and may be inherited where standard error is another
 * file. */
static bool output_goes_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, own) == 0;
}

void log_output_open(void)
{
	tzset();
	output_is_journal = output_goes_to_journal();
}

/* "2026-11-26T20:14:23.123+00:00 udsd: "; what does not change within a second is
 * kept. */
static size_t output_time(char *to)
{
	static char second[32], zone[8];
	static time_t known = -1;
	struct timespec now;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != known && localtime_r(&now.tv_sec, &tm) != NULL) {
		known = now.tv_sec;
		strftime(second, sizeof(second), "%FT%T", &tm);
		strftime(zone, sizeof(zone), "%z", &tm);
	}
	return (size_t)snprintf(to, HEAD_BYTES, "%s.%03d%.3s:%s udsd: ", second,
				(int)(now.tv_nsec / 1000000), zone,
				strlen(zone) > 3 ? zone + 3 : "00");
}

static size_t output_head(char *to, int level)
{
	if (!output_is_journal)
		return output_time(to);
	return (size_t)snprintf(to, HEAD_BYTES, "<%d>", level);
}

/* As much as can be written: the length of that. */
static size_t output_write(const char *text, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(STDERR_FILENO, text + done, len - done);

		if (n < 0 && errno == EAGAIN)
			(void)poll(&(struct pollfd){STDERR_FILENO, POLLOUT, 0}, 1, -1);
		else if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	if (done > 0)
		output_cut = text[done - 1] != '\n';
	return done;
}

/* Ends a line that was cut, and says how many are missing: whether that could be
 * written. */
static bool output_report(void)
{
	char line[HEAD_BYTES + 128] = "";
	size_t len;

	if (output_cut && output_write("\n", 1) == 0)
		return false;
	if (output_lost.lines == 0)
		return true;
	len = output_head(line, LOG_ERR);
	len += (size_t)snprintf(line + len, sizeof(line) - len,
				"drop lines=%lu error=\"%s\"\n", output_lost.lines,
				strerror(output_lost.error));
	if (output_write(line, len) < len)
		return false;
	output_lost.lines = 0;
	return true;
}

static void output_count(const char *text, size_t len, unsigned channel)
{
	uint64_t lines = 0;

	output_lost.error = errno;
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	output_lost.lines += lines;
	*log_channel_unwritten(channel) += lines;
}

void log_output_flush(unsigned channel)
{
	size_t done = 0;

	if (output_len > 0 && output_report())
		done = output_write(output, output_len);
	if (done < output_len)
		output_count(output + done, output_len - done, channel);
	output_len = 0;
}

void log_output_line(int level, const char *text, size_t len, unsigned channel)
{
	if (output_len + HEAD_BYTES + len > OUTPUT_BYTES)
		log_output_flush(channel);
	output_len += output_head(output + output_len, level);
	memcpy(output + output_len, text, len);
	output_len += len;
}
