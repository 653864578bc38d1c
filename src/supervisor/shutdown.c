/*
 * shutdown.c: stops accepting, gives handlers time, and ends those that use more.
 */
#include "supervisor/shutdown.h"

#include "common/clock.h"
#include "control/status.h"
#include "service/lifecycle.h"
#include "common/log.h"
#include "service/orphans.h"
#include "service/recheck.h"
#include "service/reload.h"
#include "service/sdnotify.h"
#include "service/services.h"
#include "upgrade/upgrade.h"

#include <signal.h>

#define GIVE_UP_TIME (5 * NSEC_PER_SEC) /* after the last SIGKILL */

static bool stopping;
static bool given_up; /* on handlers that cannot be ended */
static int64_t give_up_at = CLOCK_NEVER;
static int64_t terminate_at = CLOCK_NEVER;

/* The control socket answers to the end: what is waited for. */
static bool is_control(const struct instance *i)
{
	return instance_is_control(i) && !instance_is_superseded(i);
}

static void begin_stop(const char *reason, int64_t now)
{
	stopping = true;
	log_event(LOG_NOTICE, "stop", "reason", reason, NULL);
	sdnotify_stopping();
	reload_abandon();
	recheck_abandon(false);
	upgrade_abandon();
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		if (!is_control(i))
			lifecycle_stop(i, now);
	terminate_at = now + services_config()->stop_timeout;
	status_stopping(NULL, "SIGTERM", terminate_at);
}

static void end_handlers(int signal, int64_t now)
{
	int64_t grace = 0;

	terminate_at = CLOCK_NEVER;
	for (struct instance *i = services_first(); i != NULL; i = i->next) {
		if (signal == SIGKILL) {
			instance_kill(i, now);
			continue;
		}
		instance_terminate(i, now);
		if (i->service->kill_grace > grace)
			grace = i->service->kill_grace;
	}
	give_up_at = now + grace + GIVE_UP_TIME;
	if (signal == SIGKILL)
		status_stopping("SIGKILL", NULL, 0);
	else
		status_stopping("SIGTERM", "SIGKILL", now + grace);
	orphans_end_all(signal, now);
}

void shutdown_signal(int signal, int64_t now)
{
	if (stopping)
		end_handlers(SIGKILL, now);
	else
		begin_stop(signal == SIGTERM ? "TERM" : "INT", now);
}

bool shutdown_has_begun(void)
{
	return stopping;
}

/* Some processes cannot be ended: traced ones, those in the kernel. */
static void give_up(void)
{
	give_up_at = CLOCK_NEVER;
	log_event(LOG_ERR, "stop", "error", "some handlers could not be ended", NULL);
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		if (i->worker != 0)
			(void)kill(i->worker, SIGKILL);
	given_up = true;
}

/* Whether nothing is left but the control socket. */
static bool services_are_over(void)
{
	if (!stopping || orphans_count() > 0)
		return false;
	for (const struct instance *i = services_first(); i != NULL; i = i->next)
		if (i->worker != 0 || (i->listener.fd >= 0 && !is_control(i)))
			return false;
	return true;
}

/* The next turn, which closes the control socket, must not wait for an event. */
int64_t shutdown_due(void)
{
	return services_are_over() ? 0 : clock_min(terminate_at, give_up_at);
}

static void close_control(int64_t now)
{
	for (struct instance *i = services_first(); i != NULL; i = i->next)
		if (is_control(i))
			lifecycle_stop(i, now);
}

void shutdown_tick(int64_t now)
{
	if (terminate_at <= now)
		end_handlers(SIGTERM, now);
	if (give_up_at <= now)
		give_up();
	if (given_up)
		orphans_forget();
	if (services_are_over())
		close_control(now);
}

bool shutdown_is_over(void)
{
	if (!services_are_over())
		return false;
	for (const struct instance *i = services_first(); i != NULL; i = i->next)
		if (i->listener.fd >= 0)
			return false;
	return true;
}
