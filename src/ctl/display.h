/* display.h: records of an answer as tables for people, as JSON and as metrics for
 * programs. */
#ifndef UDSD_DISPLAY_H
#define UDSD_DISPLAY_H

#include "ctl/ask.h"

#include <stdbool.h>
#include <stddef.h>

#define DISPLAY_AGE 32 /* bytes of a duration in words */

/* A table of all services, or (detail) all there is to say of each. */
void display_status(const struct records *records);
void display_detail(const struct records *records);

/* A table of live connections. */
void display_list(const struct records *records);

/* The same records, all of them, as JSON. */
void display_json_status(const struct records *records);
void display_json_list(const struct records *records);

/* Prometheus's text format. */
void display_metrics(const struct records *records);

/* 12s, 5m12s, 3h05m, 4d03h */
const char *display_age(double seconds, char text[DISPLAY_AGE]);

#endif
