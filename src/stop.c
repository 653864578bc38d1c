/*
 * stop.c: how it ends.
 */
#include "stop.h"

#include "clock.h"
#include "log.h"
#include "notify.h"
#include "orphan.h"
#include "reload.h"
#include "worker.h"

#include <signal.h>

#define GIVE_UP_TIME (5 * NSEC_PER_SEC) /* after the last SIGKILL */

static void begin(struct supervisor *sup, const char *reason, int64_t now)
{
	sup->stopping = true;
	log_event(LOG_NOTICE, "stop", "reason", reason, NULL);
	notify_stopping();
	reload_abandon(sup);
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		unit_retire(u, &sup->shared, WORKER_REFUSE, now);
	sup->terminate_at = now + supervisor_config(sup)->stop_timeout;
}

static void end_handlers(struct supervisor *sup, char order, int64_t now)
{
	int64_t grace = 0;

	sup->terminate_at = CLOCK_NEVER;
	for (struct unit *u = sup->units; u != NULL; u = u->next) {
		unit_order(u, order, now);
		if (order == WORKER_TERMINATE && u->service->kill_grace > grace)
			grace = u->service->kill_grace;
	}
	sup->give_up_at = now + grace + GIVE_UP_TIME;
	sup->end_signal = order == WORKER_KILL ? SIGKILL : SIGTERM;
	orphan_end_all(sup->end_signal, now);
}

void stop_orphans(const struct supervisor *sup, int64_t now)
{
	if (sup->end_signal != 0)
		orphan_end_all(sup->end_signal, now);
}

void stop_signal(struct supervisor *sup, int signal, int64_t now)
{
	if (sup->stopping)
		end_handlers(sup, WORKER_KILL, now);
	else
		begin(sup, signal == SIGTERM ? "TERM" : "INT", now);
}

/* Some processes cannot be ended: traced ones, those in the kernel. */
static void give_up(struct supervisor *sup)
{
	sup->give_up_at = CLOCK_NEVER;
	log_event(LOG_ERR, "stop", "error", "some handlers could not be ended", NULL);
	for (struct unit *u = sup->units; u != NULL; u = u->next)
		if (u->worker != 0)
			(void)kill(u->worker, SIGKILL);
	sup->given_up = true;
}

int64_t stop_due(const struct supervisor *sup)
{
	return clock_min(sup->terminate_at, sup->give_up_at);
}

void stop_tick(struct supervisor *sup, int64_t now)
{
	if (sup->terminate_at <= now)
		end_handlers(sup, WORKER_TERMINATE, now);
	if (sup->give_up_at <= now)
		give_up(sup);
	if (sup->given_up)
		orphan_forget_all();
}

bool stop_is_over(const struct supervisor *sup)
{
	if (!sup->stopping || orphan_count() > 0)
		return false;
	for (const struct unit *u = sup->units; u != NULL; u = u->next)
		if (u->worker != 0 || u->listener.fd >= 0)
			return false;
	return true;
}
