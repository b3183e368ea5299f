/*
 * Lets what a process does to the files of one folder fail, from one call on until another, as a disk does that is full or
 * broken. Loaded with LD_PRELOAD.
 *
 * FAULT_FOLDER is the folder, without a slash at its end; FAULT_CONTROL a file that holds the struct below, which the test
 * writes while the process runs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, SIZE = 4, NAME = 8 };
enum { FDS = 65536 };

struct control {
    _Atomic uint64_t calls;  /* that change files of the folder, so far */
    _Atomic uint64_t failed; /* of these */
    _Atomic uint64_t begin;  /* the first call that fails */
    _Atomic uint64_t end;    /* the first that does not any more */
    _Atomic uint64_t kinds;  /* which kinds of calls fail, a sum of the above */
    _Atomic uint64_t error;  /* errno */
};

static struct control *control;
static char ours[FDS];
static char folder[4096];
static size_t folder_length;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);

__attribute__((constructor)) static void begin(void) {
    real_open = dlsym(RTLD_NEXT, "open64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_rename = dlsym(RTLD_NEXT, "rename");
    const char *named = getenv("FAULT_FOLDER");
    const char *path = getenv("FAULT_CONTROL");
    if (!named || !path || strlen(named) >= sizeof folder) {
        fputs("FAULT_FOLDER and FAULT_CONTROL must be set\n", stderr);
        abort();
    }
    strcpy(folder, named);
    int fd = real_open(path, O_RDWR | O_CLOEXEC);
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        perror(path);
        abort();
    }
    real_close(fd);
    control = mapped;
    folder_length = strlen(folder);
}

/* Whether this call fails; errno says how. */
static int fails(uint64_t kind) {
    uint64_t call = atomic_fetch_add(&control->calls, 1);
    if (call < control->begin || call >= control->end || !(control->kinds & kind)) return 0;
    atomic_fetch_add(&control->failed, 1);
    errno = (int)control->error;
    return 1;
}

static int in_folder(const char *path) {
    return folder_length > 0 && path && strncmp(path, folder, folder_length) == 0 && path[folder_length] == '/';
}

static int is_ours(int fd) { return fd >= 0 && fd < FDS && ours[fd]; }

static int open_ours(const char *path, int flags, mode_t mode) {
    if (!in_folder(path)) return real_open(path, flags, mode);
    if ((flags & O_CREAT) && access(path, F_OK) != 0 && fails(NAME)) return -1;
    int fd = real_open(path, flags, mode);
    if (fd >= 0 && fd < FDS) ours[fd] = 1;
    return fd;
}

static mode_t mode_of(int flags, va_list rest) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; }

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_ours(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_ours(path, flags, mode);
}

int close(int fd) {
    if (fd >= 0 && fd < FDS) ours[fd] = 0;
    return real_close(fd);
}

/* A write that fails has half of it on the disk. */
ssize_t write(int fd, const void *bytes, size_t length) {
    if (!is_ours(fd) || !fails(WRITE)) return real_write(fd, bytes, length);
    int error = errno;
    real_write(fd, bytes, length / 2);
    errno = error;
    return -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    if (!is_ours(fd) || !fails(WRITE)) return real_pwrite(fd, bytes, length, offset);
    int error = errno;
    real_pwrite(fd, bytes, length / 2, offset);
    errno = error;
    return -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

int ftruncate64(int fd, off_t size) { return is_ours(fd) && fails(SIZE) ? -1 : real_ftruncate(fd, size); }
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int fsync(int fd) { return is_ours(fd) && fails(SYNC) ? -1 : real_fsync(fd); }
int fdatasync(int fd) { return is_ours(fd) && fails(SYNC) ? -1 : real_fdatasync(fd); }
int unlink(const char *path) { return in_folder(path) && fails(NAME) ? -1 : real_unlink(path); }
int rename(const char *from, const char *to) { return in_folder(to) && fails(NAME) ? -1 : real_rename(from, to); }
