// SPDX-License-Identifier: Apache-2.0
// What a claim of a paper is here: a sentence, the runs that put it to the test, and what they say.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace reproduce {

/// Size of every run of a claim. The defaults fit into twenty minutes on two cores.
struct Settings {
  std::string data{};                 ///< the folder `cifar-100-binary`
  std::string out = "reproduce-out";  ///< where the CSV file goes
  std::int64_t classes = 10;          ///< the first classes of CIFAR-100, 2 to 100
  std::int64_t train_images = 5000;   ///< at most; of these classes
  std::int64_t test_images = 1000;    ///< at most; of these classes
  std::int64_t epochs = 4;
  std::int64_t batch = 25;
  std::int64_t width = 8;  ///< channels of the first stage of ResNet-20; the paper's has 16
  double rate = 0.05;      ///< the highest learning rate of a cosine
  std::vector<std::uint64_t> seeds{1, 2};
  /// Between first and last layer, where the claim leaves it open: `pact`, DoReFa weights and
  /// learned clips; `dorefa`; `hwgq`, Gaussian weights and HWGQ behind batch normalisation.
  std::string quantizers = "pact";
  std::string latency{};  ///< a table of layer latencies to search under; empty: measure one
};

/// One tested network at one precision. Numbers below 0 are not part of the claim.
struct Row {
  std::string arm;  ///< which of the compared networks
  std::uint64_t seed = 1;
  std::string precision;         ///< `w4a4`, or a name for a plan with several
  double top1 = 0.0;             ///< share of right answers on the test images
  double bytes = -1.0;           ///< of stored weights
  double milliseconds = -1.0;    ///< of one image, one thread
  double bit_operations = -1.0;  ///< MAC * w * a of one image, in 10^9
};

/// Takes rows as they are measured.
using Recorder = std::function<void(const Row&)>;

/// `ResNet-20 with 8 to 32 channels`
[[nodiscard]] std::string resnet20_text(const Settings& settings);

struct Claim {
  std::string_view name;    ///< of the command
  std::string_view source;  ///< paper
  std::string_view text;    ///< what the paper says, in one sentence
  Settings defaults{};
  bool searches_latency = false;   ///< takes `Settings::latency`
  bool chooses_quantizers = true;  ///< takes `Settings::quantizers`
  /// The networks that it trains, with their size.
  std::string (*networks)(const Settings&) = resnet20_text;
  void (*run)(const Settings&, const Recorder&) = nullptr;
  /// What the rows say about the sentence, with numbers.
  std::string (*finding)(const std::vector<Row>&) = nullptr;
};

// One per file.
[[nodiscard]] Claim shared_against_independent();
[[nodiscard]] Claim self_distillation();
[[nodiscard]] Claim switchable_batch_norm();
[[nodiscard]] Claim consistency();
[[nodiscard]] Claim collaborative_teacher();
[[nodiscard]] Claim one_bit_weights();
[[nodiscard]] Claim nested_store();
[[nodiscard]] Claim searched_plan();
[[nodiscard]] Claim default_quantizers();

}  // namespace reproduce
