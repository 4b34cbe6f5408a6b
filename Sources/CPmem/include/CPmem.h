// libpmem, found when the program runs: a build needs neither the library nor its header, and a program that was built
// without them uses the library where there is one.
#ifndef RSL_CPMEM_H
#define RSL_CPMEM_H

#include <stddef.h>
#include <stdint.h>

/// Loads libpmem once for the process. NULL when that is done, otherwise why there is none; the text lives for ever. The
/// functions below may be called only after this answered NULL.
const char *rsl_pmem_unavailable(void);

/// Maps all of a file for reading and writing; `is_pmem` is 1 when stores that were flushed are durable. NULL and errno
/// when it cannot be mapped.
void *rsl_pmem_map(const char *path, size_t *length, int *is_pmem);
int rsl_pmem_unmap(void *base, size_t length);

/// Whether the processor's caches are in the persistence domain (eADR), so that stores need no flush.
int rsl_pmem_has_auto_flush(void);

/// Copies past the caches, or into them where they are persistent; durable after the next `rsl_pmem_drain`.
void rsl_pmem_copy(void *to, const void *from, size_t length);
/// Stores eight aligned bytes at once, so that a crash leaves the old or the new ones; durable after the next
/// `rsl_pmem_drain`.
void rsl_pmem_publish(void *to, uint64_t word);
/// One fence: what was copied before is durable when it returns.
void rsl_pmem_drain(void);

/// Has the kernel write back what a mapping that is not persistent memory holds; -1 and errno when it cannot.
int rsl_pmem_msync(const void *base, size_t length);

#endif
