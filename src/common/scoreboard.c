/*
 * scoreboard.c: makes, maps and adopts the memory, and ends connections in it.
 */
#include "common/scoreboard.h"

#include "common/clock.h"
#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static_assert(sizeof(struct slot) == 128, "two cache lines a connection");
static_assert(offsetof(struct scoreboard, slots) == SCOREBOARD_HEAD, "where slots begin");
static_assert(offsetof(struct scoreboard, counters) + sizeof(struct counters) <= 4096,
	      "all counters in one page, which is all that an idle worker touches");

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Maps a memfd, if it is `usable`; else closes it, with errno kept. */
static struct board *board_map(int fd, bool usable)
{
	struct board *board = usable ? malloc(sizeof(*board)) : NULL;
	int saved;

	if (board != NULL) {
		*board = (struct board){.users = 1, .fd = fd};
		board->map = mmap(NULL, sizeof(*board->map), PROT_READ | PROT_WRITE,
				  MAP_SHARED, fd, 0);
		if (board->map != MAP_FAILED)
			return board;
	}
	saved = errno;
	free(board);
	close(fd);
	errno = saved;
	return NULL;
}

struct board *board_new(void)
{
	int fd = memfd_create("udsd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct board *board =
		board_map(fd, fd >= 0 && ftruncate(fd, sizeof(*board->map)) == 0 &&
				      fcntl(fd, F_ADD_SEALS, SEALS) == 0);

	if (board != NULL)
		board->map->layout = SCOREBOARD_LAYOUT;
	return board;
}

struct board *board_adopt(int fd)
{
	struct stat st;
	struct board *board =
		board_map(fd, fstat(fd, &st) == 0 && st.st_size == sizeof(*board->map) &&
				      fcntl(fd, F_GET_SEALS) == SEALS);

	if (board == NULL || board->map->layout == SCOREBOARD_LAYOUT)
		return board;
	board_release(board);
	return NULL;
}

struct board *board_hold(struct board *board)
{
	if (board != NULL)
		board->users++;
	return board;
}

void board_release(struct board *board)
{
	if (board == NULL || --board->users > 0)
		return;
	munmap(board->map, sizeof(*board->map));
	close(board->fd);
	free(board);
}

uint32_t scoreboard_high(const struct scoreboard *scoreboard)
{
	uint32_t high = atomic_load(&scoreboard->high);

	return high < SCOREBOARD_SLOTS ? high : SCOREBOARD_SLOTS;
}

size_t exit_index(int status)
{
	if (status == SLOT_STATUS_UNKNOWN)
		return EXIT_SIGNALS;
	if (WIFEXITED(status))
		return (size_t)WEXITSTATUS(status);
	return EXIT_SIGNALS + (size_t)WTERMSIG(status) % (EXITS - EXIT_SIGNALS);
}

int exit_status(size_t index)
{
	if (index == EXIT_SIGNALS)
		return SLOT_STATUS_UNKNOWN;
	return index < EXIT_SIGNALS ? W_EXITCODE((int)index, 0)
				    : W_EXITCODE(0, (int)(index - EXIT_SIGNALS));
}

void slot_close(struct scoreboard *scoreboard, struct slot *slot, const char *service,
		int status, const struct rusage *usage)
{
	int64_t now = clock_now(), started = slot->started;
	struct log_line line;

	/* its worker's user may have written anything */
	if (started < 0 || started > now)
		started = now;
	scoreboard->counters.exits[exit_index(status)]++;
	scoreboard->counters.nanoseconds += (uint64_t)(now - started);
	log_begin(&line, LOG_INFO, "close");
	log_str(&line, "service", service);
	log_num(&line, "conn", (int64_t)slot->id);
	log_num(&line, "pid", atomic_load(&slot->pid));
	log_status(&line, status);
	log_usage(&line, now - started, usage);
	if (slot->expired)
		log_str(&line, "reason", "lifetime");
	log_end(&line);
	atomic_store(&slot->pid, 0);
}
