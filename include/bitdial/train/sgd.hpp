// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent with (Nesterov) momentum.
#pragma once

#include <cstdint>
#include <vector>

#include <bitdial/ops/detail/elementwise.hpp>
#include <bitdial/train/optimizer.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

struct SgdOptions {
  float momentum = 0.9F;
  bool nesterov = true;
  float weight_decay = 1e-4F;
  ClipGroup clips{};
};

/// g = grad + decay * w;  v = momentum * v + g;  w -= lr * (nesterov ? g + momentum * v : v).
///
/// The form of PyTorch: the learning rate is outside the velocity. Decay applies to weights alone,
/// and to learned clips as `clips` says. Throws `ConfigError` for momentum outside [0, 1) and
/// negative decay. Sutskever et al., "On the importance of initialization and momentum", ICML 2013.
class Sgd final : public Optimizer {
 public:
  explicit Sgd(nn::Named<nn::Parameter> parameters, const SgdOptions& options = {})
      : Optimizer{std::move(parameters)}, options_{options} {
    if (!(options.momentum >= 0.0F && options.momentum < 1.0F && options.weight_decay >= 0.0F)) {
      throw ConfigError(concat("sgd: expected momentum in [0, 1) and decay >= 0, got momentum ",
                               options.momentum, ", decay ", options.weight_decay));
    }
    require_valid(options.clips, "sgd");
    for (const auto& [name, parameter] : this->parameters()) {
      velocities_.emplace_back(parameter->value.shape());
    }
  }

  void step(float learning_rate) override {
    const float momentum = options_.momentum;
    const bool nesterov = options_.nesterov;
    nn::for_each_run(parameters(), [&](std::size_t i, std::int64_t begin, std::int64_t end) {
      nn::Parameter& parameter = *parameters()[i].second;
      const auto [decay, rate] =
          ParameterGroup::of(parameter, options_.weight_decay, learning_rate, options_.clips);
      float* const weight = parameter.value.data() + begin;
      float* const velocity = velocities_[i].data() + begin;
      const float* const gradient = parameter.grad.data() + begin;
      ops::detail::map_span(
          end - begin, velocity,
          [momentum, decay = decay](float v, float g, float w) {
            return momentum * v + (g + decay * w);
          },
          velocity, gradient, weight);
      ops::detail::map_span(
          end - begin, weight,
          [momentum, nesterov, decay = decay, rate = rate](float w, float g, float v) {
            return w - rate * (nesterov ? g + decay * w + momentum * v : v);
          },
          weight, gradient, velocity);
    });
  }

  [[nodiscard]] nn::Named<Tensor<float>> state() override {
    nn::Named<Tensor<float>> named;
    for (std::size_t i = 0; i < parameters().size(); ++i) {
      named.emplace_back("velocity." + parameters()[i].first, &velocities_[i]);
    }
    return named;
  }

 private:
  SgdOptions options_;
  std::vector<Tensor<float>> velocities_;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
