// SPDX-License-Identifier: Apache-2.0
// Adam: steps scaled by running moments of the gradient.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <bitdial/train/optimizer.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

struct AdamOptions {
  float beta1 = 0.9F;
  float beta2 = 0.999F;
  float epsilon = 1e-8F;
  float weight_decay = 0.0F;
  ClipGroup clips{};
};

/// g = grad + decay * w;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
/// w -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon), t = 1, 2, ...
///
/// Decay applies to weights alone, and to learned clips as `clips` says. Throws `ConfigError` for
/// options out of range. Kingma and Ba, 1412.6980.
class Adam final : public Optimizer {
 public:
  explicit Adam(nn::Named<nn::Parameter> parameters, const AdamOptions& options = {})
      : Optimizer{std::move(parameters)}, options_{options}, steps_({1}) {
    if (!(options.beta1 >= 0.0F && options.beta1 < 1.0F && options.beta2 >= 0.0F &&
          options.beta2 < 1.0F && options.epsilon > 0.0F && options.weight_decay >= 0.0F)) {
      throw ConfigError(
          concat("adam: expected beta1 and beta2 in [0, 1), epsilon > 0 and decay >= 0, got beta1 ",
                 options.beta1, ", beta2 ", options.beta2, ", epsilon ", options.epsilon,
                 ", decay ", options.weight_decay));
    }
    require_valid(options.clips, "adam");
    for (const auto& [name, parameter] : this->parameters()) {
      first_.emplace_back(parameter->value.shape());
      second_.emplace_back(parameter->value.shape());
    }
  }

  void step(float learning_rate) override {
    steps_[0] += 1.0F;
    const auto t = static_cast<double>(steps_[0]);
    const auto correction = [t](float beta) {
      return static_cast<float>(1.0 / (1.0 - std::pow(static_cast<double>(beta), t)));
    };
    const float first_correction = correction(options_.beta1);
    const float second_correction = correction(options_.beta2);
    nn::for_each_run(parameters(), [&](std::size_t i, std::int64_t begin, std::int64_t end) {
      nn::Parameter& parameter = *parameters()[i].second;
      const auto [decay, rate] =
          ParameterGroup::of(parameter, options_.weight_decay, learning_rate, options_.clips);
      float* const weight = parameter.value.data();
      float* const first = first_[i].data();
      float* const second = second_[i].data();
      const float* const gradient = parameter.grad.data();
      for (std::int64_t j = begin; j < end; ++j) {
        const float g = gradient[j] + decay * weight[j];
        first[j] = options_.beta1 * first[j] + (1.0F - options_.beta1) * g;
        second[j] = options_.beta2 * second[j] + (1.0F - options_.beta2) * g * g;
        const float root = std::sqrt(second[j] * second_correction);
        weight[j] -= rate * (first[j] * first_correction) / (root + options_.epsilon);
      }
    });
  }

  [[nodiscard]] nn::Named<Tensor<float>> state() override {
    nn::Named<Tensor<float>> named{{"steps", &steps_}};
    for (std::size_t i = 0; i < parameters().size(); ++i) {
      named.emplace_back("first." + parameters()[i].first, &first_[i]);
      named.emplace_back("second." + parameters()[i].first, &second_[i]);
    }
    return named;
  }

 private:
  AdamOptions options_;
  Tensor<float> steps_;
  std::vector<Tensor<float>> first_;
  std::vector<Tensor<float>> second_;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
