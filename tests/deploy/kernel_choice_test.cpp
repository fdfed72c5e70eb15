// SPDX-License-Identifier: Apache-2.0
// Which kernels serve a layer, and how a layer's shape is written.
#include <bitdial/deploy/kernel_choice.hpp>

#include <doctest/doctest.h>

#include <cstdint>

namespace {

using namespace bitdial;

[[nodiscard]] MatrixShape linear(std::int64_t depth, Precision bits) {
  return {.linear = true, .x = {.pixel = depth}, .y = {1, 1, 10}, .bits = bits};
}

[[nodiscard]] MatrixShape conv(std::int64_t channels, const ops::Window& window, Precision bits) {
  return {.x = {.h = 8, .w = 8, .pixel = channels, .border_h = 1, .border_w = 1},
          .window = window,
          .y = {window.output_h(8), window.output_w(8), 10},
          .bits = bits};
}

TEST_CASE("paths have names that read back") {
  for (const KernelPath path : kernel_paths) CHECK(kernel_path_of(name_of(path)) == path);
  CHECK_FALSE(kernel_path_of("automatic"));
  CHECK_FALSE(kernel_path_of(""));
}

TEST_CASE("code products are used while their largest sum is below 2^31") {
  CHECK(code_sums_fit(linear(33'025, {.w = 8, .a = 8})));  // 255 * 255 * 33025
  CHECK_FALSE(code_sums_fit(linear(33'026, {.w = 8, .a = 8})));
  CHECK(code_sums_fit(linear(65'536, {.w = 8, .a = 7})));
  CHECK(serves(KernelPath::planes, linear(33'025, {.w = 8, .a = 8})));
  for (const KernelPath path : kernel_paths) {
    CHECK(serves(path, linear(33'026, {.w = 8, .a = 8})) == (path == KernelPath::bytes));
  }
}

TEST_CASE(
    "look-up takes weights of 1 and 2 bits, codes of 1 to 5, whole blocks and even distances") {
  const auto lookup = [](const MatrixShape& shape) { return serves(KernelPath::lookup, shape); };
  const ops::Window window = ops::Window::square(3, {.padding = 1});
  CHECK(lookup(conv(16, window, {.w = 1, .a = 5})));
  CHECK(lookup(conv(48, window, {.w = 2, .a = 1})));
  CHECK_FALSE(lookup(conv(16, window, {.w = 3, .a = 1})));
  CHECK_FALSE(lookup(conv(16, window, {.w = 1, .a = 6})));
  CHECK_FALSE(lookup(conv(17, window, {.w = 1, .a = 1})));
  CHECK_FALSE(lookup(conv(100, window, {.w = 1, .a = 1})));
  CHECK_FALSE(lookup(conv(16, ops::Window::square(3, {.padding = 1, .dilation = 2}), {1, 1})));
  CHECK(lookup(conv(16, {.kernel_h = 3, .padding_h = 1, .dilation_h = 2}, {.w = 1, .a = 1})));
}

TEST_CASE("Winograd's filtering takes 3 x 3 windows of neighbouring pixels, of any channels") {
  const auto winograd = [](std::int64_t channels, const ops::Window& window) {
    return serves(KernelPath::winograd, conv(channels, window, {.w = 8, .a = 8}));
  };
  CHECK(winograd(17, ops::Window::square(3, {.padding = 1})));
  CHECK(winograd(64, ops::Window::square(3)));
  CHECK_FALSE(winograd(64, ops::Window::square(3, {.stride = 2})));
  CHECK_FALSE(winograd(64, ops::Window::square(3, {.dilation = 2})));
  CHECK_FALSE(winograd(64, ops::Window::square(5, {.padding = 2})));
  CHECK_FALSE(winograd(64, {.kernel_h = 3, .padding_h = 1}));
  CHECK_FALSE(serves(KernelPath::winograd, linear(9, {.w = 8, .a = 8})));
}

TEST_CASE("Winograd's filtering in bytes takes weights of 1 and 2 bits and codes of 1 to 3") {
  const ops::Window window = ops::Window::square(3, {.padding = 1});
  const auto of_bytes = [&](Precision bits) {
    return serves(KernelPath::winograd_bytes, conv(17, window, bits));
  };
  CHECK(of_bytes({.w = 1, .a = 1}));
  CHECK(of_bytes({.w = 2, .a = 3}));
  CHECK_FALSE(of_bytes({.w = 2, .a = 4}));
  CHECK_FALSE(of_bytes({.w = 3, .a = 1}));
  CHECK_FALSE(serves(KernelPath::winograd_bytes,
                     conv(17, ops::Window::square(5, {.padding = 2}), {.w = 2, .a = 2})));
}

TEST_CASE("packed weights serve rows of one run") {
  CHECK(serves(KernelPath::packed, linear(50, {.w = 4, .a = 8})));
  CHECK(serves(KernelPath::packed, conv(17, {}, {.w = 1, .a = 8})));
  CHECK(serves(KernelPath::packed, conv(17, {.stride_h = 2, .stride_w = 2}, {.w = 2, .a = 3})));
  CHECK_FALSE(serves(KernelPath::packed, linear(50, {.w = 3, .a = 8})));
  CHECK_FALSE(serves(KernelPath::packed, linear(50, {.w = 8, .a = 8})));
  CHECK_FALSE(serves(KernelPath::packed, conv(17, ops::Window::square(3), {.w = 4, .a = 8})));
}

TEST_CASE("shapes as text: what is not usual is said") {
  CHECK(linear(512, {.w = 2, .a = 4}).text() == "linear 1x1x512 to 10 w2a4");
  CHECK(conv(16, ops::Window::square(3, {.padding = 1}), {.w = 1, .a = 1}).text() ==
        "conv 3x3 8x8x16 border 1x1 to 8x8x10 w1a1");
  CHECK(conv(3, ops::Window::square(2, {.stride = 2, .dilation = 3}), {.w = 1, .a = 1}).text() ==
        "conv 2x2 stride 2x2 dilation 3x3 8x8x3 border 1x1 padding 0x0 to 3x3x10 w1a1");
}

}  // namespace
