// SPDX-License-Identifier: Apache-2.0
// A session takes one block of memory, of the size that was planned, or the caller's, and as much
// for its description as was planned; after that it allocates nothing: every `operator new` of the
// program is counted.
// Out of line, because GCC takes an inlined pair of replaced operators for a mismatch.
#include <bitdial/deploy/session.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <vector>

#include <bitdial/core/aligned_buffer.hpp>

#include "reference_network.hpp"

namespace {

std::atomic<int> allocations{0}, blocks{0};  // blocks: on a boundary of 64 bytes
std::atomic<std::size_t> block_bytes{0};     // of the last block
std::atomic<std::size_t> total_bytes{0};     // of all allocations
std::atomic<std::size_t> live_bytes{0};      // of those that were not freed

// Before each piece of memory, as wide as its boundary, stands its size.
void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  total_bytes += size;
  live_bytes += size;
  if (alignment >= 64) {
    ++blocks;
    block_bytes = size;
  }
  auto* const memory = static_cast<std::byte*>(
      std::aligned_alloc(alignment, (size + 2 * alignment) / alignment * alignment));
  if (memory == nullptr) std::abort();
  std::memcpy(memory, &size, sizeof size);
  return memory + alignment;
}

void release(void* memory, std::size_t alignment) {
  if (memory == nullptr) return;
  auto* const begin = static_cast<std::byte*>(memory) - alignment;
  std::size_t size = 0;
  std::memcpy(&size, begin, sizeof size);
  live_bytes -= size;
  std::free(begin);
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  return counted(size, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted(size, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment,
                                     const std::nothrow_t&) noexcept {
  return counted(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  release(memory, alignof(std::max_align_t));
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  release(memory, alignof(std::max_align_t));
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t alignment) noexcept {
  release(memory, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t,
                                       std::align_val_t alignment) noexcept {
  release(memory, static_cast<std::size_t>(alignment));
}

namespace {

using namespace bitdial;

using Network = reference::Network;

std::vector<std::byte> file_of(Network& net) {
  net.draw_weights({1, 2, 8});
  for (const Precision precision : {Precision{8, 8}, {1, 1}, {2, 8}}) {
    net.add_plan(PrecisionPlan{precision});
  }
  std::vector<Precision> mixed(net.packed.layers.size(), Precision{8, 8});
  mixed.back() = {1, 2};
  net.add_plan(*PrecisionPlan::per_layer(mixed));
  auto bytes = model_bytes(net.packed);
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  return *bytes;
}

std::vector<Network> networks() {
  const reference::Style two_sided{.weights = reference::WeightFamily::nested,
                                   .activations = reference::ActivationFamily::two_sided,
                                   .seed = 5};
  return {reference::residual_network({.seed = 3}), reference::residual_network(two_sided),
          reference::grouped_network({.seed = 4}), reference::grouped_network(two_sided),
          reference::window_network(two_sided)};
}

// A caller's threads, as simple as they can be. Starting a thread allocates, so the tasks run here.
void run_here(void*, int count, ParallelHook::Task task, void* data) {
  for (int i = count; i-- > 0;) task(data, i);
}

// Every way to run every plan, each after every other one; what failed, and what was allocated.
struct Outcome {
  int failures = 0, allocations = 0;
};
Outcome run_everything(Session& session, const std::vector<std::uint8_t>& images,
                       const std::vector<float>& values, std::vector<float>& outputs,
                       std::vector<std::int32_t>& classes) {
  int failures = 0;
  const auto expect = [&](const Result<void>& done) { failures += done.ok() ? 0 : 1; };
  std::int64_t seen = 0;
  const auto observer = [&](const LayerTrace& trace) { seen += trace.images; };
  const std::size_t plans = session.model().plans().size();
  std::vector<std::string> names;
  for (const PackedPlan& plan : session.model().plans()) names.push_back(plan.name());
  const int before = allocations;
  for (std::size_t first = 0; first < plans; ++first) {
    for (std::size_t second = 0; second < plans; ++second) {
      expect(session.run(images, outputs, first));
      expect(session.run(images, outputs, second, observer));
      expect(session.run_real(values, outputs, first));
      expect(session.run_real(values, outputs, second, observer));
      expect(session.classify(images, classes, first));
      expect(session.run(images, outputs, session.model().plans()[second].requested));
      expect(session.run(images, outputs, names[first]));
    }
  }
  return {failures + (seen > 0 ? 0 : 1), allocations - before};
}

TEST_CASE("after creation nothing is allocated, whatever the plan, path, threads and memory") {
  for (Network& net : networks()) {
    const std::vector<std::byte> bytes = file_of(net);
    const auto model = Model::from_bytes(bytes);
    REQUIRE_MESSAGE(model.ok(), model.error());
    const std::vector<std::uint8_t> images = net.draw_images(3);
    const std::vector<float> values(images.begin(), images.end());
    std::vector<float> outputs(static_cast<std::size_t>(3 * model->output_size()));
    std::vector<std::int32_t> classes(3);
    std::vector<KernelPath> paths(kernel_paths.begin(), kernel_paths.end());
    paths.push_back(KernelPath::automatic);
    for (const KernelPath path : paths) {
      for (const ParallelHook hook : {ParallelHook{}, ParallelHook{.run = run_here}}) {
        SessionOptions options{
            .threads = 2, .max_batch = 2, .path = path, .work_per_thread = 1, .parallel_for = hook};
        const auto plan = Session::plan_memory(*model, options);
        REQUIRE(plan.ok());
        AlignedBuffer<std::byte> arena(plan->arena());
        for (const bool borrow : {false, true}) {
          options.arena = borrow ? arena.span() : std::span<std::byte>{};
          auto session = Session::create(*model, options);
          REQUIRE_MESSAGE(session.ok(), session.error());
          const Outcome done = run_everything(*session, images, values, outputs, classes);
          CHECK(done.failures == 0);
          CHECK(done.allocations == 0);
        }
      }
    }
  }
}

TEST_CASE("the planned bytes are exact, for each plan and for all of them") {
  for (Network& net : networks()) {
    const std::vector<std::byte> bytes = file_of(net);
    const auto model = Model::from_bytes(bytes);
    REQUIRE_MESSAGE(model.ok(), model.error());
    const std::vector<std::uint8_t> images = net.draw_images(5);
    std::size_t together = 0, apart = 0;
    for (const auto& plans : {std::vector<std::size_t>{}, {0}, {1}, {2}, {2, 0}}) {
      for (const std::int64_t batch : {1, 4}) {
        for (const int threads : {1, 3}) {
          const SessionOptions options{.threads = threads, .max_batch = batch, .plans = plans};
          const auto plan = Session::plan_memory(*model, options);
          REQUIRE_MESSAGE(plan.ok(), plan.error());
          const int blocks_before = blocks;
          const std::size_t live_before = live_bytes;
          auto session = Session::create(*model, options);
          const std::size_t live_after = live_bytes;
          const int blocks_after = blocks;
          REQUIRE_MESSAGE(session.ok(), session.error());
          CHECK(blocks_after == blocks_before + 1);
          CHECK(block_bytes == plan->arena());
          CHECK(live_after - live_before == plan->bytes());
          CHECK(session->memory() == *plan);
          CHECK(plan->weights > 0);
          if (plans.size() == 1 && threads == 1) {
            CHECK(*Session::plan_memory(*model, plans[0], batch) == *plan);
          }
          (plans.empty() ? together : apart) += plan->weights;
        }
      }
    }
    CHECK(apart >= together);
  }
}

TEST_CASE("a kernel is chosen by a few rows of the image, however large it is") {
  for (const ops::Window& window :
       {ops::Window{}, ops::Window::square(3, {.stride = 2, .padding = 1}),
        ops::Window::square(2, {.dilation = 9000})}) {
    Network net{Shape{16380, 16380, 1}, {.seed = 6}};
    const int x = net.conv(0, 1, window);
    static_cast<void>(net.linear(net.global_average_pool(x), 2));
    net.draw_weights({1, 2});
    net.add_plan(PrecisionPlan::uniform("w1a2"));
    net.add_plan(PrecisionPlan::uniform("w2a8"));
    const auto bytes = model_bytes(net.packed);
    REQUIRE_MESSAGE(bytes.ok(), bytes.error());
    const auto model = Model::from_bytes(*bytes);
    REQUIRE_MESSAGE(model.ok(), model.error());
    const std::size_t before = total_bytes;
    const auto plan = Session::plan_memory(*model);
    const std::size_t after = total_bytes;
    REQUIRE_MESSAGE(plan.ok(), plan.error());
    CHECK(plan->working > std::size_t{1} << 28);
    CHECK(after - before < std::size_t{1} << 25);
  }
}

TEST_CASE("a caller's arena is used to its last byte and not beyond") {
  constexpr std::size_t guard = 256;
  constexpr auto mark = std::byte{0xA5};
  for (Network& net : networks()) {
    const std::vector<std::byte> bytes = file_of(net);
    const auto model = Model::from_bytes(bytes);
    REQUIRE_MESSAGE(model.ok(), model.error());
    const std::vector<std::uint8_t> images = net.draw_images(5);
    std::vector<float> outputs(static_cast<std::size_t>(5 * model->output_size()));
    std::vector<float> expected = outputs;
    for (const KernelPath path : kernel_paths) {
      SessionOptions options{.threads = 3, .max_batch = 2, .path = path, .work_per_thread = 1};
      const std::size_t size = Session::plan_memory(*model, options)->arena();
      AlignedBuffer<std::byte> memory(guard + size + guard);
      std::ranges::fill(memory.span(), mark);
      const std::span<std::byte> arena = memory.span().subspan(guard, size);
      auto own = Session::create(*model, options);
      options.arena = arena;
      const int before = blocks;
      auto session = Session::create(*model, options);
      const int after = blocks;
      REQUIRE_MESSAGE(session.ok(), session.error());
      CHECK(after == before);
      for (std::size_t plan = 0; plan < model->plans().size(); ++plan) {
        REQUIRE(own->run(images, expected, plan));
        REQUIRE(session->run(images, outputs, plan));
        CHECK(outputs == expected);
      }
      CHECK(std::ranges::all_of(memory.span().first(guard), [&](auto b) { return b == mark; }));
      CHECK(std::ranges::all_of(memory.span().last(guard), [&](auto b) { return b == mark; }));

      options.arena = arena.first(size - 1);
      CHECK(Session::create(*model, options).error() ==
            "session: the arena has " + std::to_string(size - 1) + " bytes, these options take " +
                std::to_string(size) + "; Session::plan_memory tells how many");
      options.arena = memory.span().subspan(guard + 4);
      CHECK(Session::create(*model, options).error() ==
            "session: the arena starts 4 bytes behind a boundary of 64 bytes, expected on one; "
            "declare it alignas(64)");
    }
  }
}

}  // namespace
