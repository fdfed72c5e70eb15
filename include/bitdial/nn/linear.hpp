// SPDX-License-Identifier: Apache-2.0
// A real-valued fully connected layer; as `SwitchableLayer<Linear, ...>` it becomes switchable.
#pragma once

#include <cstdint>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/nn/module.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// Input and output features of a `Linear`.
struct LinearOptions {
  std::int64_t in = 1;
  std::int64_t out = 1;
};

/// y = x weight^T + bias: x `[N, in]`, weight `[out, in]`, bias `[out]`.
///
/// Throws `ConfigError` for options out of range and `ShapeError` when x has other features.
class Linear final : public Module {
 public:
  using Options = LinearOptions;
  static constexpr bool has_bias = true;

  explicit Linear(const Options& options)
      : options_{checked(options)},
        weight_{Tensor<float>({options.out, options.in}), ParameterRole::weight},
        bias_{Tensor<float>({options.out}), ParameterRole::bias} {}

  [[nodiscard]] Var forward(Var x, const Pass&) override {
    Tape& tape = x.tape();
    return apply(x, tape.parameter(weight_.value, weight_.grad), bias_on(tape));
  }

  void visit(ModuleVisitor& visitor, const std::string& name) override {
    visitor.parameter(child_name(name, "weight"), weight_);
    visitor.parameter(child_name(name, "bias"), bias_);
  }

  /// Throws `ConfigError`: a packed network has quantized layers only.
  [[nodiscard]] std::int32_t describe(Description&, std::int32_t) const override {
    throw ConfigError(
        "linear: a real-valued layer does not pack; use SwitchableLayer<Linear, ...>");
  }

  /// The map of this layer with other weights in place of its own, without or with a bias.
  template <class T>
  [[nodiscard]] BasicVar<T> apply(BasicVar<T> x, BasicVar<T> weight) const {
    return ad::linear(x, weight);
  }
  [[nodiscard]] Var apply(Var x, Var weight, Var bias) const { return ad::linear(x, weight, bias); }
  [[nodiscard]] Var bias_on(Tape& tape) { return tape.parameter(bias_.value, bias_.grad); }

  [[nodiscard]] Parameter& weight() noexcept { return weight_; }
  [[nodiscard]] const Parameter& weight() const noexcept { return weight_; }
  [[nodiscard]] Parameter& bias() noexcept { return bias_; }
  [[nodiscard]] const Parameter& bias() const noexcept { return bias_; }
  [[nodiscard]] LayerGeometry geometry() const noexcept {
    return {.kind = ops::NodeKind::linear,
            .out_channels = options_.out,
            .in_channels = options_.in,
            .window = {},
            .per_channel = 1};
  }

 private:
  [[nodiscard]] static const Options& checked(const Options& o) {
    if (o.in < 1 || o.out < 1) {
      throw ConfigError(
          concat("linear: features must be at least 1, got in ", o.in, ", out ", o.out));
    }
    return o;
  }

  Options options_;
  Parameter weight_;
  Parameter bias_;
};

}  // namespace bitdial::inline BITDIAL_ABI::nn
