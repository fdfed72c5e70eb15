// SPDX-License-Identifier: Apache-2.0
// One operand of a searched layer: the mean of its quantizations at all candidate widths.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/autodiff/learned_quantization.hpp>
#include <bitdial/autodiff/mixture.hpp>
#include <bitdial/nn/module.hpp>
#include <bitdial/search/candidates.hpp>
#include <bitdial/switchable/learned_state.hpp>
#include <bitdial/switchable/running_state.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// sum_i softmax(alpha)[i] Q_{Bits[i]}(x), and what the policy measures or learns for it.
///
/// Every width has learned numbers of its own; what is measured of activations is a running value,
/// shared by the widths. Source: EdMIPS, arXiv 2004.05795 (alphas start at 0.01).
template <class Policy, class Bits>
class OperandMixture {
  static_assert(std::ranges::all_of(Bits::values,
                                    [](int bits) { return supports_bits<Policy>(bits); }),
                "bitdial: CompositeLayer: Candidates has a width that its policy does not quantize "
                "to; leave it out of the bit list of that operand.");
  static_assert(!(FilterwisePolicy<Policy> && LearnedState<Policy>::is_kept),
                "bitdial: CompositeLayer: a policy that learns numbers per filter is not searched; "
                "search with one that measures, such as GaussianWeights.");

 public:
  static constexpr std::size_t count = Bits::values.size();
  static constexpr float initial_alpha = 0.01F;

  explicit OperandMixture(const Policy& policy)
      : quantizer_{policy},
        alpha_{Tensor<float>({static_cast<std::int64_t>(count)}, initial_alpha),
               nn::ParameterRole::architecture} {}

  /// The mixture of x. `filters` is the number of filters of weights, `momentum` that of running
  /// values.
  [[nodiscard]] Var forward(Var x, nn::Mode mode, std::int64_t filters, float momentum) {
    std::vector<Var> terms;
    const State measured = measure(x, mode, momentum);
    for (std::size_t i = 0; i < count; ++i) {
      terms.push_back(quantized(x, i, mode, filters, measured));
    }
    const Var alpha = x.tape().parameter(alpha_.value, alpha_.grad);
    const Var y = ad::mixture(alpha, std::span<const Var>(terms));
    for (const Var& term : terms) nn::discard_unless(term, {x, y});
    return y;
  }

  /// `name.alpha`, and what the policy keeps.
  void visit(nn::ModuleVisitor& visitor, const std::string& name) {
    visitor.parameter(nn::child_name(name, "alpha"), alpha_);
    if constexpr (keeps_range) visitor.buffer(nn::child_name(name, "range"), running_.words());
    for (std::size_t i = 0; i < count; ++i) {
      learned_[i].visit(visitor, nn::child_name(name, concat("b", Bits::values[i])));
    }
  }

  [[nodiscard]] BitShares shares() noexcept { return {.bits = Bits::values, .alpha = &alpha_}; }

 private:
  using State = typename Policy::State;
  static constexpr bool learns = LearnedState<Policy>::is_kept;
  static constexpr bool keeps_range =
      Policy::role == TensorRole::activations && RunningState<Policy>::is_kept && !learns;

  /// What is measured of activations, once for all widths; a policy with another state per width,
  /// and one of weights, measures there.
  [[nodiscard]] State measure(Var x, nn::Mode mode, float momentum) {
    if constexpr (keeps_range) {
      if (mode == nn::Mode::evaluation) return running_.frozen();
      return running_.observe(quantizer_.policy(), x.value().span(), momentum);
    }
    return {};
  }

  [[nodiscard]] Var quantized(Var x, std::size_t i, nn::Mode mode, std::int64_t filters,
                              const State& measured) {
    const int bits = Bits::values[i];
    if constexpr (is_stateless<Policy> || keeps_range) {
      return ad::fake_quantize(x, quantizer_, measured, bits);
    } else if constexpr (FilterwisePolicy<Policy>) {
      const std::span<const float> values = x.value().span();
      const std::size_t size = values.size() / static_cast<std::size_t>(filters);
      std::vector<State> states;
      for (std::size_t f = 0; f < static_cast<std::size_t>(filters); ++f) {
        states.push_back(quantizer_.fit(values.subspan(f * size, size), bits));
      }
      return ad::filterwise_fake_quantize(x, quantizer_, std::move(states), bits);
    } else if constexpr (learns) {
      LearnedState<Policy>& learned = learned_[i];
      const bool is_training = mode == nn::Mode::training;
      if (is_training && !learned.has_started()) {
        learned.start(quantizer_.fit(x.value().span(), bits), x.tape().group());
      }
      const bool of_weights = Policy::role == TensorRole::weights;
      const State fitted =
          quantizer_.fit(of_weights ? x.value().span() : std::span<const float>{}, bits);
      const State state = learned.has_started() ? learned.over(fitted) : fitted;
      return is_training ? learned.quantize(x, quantizer_, state, bits)
                         : ad::fake_quantize(x, quantizer_, state, bits);
    } else {
      return ad::fake_quantize(x, quantizer_, quantizer_.fit(x.value().span(), bits), bits);
    }
  }

  Quantizer<Policy> quantizer_;
  nn::Parameter alpha_;
  RunningState<Policy> running_;
  std::array<LearnedState<Policy>, count> learned_;
};

}  // namespace bitdial::inline BITDIAL_ABI
