// SPDX-License-Identifier: Apache-2.0
// BinaryConnect's update: real-valued weights stay where a change can still flip their sign.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <bitdial/train/optimizer.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

struct BinaryConnectOptions {
  float limit = 1.0F;  ///< H: weights stay in [-H, H]
  bool scales_rate =
      false;  ///< multiplies the step of a weight by 1 / sqrt(1.5 / (fan_in + fan_out))
};

/// The steps of another optimizer, then: weights w + f (w' - w), clipped to [-H, H].
///
/// w is a weight before and w' after the step; f is 1, or as the option says (the learning rate of
/// BinaryConnect follows Glorot's deviation). Only parameters of the role `weight` are touched.
/// `inner` must outlive this. Throws `ConfigError` for a limit that is not positive.
/// Courbariaux et al., "BinaryConnect", arXiv 1511.00363.
class BinaryConnectUpdate final : public Optimizer {
 public:
  explicit BinaryConnectUpdate(Optimizer& inner, const BinaryConnectOptions& options = {})
      : Optimizer{inner.parameters()}, inner_{&inner}, options_{options} {
    if (!(options.limit > 0.0F)) {
      throw ConfigError(
          concat("BinaryConnectUpdate: expected a limit above 0, got ", options.limit));
    }
  }

  void step(float learning_rate) override {
    std::vector<Tensor<float>> before;
    for (const auto& [name, parameter] : parameters()) {
      const bool is_read = options_.scales_rate && is_weight(*parameter);
      before.push_back(is_read ? parameter->value : Tensor<float>{});
    }
    inner_->step(learning_rate);
    nn::for_each_run(parameters(), [&](std::size_t i, std::int64_t begin, std::int64_t end) {
      nn::Parameter& parameter = *parameters()[i].second;
      if (!is_weight(parameter)) return;
      const float factor = options_.scales_rate ? rate_factor(parameter.value.shape()) : 1.0F;
      for (std::int64_t j = begin; j < end; ++j) {
        float& weight = parameter.value.data()[j];
        if (options_.scales_rate) {
          const float old = before[i].data()[j];
          weight = std::fma(factor, weight - old, old);
        }
        weight = std::clamp(weight, -options_.limit, options_.limit);
      }
    });
  }

  [[nodiscard]] nn::Named<Tensor<float>> state() override { return inner_->state(); }

  /// 1 / sqrt(1.5 / (fan_in + fan_out)) of weights [out, ..., in]: taps count on both sides.
  [[nodiscard]] static float rate_factor(const Shape& weight) {
    const auto size = static_cast<double>(weight.size());
    const double fan_in = size / static_cast<double>(weight[0]);
    const double fan_out = size / static_cast<double>(weight.back());
    return static_cast<float>(1.0 / std::sqrt(1.5 / (fan_in + fan_out)));
  }

 private:
  [[nodiscard]] static bool is_weight(const nn::Parameter& parameter) noexcept {
    return parameter.role == nn::ParameterRole::weight;
  }

  Optimizer* inner_;
  BinaryConnectOptions options_;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
