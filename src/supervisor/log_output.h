/*
 * log_output.h: the log process's lines on standard error, which is a terminal, a file, a
 * pipe or the journal.
 *
 * Where it is the journal ($JOURNAL_STREAM, see sd-daemon(3)) a line begins with its
 * priority, `<6>`; else with the time, `2026-11-26T20:14:23.123+00:00 udsd: `. Lines that
 * cannot be written are counted for the channel that they came by, and reported when
 * lines can be written again.
 */
#ifndef UDSD_LOG_OUTPUT_H
#define UDSD_LOG_OUTPUT_H

#include <stddef.h>

/* Looks what standard error is. */
void log_output_open(void);

/* One line, which ends with a newline, of a channel. It is written by log_output_flush()
 * at the latest, which is called before there is one of another channel. */
void log_output_line(int level, const char *text, size_t len, unsigned channel);
void log_output_flush(unsigned channel);

#endif
