// SPDX-License-Identifier: Apache-2.0
// Learned numbers of a policy: members of its state that have a name and that training changes.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

#include <bitdial/core/batch_group.hpp>
#include <bitdial/core/config.hpp>
#include <bitdial/quant/policy.hpp>
#include <bitdial/quant/span_loops.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// One named part of a `State`: a number or an array of numbers.
template <class State>
struct LearnedParameter {
  std::string_view name;
  std::span<float> (*numbers)(State& state);
};

namespace detail {

template <class Member>
struct MemberTraits;
template <class Owner, class Type>
struct MemberTraits<Type Owner::*> {
  using State = Owner;
};

}  // namespace detail

/// `learned<&State::alpha>("alpha")`: the member, a float or a `std::array<float, N>`, is learned.
template <auto Member>
[[nodiscard]] constexpr auto learned(std::string_view name) noexcept {
  using State = typename detail::MemberTraits<decltype(Member)>::State;
  return LearnedParameter<State>{name, [](State& state) -> std::span<float> {
                                   auto& member = state.*Member;
                                   if constexpr (std::same_as<decltype(member), float&>) {
                                     return {&member, 1};
                                   } else {
                                     return {member};
                                   }
                                 }};
}

/// `static constexpr std::array parameters{learned<&State::alpha>("alpha")}`: what a checkpoint, an
/// optimizer and a user find under a name. At most 3 of them.
template <class P>
concept NamedParametersPolicy = requires {
  { P::parameters.front().name } -> std::convertible_to<std::string_view>;
  requires P::parameters.size() >= 1 && P::parameters.size() <= 3;
};

/// `gradients`: the derivative of the loss by every learned number, in a state. Not for 32 bits.
template <class P>
concept GradientLearnedPolicy = NamedParametersPolicy<P> &&
    requires(const P policy, std::span<const float> x, std::span<const float> dy,
             const typename P::State& state, int bits) {
  { policy.gradients(x, dy, state, bits) } -> std::same_as<typename P::State>;
};

/// `relearn`: the state after a training batch, for numbers that are not learned by gradient.
template <class P>
concept RelearnedPolicy = NamedParametersPolicy<P> &&
    requires(const P policy, std::span<const float> x, const typename P::State& state, int bits) {
  { policy.relearn(x, state, bits) } -> std::same_as<typename P::State>;
};

/// `relearn` with a `BatchGroup*`: the state after a batch whose parts lie in several processes.
template <class P>
concept GroupRelearnedPolicy = RelearnedPolicy<P> &&
    requires(const P policy, std::span<const float> x, const typename P::State& state, int bits,
             BatchGroup* group) {
  { policy.relearn(x, state, bits, group) } -> std::same_as<typename P::State>;
};

/// Values clipped at a level that is learned:
/// dx = dy 1[low < x < high], d level = above sum over x >= high of dy + below sum over x <= low of
/// dy.
struct LearnedClip {
  float low = 0.0F, high = 1.0F;
  float above = 1.0F, below = 0.0F;

  /// Where dx = dy. Without a branch, so that loops over it vectorise; not for NaN.
  [[nodiscard]] constexpr bool passes(float x) const noexcept {
    return (static_cast<int>(x > low) & static_cast<int>(x < high)) != 0;
  }
};

/// `learned_clip`: that these are the derivatives of `backward` and `gradients`, whose one number
/// is the level. Training keeps bits instead of x then.
template <class P>
concept LearnedClipPolicy = GradientLearnedPolicy<P> &&
    requires(const P policy, const typename P::State& state) {
  { policy.learned_clip(state) } -> std::same_as<LearnedClip>;
  requires P::parameters.size() == 1;
};

/// A policy with learned numbers and a way to learn them.
template <class P>
concept LearnedPolicy = GradientLearnedPolicy<P> || RelearnedPolicy<P>;

/// sum over i of f(x[i], dy[i]), an array of N doubles; equal for every number of threads.
template <std::size_t N, class F>
[[nodiscard]] std::array<double, N> sum_gradients(std::span<const float> x,
                                                  std::span<const float> dy, F f) {
  return detail::sum_spans<N>(
      [f](float value, float gradient) { return f(value, static_cast<double>(gradient)); }, x, dy);
}

}  // namespace bitdial::inline BITDIAL_ABI
