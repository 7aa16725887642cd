/*
 * Stands between SQLite and the system: notes every change to a ledger's files in the order in which it happens, and
 * lets one of them fail. Loaded with LD_PRELOAD; disk.py speaks its language.
 *
 * A write is noted before it is made and a sync after it returned. Whoever cuts the power after the last whole note
 * therefore never takes for durable what the program could not know to be.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 4096, LEDGER = 0, SHARED = 3, FOLDER = 4, NAMES = 5, MAKING = 5, OTHER = -1 };

struct note {
    uint8_t kind;
    uint8_t name;
    uint16_t unused;
    uint32_t file;
    int64_t offset;
    int64_t length;
};

static const char *const SUFFIXES[] = {"", "-wal", "-journal", "-shm"};
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char paths[NAMES][PATH_MAX];
static uint32_t files[NAMES + 1]; /* which file has a name now; 0 before anybody opened it */
static uint32_t last_file;
static struct { int8_t name_plus_one; uint32_t file; } opened[FDS];
static int trace = -1;
static long change_count, fail_at;
static long long budget_bytes = -1;
static int fail_errno, fail_on;
static struct timespec sync_time;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static int (*real_fsync)(int), (*real_fdatasync)(int);
static int (*real_unlink)(const char *), (*real_rename)(const char *, const char *);
static int (*real_link)(const char *, const char *), (*real_linkat)(int, const char *, int, const char *, int);
static int (*real_ftruncate)(int, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);

static long number_in(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void prepare(void) {
    real_open = dlsym(RTLD_NEXT, "open64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_link = dlsym(RTLD_NEXT, "link");
    real_linkat = dlsym(RTLD_NEXT, "linkat");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    const char *ledger = getenv("DISK_LEDGER"), *trace_path = getenv("DISK_TRACE");
    if (!ledger || !trace_path)
        return;
    for (int name = 0; name < FOLDER; name++) {
        strncpy(paths[name], ledger, PATH_MAX - 16);
        strcat(paths[name], SUFFIXES[name]);
    }
    strncpy(paths[FOLDER], ledger, PATH_MAX - 16);
    *strrchr(paths[FOLDER], '/') = 0;
    fail_at = number_in("DISK_FAIL_AT");
    fail_errno = (int)number_in("DISK_FAIL_ERRNO");
    fail_on = (int)number_in("DISK_FAIL_ON");
    sync_time.tv_nsec = number_in("DISK_SYNC_MS") * 1000000L;
    if (getenv("DISK_BUDGET"))
        budget_bytes = number_in("DISK_BUDGET");
    trace = real_open(trace_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* While there is no ledger, the temporary file in its folder is what becomes one. */
static int is_making(const char *path) {
    struct stat there;
    size_t folder = strlen(paths[FOLDER]), length = strlen(path);
    return length > folder + 5 && !strncmp(path, paths[FOLDER], folder) && !strncmp(path + folder, "/.", 2) &&
           !strchr(path + folder + 1, '/') && !strcmp(path + length - 4, ".tmp") &&
           (files[MAKING] || stat(paths[LEDGER], &there));
}

static int name_of(const char *path) {
    if (trace < 0)
        return OTHER;
    for (int name = 0; name < NAMES; name++)
        if (!strcmp(path, paths[name]))
            return name;
    return is_making(path) ? MAKING : OTHER;
}

static int name_at(int fd) { return trace >= 0 && fd >= 0 && fd < FDS ? opened[fd].name_plus_one - 1 : OTHER; }

static void note(char kind, int name, uint32_t file, int64_t offset, const void *data, int64_t length) {
    struct note head = {(uint8_t)kind, (uint8_t)name, 0, file, offset, length};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)data, data ? (size_t)length : 0}};
    if (writev(trace, parts, 2) < 0)
        abort();
}

/* Counts a change; returns whether it is the one that fails, with errno set. */
static int fails(void) {
    change_count++;
    if (!fail_at || (fail_on ? change_count < fail_at : change_count != fail_at))
        return 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    note('f', 0, 0, now.tv_sec * 1000000000LL + now.tv_nsec, NULL, change_count);
    errno = fail_errno;
    return 1;
}

static int over_budget(int fd, int64_t end) {
    struct stat now;
    if (budget_bytes < 0 || fstat(fd, &now) || end <= now.st_size)
        return 0;
    budget_bytes -= end - now.st_size;
    if (budget_bytes >= 0)
        return 0;
    budget_bytes = 0;
    errno = ENOSPC;
    return 1;
}

static int open_noted(const char *path, int flags, mode_t mode) {
    int name = name_of(path);
    if (name == OTHER)
        return real_open(path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat there;
    int is_new = (flags & O_CREAT) && stat(path, &there);
    int fd = is_new && fails() ? -1 : real_open(path, flags, mode);
    if (fd >= 0 && fd < FDS) {
        if (is_new || !files[name]) {
            files[name] = ++last_file;
            note(is_new ? 'c' : 'o', name, last_file, 0, NULL, 0);
        }
        opened[fd].name_plus_one = (int8_t)(name + 1);
        opened[fd].file = files[name];
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return open_noted(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int close(int fd) {
    if (fd >= 0 && fd < FDS)
        opened[fd].name_plus_one = 0;
    return real_close(fd);
}

static ssize_t write_noted(int fd, const void *data, size_t length, off_t offset, int moves) {
    int name = name_at(fd);
    if (name == OTHER)
        return moves ? real_write(fd, data, length) : real_pwrite(fd, data, length, offset);
    pthread_mutex_lock(&lock);
    if (moves)
        offset = lseek(fd, 0, SEEK_CUR);
    ssize_t written = -1;
    if (!fails() && !over_budget(fd, offset + (int64_t)length)) {
        note('w', name, opened[fd].file, offset, data, (int64_t)length);
        written = moves ? real_write(fd, data, length) : real_pwrite(fd, data, length, offset);
    }
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t write(int fd, const void *data, size_t length) { return write_noted(fd, data, length, 0, 1); }

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    return write_noted(fd, data, length, offset, 0);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) __attribute__((alias("pwrite")));

int ftruncate(int fd, off_t length) {
    int name = name_at(fd);
    if (name == OTHER)
        return real_ftruncate(fd, length);
    pthread_mutex_lock(&lock);
    int result = -1;
    if (!fails() && !over_budget(fd, length)) {
        note('t', name, opened[fd].file, length, NULL, 0);
        result = real_ftruncate(fd, length);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate64(int fd, off_t length) __attribute__((alias("ftruncate")));

static int sync_noted(int fd, int (*sync)(int)) {
    int name = name_at(fd);
    if (name == OTHER)
        return sync(fd);
    /* A slow disk: most cuts then find something that is written and not yet durable. */
    nanosleep(&sync_time, NULL);
    pthread_mutex_lock(&lock);
    int result = -1;
    if (fails()) {
        note('x', name, opened[fd].file, 0, NULL, 0);
        errno = fail_errno;
    } else if (!(result = sync(fd))) {
        note(name == FOLDER ? 'd' : 's', name, opened[fd].file, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return sync_noted(fd, real_fsync); }

int fdatasync(int fd) { return sync_noted(fd, real_fdatasync); }

int unlink(const char *path) {
    int name = name_of(path);
    if (name == OTHER)
        return real_unlink(path);
    pthread_mutex_lock(&lock);
    struct stat there;
    int result = -1;
    if (stat(path, &there)) {
        result = real_unlink(path);
    } else if (!fails()) {
        note('u', name, 0, 0, NULL, 0);
        files[name] = 0;
        result = real_unlink(path);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static int link_noted(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    int result = -1;
    if (!fails()) {
        files[name_of(to)] = files[MAKING];
        note('l', name_of(to), files[MAKING], 0, NULL, 0);
        result = real_link(from, to);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int link(const char *from, const char *to) {
    return name_of(from) == MAKING && name_of(to) == LEDGER ? link_noted(from, to) : real_link(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    if (name_of(from) == MAKING && name_of(to) == LEDGER)
        return link_noted(from, to);
    return real_linkat(from_folder, from, to_folder, to, flags);
}

/* Nothing of ours is ever renamed; a note that the reader does not know makes the test fail if that changes. */
int rename(const char *from, const char *to) {
    if (name_of(from) != OTHER || name_of(to) != OTHER)
        note('r', 0, 0, 0, NULL, 0);
    return real_rename(from, to);
}
