/*
 * Records what a process does to the files of one folder, in the order in which it happens, so that the states that a
 * loss of power could leave behind can be made later. Loaded with LD_PRELOAD.
 *
 * POWER_FOLDER is the folder; POWER_TRACE the file that the records go to. A record is the struct below, followed by
 * `length` bytes: what was written, or the name of a file.
 */
#include "preload.h"

#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

enum { CREATE = 1, WRITE = 2, TRUNCATE = 3, SYNC = 4, SYNC_FOLDER = 5, UNLINK = 6, RENAME = 7 };

struct record {
    uint64_t time;   /* CLOCK_MONOTONIC before the call, in nanoseconds */
    uint64_t file;   /* inode */
    uint64_t offset; /* where the bytes were written, or the new size */
    uint32_t kind;
    uint32_t length;
};

/* What each descriptor is open on: 0 is not ours, FOLDER is the folder itself, anything else an inode. */
static uint64_t opened[FDS];
static const uint64_t FOLDER = UINT64_MAX;

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static int trace = -1;

__attribute__((constructor)) static void begin(void) {
    const char *path = begin_with("POWER_FOLDER", "POWER_TRACE");
    trace = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace < 0) {
        perror(path);
        abort();
    }
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void append(const void *bytes, size_t length) {
    const char *rest = bytes;
    while (length > 0) {
        ssize_t written = real_write(trace, rest, length);
        if (written < 0) {
            perror("the trace");
            abort();
        }
        rest += written;
        length -= (size_t)written;
    }
}

static void tell(uint32_t kind, uint64_t time, uint64_t file, uint64_t offset, const void *bytes, size_t length) {
    struct record record = {time, file, offset, kind, (uint32_t)length};
    append(&record, sizeof record);
    append(bytes, length);
}

/* The name of a path in the folder; nothing for any other path. */
static const char *name_in_folder(const char *path) {
    if (!in_folder(path)) return NULL;
    const char *name = path + folder_length + 1;
    return *name && !strchr(name, '/') ? name : NULL;
}

static uint64_t opened_on(int fd) { return fd >= 0 && fd < FDS ? opened[fd] : 0; }

static int open_file(const char *path, int flags, mode_t mode) {
    if (folder_length == 0 || !path || strncmp(path, folder, folder_length) != 0) return real_open(path, flags, mode);
    pthread_mutex_lock(&one_at_a_time);
    uint64_t time = now();
    int existed = access(path, F_OK) == 0;
    int fd = real_open(path, flags, mode);
    int error = errno;
    struct stat status;
    if (fd >= 0 && fd < FDS && fstat(fd, &status) == 0) {
        const char *name = name_in_folder(path);
        if (S_ISDIR(status.st_mode)) {
            opened[fd] = strcmp(path, folder) == 0 ? FOLDER : 0;
        } else if (name) {
            opened[fd] = status.st_ino;
            if (!existed) tell(CREATE, time, status.st_ino, 0, name, strlen(name));
            if (existed && (flags & O_TRUNC)) tell(TRUNCATE, time, status.st_ino, 0, NULL, 0);
        }
    }
    pthread_mutex_unlock(&one_at_a_time);
    errno = error;
    return fd;
}

int close(int fd) {
    if (fd >= 0 && fd < FDS) opened[fd] = 0;
    return real_close(fd);
}

static ssize_t write_and_tell(int fd, const void *bytes, size_t length, off_t offset, int at_offset) {
    uint64_t file = opened_on(fd);
    if (file == 0) return at_offset ? real_pwrite(fd, bytes, length, offset) : real_write(fd, bytes, length);
    pthread_mutex_lock(&one_at_a_time);
    uint64_t time = now();
    ssize_t written = at_offset ? real_pwrite(fd, bytes, length, offset) : real_write(fd, bytes, length);
    int error = errno;
    if (written > 0) {
        off_t place = at_offset ? offset : lseek(fd, 0, SEEK_CUR) - written;
        tell(WRITE, time, file, (uint64_t)place, bytes, (size_t)written);
    }
    pthread_mutex_unlock(&one_at_a_time);
    errno = error;
    return written;
}

ssize_t write(int fd, const void *bytes, size_t length) { return write_and_tell(fd, bytes, length, 0, 0); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return write_and_tell(fd, bytes, length, offset, 1);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    return write_and_tell(fd, bytes, length, offset, 1);
}

static int change_and_tell(int fd, uint32_t kind, off_t size, int (*change)(int)) {
    uint64_t file = opened_on(fd);
    if (file == 0) return change ? change(fd) : real_ftruncate(fd, size);
    pthread_mutex_lock(&one_at_a_time);
    uint64_t time = now();
    int result = change ? change(fd) : real_ftruncate(fd, size);
    int error = errno;
    if (result == 0) tell(file == FOLDER ? SYNC_FOLDER : kind, time, file, (uint64_t)size, NULL, 0);
    pthread_mutex_unlock(&one_at_a_time);
    errno = error;
    return result;
}

int ftruncate(int fd, off_t size) { return change_and_tell(fd, TRUNCATE, size, NULL); }
int ftruncate64(int fd, off_t size) { return change_and_tell(fd, TRUNCATE, size, NULL); }
int fsync(int fd) { return change_and_tell(fd, SYNC, 0, real_fsync); }
int fdatasync(int fd) { return change_and_tell(fd, SYNC, 0, real_fdatasync); }

int unlink(const char *path) {
    const char *name = name_in_folder(path);
    if (!name) return real_unlink(path);
    pthread_mutex_lock(&one_at_a_time);
    uint64_t time = now();
    int result = real_unlink(path);
    int error = errno;
    if (result == 0) tell(UNLINK, time, 0, 0, name, strlen(name));
    pthread_mutex_unlock(&one_at_a_time);
    errno = error;
    return result;
}

/* Within the folder only: the record is the old name, a zero, and the new one. */
int rename(const char *from, const char *to) {
    const char *old = name_in_folder(from), *new = name_in_folder(to);
    if (!old || !new) return real_rename(from, to);
    char names[8192];
    int length = snprintf(names, sizeof names, "%s%c%s", old, 0, new);
    pthread_mutex_lock(&one_at_a_time);
    uint64_t time = now();
    int result = real_rename(from, to);
    int error = errno;
    if (result == 0) tell(RENAME, time, 0, 0, names, (size_t)length);
    pthread_mutex_unlock(&one_at_a_time);
    errno = error;
    return result;
}
