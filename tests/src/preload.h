/*
 * What the libraries that stand between a server and its files have in common: the calls behind those that they replace,
 * and the one folder that they look at.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FDS = 65536 };

static char folder[4096];
/* 0 as long as nothing is known: then every call is left alone. */
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

/*
 * Finds the calls, and takes the folder, without a slash at its end, from one variable of the environment. Gives what the
 * other one says: the file through which the library talks to the test.
 */
static const char *begin_with(const char *folder_variable, const char *file_variable) {
    real_open = dlsym(RTLD_NEXT, "open64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_rename = dlsym(RTLD_NEXT, "rename");
    const char *named = getenv(folder_variable);
    const char *path = getenv(file_variable);
    if (!named || !path || strlen(named) >= sizeof folder) {
        fprintf(stderr, "%s and %s must be set\n", folder_variable, file_variable);
        abort();
    }
    strcpy(folder, named);
    folder_length = strlen(folder);
    return path;
}

static int in_folder(const char *path) {
    return folder_length > 0 && path && strncmp(path, folder, folder_length) == 0 && path[folder_length] == '/';
}

/* What each library does with a file that is opened. */
static int open_file(const char *path, int flags, mode_t mode);

static mode_t mode_of(int flags, va_list rest) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; }

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_file(path, flags, mode);
}
