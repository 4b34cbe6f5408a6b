#include "CChecksum.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

// Three lanes of so many bytes at once: the instruction takes a word every cycle, and gives its result after three.
enum { LANE = 256 };

static inline uint64_t word_at(const unsigned char *bytes) {
  uint64_t word;
  memcpy(&word, bytes, 8);
  return word;
}

// The lanes are put together by multiplying with x^(8n - 33) mod P, which moves a checksum over n more bytes: the product
// of reflected operands is one place off, and the instruction that reduces it adds 32 (Gopal et al., "Fast CRC
// Computation for iSCSI Polynomial Using CRC32 Instruction", Intel 2011).
__attribute__((target("sse4.2,pclmul"))) uint32_t rsl_crc32c(
    uint32_t crc, const void *bytes, size_t length) {
  const unsigned char *next = (const unsigned char *)bytes;
  uint64_t sum = crc;
  const __m128i factors = _mm_set_epi64x(0xDD7E3B0C, 0xB9E02B86);  // for two lanes, for one
  for (; length >= 3 * LANE; length -= 3 * LANE, next += 3 * LANE) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < LANE; i += 8) {
      sum = _mm_crc32_u64(sum, word_at(next + i));
      second = _mm_crc32_u64(second, word_at(next + LANE + i));
      third = _mm_crc32_u64(third, word_at(next + 2 * LANE + i));
    }
    const __m128i a = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)sum), factors, 0x10);
    const __m128i b = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)second), factors, 0x00);
    sum = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(_mm_xor_si128(a, b))) ^ third;
  }
  for (; length >= 8; length -= 8, next += 8) sum = _mm_crc32_u64(sum, word_at(next));
  for (; length > 0; length--, next++) sum = _mm_crc32_u8((uint32_t)sum, *next);
  return (uint32_t)sum;
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t rsl_crc32c(uint32_t crc, const void *bytes, size_t length) {
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

uint32_t rsl_crc32c(uint32_t crc, const void *bytes, size_t length) {
  (void)bytes;
  (void)length;
  return crc;
}

#endif
