// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent with (Nesterov) momentum.
#pragma once

#include <cstdint>
#include <vector>

#include <bitdial/train/optimizer.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

struct SgdOptions {
  float momentum = 0.9F;
  bool nesterov = true;
  float weight_decay = 1e-4F;
};

/// g = grad + decay * w;  v = momentum * v + g;  w -= lr * (nesterov ? g + momentum * v : v).
///
/// The form of PyTorch: the learning rate is outside the velocity. Decay applies to weights alone.
/// Throws `ConfigError` for momentum outside [0, 1) and negative decay.
/// Sutskever et al., "On the importance of initialization and momentum", ICML 2013.
class Sgd final : public Optimizer {
 public:
  explicit Sgd(nn::Named<nn::Parameter> parameters, const SgdOptions& options = {})
      : Optimizer{std::move(parameters)}, options_{options} {
    if (!(options.momentum >= 0.0F && options.momentum < 1.0F && options.weight_decay >= 0.0F)) {
      throw ConfigError(concat("sgd: expected momentum in [0, 1) and decay >= 0, got momentum ",
                               options.momentum, ", decay ", options.weight_decay));
    }
    for (const auto& [name, parameter] : this->parameters()) {
      velocities_.emplace_back(parameter->value.shape());
    }
  }

  void step(float learning_rate) override {
    for (std::size_t i = 0; i < parameters().size(); ++i) {
      nn::Parameter& parameter = *parameters()[i].second;
      const float decay = decay_of(parameter, options_.weight_decay);
      float* const weight = parameter.value.data();
      float* const velocity = velocities_[i].data();
      const float* const gradient = parameter.grad.data();
      for (std::int64_t j = 0; j < parameter.value.size(); ++j) {
        const float g = gradient[j] + decay * weight[j];
        velocity[j] = options_.momentum * velocity[j] + g;
        weight[j] -=
            learning_rate * (options_.nesterov ? g + options_.momentum * velocity[j] : velocity[j]);
      }
    }
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
