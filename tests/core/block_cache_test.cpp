// SPDX-License-Identifier: Apache-2.0
#include <bitdial/core/block_cache.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using bitdial::CachedBlocks;

namespace {

constexpr std::size_t large = CachedBlocks::smallest;
constexpr std::size_t slab = CachedBlocks::smallest_slab;

/// Blocks that were taken, each filled with a number of its own.
class Taken {
 public:
  void take(std::size_t bytes) {
    blocks_.push_back({CachedBlocks::take(bytes), bytes, ++count_});
    CHECK(reinterpret_cast<std::uintptr_t>(blocks_.back().memory) % 64 == 0);
    std::memset(blocks_.back().memory, blocks_.back().number, bytes);
  }
  /// True when nobody else has written to the block.
  bool give(std::size_t i) {
    const Block block = blocks_[i];
    blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(i));
    const auto* const bytes = static_cast<const unsigned char*>(block.memory);
    const bool intact =
        std::all_of(bytes, bytes + block.bytes, [&](unsigned char b) { return b == block.number; });
    CachedBlocks::give(block.memory, block.bytes);
    return intact;
  }
  [[nodiscard]] std::size_t size() const { return blocks_.size(); }

 private:
  struct Block {
    void* memory;
    std::size_t bytes;
    unsigned char number;
  };
  std::vector<Block> blocks_;
  unsigned char count_ = 0;
};

}  // namespace

TEST_CASE("a freed block serves the next request that fits, of its size or smaller") {
  CachedBlocks::release();
  CHECK(CachedBlocks::waiting() == 0);
  void* const first = CachedBlocks::take(4 * large);
  CHECK(CachedBlocks::waiting() == slab - 4 * large);
  CachedBlocks::give(first, 4 * large);
  CHECK(CachedBlocks::waiting() == slab);

  void* const same = CachedBlocks::take(4 * large);
  CHECK(same == first);
  CachedBlocks::give(same, 4 * large);
  void* const half = CachedBlocks::take(2 * large);
  void* const other_half = CachedBlocks::take(2 * large - 1);  // whole pages
  CHECK(half == first);
  CHECK(other_half == static_cast<std::byte*>(first) + 2 * large);
  CachedBlocks::give(half, 2 * large);
  CachedBlocks::give(other_half, 2 * large - 1);
  CHECK(CachedBlocks::take(4 * large) == first);  // the halves are one range again
  CachedBlocks::give(first, 4 * large);
  CachedBlocks::release();
  CHECK(CachedBlocks::waiting() == 0);
}

TEST_CASE("small blocks do not wait") {
  CachedBlocks::release();
  CachedBlocks::give(CachedBlocks::take(large - 4097), large - 4097);
  CHECK(CachedBlocks::waiting() == 0);
}

TEST_CASE("blocks never overlap, in whatever order they come and go") {
  CachedBlocks::release();
  Taken taken;
  std::uint32_t random = 1;
  const auto draw = [&](std::uint32_t below) {
    random = random * 1664525U + 1013904223U;
    return (random >> 8) % below;
  };
  for (int round = 0; round < 400; ++round) {
    if (taken.size() < 40 && draw(3) != 0) {
      taken.take(large + 64 * draw(4000));
    } else if (taken.size() > 0) {
      REQUIRE(taken.give(draw(static_cast<std::uint32_t>(taken.size()))));
    }
  }
  while (taken.size() > 0) REQUIRE(taken.give(draw(static_cast<std::uint32_t>(taken.size()))));
  CHECK(CachedBlocks::waiting() % slab == 0);
  CachedBlocks::release();
  CHECK(CachedBlocks::waiting() == 0);
}

TEST_CASE("a slab is as large as its first block, and is returned when nothing of it is in use") {
  CachedBlocks::release();
  void* const huge = CachedBlocks::take(slab + 4096);
  CHECK(CachedBlocks::waiting() == 0);
  void* const next = CachedBlocks::take(large);
  CHECK(CachedBlocks::waiting() == slab - large);
  CachedBlocks::give(huge, slab + 4096);
  CachedBlocks::release();
  CHECK(CachedBlocks::waiting() == slab - large);
  CachedBlocks::give(next, large);
  CachedBlocks::release();
  CHECK(CachedBlocks::waiting() == 0);
}

TEST_CASE("threads share the memory") {
  CachedBlocks::release();
  void* const block = CachedBlocks::take(large);
  std::thread([&] { CachedBlocks::give(block, large); }).join();
  CHECK(CachedBlocks::take(large) == block);
  CachedBlocks::give(block, large);

  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 2000; ++i) {
        const std::size_t bytes = large * static_cast<std::size_t>(1 + i % 3);
        auto* const memory = static_cast<volatile char*>(CachedBlocks::take(bytes));
        memory[0] = 1;
        memory[bytes - 1] = 2;
        CachedBlocks::give(const_cast<char*>(memory), bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(CachedBlocks::waiting() == slab);
  CachedBlocks::release();
}
