// SPDX-License-Identifier: Apache-2.0
//
// A disk that loses what was not synced, for a program that is started with LD_PRELOAD. Writes go through, but before
// each, what it overwrites is noted in a journal; a sync is noted too. After the program was killed, the test plays the
// journal backwards to the last sync of each file: what is left is what a disk may hold after a loss of power.
//
// LOSSYFS_DIR: which directory's files. LOSSYFS_JOURNAL: where to note, outside of that directory.
//
// A record: kind ('W' write, 'T' truncation, 'S' sync), then little-endian u32 path length, u64 offset, u64 size of the
// file before, u32 length of the old bytes; then the path, then the old bytes.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;

static void die(const char *why)
{
	ssize_t ignored = syscall(SYS_write, 2, why, strlen(why));
	(void)ignored;
	abort();
}

static void note(const void *bytes, size_t length)
{
	const char *at = bytes;
	while (length > 0) {
		long wrote = syscall(SYS_write, journal, at, length);
		if (wrote <= 0)
			die("lossyfs: the journal cannot be written\n");
		at += wrote;
		length -= (size_t)wrote;
	}
}

// The path of a file of ours, or 0. SQLite's shared memory file is no storage: it is made anew after a crash.
static int ours(int fd, char path[PATH_MAX])
{
	const char *dir = getenv("LOSSYFS_DIR");
	char link[64];
	struct stat st;
	if (dir == NULL || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, PATH_MAX - 1);
	if (length <= 0)
		return 0;
	path[length] = 0;
	size_t prefix = strlen(dir);
	if (strncmp(path, dir, prefix) != 0 || path[prefix] != '/')
		return 0;
	if (length > 4 && strcmp(path + length - 4, "-shm") == 0)
		return 0;
	if (journal < 0) {
		const char *name = getenv("LOSSYFS_JOURNAL");
		if (name == NULL)
			die("lossyfs: LOSSYFS_JOURNAL is not set\n");
		journal = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (journal < 0)
			die("lossyfs: the journal cannot be opened\n");
	}
	return 1;
}

static void record(char kind, const char *path, int fd, uint64_t offset, uint64_t length)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		die("lossyfs: fstat failed\n");
	uint64_t size = (uint64_t)st.st_size;
	uint64_t end = offset + length < size ? offset + length : size;
	uint32_t old = offset < end ? (uint32_t)(end - offset) : 0;
	uint32_t path_length = (uint32_t)strlen(path);
	char *bytes = malloc(old + 1);
	// The descriptor may be open for writing only.
	int reader = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (bytes == NULL || reader < 0)
		die("lossyfs: the old bytes cannot be read\n");
	for (uint32_t have = 0; have < old;) {
		long got = syscall(SYS_pread64, reader, bytes + have, old - have, offset + have);
		if (got <= 0)
			die("lossyfs: the old bytes cannot be read\n");
		have += (uint32_t)got;
	}
	syscall(SYS_close, reader);
	note(&kind, 1);
	note(&path_length, 4);
	note(&offset, 8);
	note(&size, 8);
	note(&old, 4);
	note(path, path_length);
	note(bytes, old);
	free(bytes);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
	char path[PATH_MAX];
	pthread_mutex_lock(&lock);
	if (ours(fd, path))
		record('W', path, fd, (uint64_t)offset, length);
	ssize_t wrote = syscall(SYS_pwrite64, fd, bytes, length, offset);
	pthread_mutex_unlock(&lock);
	return wrote;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	return pwrite64(fd, bytes, length, offset);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	char path[PATH_MAX];
	pthread_mutex_lock(&lock);
	if (ours(fd, path))
		record('W', path, fd, (uint64_t)syscall(SYS_lseek, fd, 0, SEEK_CUR), length);
	ssize_t wrote = syscall(SYS_write, fd, bytes, length);
	pthread_mutex_unlock(&lock);
	return wrote;
}

int ftruncate64(int fd, off64_t length)
{
	char path[PATH_MAX];
	pthread_mutex_lock(&lock);
	if (ours(fd, path))
		record('T', path, fd, (uint64_t)length, UINT64_MAX - (uint64_t)length);
	int done = (int)syscall(SYS_ftruncate, fd, length);
	pthread_mutex_unlock(&lock);
	return done;
}

int ftruncate(int fd, off_t length)
{
	return ftruncate64(fd, length);
}

static int sync_with(long call, int fd)
{
	char path[PATH_MAX];
	// A slow disk, so that a kill often comes between a write and its sync.
	usleep(2000);
	pthread_mutex_lock(&lock);
	int done = (int)syscall(call, fd);
	if (done == 0 && ours(fd, path))
		record('S', path, fd, 0, 0);
	pthread_mutex_unlock(&lock);
	return done;
}

int fsync(int fd)
{
	return sync_with(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_with(SYS_fdatasync, fd);
}
