// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/core/parallel.hpp>
#include <bitdial/core/random.hpp>

namespace {

// A float sum whose order matters, in the documented manner: a slot per chunk, added in order.
float chunked_sum(int threads, const std::vector<float>& x, std::int64_t grain) {
  const auto count = static_cast<std::int64_t>(x.size());
  std::vector<float> slots(static_cast<std::size_t>((count + grain - 1) / grain));
  bitdial::parallel_for(threads, count, grain, [&](std::int64_t begin, std::int64_t end) {
    float sum = 0.0F;
    for (std::int64_t i = begin; i < end; ++i) sum += x[static_cast<std::size_t>(i)];
    slots[static_cast<std::size_t>(begin / grain)] = sum;
  });
  float total = 0.0F;
  for (const float slot : slots) total += slot;
  return total;
}

class ThreadCountGuard {
 public:
  ThreadCountGuard() = default;
  ThreadCountGuard(const ThreadCountGuard&) = delete;
  ThreadCountGuard& operator=(const ThreadCountGuard&) = delete;
  ~ThreadCountGuard() { bitdial::set_thread_count(0); }
};

}  // namespace

TEST_CASE("every index is visited once, in chunks that do not depend on the threads") {
  for (const int threads : {1, 2, 7}) {
    for (const std::int64_t count : {0, 1, 4, 5, 63, 64, 65, 1000}) {
      constexpr std::int64_t grain = 5;
      std::vector<int> visits(static_cast<std::size_t>(count));
      std::vector<std::int64_t> ends(static_cast<std::size_t>((count + grain - 1) / grain));
      bitdial::parallel_for(threads, count, grain, [&](std::int64_t begin, std::int64_t end) {
        ends[static_cast<std::size_t>(begin / grain)] = end;
        for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
      });
      CAPTURE(threads);
      CAPTURE(count);
      for (const int visit : visits) CHECK(visit == 1);
      for (std::size_t chunk = 0; chunk < ends.size(); ++chunk) {
        const auto whole = (static_cast<std::int64_t>(chunk) + 1) * grain;
        CHECK(ends[chunk] == (whole < count ? whole : count));
      }
    }
  }
}

// Starts a thread for each task, and counts what it is asked for.
struct Pool {
  int calls = 0, most_tasks = 0;

  static void run(void* context, int count, bitdial::ParallelHook::Task task, void* data) {
    Pool& pool = *static_cast<Pool*>(context);
    ++pool.calls;
    pool.most_tasks = std::max(pool.most_tasks, count);
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back(task, data, i);
    for (std::thread& thread : threads) thread.join();
  }
};

TEST_CASE("the caller's threads get the same chunks, at most as many tasks as threads") {
  for (const int threads : {1, 2, 7}) {
    for (const std::int64_t count : {-1, 0, 1, 5, 6, 64, 1001}) {
      constexpr std::int64_t grain = 5;
      Pool pool;
      const bitdial::ParallelHook hook{.run = Pool::run, .context = &pool};
      const std::int64_t chunks = (std::max<std::int64_t>(count, 0) + grain - 1) / grain;
      std::vector<std::int64_t> begins(static_cast<std::size_t>(chunks), -1), ends = begins;
      bitdial::parallel_for(hook, threads, count, grain, [&](std::int64_t begin, std::int64_t end) {
        begins[static_cast<std::size_t>(begin / grain)] = begin;
        ends[static_cast<std::size_t>(begin / grain)] = end;
      });
      CAPTURE(threads);
      CAPTURE(count);
      for (std::int64_t i = 0; i < chunks; ++i) {
        CHECK(begins[static_cast<std::size_t>(i)] == i * grain);
        CHECK(ends[static_cast<std::size_t>(i)] == std::min(count, (i + 1) * grain));
      }
      const auto team = std::min<std::int64_t>(chunks, threads);
      CHECK(pool.calls == (team > 1 ? 1 : 0));  // one thread starts nothing
      CHECK(pool.most_tasks == (team > 1 ? team : 0));
    }
  }
}

TEST_CASE("without a hook its loop is the other loop") {
  int visits = 0;
  bitdial::parallel_for(
      bitdial::ParallelHook{}, 1, 10, 3,
      [&](std::int64_t begin, std::int64_t end) { visits += static_cast<int>(end - begin); });
  CHECK(visits == 10);
}

TEST_CASE("a negative count does nothing") {
  bool called = false;
  bitdial::parallel_for(2, -3, 4, [&](std::int64_t, std::int64_t) { called = true; });
  CHECK_FALSE(called);
}

TEST_CASE("1, 2 and 7 threads give the same bits") {
  std::vector<float> x(10007);
  bitdial::Random random(1, 2);
  for (float& value : x) value = random.normal() * 1000.0F;
  const float expected = chunked_sum(1, x, 64);
  CHECK(chunked_sum(2, x, 64) == expected);
  CHECK(chunked_sum(7, x, 64) == expected);
}

TEST_CASE("an exception of the body reaches the caller") {
  for (const int threads : {1, 2, 7}) {
    CHECK_THROWS_WITH_AS(bitdial::parallel_for(threads, 100, 1,
                                               [](std::int64_t begin, std::int64_t) {
                                                 if (begin == 63) throw std::range_error("at 63");
                                               }),
                         "at 63", std::range_error);
  }
}

TEST_CASE("of several exceptions the one of the lowest chunk reaches the caller") {
  for (const int threads : {1, 2, 3, 7}) {
    std::string message = "none";
    try {
      bitdial::parallel_for(threads, 100, 1, [](std::int64_t begin, std::int64_t) {
        if (begin % 10 == 4) throw std::range_error("at " + std::to_string(begin));
      });
    } catch (const std::range_error& error) {
      message = error.what();
    }
    CHECK(message == "at 4");
  }
}

TEST_CASE("a nested loop visits everything too") {
  std::vector<int> visits(20 * 30);
  bitdial::parallel_for(4, 20, 1, [&](std::int64_t row, std::int64_t) {
    bitdial::parallel_for(4, 30, 7, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(row * 30 + i)];
    });
  });
  for (const int visit : visits) CHECK(visit == 1);
}

TEST_CASE("a team: every rank once, and what was written before a wait is there after it") {
  for (const int threads : {1, 2, 3, 7}) {
    std::vector<std::int64_t> sizes(7, 0);
    std::vector<int> seen(7, 0);
    bitdial::run_team(threads, [&](const bitdial::TeamMember& member) {
      const auto rank = static_cast<std::size_t>(member.rank);
      const auto size = static_cast<std::size_t>(member.size);
      sizes[rank] += member.size;
      for (int round = 1; round <= 20; ++round) {
        member.wait();
        const std::int64_t next = sizes[(rank + 1) % size];
        seen[rank] += next == round * member.size ? 1 : 0;
        member.wait();
        sizes[rank] += member.size;
      }
    });
    const auto team = static_cast<std::size_t>(sizes[0]) / 21;
    CHECK((team >= 1 && team <= static_cast<std::size_t>(threads)));
    for (std::size_t rank = 0; rank < sizes.size(); ++rank) {
      CHECK(sizes[rank] == (rank < team ? static_cast<std::int64_t>(21 * team) : 0));
      CHECK(seen[rank] == (rank < team ? 20 : 0));
    }
  }
}

TEST_CASE("a team within a team is one thread") {
  std::vector<std::int64_t> sizes(7, 0);
  bitdial::run_team(3, [&](const bitdial::TeamMember& outer) {
    if (outer.size == 1) return;
    bitdial::run_team(2, [&](const bitdial::TeamMember& inner) {
      sizes[static_cast<std::size_t>(outer.rank)] += inner.size + inner.rank;
    });
  });
  for (const std::int64_t size : sizes) CHECK((size == 0 || size == 1));
}

TEST_CASE("the default thread count can be set and taken back") {
  const ThreadCountGuard guard;
  CHECK(bitdial::available_threads() >= 1);
  CHECK(bitdial::thread_count() == bitdial::available_threads());
  bitdial::set_thread_count(3);
  CHECK(bitdial::thread_count() == 3);
  bitdial::set_thread_count(-1);
  CHECK(bitdial::thread_count() == bitdial::available_threads());
}
