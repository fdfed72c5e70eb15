// SPDX-License-Identifier: Apache-2.0
// After creation a session allocates nothing: every `operator new` of the program is counted.
// Out of line, because GCC takes an inlined pair of replaced operators for a mismatch.
#include <bitdial/deploy/session.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

#include "reference_network.hpp"

namespace {

std::atomic<int> allocations{0};

void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  return std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
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
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace {

using namespace bitdial;

TEST_CASE("run, run_real and classify allocate nothing, whatever the plan and path") {
  reference::Network net = reference::residual_network({.seed = 3});
  net.draw_weights({1, 8});
  net.add_plan(PrecisionPlan::uniform("w8a8"));
  net.add_plan(PrecisionPlan::uniform("w1a1"));
  const auto bytes = model_bytes(net.packed);
  REQUIRE(bytes);
  const auto model = Model::from_bytes(*bytes);
  REQUIRE(model);
  const std::vector<std::uint8_t> images = net.draw_images(3);
  const std::vector<float> values(images.begin(), images.end());
  std::vector<float> outputs(30);
  std::vector<std::int32_t> classes(3);
  const PrecisionPlan by_value = PrecisionPlan::uniform("w1a1");
  for (const KernelPath path : {KernelPath::bytes, KernelPath::planes}) {
    auto session =
        Session::create(*model, {.threads = 2, .max_batch = 2, .path = path, .work_per_thread = 1});
    REQUIRE(session);
    const int before = allocations;
    bool ok = session->run(images, outputs, 0).ok();
    ok = session->run(images, outputs, 1).ok() && ok;
    ok = session->run(images, outputs, "w8a8").ok() && ok;
    ok = session->run(images, outputs, by_value).ok() && ok;
    ok = session->run_real(values, outputs, 1).ok() && ok;
    ok = session->classify(images, classes, 0).ok() && ok;
    const int after = allocations;
    CHECK(ok);
    CHECK(after == before);
  }
  CHECK(allocations > 0);
}

}  // namespace
