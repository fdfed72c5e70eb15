// SPDX-License-Identifier: Apache-2.0
// Pooling modules.
#pragma once

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/nn/module.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// The largest value of each window; padded taps never win.
class MaxPool2d final : public Module {
 public:
  explicit MaxPool2d(const ops::Window& window) : window_{window} {}
  [[nodiscard]] Var forward(Var x, const Pass&) override { return ad::max_pool2d(x, window_); }
  [[nodiscard]] std::int32_t describe(Description& description, std::int32_t x) const override {
    return description.graph.append(
        {.kind = ops::NodeKind::max_pool2d, .inputs = {x, -1}, .window = window_});
  }

 private:
  ops::Window window_;
};

/// The mean of each window; padded taps count as zeros.
class AveragePool2d final : public Module {
 public:
  explicit AveragePool2d(const ops::Window& window) : window_{window} {}
  [[nodiscard]] Var forward(Var x, const Pass&) override { return ad::average_pool2d(x, window_); }
  [[nodiscard]] std::int32_t describe(Description& description, std::int32_t x) const override {
    return description.graph.append(
        {.kind = ops::NodeKind::average_pool2d, .inputs = {x, -1}, .window = window_});
  }

 private:
  ops::Window window_;
};

/// The mean over height and width: `[N, H, W, C]` to `[N, C]`.
class GlobalAveragePool final : public Module {
 public:
  [[nodiscard]] Var forward(Var x, const Pass&) override { return ad::global_average_pool(x); }
  [[nodiscard]] std::int32_t describe(Description& description, std::int32_t x) const override {
    return description.graph.append(
        {.kind = ops::NodeKind::global_average_pool, .inputs = {x, -1}});
  }
};

}  // namespace bitdial::inline BITDIAL_ABI::nn
