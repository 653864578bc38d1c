/*
 * value.h: how single values of the config are written. Pure.
 *
 * Each function returns NULL and the value, or what is wrong, to be printed after the
 * value.
 */
#ifndef UDSD_VALUE_H
#define UDSD_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* true, yes, on, false, no, off */
const char *value_bool(const char *text, bool *value);

/* A decimal number from `low` to `high`. */
const char *value_number(const char *text, int64_t low, int64_t high, int64_t *value);

/* 250ms, 10s, 5m, 2h, a bare number is seconds; in nanoseconds, up to a year. */
const char *value_duration(const char *text, int64_t *value);

/* 0660 */
const char *value_mode(const char *text, mode_t *value);

/* 100, 64K, 10M, 2G, infinity */
const char *value_size(const char *text, rlim_t *value);

/* 100/10s */
const char *value_rate(const char *text, uint32_t *count, int64_t *period);

/* daemon, local0, ...: LOG_DAEMON, ... */
const char *value_facility(const char *text, int *value);

/* NAME=value, or just NAME if `name_only`. */
const char *value_variable(const char *text, bool name_only);

/* An absolute path without control characters. */
const char *value_path(const char *text);

/* An absolute path or @name that fits into a sockaddr_un. */
const char *value_socket(const char *text);

/* Letters, digits and . _ @ - , at most 64, as they show in ps(1) and in the log. */
const char *value_service_name(const char *text);

#endif
