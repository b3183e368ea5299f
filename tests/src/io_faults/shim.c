/*
 * Lets what a process does to the files of one folder fail, from one call on until another, as a disk does that is full or
 * broken. Loaded with LD_PRELOAD.
 *
 * FAULT_FOLDER is the folder; FAULT_CONTROL a file that holds the struct below, which the test writes while the process
 * runs.
 */
#include "preload.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum { WRITE = 1, SYNC = 2, SIZE = 4, NAME = 8 };

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

__attribute__((constructor)) static void begin(void) {
    const char *path = begin_with("FAULT_FOLDER", "FAULT_CONTROL");
    int fd = real_open(path, O_RDWR | O_CLOEXEC);
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        perror(path);
        abort();
    }
    real_close(fd);
    control = mapped;
}

/* Whether this call fails; errno says how. */
static int fails(uint64_t kind) {
    uint64_t call = atomic_fetch_add(&control->calls, 1);
    if (call < control->begin || call >= control->end || !(control->kinds & kind)) return 0;
    atomic_fetch_add(&control->failed, 1);
    errno = (int)control->error;
    return 1;
}

static int is_ours(int fd) { return fd >= 0 && fd < FDS && ours[fd]; }

static int open_file(const char *path, int flags, mode_t mode) {
    if (!in_folder(path)) return real_open(path, flags, mode);
    if ((flags & O_CREAT) && access(path, F_OK) != 0 && fails(NAME)) return -1;
    int fd = real_open(path, flags, mode);
    if (fd >= 0 && fd < FDS) ours[fd] = 1;
    return fd;
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
