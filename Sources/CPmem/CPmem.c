#include "CPmem.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/types.h>

// As <libpmem.h> has them since version 1.1 of the interface, which the name libpmem.so.1 stands for.
enum { COPY_NODRAIN = 1 << 0, COPY_NONTEMPORAL = 1 << 1 };

static struct {
  void *(*map_file)(const char *, size_t, int, mode_t, size_t *, int *);
  int (*unmap)(void *, size_t);
  int (*has_auto_flush)(void);
  void *(*copy)(void *, const void *, size_t, unsigned);
  void (*flush)(const void *, size_t);
  void (*drain)(void);
  int (*msync)(const void *, size_t);
} lib;

static unsigned copy_flags;
static char missing[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
  void *library = dlopen("libpmem.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(missing, sizeof missing, "%s", dlerror());
    return;
  }
  const struct {
    const char *name;
    void *place;
  } wanted[] = {
      {"pmem_map_file", &lib.map_file},
      {"pmem_unmap", &lib.unmap},
      {"pmem_has_auto_flush", &lib.has_auto_flush},
      {"pmem_memcpy", &lib.copy},
      {"pmem_flush", &lib.flush},
      {"pmem_drain", &lib.drain},
      {"pmem_msync", &lib.msync},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    void *found = dlsym(library, wanted[i].name);
    if (!found) {
      snprintf(missing, sizeof missing, "libpmem.so.1 is too old: it has no %s", wanted[i].name);
      return;
    }
    *(void **)wanted[i].place = found;
  }
  // Where the caches are persistent there is nothing to go past; libpmem leaves the flushes out by itself.
  copy_flags = COPY_NODRAIN | (lib.has_auto_flush() == 1 ? 0 : COPY_NONTEMPORAL);
}

const char *rsl_pmem_unavailable(void) {
  pthread_once(&once, load);
  return missing[0] ? missing : NULL;
}

void *rsl_pmem_map(const char *path, size_t *length, int *is_pmem) {
  return lib.map_file(path, 0, 0, 0, length, is_pmem);
}

int rsl_pmem_unmap(void *base, size_t length) { return lib.unmap(base, length); }

int rsl_pmem_has_auto_flush(void) { return lib.has_auto_flush() == 1; }

void rsl_pmem_copy(void *to, const void *from, size_t length) {
  lib.copy(to, from, length, copy_flags);
}

void rsl_pmem_publish(void *to, uint64_t word) {
  __atomic_store_n((uint64_t *)to, word, __ATOMIC_RELEASE);
  lib.flush(to, sizeof word);
}

void rsl_pmem_drain(void) { lib.drain(); }

int rsl_pmem_msync(const void *base, size_t length) { return lib.msync(base, length); }
