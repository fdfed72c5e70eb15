// SPDX-License-Identifier: Apache-2.0
// Activation modules.
#pragma once

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/nn/module.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// y = max(x, 0).
class Relu final : public Module {
 public:
  [[nodiscard]] Var forward(Var x, const Pass&) override { return ad::relu(x); }
  [[nodiscard]] std::int32_t describe(Description& description, std::int32_t x) const override {
    return description.graph.append({.kind = ops::NodeKind::relu, .inputs = {x, -1}});
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::nn
