#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

const int rsl_o_direct = O_DIRECT;

int rsl_memfd_create(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

void rsl_name_thread(const char *name) {
  char cut[16];
  strncpy(cut, name, sizeof cut - 1);
  cut[sizeof cut - 1] = 0;
  pthread_setname_np(pthread_self(), cut);
}

int rsl_accept(int listener, void *address, unsigned *length) {
  return accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int rsl_fallocate(int file, int64_t offset, int64_t length) {
  return fallocate(file, 0, offset, length);
}

int rsl_write_back(int file, int64_t offset, int64_t length) {
  const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  // Where a kernel or a sandbox has no such call, the flush at the end does it all.
  if (sync_file_range(file, offset, length, all) != 0) return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -1;
  posix_fadvise(file, offset, length, POSIX_FADV_DONTNEED);
  return 0;
}

int rsl_populate(void *begin, size_t length) {
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
  return madvise(begin, length, MADV_POPULATE_WRITE);
}
