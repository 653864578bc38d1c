/*
 * scoreboard.c: makes and maps the shared table.
 */
#include "scoreboard.h"

#include "clock.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static_assert(sizeof(struct slot) == 128, "two cache lines a connection");

struct scoreboard *scoreboard_create(int *fd)
{
	struct scoreboard *board;
	int saved, mfd = memfd_create("udsd", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (mfd < 0)
		return NULL;
	if (ftruncate(mfd, sizeof(*board)) < 0 ||
	    fcntl(mfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		goto fail;
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, mfd, 0);
	if (board == MAP_FAILED)
		goto fail;
	board->layout = SCOREBOARD_LAYOUT;
	*fd = mfd;
	return board;
fail:
	saved = errno;
	close(mfd);
	errno = saved;
	return NULL;
}

void scoreboard_unmap(struct scoreboard *board)
{
	munmap(board, sizeof(*board));
}

uint32_t scoreboard_high(const struct scoreboard *board)
{
	uint32_t high = atomic_load(&board->high);

	return high < SCOREBOARD_SLOTS ? high : SCOREBOARD_SLOTS;
}

const char *reject_name(enum reject_reason reason)
{
	static const char *const names[] = {"rule", "limit", "user-limit", "rate"};

	return names[reason];
}

static int64_t nsec(const struct timeval *tv)
{
	return (int64_t)tv->tv_sec * NSEC_PER_SEC + (int64_t)tv->tv_usec * 1000;
}

void slot_close(struct slot *slot, const char *service, int status,
		const struct rusage *usage)
{
	int64_t now = clock_now(), started = slot->started;
	struct log_line line;

	if (started < 0 ||
	    started > now) /* its worker's user may have written anything */
		started = now;
	log_begin(&line, LOG_INFO, "close");
	log_str(&line, "service", service);
	log_num(&line, "conn", (int64_t)slot->conn);
	log_num(&line, "pid", atomic_load(&slot->pid));
	log_status(&line, status);
	log_sec(&line, "duration", now - started);
	if (usage != NULL) {
		log_sec(&line, "user", nsec(&usage->ru_utime));
		log_sec(&line, "system", nsec(&usage->ru_stime));
		log_num(&line, "maxrss-kib", usage->ru_maxrss);
	}
	if (slot->expired)
		log_str(&line, "reason", "lifetime");
	log_end(&line);
	atomic_store(&slot->pid, 0);
}
