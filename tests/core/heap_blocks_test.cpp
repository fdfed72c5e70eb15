// SPDX-License-Identifier: Apache-2.0
#include <bitdial/core/heap_blocks.hpp>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <new>

#include <doctest/doctest.h>

using bitdial::HeapBlocks;

TEST_CASE("blocks lie on the boundary of a cache line, large ones on that of a huge page") {
  const auto beyond = [](const void* block, std::size_t boundary) {
    return reinterpret_cast<std::uintptr_t>(block) % boundary;
  };
  constexpr std::size_t huge = HeapBlocks::huge_page;
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, huge - 1, huge,
                                  huge + 1, 3 * huge + 100}) {
    CAPTURE(bytes);
    void* const block = HeapBlocks::take(bytes);
    CHECK(beyond(block, HeapBlocks::alignment) == 0);
    if (bytes >= huge) CHECK(beyond(block, huge) == 0);
    std::memset(block, 1, bytes);
    HeapBlocks::give(block, bytes);
  }
}

#if defined(__has_feature)
#  if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#    define BITDIAL_TEST_CHECKS_MEMORY
#  endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#  define BITDIAL_TEST_CHECKS_MEMORY
#endif

// Sanitizers end the program on such a request.
#if !defined(BITDIAL_TEST_CHECKS_MEMORY)
TEST_CASE("memory that nobody has is null or an exception, as asked") {
  constexpr std::size_t too_much = std::numeric_limits<std::size_t>::max() / 2;
  CHECK(HeapBlocks::take(too_much, std::nothrow) == nullptr);
  CHECK_THROWS_AS((void)HeapBlocks::take(too_much), std::bad_alloc);
}
#endif
