// SPDX-License-Identifier: Apache-2.0
// The learned numbers of a policy as parameters of a network: started by the first batch, trained,
// kept in checkpoints, frozen for evaluation and packing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/autodiff/learned_quantization.hpp>
#include <bitdial/core/batch_group.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/nn/module.hpp>
#include <bitdial/nn/traverse.hpp>
#include <bitdial/quant/learned_parameter.hpp>
#include <bitdial/quant/quantizer.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The learned numbers of one policy in one switch of one layer; empty for policies that learn
/// nothing.
template <class Policy>
class LearnedState {
 public:
  using State = typename Policy::State;
  static constexpr bool is_kept = NamedParametersPolicy<Policy>;

  LearnedState() {
    if constexpr (is_kept) {
      State initial{};
      for (const auto& parameter : Policy::parameters) {
        const std::span<float> numbers = parameter.numbers(initial);
        Tensor<float> value({static_cast<std::int64_t>(numbers.size())});
        std::ranges::copy(numbers, value.span().begin());
        parameters_.emplace_back(std::move(value), nn::ParameterRole::clip);
      }
      started_ = Tensor<float>({1});
    }
  }

  /// True once the numbers have a starting value: measured, loaded or set.
  [[nodiscard]] bool has_started() const noexcept { return is_kept && started_[0] != 0.0F; }

  /// `measured`, with the learned members as they are here.
  [[nodiscard]] State over(State measured) const {
    if constexpr (is_kept) {
      for (std::size_t i = 0; i < parameters_.size(); ++i) {
        std::ranges::copy(parameters_[i].value.span(),
                          Policy::parameters[i].numbers(measured).begin());
      }
    }
    return measured;
  }

  /// Takes the learned members of `state` over; of the states of a group their means.
  void start(State state, BatchGroup* group = nullptr) {
    if constexpr (is_kept) {
      for (std::size_t i = 0; i < parameters_.size(); ++i) {
        const std::span<float> numbers = Policy::parameters[i].numbers(state);
        if (group != nullptr) take_mean(numbers, *group);
        std::ranges::copy(numbers, parameters_[i].value.data());
      }
      started_[0] = 1.0F;
    }
  }

  /// The quantized x of a training pass. `state` is `over(...)` of these numbers. Numbers that are
  /// learned by a rule move here, after they were used; all others get a gradient.
  [[nodiscard]] Var quantize(Var x, const Quantizer<Policy>& quantizer, const State& state,
                             int bits) {
    if constexpr (GradientLearnedPolicy<Policy>) {
      std::vector<Var> learned;
      for (nn::Parameter& parameter : parameters_) {
        learned.push_back(x.tape().parameter(parameter.value, parameter.grad));
      }
      if constexpr (LearnedClipPolicy<Policy>) {
        return ad::clip_fake_quantize(x, learned.front(), quantizer, state, bits);
      } else {
        return ad::learned_fake_quantize(x, learned, quantizer, state, bits);
      }
    } else {
      const Var y = ad::fake_quantize(x, quantizer, state, bits);
      if constexpr (RelearnedPolicy<Policy>) {
        if (bits != real_valued_bits) start(relearned(x, quantizer.policy(), state, bits));
      }
      return y;
    }
  }

  /// Shows `prefix.alpha` and so on, and whether they have started.
  void visit(nn::ModuleVisitor& visitor, const std::string& prefix) {
    if constexpr (is_kept) {
      for (std::size_t i = 0; i < parameters_.size(); ++i) {
        visitor.parameter(nn::child_name(prefix, std::string{Policy::parameters[i].name}),
                          parameters_[i]);
      }
      visitor.buffer(nn::child_name(prefix, "started"), started_);
    }
  }

 private:
  /// Each number is replaced by its mean over the group.
  static void take_mean(std::span<float> numbers, BatchGroup& group) {
    std::vector<double> sums(numbers.begin(), numbers.end());
    sums.push_back(1.0);
    group.sum(sums);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = static_cast<float>(sums[i] / sums.back());
    }
  }

  /// The state after this batch, after all its parts where the policy can add them up.
  [[nodiscard]] static State relearned(Var x, const Policy& policy, const State& state, int bits) {
    const std::span<const float> values = x.value().span();
    if constexpr (GroupRelearnedPolicy<Policy>) {
      return policy.relearn(values, state, bits, x.tape().group());
    } else {
      return policy.relearn(values, state, bits);
    }
  }

  std::vector<nn::Parameter> parameters_;
  Tensor<float> started_;
};

/// Sets the numbers of the parameter `name` (`conv1.weights.w4.step`). A learned number that is set
/// has started: training goes on from it.
///
/// Throws `ConfigError` for an unknown name, `ShapeError` for another number of numbers.
inline void set_parameter(nn::Module& network, std::string_view name,
                          std::span<const float> numbers) {
  const nn::Named<nn::Parameter> parameters = nn::parameters(network);
  const auto found =
      std::ranges::find_if(parameters, [&](const auto& p) { return p.first == name; });
  if (found == parameters.end()) {
    throw ConfigError(concat("set_parameter: the network has no parameter '", name,
                             "'; names are those of nn::parameters, after add_plans, ",
                             parameters.empty() ? std::string{"of which there are none"}
                                                : concat("as '", parameters.back().first, "'")));
  }
  Tensor<float>& value = found->second->value;
  if (value.span().size() != numbers.size()) {
    throw ShapeError(concat("set_parameter: '", name, "' has ", value.span().size(),
                            " numbers, got ", numbers.size()));
  }
  std::ranges::copy(numbers, value.data());
  const std::string started{name.substr(0, name.rfind('.') + 1)};
  for (const auto& [other, tensor] : nn::state(network)) {
    if (other == started + "started") (*tensor)[0] = 1.0F;
  }
}

}  // namespace bitdial::inline BITDIAL_ABI
