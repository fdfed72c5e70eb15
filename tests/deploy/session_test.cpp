// SPDX-License-Identifier: Apache-2.0
// Sessions against the naive reference, bit for bit: every width pair, level family, weight store,
// kernel table, path, thread count and batch.
#include <bitdial/deploy/session.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "reference_network.hpp"

namespace {

using namespace bitdial;
using reference::ActivationFamily;
using reference::Expected;
using reference::Network;
using reference::Style;
using reference::WeightFamily;

const std::vector<int> widths{1, 2, 3, 4, 5, 8};

void add_all_plans(Network& net) {
  net.draw_weights(widths);
  for (const int w : widths) {
    for (const int a : widths) net.add_plan(PrecisionPlan{Precision{w, a}});
  }
}

Model model_of(const std::vector<std::byte>& bytes) {
  auto model = Model::from_bytes(bytes);
  REQUIRE_MESSAGE(model.ok(), model.error());
  return *model;
}

std::vector<std::byte> bytes_of(const Network& net) {
  auto bytes = model_bytes(net.packed);
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  return *bytes;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Runs `plan` and compares the codes of every layer and the outputs.
void check_run(Session& session, std::size_t plan, const std::vector<std::uint8_t>& images,
               const Expected& expected) {
  std::vector<float> outputs(expected.outputs.size());
  bool codes_equal = true;
  std::size_t layers_seen = 0;
  const auto done = session.run(images, outputs, plan, [&](const LayerTrace& trace) {
    const auto& codes = expected.codes.at(trace.layer);
    codes_equal = codes_equal &&
                  std::equal(trace.codes.begin(), trace.codes.end(), codes.begin(), codes.end());
    ++layers_seen;
  });
  CAPTURE(session.model().plans()[plan].name());
  CAPTURE(std::string{session.kernels().name});
  REQUIRE_MESSAGE(done.ok(), done.error());
  CHECK(layers_seen == expected.codes.size());
  CHECK(codes_equal);
  CHECK(same_bits(outputs, expected.outputs));
}

// All plans of a network on all tables and both paths, then all thread counts and batches.
void check_network_everywhere(Network net) {
  add_all_plans(net);
  const std::vector<std::byte> bytes = bytes_of(net);
  const Model model = model_of(bytes);
  const std::vector<std::uint8_t> images = net.draw_images(3);
  const std::vector<std::uint8_t> first(images.begin(),
                                        images.begin() + net.packed.input_shape.size());
  std::vector<Session> sessions;
  const auto add_session = [&](const SessionOptions& options) {
    auto session = Session::create(model, options);
    REQUIRE_MESSAGE(session.ok(), session.error());
    sessions.push_back(*std::move(session));
  };
  for (const kernels::KernelTable* table : kernels::supported_kernels()) {
    for (const KernelPath path : {KernelPath::bytes, KernelPath::planes}) {
      add_session({.max_batch = 3, .kernels = table, .path = path});
    }
  }
  add_session({.threads = 2, .max_batch = 3});
  add_session({.threads = 7, .max_batch = 2, .path = KernelPath::planes});
  add_session({.threads = 7, .max_batch = 1, .path = KernelPath::bytes});
  for (std::size_t plan = 0; plan < model.plans().size(); ++plan) {
    const Expected expected = net.evaluate(plan, images);
    const Expected expected_first = net.evaluate(plan, first);
    for (Session& session : sessions) {
      if (session.max_batch() == 3) check_run(session, plan, images, expected);
      check_run(session, plan, first, expected_first);
      std::vector<float> outputs(expected.outputs.size());
      REQUIRE(session.run(images, outputs, plan));  // in slices where the batch is smaller
      CHECK(same_bits(outputs, expected.outputs));
    }
  }
}

TEST_CASE("residual network, DoReFa weights, one-sided activations") {
  check_network_everywhere(reference::residual_network({.seed = 11}));
}

TEST_CASE("residual network, nested weights, two-sided activations") {
  check_network_everywhere(reference::residual_network(
      {.weights = WeightFamily::nested, .activations = ActivationFamily::two_sided, .seed = 12}));
}

TEST_CASE("window network, DoReFa weights, two-sided activations") {
  check_network_everywhere(
      reference::window_network({.activations = ActivationFamily::two_sided, .seed = 13}));
}

TEST_CASE("window network, nested weights, random activation steps") {
  check_network_everywhere(reference::window_network({.weights = WeightFamily::nested,
                                                      .activations = ActivationFamily::random_steps,
                                                      .seed = 14}));
}

TEST_CASE("join network, DoReFa weights, random activation steps") {
  check_network_everywhere(
      reference::join_network({.activations = ActivationFamily::random_steps, .seed = 15}));
}

TEST_CASE("join network, nested weights, one-sided activations") {
  check_network_everywhere(reference::join_network({.weights = WeightFamily::nested, .seed = 16}));
}

}  // namespace
