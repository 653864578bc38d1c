/*
 * metrics.c: Prometheus's text format. Names of services and statuses need no escaping.
 */
#include "ctl/display.h"

#include "common/counters.h"
#include "common/protocol.h"

#include <stdio.h>
#include <string.h>

/* Metrics that are no counters of a service. */
static const struct {
	const char *metric, *help;
	const char *verb, *key; /* of the records that have it; key NULL: it is 1 */
	const char *label;      /* another key of them; NULL: none */
} families[] = {
	{"udsd_build_info", "The supervisor's version.", RECORD_UDSD, NULL, KEY_VERSION},
	{"udsd_uptime_seconds", "Time since udsd was started or upgraded.", RECORD_UDSD,
	 KEY_UPTIME, NULL},
	{"udsd_connections_live", "Connections that have a handler now.", RECORD_STATUS,
	 KEY_LIVE, NULL},
	{"udsd_connections_limit", "The service's max-connections.", RECORD_STATUS,
	 KEY_LIMIT, NULL},
	{"udsd_handler_exits_total", "Handlers that have ended.", RECORD_EXITS, KEY_COUNT,
	 KEY_STATUS},
};

static void metrics_head(const char *name, const char *help)
{
	size_t len = strlen(name);
	bool total = len > 6 && strcmp(name + len - 6, "_total") == 0;

	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name,
	       total ? "counter" : "gauge");
}

/* A value of the record's service, if it is of one, with one more label, unless that is
 * NULL. */
static void metrics_sample(const char *name, const struct record *r, const char *label,
			   const char *text, const char *value)
{
	const char *service = record_get(r, KEY_SERVICE);
	bool of_service = *service != '\0';

	printf("%s", name);
	if (of_service)
		printf("{service=\"%s\"", service);
	if (label != NULL)
		printf("%s%s=\"%s\"", of_service ? "," : "{", label, text);
	printf("%s %s\n", of_service || label != NULL ? "}" : "", value);
}

static void metrics_family(const struct records *rs, const char *name, const char *help,
			   const char *verb, const char *key, const char *label)
{
	metrics_head(name, help);
	for (const struct record *r = NULL; (r = record_next(rs, r, verb)) != NULL;) {
		const char *value = key != NULL ? record_get(r, key) : "1";

		if (*value != '\0')
			metrics_sample(name, r, label,
				       label != NULL ? record_get(r, label) : NULL,
				       value);
	}
}

static void metrics_enabled(const struct records *rs)
{
	static const char name[] = "udsd_service_enabled";

	metrics_head(name, "Whether the service accepts connections.");
	for (const struct record *r = NULL; (r = record_next(rs, r, RECORD_STATUS));) {
		const char *state = record_get(r, KEY_STATE);
		bool off = strcmp(state, STATE_DISABLED) == 0 ||
			   strcmp(state, STATE_DRAINING) == 0 ||
			   strcmp(state, STATE_STOPPING) == 0;
		bool fails = strcmp(state, STATE_FAILED) == 0 ||
			     strcmp(state, STATE_DISPLACED) == 0;

		/* one that was serving before goes on */
		off = off || (fails && record_number(r, KEY_UPTIME) <= 0);

		metrics_sample(name, r, NULL, NULL, off ? "0" : "1");
	}
}

static void metrics_rejected(const struct records *rs)
{
	static const char name[] = "udsd_rejected_total";
	const size_t len = strlen(REJECT_KEY);

	metrics_head(name, "Clients that were rejected.");
	for (const struct record *r = NULL; (r = record_next(rs, r, NULL)) != NULL;)
		for (size_t k = 0; k < r->count; k++)
			if (strncmp(r->keys[k], REJECT_KEY, len) == 0)
				metrics_sample(name, r, "reason", r->keys[k] + len,
					       r->values[k]);
}

void display_metrics(const struct records *rs)
{
	metrics_enabled(rs);
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		metrics_family(rs, families[i].metric, families[i].help, families[i].verb,
			       families[i].key, families[i].label);
	for (size_t i = 0; i < counter_row_count; i++)
		if (counter_rows[i].metric != NULL)
			metrics_family(rs, counter_rows[i].metric, counter_rows[i].help,
				       NULL, counter_rows[i].key, NULL);
	metrics_rejected(rs);
}
