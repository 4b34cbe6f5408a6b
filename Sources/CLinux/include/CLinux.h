// Linux calls that Swift's Glibc module does not show, because they need _GNU_SOURCE, which only a .c file may define.
#ifndef RSL_CLINUX_H
#define RSL_CLINUX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

/// An anonymous file in memory, closed on exec; -1 and errno when it cannot be made.
int rsl_memfd_create(const char *name);
/// The calling thread's name, cut to 15 bytes.
void rsl_name_thread(const char *name);
/// Accepts a connection as a non-blocking descriptor that is closed on exec.
int rsl_accept(int listener, void *address, unsigned *length);
/// Reserves the file's bytes without changing what is there.
int rsl_fallocate(int file, int64_t offset, int64_t length);
/// Asks for the memory behind a mapping that will be written, all at once; -1 and errno where the kernel cannot.
int rsl_populate(void *begin, size_t length);
/// Has bytes of a file written to its disk, waits for that, and forgets them in memory. Says nothing of durability: neither the
/// file's length nor the disk's own cache is covered. -1 and errno when they could not be written.
int rsl_write_back(int file, int64_t offset, int64_t length);
/// For open(2): reads and writes pass by the page cache. Its value differs between processors.
extern const int rsl_o_direct;

#endif
