// SPDX-License-Identifier: Apache-2.0
// What the CPU and the operating system offer, asked by number: every instruction-set file names
// its own bits, so this file names no instruction set.
#pragma once

#include <cstdint>

#if defined(__aarch64__) && defined(__linux__)
#  include <sys/auxv.h>
#endif

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::kernels {

/// A register of the CPUID answer.
enum class CpuidRegister : std::uint8_t { eax, ebx, ecx, edx };

#if defined(__x86_64__)

/// One register of CPUID `leaf`, `subleaf`; 0 when the CPU does not know the leaf.
[[nodiscard]] inline std::uint32_t cpuid(std::uint32_t leaf, std::uint32_t subleaf,
                                         CpuidRegister which) noexcept {
  const auto ask = [](std::uint32_t a, std::uint32_t c, std::uint32_t(&out)[4]) {
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(a), "c"(c));
  };
  std::uint32_t answer[4];
  ask(leaf & 0x80000000U, 0, answer);
  if (answer[0] < leaf) return 0;
  ask(leaf, subleaf, answer);
  return answer[static_cast<int>(which)];
}

/// True when the operating system saves every register state of `mask` (the bits of XCR0:
/// 2 xmm, 4 upper ymm, 0xe0 masks and zmm).
[[nodiscard]] inline bool os_saves_registers(std::uint32_t mask) noexcept {
  constexpr std::uint32_t osxsave = 1U << 27;
  if ((cpuid(1, 0, CpuidRegister::ecx) & osxsave) == 0) return false;
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & mask) == mask;
}

#else

[[nodiscard]] inline std::uint32_t cpuid(std::uint32_t, std::uint32_t, CpuidRegister) noexcept {
  return 0;
}
[[nodiscard]] inline bool os_saves_registers(std::uint32_t) noexcept {
  return false;
}

#endif

/// True when every bit of `mask` is set in that register.
[[nodiscard]] inline bool cpuid_has(std::uint32_t leaf, std::uint32_t subleaf, CpuidRegister which,
                                    std::uint32_t mask) noexcept {
  return (cpuid(leaf, subleaf, which) & mask) == mask;
}

/// True when the kernel reports every bit of `mask` as a capability of the processor (AT_HWCAP; the
/// bits belong to the architecture). False where there is no such report.
[[nodiscard]] inline bool kernel_reports([[maybe_unused]] unsigned long mask) noexcept {
#if defined(__aarch64__) && defined(__linux__)
  return (::getauxval(AT_HWCAP) & mask) == mask;
#else
  return false;
#endif
}

}  // namespace bitdial::inline BITDIAL_ABI::kernels
