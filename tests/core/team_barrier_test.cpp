// SPDX-License-Identifier: Apache-2.0
// Built once more under ThreadSanitizer, which sees what the barrier orders.
#include <bitdial/core/team_barrier.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace {

using bitdial::TeamBarrier;

// In turn t every member writes t to its own number, waits, and reads those of all others.
std::int64_t wrong_readings(std::int64_t size, int turns) {
  TeamBarrier barrier;
  std::vector<int> numbers(static_cast<std::size_t>(size));
  std::vector<std::int64_t> wrong(static_cast<std::size_t>(size));
  const auto member = [&](std::int64_t rank) {
    const auto own = static_cast<std::size_t>(rank);
    for (int turn = 1; turn <= turns; ++turn) {
      numbers[own] = turn;
      barrier.wait(rank, size);
      for (const int number : numbers) wrong[own] += number == turn ? 0 : 1;
      barrier.wait(rank, size);
    }
  };
  std::vector<std::thread> threads;
  for (std::int64_t rank = 1; rank < size; ++rank) threads.emplace_back(member, rank);
  member(0);
  for (std::thread& thread : threads) thread.join();
  std::int64_t sum = 0;
  for (const std::int64_t count : wrong) sum += count;
  return sum;
}

TEST_CASE("nobody passes before everybody has come, whatever the size of the team") {
  for (const std::int64_t size : {1, 2, 3, 4, 5, 7, 8, 13}) {
    CAPTURE(size);
    CHECK(wrong_readings(size, 50) == 0);
  }
  CHECK(wrong_readings(TeamBarrier::most_members, 5) == 0);
}

}  // namespace
