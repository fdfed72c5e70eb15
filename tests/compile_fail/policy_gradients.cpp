// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: Quantizer<Policy>: Policy names learned .parameters., so it needs .State
#include <array>

#include <bitdial/quant/learned_parameter.hpp>

#include "archetype_policy.hpp"

struct Policy : ArchetypePolicy {
  struct State {
    float step = 1.0F;
  };
  static constexpr std::array parameters{bitdial::learned<&State::step>("step")};
  [[nodiscard]] State fit(std::span<const float>) const { return {}; }
  [[nodiscard]] std::int32_t encode(float, const State&, int) const { return 0; }
  [[nodiscard]] bitdial::IntegerLevels levels(const State&, int) const { return {}; }
  [[nodiscard]] float real_valued(float x, const State&) const { return x; }
  void backward(std::span<const float>, std::span<const float>, const State&, int,
                std::span<float>) const {}
#ifdef GOOD
  [[nodiscard]] State gradients(std::span<const float>, std::span<const float>, const State&,
                                int) const {
    return {};
  }
#endif
};

template class bitdial::Quantizer<Policy>;
