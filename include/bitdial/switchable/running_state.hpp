// SPDX-License-Identifier: Apache-2.0
// What an activation policy measures, as a running value: training measures each batch, evaluation
// and the packed network use what training has seen.
#pragma once

#include <cstring>
#include <span>
#include <type_traits>

#include <bitdial/core/tensor.hpp>
#include <bitdial/quant/policy.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The running `Policy::State` of one switch of one layer.
///
/// SP-Nets measure the range of Tanh and logarithmic activations on every batch, in evaluation too,
/// so an answer depends on the images beside it. The running state is this library's addition
/// (inferred, not from the paper): it moves like the statistics of batch normalisation, and makes
/// evaluation a function of one image. Policies that measure nothing keep nothing here.
template <class Policy>
class RunningState {
 public:
  using State = typename Policy::State;
  static_assert(std::is_trivially_copyable_v<State>,
                "bitdial: RunningState<Policy>: Policy::State must be trivially copyable.");

  /// True when a state is kept: the policy measures something and says how to blend it.
  static constexpr bool is_kept = !is_stateless<Policy> && RunningPolicy<Policy>;

  /// The state of this batch; the running state moves towards it by `momentum`, or takes it over if
  /// it is the first one.
  [[nodiscard]] State observe(const Policy& policy, std::span<const float> x, float momentum) {
    const State batch = policy.fit(x);
    if constexpr (is_kept) {
      store(has_seen() ? policy.blend(load(), batch, momentum) : policy.blend(batch, batch, 1.0F));
    }
    return batch;
  }

  /// The running state; the policy's initial one before the first batch.
  [[nodiscard]] State frozen() const {
    if constexpr (is_kept) {
      if (has_seen()) return load();
    }
    return {};
  }

  /// The numbers of the state as a checkpoint holds them: seen or not, then the bytes of the state.
  [[nodiscard]] Tensor<float>& words() noexcept { return words_; }

 private:
  static constexpr std::int64_t state_words =
      static_cast<std::int64_t>((sizeof(State) + sizeof(float) - 1) / sizeof(float));

  [[nodiscard]] bool has_seen() const noexcept { return words_[0] != 0.0F; }
  [[nodiscard]] State load() const noexcept {
    State state;
    std::memcpy(static_cast<void*>(&state), words_.data() + 1, sizeof state);
    return state;
  }
  void store(const State& state) noexcept {
    words_[0] = 1.0F;
    std::memcpy(words_.data() + 1, &state, sizeof state);
  }

  Tensor<float> words_ = is_kept ? Tensor<float>({1 + state_words}) : Tensor<float>{};
};

}  // namespace bitdial::inline BITDIAL_ABI
