// CRC32C by the processor's own instruction, where it has one. Pure functions of their arguments: the only C that the
// pure core is built on, because Swift has no way to name the instruction.
#ifndef RSL_CCHECKSUM_H
#define RSL_CCHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Whether the processor has the instructions.
static inline bool rsl_crc32c_is_available(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
  return true;
#else
  return false;
#endif
}

/// Continues `crc` (not inverted, neither at the beginning nor at the end) over `length` bytes. Only where the
/// instructions are available.
uint32_t rsl_crc32c(uint32_t crc, const void *bytes, size_t length);

#endif
