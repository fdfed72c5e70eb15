// SPDX-License-Identifier: Apache-2.0
// Threads at different precisions share one model; each has a session, one of them with threads of
// its own behind a hook; the members of a team share a run. Built once more under ThreadSanitizer.
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

/// Plans of 8, 2 and 1 bits; the network as a file.
std::vector<std::byte> add_three_plans(reference::Network& net) {
  net.draw_weights({1, 2, 8});
  for (const Precision precision : {Precision{8, 8}, {2, 2}, {1, 1}}) {
    net.add_plan(PrecisionPlan{precision});
  }
  auto bytes = model_bytes(net.packed);
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  return *std::move(bytes);
}

void check_callers(reference::Network net) {
  const std::vector<std::byte> bytes = add_three_plans(net);
  const std::vector<std::uint8_t> images = net.draw_images(5);
  for (const WeightCheck check : {WeightCheck::at_opening, WeightCheck::when_used}) {
    const auto model = Model::from_bytes(bytes, {.weight_check = check});
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

/// The outputs of all images at once from a team of threads that stay together over a run.
std::vector<float> run_on_team(const Model& model, std::size_t plan, int size,
                               const std::vector<std::uint8_t>& images, std::int64_t count) {
  auto preparation = detail::Preparation::lay_out(
      model, {.threads = size, .max_batch = count, .plans = {plan}, .work_per_thread = 1});
  REQUIRE_MESSAGE(preparation.ok(), preparation.error());
  auto memory = detail::Arena::allocate(preparation->memory_plan().arena());
  REQUIRE(memory.ok());
  REQUIRE(preparation->fill(memory->data()));
  const PreparedPlan& prepared = *preparation->plan(plan);
  REQUIRE(prepared.images == count);
  const ExecutorContext context = preparation->context(0, size);
  const ImageBatch batch{.bytes = images.data(), .count = count};
  TeamBarrier barrier;
  const auto run = [&](std::int64_t rank) {
    const TeamMember member{.rank = rank, .size = size, .barrier = &barrier};
    detail::Executor{context, prepared, batch, member}.run(NoObserver{});
  };
  std::vector<std::thread> threads;
  for (int rank = 1; rank < size; ++rank) threads.emplace_back(run, rank);
  run(0);
  for (std::thread& thread : threads) thread.join();
  const auto output = static_cast<std::size_t>(prepared.program.output);
  const auto* const first =
      reinterpret_cast<const float*>(context.arena + prepared.program.buffers[output].offset);
  return {first, first + count * model.output_size()};
}

void check_teams(reference::Network net) {
  const std::vector<std::byte> bytes = add_three_plans(net);
  const auto model = Model::from_bytes(bytes);
  REQUIRE_MESSAGE(model.ok(), model.error());
  const std::vector<std::uint8_t> images = net.draw_images(2);
  for (std::size_t plan = 0; plan < 3; ++plan) {
    for (const int size : {2, 3}) {
      CHECK(run_on_team(*model, plan, size, images, 2) == net.evaluate(plan, images).outputs);
    }
  }
}

TEST_CASE("members of a team write nothing that others touch before all have waited") {
  check_teams(reference::residual_network({.seed = 33}));
  check_teams(reference::grouped_network({.seed = 34}));
}

TEST_CASE("threads at different precisions do not meet") {
  check_callers(reference::residual_network({.seed = 31}));
  check_callers(reference::grouped_network({.weights = reference::WeightFamily::nested,
                                            .activations = reference::ActivationFamily::two_sided,
                                            .seed = 32}));
}

}  // namespace
