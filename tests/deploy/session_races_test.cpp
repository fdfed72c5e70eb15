// SPDX-License-Identifier: Apache-2.0
// Threads at different precisions share one model; each has a session, one of them with threads of
// its own behind a hook. Built once more under ThreadSanitizer.
#include <bitdial/deploy/session.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "reference_network.hpp"

namespace {

using namespace bitdial;

void run_on_threads(void*, int count, ParallelHook::Task task, void* data) {
  std::vector<std::thread> threads;
  for (int i = 1; i < count; ++i) threads.emplace_back(task, data, i);
  task(data, 0);
  for (std::thread& thread : threads) thread.join();
}

// What one thread does: a session of its own, made and used while the others do the same.
struct Caller {
  std::size_t plan = 0;
  int threads = 1;
  std::vector<float> expected{};
  std::string problem{};

  void run(const Model& model, const std::vector<std::uint8_t>& images) {
    auto session = Session::create(model, {.threads = threads,
                                           .max_batch = 2,
                                           .work_per_thread = 1,
                                           .parallel_for = {.run = run_on_threads}});
    if (!session) {
      problem = session.error();
      return;
    }
    std::vector<float> outputs(expected.size());
    for (int i = 0; i < 20; ++i) {
      const auto done = session->run(images, outputs, plan);
      if (!done) problem = done.error();
      if (outputs != expected) problem = "other outputs";
    }
  }
};

void check_callers(reference::Network net) {
  net.draw_weights({1, 2, 8});
  for (const Precision precision : {Precision{8, 8}, {2, 2}, {1, 1}}) {
    net.add_plan(PrecisionPlan{precision});
  }
  const auto bytes = model_bytes(net.packed);
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  const std::vector<std::uint8_t> images = net.draw_images(5);
  for (const WeightCheck check : {WeightCheck::at_opening, WeightCheck::when_used}) {
    const auto model = Model::from_bytes(*bytes, {.weight_check = check});
    REQUIRE_MESSAGE(model.ok(), model.error());
    std::vector<Caller> callers{{.plan = 0}, {.plan = 2}, {.plan = 1, .threads = 3}};
    for (Caller& caller : callers) caller.expected = net.evaluate(caller.plan, images).outputs;
    std::vector<std::thread> threads;
    for (Caller& caller : callers) {
      threads.emplace_back([&] { caller.run(*model, images); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const Caller& caller : callers) CHECK(caller.problem == "");
  }
}

TEST_CASE("threads at different precisions do not meet") {
  check_callers(reference::residual_network({.seed = 31}));
  check_callers(reference::grouped_network({.weights = reference::WeightFamily::nested,
                                            .activations = reference::ActivationFamily::two_sided,
                                            .seed = 32}));
}

}  // namespace
