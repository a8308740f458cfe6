/*
 * A library to preload into a process (LD_PRELOAD). It stands between the process and the file
 * system and, by what the environment says, does three things with calls on files below one
 * directory:
 *
 * - writes a trace: every change to a file or a name, every sync, and every acknowledgement, with
 *   its data, in one order. From it the harness builds what a loss of power would have left.
 * - lies: answers that a sync succeeded, without doing it and without a word in the trace.
 * - injects a fault: the n-th call fails, once or from then on. A sync that fails is in the trace.
 *
 * It does not know what is in the files. It sees neither mmap nor io_uring nor bare system calls;
 * the harness compares the replayed trace with the real directory, so that nothing escapes it
 * unnoticed. Calls that it does not model are written to the trace as unsupported.
 *
 *   CRASH_ROOT   the directory, absolute, with a slash at the end
 *   CRASH_ACKS   the file that acknowledgements are appended to, outside of the directory
 *   CRASH_TRACE  the trace to write
 *   CRASH_LIE    syncs of paths that contain one of these words, separated by ':', are not done
 *   CRASH_RANGE  if set, sync_file_range succeeds and syncs nothing, as if no filter were installed
 *   CRASH_CALLS  the file to list the counted calls in: "number call path"
 *   CRASH_FAULT  "number errno once|on": the call of this number fails
 *   CRASH_READS  if set, reads are counted as well
 *   CRASH_ONLY   if set, only calls whose names contain this word are counted
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PATH 4096

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH], acks[PATH], lies[PATH], only[PATH];
static size_t root_length;
static int trace_fd = -1, calls_fd = -1, range_lies, count_reads;
static long fault_at, fault_on, calls;
static int fault_errno;
static uint64_t sync_tokens;

static void from_environment(char *to, const char *name) {
	const char *value = getenv(name);
	snprintf(to, PATH, "%s", value ? value : "");
}

static int create(const char *path) {
	if (!path) return -1;
	/* Out of the way of the numbers that the process expects to get. */
	int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	syscall(SYS_close, fd);
	return high;
}

__attribute__((constructor)) static void start(void) {
	from_environment(root, "CRASH_ROOT");
	from_environment(acks, "CRASH_ACKS");
	from_environment(lies, "CRASH_LIE");
	from_environment(only, "CRASH_ONLY");
	root_length = strlen(root);
	range_lies = getenv("CRASH_RANGE") != NULL;
	count_reads = getenv("CRASH_READS") != NULL;
	trace_fd = create(getenv("CRASH_TRACE"));
	calls_fd = create(getenv("CRASH_CALLS"));
	const char *fault = getenv("CRASH_FAULT");
	char mode[8] = "";
	if (fault && sscanf(fault, "%ld %d %7s", &fault_at, &fault_errno, mode) == 3)
		fault_on = !strcmp(mode, "on");
}

/* ---- which files are ours ---- */

static int watched(const char *path) {
	return root_length && (!strncmp(path, root, root_length) || (strlen(path) == root_length - 1 && !strncmp(path, root, root_length - 1)));
}

/* The path of an open file. */
static int path_of(int fd, char *path) {
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH - 1);
	if (length < 0) return 0;
	path[length] = 0;
	return 1;
}

static int watched_fd(int fd, char *path) {
	return root_length && path_of(fd, path) && watched(path);
}

/* The path that a name means in a directory. */
static int watched_at(int dir, const char *name, char *path) {
	if (!root_length) return 0;
	char above[PATH];
	int length;
	if (name[0] == '/') length = snprintf(path, PATH, "%s", name);
	else if (dir != AT_FDCWD && path_of(dir, above)) length = snprintf(path, PATH, "%s/%s", above, name);
	else return 0;
	return length < PATH && watched(path);
}

static uint64_t inode_of(int fd) {
	struct stat status;
	return fstat(fd, &status) ? 0 : status.st_ino;
}

static uint64_t inode_at(const char *path) {
	struct stat status;
	return lstat(path, &status) ? 0 : status.st_ino;
}

/* ---- the trace ---- */

static void number(unsigned char *to, uint64_t value, int bytes) {
	for (int i = 0; i < bytes; i++) to[i] = value >> (8 * i);
}

/* A frame: kind, lengths of two paths and of the data, inode, offset; then paths and data. */
static void emit(char kind, const char *path, const char *other, uint64_t inode, uint64_t offset, const void *data, size_t length) {
	if (trace_fd < 0) return;
	unsigned char head[25];
	head[0] = kind;
	number(head + 1, strlen(path), 2);
	number(head + 3, strlen(other), 2);
	number(head + 5, length, 4);
	number(head + 9, inode, 8);
	number(head + 17, offset, 8);
	struct iovec parts[4] = {{head, sizeof head}, {(void *)path, strlen(path)}, {(void *)other, strlen(other)}, {(void *)data, length}};
	size_t whole = sizeof head + strlen(path) + strlen(other) + length;
	if (syscall(SYS_writev, trace_fd, parts, 4) != (ssize_t)whole) abort();
}

static void unsupported(const char *call) {
	pthread_mutex_lock(&order);
	emit('X', call, "", 0, 0, NULL, 0);
	pthread_mutex_unlock(&order);
}

/* ---- faults ---- */

/* Whether this call fails; errno says how. */
static int fails(const char *call, const char *path) {
	if ((calls_fd < 0 && !fault_at) || !strstr(call, only)) return 0;
	pthread_mutex_lock(&order);
	long at = ++calls;
	int hit = fault_at && (fault_on ? fault_at <= at : fault_at == at);
	if (0 <= calls_fd) {
		char line[PATH + 64];
		int length = snprintf(line, sizeof line, "%ld %s %s%s\n", at, call, path, hit ? " FAILED" : "");
		syscall(SYS_write, calls_fd, line, length);
	}
	pthread_mutex_unlock(&order);
	if (hit) errno = fault_errno;
	return hit;
}

static int lied_about(const char *path) {
	char words[PATH], *rest = NULL;
	memcpy(words, lies, PATH);
	for (char *word = strtok_r(words, ":", &rest); word; word = strtok_r(NULL, ":", &rest))
		if (strstr(path, word)) return 1;
	return 0;
}

/* ---- the calls ---- */


static int open_at(int dir, const char *name, int flags, mode_t mode) {
	char path[PATH];
	int writes = flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
	if (!watched_at(dir, name, path)) return syscall(SYS_openat, dir, name, flags, mode);
	if ((writes || count_reads) && fails("open", path)) return -1;
	if (!(flags & (O_CREAT | O_TRUNC))) return syscall(SYS_openat, dir, name, flags, mode);
	pthread_mutex_lock(&order);
	uint64_t before = inode_at(path);
	int fd = syscall(SYS_openat, dir, name, flags, mode);
	if (0 <= fd) {
		if (!before) emit('C', path, "", inode_of(fd), 0, NULL, 0);
		else if (flags & O_TRUNC) emit('T', path, "", before, 0, NULL, 0);
	}
	pthread_mutex_unlock(&order);
	return fd;
}

#define MODE(flags) mode_t mode = 0; \
	if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int openat(int dir, const char *name, int flags, ...) { MODE(flags) return open_at(dir, name, flags, mode); }
int openat64(int dir, const char *name, int flags, ...) { MODE(flags) return open_at(dir, name, flags, mode); }
int creat(const char *name, mode_t mode) { return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return creat(name, mode); }

static ssize_t write_at(int fd, const void *data, size_t length, off64_t offset) {
	char path[PATH];
	if (!watched_fd(fd, path)) return syscall(SYS_pwrite64, fd, data, length, offset);
	if (fails("pwrite", path)) return -1;
	pthread_mutex_lock(&order);
	ssize_t written = syscall(SYS_pwrite64, fd, data, length, offset);
	if (0 < written) emit('W', "", "", inode_of(fd), offset, data, written);
	pthread_mutex_unlock(&order);
	return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return write_at(fd, data, length, offset); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return write_at(fd, data, length, offset); }

ssize_t write(int fd, const void *data, size_t length) {
	char path[PATH];
	int is_acks = acks[0] && path_of(fd, path) && !strcmp(path, acks);
	if (!is_acks && !watched_fd(fd, path)) return syscall(SYS_write, fd, data, length);
	if (!is_acks && fails("write", path)) return -1;
	pthread_mutex_lock(&order);
	if (fcntl(fd, F_GETFL) & O_APPEND) lseek64(fd, 0, SEEK_END);
	off64_t offset = lseek64(fd, 0, SEEK_CUR);
	ssize_t written = syscall(SYS_write, fd, data, length);
	if (0 < written) emit(is_acks ? 'A' : 'W', "", "", inode_of(fd), offset, data, written);
	pthread_mutex_unlock(&order);
	return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
	char path[PATH];
	if (!watched_fd(fd, path)) return syscall(SYS_writev, fd, parts, count);
	for (int i = 0; i < count; i++)
		if (parts[i].iov_len) return write(fd, parts[i].iov_base, parts[i].iov_len);
	return 0;
}

static ssize_t writev_at(int fd, const struct iovec *parts, int count, off64_t offset) {
	for (int i = 0; i < count; i++)
		if (parts[i].iov_len) return write_at(fd, parts[i].iov_base, parts[i].iov_len, offset);
	return 0;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return writev_at(fd, parts, count, offset); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return writev_at(fd, parts, count, offset); }

static int cut(int fd, off64_t length) {
	char path[PATH];
	if (!watched_fd(fd, path)) return syscall(SYS_ftruncate, fd, length);
	if (fails("ftruncate", path)) return -1;
	pthread_mutex_lock(&order);
	int failed = syscall(SYS_ftruncate, fd, length);
	if (!failed) emit('T', "", "", inode_of(fd), length, NULL, 0);
	pthread_mutex_unlock(&order);
	return failed;
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length); }

static int allocate(int fd, int mode, off64_t offset, off64_t length) {
	char path[PATH];
	if (!watched_fd(fd, path)) return syscall(SYS_fallocate, fd, mode, offset, length);
	if (fails("fallocate", path)) return -1;
	if (mode & ~FALLOC_FL_KEEP_SIZE) unsupported("fallocate with a mode");
	pthread_mutex_lock(&order);
	struct stat status;
	int failed = syscall(SYS_fallocate, fd, mode, offset, length);
	if (!failed && !mode && !fstat(fd, &status)) emit('T', "", "", status.st_ino, status.st_size, NULL, 0);
	pthread_mutex_unlock(&order);
	return failed;
}

int fallocate(int fd, int mode, off_t offset, off_t length) { return allocate(fd, mode, offset, length); }
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return allocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return allocate(fd, 0, offset, length) ? errno : 0; }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return allocate(fd, 0, offset, length) ? errno : 0; }

static int rename_at(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
	char old[PATH], new[PATH];
	int ours = watched_at(from_dir, from, old);
	if (watched_at(to_dir, to, new) != ours || (ours && flags)) unsupported("rename");
	if (!ours) return syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
	if (fails("rename", old)) return -1;
	pthread_mutex_lock(&order);
	int failed = syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
	if (!failed) emit('R', old, new, 0, 0, NULL, 0);
	pthread_mutex_unlock(&order);
	return failed;
}

int rename(const char *from, const char *to) { return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return rename_at(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return rename_at(a, from, b, to, flags); }

static int unlink_at(int dir, const char *name, int flags) {
	char path[PATH];
	if (!watched_at(dir, name, path)) return syscall(SYS_unlinkat, dir, name, flags);
	if (fails("unlink", path)) return -1;
	pthread_mutex_lock(&order);
	int failed = syscall(SYS_unlinkat, dir, name, flags);
	if (!failed) emit('U', path, "", 0, 0, NULL, 0);
	pthread_mutex_unlock(&order);
	return failed;
}

int unlink(const char *name) { return unlink_at(AT_FDCWD, name, 0); }
int unlinkat(int dir, const char *name, int flags) { return unlink_at(dir, name, flags); }
int rmdir(const char *name) { return unlink_at(AT_FDCWD, name, AT_REMOVEDIR); }

static int make_dir(int dir, const char *name, mode_t mode) {
	char path[PATH];
	if (!watched_at(dir, name, path)) return syscall(SYS_mkdirat, dir, name, mode);
	if (fails("mkdir", path)) return -1;
	pthread_mutex_lock(&order);
	int failed = syscall(SYS_mkdirat, dir, name, mode);
	if (!failed) emit('M', path, "", inode_at(path), 0, NULL, 0);
	pthread_mutex_unlock(&order);
	return failed;
}

int mkdir(const char *name, mode_t mode) { return make_dir(AT_FDCWD, name, mode); }
int mkdirat(int dir, const char *name, mode_t mode) { return make_dir(dir, name, mode); }

/* What was written before a sync began is durable when it ends; so both are in the trace. */
static int synchronize(int fd, long call, const char *name) {
	char path[PATH];
	if (!watched_fd(fd, path)) return syscall(call, fd);
	if (lied_about(path)) return 0;
	uint64_t inode = inode_of(fd);
	if (fails(name, path)) {
		int reason = errno;
		pthread_mutex_lock(&order);
		emit('F', "", "", inode, 0, NULL, 0);
		pthread_mutex_unlock(&order);
		errno = reason;
		return -1;
	}
	pthread_mutex_lock(&order);
	uint64_t token = ++sync_tokens;
	emit('B', "", "", inode, token, NULL, 0);
	pthread_mutex_unlock(&order);
	int failed = syscall(call, fd);
	if (failed) return failed;
	pthread_mutex_lock(&order);
	emit('S', "", "", inode, token, NULL, 0);
	pthread_mutex_unlock(&order);
	return 0;
}

int fsync(int fd) { return synchronize(fd, SYS_fsync, "fsync"); }
int fdatasync(int fd) { return synchronize(fd, SYS_fdatasync, "fdatasync"); }

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
	if (range_lies && 0 <= fd) return 0;
	return syscall(SYS_sync_file_range, fd, offset, length, flags);
}

/* ---- reads, for faults only ---- */

ssize_t read(int fd, void *data, size_t length) {
	char path[PATH];
	if (count_reads && watched_fd(fd, path) && fails("read", path)) return -1;
	return syscall(SYS_read, fd, data, length);
}

static ssize_t read_at(int fd, void *data, size_t length, off64_t offset) {
	char path[PATH];
	if (count_reads && watched_fd(fd, path) && fails("pread", path)) return -1;
	return syscall(SYS_pread64, fd, data, length, offset);
}

ssize_t pread(int fd, void *data, size_t length, off_t offset) { return read_at(fd, data, length, offset); }
ssize_t pread64(int fd, void *data, size_t length, off64_t offset) { return read_at(fd, data, length, offset); }

/* ---- what is not modelled ---- */

int linkat(int a, const char *from, int b, const char *to, int flags) {
	char path[PATH];
	if (watched_at(b, to, path)) unsupported("linkat");
	return syscall(SYS_linkat, a, from, b, to, flags);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlink(const char *target, const char *name) {
	char path[PATH];
	if (watched_at(AT_FDCWD, name, path)) unsupported("symlink");
	return syscall(SYS_symlinkat, target, AT_FDCWD, name);
}

int truncate64(const char *name, off64_t length) {
	char path[PATH];
	if (watched_at(AT_FDCWD, name, path)) unsupported("truncate");
	return syscall(SYS_truncate, name, length);
}

int truncate(const char *name, off_t length) { return truncate64(name, length); }

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
	char path[PATH];
	if (watched_fd(out, path)) { errno = EXDEV; return -1; } /* The caller copies by hand. */
	return syscall(SYS_copy_file_range, in, from, out, to, length, flags);
}

ssize_t sendfile64(int out, int in, off64_t *from, size_t length) {
	char path[PATH];
	if (watched_fd(out, path)) { errno = EINVAL; return -1; }
	return syscall(SYS_sendfile, out, in, from, length);
}

ssize_t sendfile(int out, int in, off_t *from, size_t length) { return sendfile64(out, in, from, length); }
