/*
 * renew.c: one instance's successor, of the same service: after its path was deleted, or
 * when an administrator enables or disables it.
 */
#include "service/renew.h"

#include "service/lifecycle.h"
#include "service/services.h"

struct failure renew_instance(struct instance *i, bool enabled, int64_t now)
{
	struct instance *fresh = lifecycle_new(i->loaded, i->service);
	struct failure f = SUCCESS;

	if (fresh == NULL)
		return failure("make an instance");
	fresh->enabled = enabled;
	if (enabled)
		f = listener_open(i->service, &fresh->listener, 0);
	if (failed(f)) {
		instance_free(fresh);
		return f;
	}
	fresh->board = board_hold(i->board);
	fresh->backoff = i->backoff;
	services_add(fresh);
	lifecycle_supersede(i, now);
	if (enabled)
		listener_log(fresh->service);
	instance_watch(fresh, now);
	services_changed();
	return SUCCESS;
}
