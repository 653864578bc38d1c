/*
 * metrics.c: Prometheus's text format. Names of services and statuses need no escaping.
 */
#include "display.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *type, *help;
	const char *verb, *key; /* of the records that have it */
} metrics[] = {
	{"udsd_uptime_seconds", "gauge", "Time since udsd was started or upgraded.",
	 "udsd", "uptime"},
	{"udsd_connections_total", "counter", "Handlers started.", "status", "total"},
	{"udsd_connections_live", "gauge", "Connections that have a handler now.",
	 "status", "live"},
	{"udsd_connections_peak", "gauge", "Most connections live at once so far.",
	 "status", "peak"},
	{"udsd_connections_limit", "gauge", "The service's max-connections.", "status",
	 "limit"},
	{"udsd_connection_seconds_total", "counter", "Duration of ended connections.",
	 "status", "seconds"},
	{"udsd_start_failures_total", "counter", "Handlers that could not be started.",
	 "status", "failures"},
	{"udsd_clients_gone_total", "counter", "Clients gone before they were served.",
	 "status", "gone"},
	{"udsd_stderr_dropped_total", "counter",
	 "Lines of handlers' standard error above the limit.", "status",
	 "stderr-dropped"},
};

static void head(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(const char *name, const struct record *r, const char *key)
{
	if (*record_get(r, "service") != '\0')
		printf("%s{service=\"%s\"} %s\n", name, record_get(r, "service"),
		       record_get(r, key));
	else
		printf("%s %s\n", name, record_get(r, key));
}

/* Samples of all records with this verb (NULL: any) that have the key. */
static void samples(const struct records *rs, const char *name, const char *verb,
		    const char *key)
{
	for (size_t i = 0; i < rs->count; i++)
		if ((verb == NULL || strcmp(rs->list[i].verb, verb) == 0) &&
		    *record_get(&rs->list[i], key) != '\0')
			sample(name, &rs->list[i], key);
}

static void show_build(const struct records *rs)
{
	head("udsd_build_info", "gauge", "The supervisor's version.");
	for (size_t i = 0; i < rs->count; i++)
		if (strcmp(rs->list[i].verb, "udsd") == 0)
			printf("udsd_build_info{version=\"%s\"} 1\n",
			       record_get(&rs->list[i], "version"));
}

static bool is_enabled(const struct record *r)
{
	const char *state = record_get(r, "state");

	return strcmp(state, "disabled") != 0 && strcmp(state, "draining") != 0;
}

static void show_enabled(const struct records *rs)
{
	head("udsd_service_enabled", "gauge", "Whether the service accepts connections.");
	for (size_t i = 0; i < rs->count; i++)
		if (strcmp(rs->list[i].verb, "status") == 0)
			printf("udsd_service_enabled{service=\"%s\"} %d\n",
			       record_get(&rs->list[i], "service"),
			       is_enabled(&rs->list[i]));
}

static void show_rejected(const struct records *rs)
{
	head("udsd_rejected_total", "counter", "Clients turned away.");
	for (size_t i = 0; i < rs->count; i++)
		for (size_t k = 0; k < rs->list[i].count; k++)
			if (strncmp(rs->list[i].keys[k], "rejected-", 9) == 0)
				printf("udsd_rejected_total{service=\"%s\",reason=\"%s\"} "
				       "%s\n",
				       record_get(&rs->list[i], "service"),
				       rs->list[i].keys[k] + 9, rs->list[i].values[k]);
}

static void show_exits(const struct records *rs)
{
	head("udsd_handler_exits_total", "counter", "Handlers that have ended.");
	for (size_t i = 0; i < rs->count; i++)
		if (strcmp(rs->list[i].verb, "exits") == 0)
			printf("udsd_handler_exits_total{service=\"%s\",status=\"%s\"} %s\n",
			       record_get(&rs->list[i], "service"),
			       record_get(&rs->list[i], "status"),
			       record_get(&rs->list[i], "count"));
}

void display_metrics(const struct records *rs)
{
	show_build(rs);
	show_enabled(rs);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++) {
		head(metrics[i].name, metrics[i].type, metrics[i].help);
		samples(rs, metrics[i].name, metrics[i].verb, metrics[i].key);
	}
	head("udsd_log_dropped_total", "counter", "Lines that the log did not take.");
	samples(rs, "udsd_log_dropped_total", NULL, "log-dropped");
	show_rejected(rs);
	show_exits(rs);
}
