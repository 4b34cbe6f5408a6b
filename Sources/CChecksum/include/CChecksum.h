// CRC32C by the processor's own instruction, where it has one. Pure functions of their arguments: the only C that the
// pure core is built on, because Swift has no way to name the instruction.
#ifndef RSL_CCHECKSUM_H
#define RSL_CCHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
static inline bool rsl_crc32c_is_available(void) { return __builtin_cpu_supports("sse4.2"); }

/// Continues `crc` (not inverted, neither at the beginning nor at the end) over `length` bytes.
__attribute__((target("sse4.2"))) static inline uint32_t rsl_crc32c(
    uint32_t crc, const void *bytes, size_t length) {
  const unsigned char *next = (const unsigned char *)bytes;
  uint64_t sum = crc;
  for (; length >= 8; length -= 8, next += 8) {
    uint64_t word;
    memcpy(&word, next, 8);
    sum = __builtin_ia32_crc32di(sum, word);
  }
  for (; length > 0; length--, next++) sum = __builtin_ia32_crc32qi((uint32_t)sum, *next);
  return (uint32_t)sum;
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

static inline bool rsl_crc32c_is_available(void) { return true; }

static inline uint32_t rsl_crc32c(uint32_t crc, const void *bytes, size_t length) {
  const unsigned char *next = (const unsigned char *)bytes;
  for (; length >= 8; length -= 8, next += 8) {
    uint64_t word;
    memcpy(&word, next, 8);
    crc = __crc32cd(crc, word);
  }
  for (; length > 0; length--, next++) crc = __crc32cb(crc, *next);
  return crc;
}

#else

static inline bool rsl_crc32c_is_available(void) { return false; }

/// Never called: the caller asks `rsl_crc32c_is_available` first.
static inline uint32_t rsl_crc32c(uint32_t crc, const void *bytes, size_t length) {
  (void)bytes;
  (void)length;
  return crc;
}

#endif
#endif
