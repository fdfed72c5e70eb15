// SPDX-License-Identifier: Apache-2.0
// The threads of a session are started once: their identities, as the kernel lists them, are the
// same before and after every run, whatever the layers pay for.
#include <bitdial/deploy/session.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <bitdial/io/folder.hpp>

#include "reference_network.hpp"

namespace {

using namespace bitdial;
using reference::Network;

#if defined(_OPENMP)
constexpr bool with_openmp = true;
#else
constexpr bool with_openmp = false;
#endif

/// The threads of this process.
std::vector<std::string> thread_ids() {
  std::vector<std::string> ids = io::entries_of("/proc/self/task", "");
  std::ranges::sort(ids);
  return ids;
}

TEST_CASE("runs start no threads and end none, however many a layer pays for") {
  if (!with_openmp || thread_ids().empty()) {
    MESSAGE("skipped: ", with_openmp ? "no /proc/self/task" : "compiled without OpenMP");
    return;
  }
  Network net = reference::residual_network({.seed = 7});
  net.draw_weights({1, 8});
  net.add_plan(PrecisionPlan::uniform("w1a1"));
  net.add_plan(PrecisionPlan::uniform("w8a8"));
  const auto bytes = model_bytes(net.packed);
  REQUIRE(bytes);
  const auto model = Model::from_bytes(*bytes);
  REQUIRE(model);
  const std::vector<std::uint8_t> images = net.draw_images(5);
  std::vector<float> outputs(static_cast<std::size_t>(5 * model->output_size()));
  // The steps of a network differ in work: these give teams of all sizes.
  for (const std::int64_t work_per_thread : {1, 1000, 5000, 20000}) {
    auto session =
        Session::create(*model, {.threads = 4, .max_batch = 2, .work_per_thread = work_per_thread});
    REQUIRE_MESSAGE(session.ok(), session.error());
    const std::vector<std::string> before = thread_ids();
    CHECK(before.size() >= 4);
    for (int run = 0; run < 3; ++run) {
      for (std::size_t plan = 0; plan < 2; ++plan) {
        REQUIRE(session->run(images, outputs, plan));
        CHECK(thread_ids() == before);
      }
    }
  }
}

}  // namespace
