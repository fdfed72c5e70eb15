// SPDX-License-Identifier: Apache-2.0
// A loss of all switches at once: any function of their logits, and the consistency loss.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/autodiff/divergence.hpp>
#include <bitdial/autodiff/functions.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/switchable/teaching.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The value of a joint loss and its gradient for the logits of each switch.
struct JointLossValue {
  float loss = 0.0F;
  std::vector<Tensor<float>> gradients;  ///< one per switch, of the shape of its logits
};

/// Any function of the logits `[N, classes]` of all switches, highest first, and of the labels.
///
/// It is the primitive of the trainer: gradients may come from anywhere. `on_tape` makes one from a
/// function of `Var`s, `consistency_loss` is one. All forward passes come first and stay in memory
/// until their backward pass.
using JointLoss = std::function<JointLossValue(std::span<const Tensor<float>> logits,
                                               std::span<const std::int32_t> labels)>;

/// A joint loss from a function of handles: `loss(logits, labels)` gets a `std::span<const Var>`
/// on one tape, builds a value of one element with the functions of `ad::`, and gradients flow into
/// every switch that it uses (`tape.constant(z.value())` stops one).
///
/// ```
/// options.joint_loss = on_tape([](std::span<const Var> z, std::span<const std::int32_t> labels) {
///   return ad::add(ad::softmax_cross_entropy(z[0], labels), ad::divergence(z[1], z[0], {}));
/// });
/// ```
template <class Loss>
[[nodiscard]] JointLoss on_tape(Loss loss) {
  return [loss = std::move(loss)](std::span<const Tensor<float>> logits,
                                  std::span<const std::int32_t> labels) {
    Tape tape;
    std::vector<Var> leaves;
    for (const Tensor<float>& z : logits) leaves.push_back(tape.leaf(z));
    const Var total = loss(std::span<const Var>(leaves), labels);
    tape.backward(total);
    JointLossValue result{.loss = total.value()[0], .gradients = {}};
    for (const Var& leaf : leaves) result.gradients.push_back(leaf.grad());
    return result;
  };
}

/// What `consistency_loss` adds up.
struct ConsistencyOptions {
  float lambda = 0.5F;  ///< in [0, 1]: the share of consistency in the loss of a lower mode
  Divergence divergence = Divergence::kl;
  double temperature = 1.0;
  bool detach_teacher = true;         ///< false: the highest mode moves towards the others as well
  std::vector<float> mode_weights{};  ///< of the lower modes, highest first; none: all 1
};

/// The combinational loss of Quantizable DNNs over all modes up to 32 bits (the first one):
///
///   L = CE(y, z_0) + sum over lower modes b of  w_b ((1 - lambda) CE(y, z_b) + lambda D(z_0, z_b))
///
/// With `detach_teacher` and weights 1 it has the gradients of `methods::quantizable`, which holds
/// one forward pass in memory instead of all. T is float or double. Throws `ConfigError` for
/// options out of range.
/// Source: Quantizable DNNs, 2004.05284, which says that the loss is combinational and makes low
/// modes agree with the 32-bit mode; inferred: everything else.
template <class T>
[[nodiscard]] BasicVar<T> consistency(std::span<const BasicVar<T>> logits,
                                      std::span<const std::int32_t> labels,
                                      const ConsistencyOptions& options) {
  if (logits.empty()) throw ConfigError("consistency: expected at least one mode, got none");
  if (!(options.lambda >= 0.0F && options.lambda <= 1.0F)) {
    throw ConfigError(concat("consistency: expected lambda in [0, 1], got ", options.lambda));
  }
  const std::size_t lower = logits.size() - 1;
  if (!options.mode_weights.empty() && options.mode_weights.size() != lower) {
    throw ConfigError(concat("consistency: expected one of mode_weights per lower mode, got ",
                             options.mode_weights.size(), " for ", lower));
  }
  const BasicVar<T> highest = logits.front();
  const BasicVar<T> teacher =
      options.detach_teacher ? highest.tape().constant(Tensor<T>(highest.value())) : highest;
  std::vector<BasicVar<T>> terms{ad::softmax_cross_entropy(highest, labels)};
  for (std::size_t mode = 0; mode < lower; ++mode) {
    const BasicVar<T> z = logits[mode + 1];
    const T weight =
        options.mode_weights.empty() ? T{1} : static_cast<T>(options.mode_weights[mode]);
    const T lambda = static_cast<T>(options.lambda);
    terms.push_back(ad::scale(ad::softmax_cross_entropy(z, labels), weight * (T{1} - lambda)));
    terms.push_back(
        ad::scale(ad::divergence(z, teacher,
                                 {.kind = options.divergence, .temperature = options.temperature}),
                  weight * lambda));
  }
  return ad::sum(std::span<const BasicVar<T>>(terms));
}

/// `consistency` as a joint loss of the trainer.
[[nodiscard]] inline JointLoss consistency_loss(ConsistencyOptions options = {}) {
  return on_tape([options = std::move(options)](std::span<const Var> logits,
                                                std::span<const std::int32_t> labels) {
    return consistency(logits, labels, options);
  });
}

}  // namespace bitdial::inline BITDIAL_ABI
