// SPDX-License-Identifier: Apache-2.0
// What every quantized layer takes under every plan of a session.
#pragma once

#include <algorithm>
#include <bitdial/deploy/profiler.hpp>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace bench {

/// Milliseconds of one image by layer name, for every plan of the model, in its order: medians over
/// rounds of the profiler, in which the plans take turns, so that a slow second of the machine hits
/// all of them alike. A layer's step holds its product and what was fused into it.
[[nodiscard]] inline std::vector<std::map<std::string, double>> layer_milliseconds(
    bitdial::Session& session, double seconds) {
  constexpr int rounds = 7;
  std::vector<std::map<std::string, std::vector<double>>> samples(session.model().plans().size());
  for (int round = 0; round < rounds; ++round) {
    const auto profiles =
        bitdial::profile(session, {.seconds = seconds / rounds, .peak = 1.0}).value();
    for (std::size_t plan = 0; plan < profiles.size(); ++plan) {
      for (const bitdial::StepProfile& step : profiles[plan].steps) {
        if (!step.widths.empty()) samples[plan][step.name].push_back(step.seconds * 1e3);
      }
    }
  }
  std::vector<std::map<std::string, double>> medians(samples.size());
  for (std::size_t plan = 0; plan < samples.size(); ++plan) {
    for (auto& [layer, taken] : samples[plan]) {
      const auto middle = taken.begin() + static_cast<std::ptrdiff_t>(taken.size() / 2);
      std::ranges::nth_element(taken, middle);
      medians[plan][layer] = std::max(*middle, 1e-6);  // a clock may stand still
    }
  }
  return medians;
}

}  // namespace bench
