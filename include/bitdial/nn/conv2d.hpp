// SPDX-License-Identifier: Apache-2.0
// A real-valued convolution layer; as `SwitchableLayer<Conv2d, ...>` it becomes switchable.
#pragma once

#include <cstdint>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/nn/module.hpp>
#include <bitdial/ops/window.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// Channels and window of a `Conv2d`: `.kernel = 3` is square, `.kernel = {1, 7}` is one high and
/// seven wide. Its taps are `dilation` pixels apart. With groups, every out / groups outputs see
/// in / groups inputs; in = out = groups is a depthwise convolution.
struct Conv2dOptions {
  std::int64_t in = 1;
  std::int64_t out = 1;
  ops::HeightWidth kernel = 3;
  ops::HeightWidth stride = 1;
  ops::HeightWidth padding = 0;
  ops::HeightWidth dilation = 1;
  std::int64_t groups = 1;
};

/// y = x * weight, without bias (a batch normalisation follows): x `[N, H, W, in]`,
/// weight `[out, kernel.h, kernel.w, in / groups]`.
///
/// Throws `ConfigError` for options out of range and `ShapeError` when x has other channels.
class Conv2d final : public Module {
 public:
  using Options = Conv2dOptions;
  static constexpr bool has_bias = false;

  explicit Conv2d(const Options& options)
      : options_{checked(options)},
        weight_{Tensor<float>(
                    {options.out, options.kernel.h, options.kernel.w, options.in / options.groups}),
                ParameterRole::weight} {}

  [[nodiscard]] Var forward(Var x, const Pass&) override {
    return apply(x, x.tape().parameter(weight_.value, weight_.grad));
  }

  void visit(ModuleVisitor& visitor, const std::string& name) override {
    visitor.parameter(child_name(name, "weight"), weight_);
  }

  /// Throws `ConfigError`: a packed network has quantized layers only.
  [[nodiscard]] std::int32_t describe(Description&, std::int32_t) const override {
    throw ConfigError(
        "conv2d: a real-valued layer does not pack; use SwitchableLayer<Conv2d, ...>");
  }

  /// The linear map of this layer with other weights in place of its own.
  template <class T>
  [[nodiscard]] BasicVar<T> apply(BasicVar<T> x, BasicVar<T> weight) const {
    if (options_.groups == 1) return ad::conv2d(x, weight, window());
    return ad::grouped_conv2d(x, weight, window(), options_.groups);
  }

  [[nodiscard]] Parameter& weight() noexcept { return weight_; }
  [[nodiscard]] const Parameter& weight() const noexcept { return weight_; }
  [[nodiscard]] LayerGeometry geometry() const noexcept {
    return {.kind = options_.groups == 1 ? ops::NodeKind::conv2d : ops::NodeKind::grouped_conv2d,
            .out_channels = options_.out,
            .in_channels = options_.in,
            .groups = options_.groups,
            .window = window()};
  }
  [[nodiscard]] ops::Window window() const noexcept {
    return {.kernel_h = options_.kernel.h,
            .kernel_w = options_.kernel.w,
            .stride_h = options_.stride.h,
            .stride_w = options_.stride.w,
            .padding_h = options_.padding.h,
            .padding_w = options_.padding.w,
            .dilation_h = options_.dilation.h,
            .dilation_w = options_.dilation.w};
  }

 private:
  [[nodiscard]] static const Options& checked(const Options& o) {
    if (o.in < 1 || o.out < 1 || o.kernel.least() < 1 || o.stride.least() < 1 ||
        o.dilation.least() < 1 || o.padding.least() < 0) {
      throw ConfigError(
          concat("conv2d: channels, kernel, stride and dilation must be at least 1 and padding ",
                 "at least 0, got in ", o.in, ", out ", o.out, ", kernel ", o.kernel, ", stride ",
                 o.stride, ", padding ", o.padding, ", dilation ", o.dilation));
    }
    if (o.groups < 1 || o.in % o.groups != 0 || o.out % o.groups != 0) {
      throw ConfigError(concat("conv2d: channels must be in equal groups, got in ", o.in, ", out ",
                               o.out, ", groups ", o.groups));
    }
    return o;
  }

  Options options_;
  Parameter weight_;
};

}  // namespace bitdial::inline BITDIAL_ABI::nn
