// SPDX-License-Identifier: Apache-2.0
#include <bitdial/core/block_cache.hpp>

#include <cstring>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

using bitdial::CachedBlocks;

namespace {
constexpr std::size_t large = CachedBlocks::smallest;
}

TEST_CASE("a freed block serves the next request of its size, and of no other") {
  CachedBlocks::release();
  void* const first = CachedBlocks::take(large);
  std::memset(first, 1, large);
  CachedBlocks::give(first, large);
  CHECK(CachedBlocks::waiting() == large);

  void* const other = CachedBlocks::take(large + 64);
  CHECK(other != first);
  void* const again = CachedBlocks::take(large);
  CHECK(again == first);
  CHECK(CachedBlocks::waiting() == 0);

  CachedBlocks::give(other, large + 64);
  CachedBlocks::give(again, large);
  CHECK(CachedBlocks::waiting() == 2 * large + 64);
  CachedBlocks::release();
  CHECK(CachedBlocks::waiting() == 0);
}

TEST_CASE("small blocks do not wait") {
  CachedBlocks::release();
  CachedBlocks::give(CachedBlocks::take(large - 64), large - 64);
  CHECK(CachedBlocks::waiting() == 0);
}

TEST_CASE("several blocks of one size wait, and all are handed out again") {
  CachedBlocks::release();
  std::vector<void*> blocks;
  for (int i = 0; i < 5; ++i) blocks.push_back(CachedBlocks::take(large));
  for (void* const block : blocks) CachedBlocks::give(block, large);
  CHECK(CachedBlocks::waiting() == 5 * large);
  for (void*& block : blocks) block = CachedBlocks::take(large);
  CHECK(CachedBlocks::waiting() == 0);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) CHECK(blocks[i] != blocks[j]);
  }
  for (void* const block : blocks) CachedBlocks::give(block, large);
  CachedBlocks::release();
}

TEST_CASE("more sizes than the table holds fall back to the heap") {
  CachedBlocks::release();
  for (std::size_t i = 0; i < 700; ++i) {
    const std::size_t bytes = large + 64 * i;
    void* const block = CachedBlocks::take(bytes);
    std::memset(block, 2, bytes);
    CachedBlocks::give(block, bytes);
  }
  CHECK(CachedBlocks::waiting() > 0);
  CachedBlocks::release();
  CHECK(CachedBlocks::waiting() == 0);
}

TEST_CASE("a block may be freed in another thread, which returns it when it ends") {
  CachedBlocks::release();
  void* const block = CachedBlocks::take(large);
  std::size_t waiting_there = 0;
  std::thread([&] {
    CachedBlocks::give(block, large);
    waiting_there = CachedBlocks::waiting();
  }).join();
  CHECK(waiting_there == large);
  CHECK(CachedBlocks::waiting() == 0);
}
