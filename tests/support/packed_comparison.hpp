// SPDX-License-Identifier: Apache-2.0
// The law of deployment as a check: a packed network gives the codes and the outputs of evaluation
// in the training graph, bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/loader.hpp>
#include <bitdial/data/normalisation.hpp>
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/pack.hpp>
#include <bitdial/deploy/session.hpp>
#include <bitdial/kernels/dispatch.hpp>
#include <support/networks.hpp>

namespace test {

/// Images of bytes, and the same images as the training graph reads them.
struct ByteImages {
  std::vector<std::uint8_t> bytes;
  bitdial::Tensor<float> values;
  bitdial::Normalisation normalisation;

  ByteImages(std::int64_t count, const bitdial::Shape& image, std::uint64_t seed,
             bitdial::Normalisation normalised = {})
      : values({count, image[0], image[1], image[2]}), normalisation{std::move(normalised)} {
    bitdial::Random random(seed, 79);
    const bitdial::data::ByteValues table(normalisation, image[2]);
    for (float& value : values.span()) {
      const std::size_t channel = bytes.size() % table.channels();
      bytes.push_back(static_cast<std::uint8_t>(random.below(256)));
      value = table[channel][bytes.back()];
    }
  }
};

/// What the training graph says of one plan.
struct Expected {
  bitdial::Tensor<float> outputs;
  std::vector<bitdial::Tensor<double>> operands;  ///< one per layer, in visiting order
};

inline std::vector<Expected> evaluate_plans(bitdial::nn::Module& network, const ByteImages& images,
                                            const std::vector<bitdial::PrecisionPlan>& plans) {
  std::vector<Expected> all;
  for (const bitdial::PrecisionPlan& plan : plans) {
    watched_operands().clear();
    bitdial::Tape tape;
    const bitdial::Var y = network.forward(tape.borrow(images.values),
                                           {.plan = plan, .mode = bitdial::nn::Mode::evaluation});
    Expected& expected = all.emplace_back(Expected{y.value(), {}});
    for (const auto& [name, parameter] : bitdial::nn::parameters(network)) {
      if (parameter->role != bitdial::nn::ParameterRole::weight) continue;
      expected.operands.push_back(watched_operands().at(parameter->value.data()).x);
    }
  }
  return all;
}

/// One way to run a model.
struct Way {
  const bitdial::kernels::KernelTable* kernels = nullptr;
  bitdial::KernelPath path = bitdial::KernelPath::automatic;
  int threads = 1;
  std::int64_t max_batch = 2;

  [[nodiscard]] std::string text() const {
    return bitdial::concat(kernels->name, ", path ", bitdial::name_of(path), ", ", threads,
                           " threads, batch ", max_batch);
  }
};

/// Every table of this machine with bytes, with planes and with its own choice; threads 1, 2, 7.
inline std::vector<Way> all_ways() {
  using bitdial::KernelPath;
  std::vector<Way> ways;
  for (const bitdial::kernels::KernelTable* table : bitdial::kernels::supported_kernels()) {
    for (const KernelPath path : {KernelPath::bytes, KernelPath::planes}) {
      ways.push_back({.kernels = table, .path = path, .threads = 1, .max_batch = 3});
      ways.push_back({.kernels = table, .path = path, .threads = 2, .max_batch = 1});
    }
    ways.push_back({.kernels = table, .threads = 7, .max_batch = 2});
  }
  return ways;
}

/// Runs every plan of `model` in one way and compares all codes and outputs.
inline void check_way(const bitdial::Model& model, const ByteImages& images,
                      const std::vector<Expected>& expected, const Way& way) {
  const std::string text = way.text();
  CAPTURE(text);
  auto session = bitdial::Session::create(model, {.threads = way.threads,
                                                  .max_batch = way.max_batch,
                                                  .kernels = way.kernels,
                                                  .path = way.path,
                                                  .work_per_thread = 1});
  REQUIRE_MESSAGE(session, (session ? std::string{} : session.error()));
  for (std::size_t plan = 0; plan < expected.size(); ++plan) {
    const bitdial::PackedPlan& packed = model.plans()[plan];
    const std::string name = packed.name();
    CAPTURE(name);
    bitdial::Tensor<float> outputs(expected[plan].outputs.shape());
    std::size_t codes_seen = 0;
    std::size_t codes_wrong = 0;
    std::size_t call = 0;
    std::int64_t first_image = 0;
    const std::size_t layers = model.layers().size();
    const auto observer = [&](const bitdial::LayerTrace& trace) {
      const auto layer = static_cast<std::size_t>(trace.layer);
      const bitdial::Tensor<double>& operand = expected[plan].operands[layer];
      const bitdial::IntegerLevels& levels = packed.layers[layer].activation_levels;
      const double* value = operand.data() + first_image * trace.shape.size();
      for (const std::uint8_t code : trace.codes) {
        ++codes_seen;
        if (static_cast<double>(levels.level(code)) != *value++) ++codes_wrong;
      }
      if (++call == layers) {
        call = 0;
        first_image += trace.images;
      }
    };
    const auto done = session->run(images.bytes, outputs.span(), plan, observer);
    REQUIRE_MESSAGE(done, (done ? std::string{} : done.error()));
    std::size_t codes_expected = 0;
    for (const auto& operand : expected[plan].operands) {
      codes_expected += static_cast<std::size_t>(operand.size());
    }
    CHECK(codes_seen == codes_expected);
    CHECK(codes_wrong == 0);
    CHECK(same_bits(outputs, expected[plan].outputs));
  }
}

/// Packs `network` at `plans`, writes and reads the file format, and compares in every way.
inline void check_packed(bitdial::nn::Module& network, const bitdial::Shape& image,
                         const std::vector<bitdial::PrecisionPlan>& plans, const ByteImages& images,
                         const std::vector<Way>& ways) {
  const std::vector<Expected> expected = evaluate_plans(network, images, plans);
  const auto bytes = bitdial::model_bytes(
      bitdial::pack(network, {.plans = plans,
                              .input_shape = image,
                              .preprocessing = {.normalisation = images.normalisation}}));
  REQUIRE_MESSAGE(bytes, (bytes ? std::string{} : bytes.error()));
  const auto model = bitdial::Model::from_bytes(*bytes);
  REQUIRE_MESSAGE(model, (model ? std::string{} : model.error()));
  for (const Way& way : ways) check_way(*model, images, expected, way);
}

/// How many layers of all plans read operands that are not all the same: a guard against networks
/// so saturated that any comparison would succeed.
inline double lively_share(const std::vector<Expected>& expected) {
  std::size_t lively = 0;
  std::size_t all = 0;
  for (const Expected& plan : expected) {
    for (const auto& operand : plan.operands) {
      ++all;
      const std::set<double> values(operand.span().begin(), operand.span().end());
      if (values.size() > 1) ++lively;
    }
  }
  return static_cast<double>(lively) / static_cast<double>(all);
}

}  // namespace test
