// SPDX-License-Identifier: Apache-2.0
// All kernels give the same integers on odd shapes, and the choice between them: measured once,
// borne out by the times, kept as text, told on request.
#include <bitdial/deploy/measured_choice.hpp>
#include <bitdial/deploy/session.hpp>
#include <bitdial/kernels/dispatch.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "reference_network.hpp"

namespace {

using namespace bitdial;
using ops::Window;
using reference::Network;

/// Odd and even numbers of channels, all kinds of windows, joined lines, a linear layer.
[[nodiscard]] Network odd_network(const reference::Style& style) {
  Network net{{11, 9, 3}, style};
  int x = net.conv(0, 17, {.kernel_h = 7, .kernel_w = 7, .padding_h = 3, .padding_w = 3});
  x = net.conv(x, 48, Window::square(5, {.stride = 2, .padding = 2}));
  x = net.conv(x, 100, Window::square(3, {.padding = 2, .dilation = 2}));
  x = net.conv(x, 32, {});
  x = net.conv(x, 16, Window::square(3, {.padding = 1}));
  x = net.conv(x, 16, {.kernel_h = 3, .stride_h = 2, .padding_h = 1});
  static_cast<void>(net.linear(x, 10));
  return net;
}

void check_paths(const reference::Style& style) {
  Network net = odd_network(style);
  net.draw_weights({1, 2, 4});
  for (const char* const plan : {"w1a1", "w1a2", "w1a5", "w2a2", "w4a4", "w1a8"}) {
    net.add_plan(PrecisionPlan::parse(plan).value());
  }
  const auto bytes = model_bytes(net.packed);
  REQUIRE(bytes);
  const auto model = Model::from_bytes(*bytes);
  REQUIRE(model);
  const std::vector<std::uint8_t> images = net.draw_images(3);
  for (std::size_t plan = 0; plan < model->plans().size(); ++plan) {
    const std::vector<float> expected = net.evaluate(plan, images).outputs;
    for (const kernels::KernelTable* table : kernels::supported_kernels()) {
      for (const KernelPath path : kernel_paths) {
        auto session = Session::create(
            *model, {.max_batch = 3, .plans = {plan}, .kernels = table, .path = path});
        REQUIRE_MESSAGE(session.ok(), session.error());
        std::vector<float> outputs(expected.size());
        REQUIRE(session->run(images, outputs, plan));
        CAPTURE(table->name);
        CAPTURE(name_of(path));
        CAPTURE(plan);
        CHECK(outputs == expected);
      }
    }
  }
}

TEST_CASE("every path gives the same values: odd channels, large and dilated windows, strides") {
  check_paths({.seed = 31});
}

TEST_CASE("every path gives the same values where activation levels have an offset") {
  check_paths({.weights = reference::WeightFamily::nested,
               .activations = reference::ActivationFamily::two_sided,
               .seed = 32});
}

[[nodiscard]] MatrixShape small_shape(Precision bits) {
  return {.x = {.h = 6, .w = 6, .pixel = 64, .border_h = 1, .border_w = 1},
          .window = Window::square(3, {.padding = 1}),
          .y = {6, 6, 64},
          .bits = bits};
}

TEST_CASE("every path that may win is timed, and the one with the least time is chosen") {
  const auto scalar = kernels::find_kernels("scalar");
  REQUIRE(scalar);
  const KernelChoice choice = choose_kernel(**scalar, small_shape({.w = 1, .a = 1}));
  CAPTURE(choice.times);
  std::istringstream times{choice.times};
  std::string word;
  std::int64_t least = std::numeric_limits<std::int64_t>::max(), chosen = 0;
  for (const std::string_view path : {"bytes", "planes", "lookup"}) {
    std::int64_t time = 0;
    times >> word >> time;
    times.ignore();
    CHECK(word == path);
    least = std::min(least, time);
    if (path == name_of(choice.path)) chosen = time;
  }
  times >> word;
  CHECK(word == "us");
  CHECK(chosen == least);
}

TEST_CASE("a layer that one path serves is not measured") {
  const kernels::KernelTable& table = *kernels::supported_kernels().front();
  MatrixShape shape = small_shape({.w = 8, .a = 8});
  shape.window = Window::square(3, {.stride = 2, .padding = 1});
  shape.y = {3, 3, 64};
  const KernelChoice choice = choose_kernel(table, shape);
  CHECK(choice.path == KernelPath::bytes);
  CHECK(choice.times.empty());
}

TEST_CASE("Winograd's filtering is tried where a table has kernels for it and weights stay near") {
  const auto scalar = kernels::find_kernels("scalar");
  REQUIRE(scalar);
  const MatrixShape shape = small_shape({.w = 8, .a = 8});
  CHECK_FALSE(detail::worth_trying(**scalar, KernelPath::winograd, shape));
  kernels::KernelTable fast = **scalar;
  fast.winograd_shorts_pay = fast.winograd_bytes_pay = true;
  CHECK(detail::worth_trying(fast, KernelPath::winograd, shape));
  MatrixShape few = shape, many = shape;
  few.x.pixel = 8;
  many.y.c = 2048;
  CHECK_FALSE(detail::worth_trying(fast, KernelPath::winograd, few));
  CHECK_FALSE(detail::worth_trying(fast, KernelPath::winograd, many));
  CHECK_FALSE(detail::worth_trying(fast, KernelPath::winograd_bytes, shape));
  many.bits = {.w = 2, .a = 2};
  CHECK_FALSE(detail::worth_trying(**scalar, KernelPath::winograd_bytes, many));
  CHECK(detail::worth_trying(fast, KernelPath::winograd_bytes, many));
}

TEST_CASE("weights of Winograd's filtering that do not stay near count as read from memory") {
  MatrixShape shape = small_shape({.w = 8, .a = 8});
  shape.x.pixel = shape.y.c = 128;
  CHECK(detail::counted_time(1000.0, KernelPath::bytes, shape) == 1000.0);
  CHECK(detail::counted_time(1000.0, KernelPath::winograd, shape) == doctest::Approx(1100.0));
  shape.x.pixel = shape.y.c = 256;  // 36 * 2 * 256 * 256 bytes, 30 in a nanosecond
  CHECK(detail::counted_time(1000.0, KernelPath::bytes, shape) == 1000.0);
  CHECK(detail::counted_time(1000.0, KernelPath::winograd, shape) == doctest::Approx(158386.4));
}

TEST_CASE("small layers are timed as they are, large ones by the rows that tell the speed") {
  const MatrixShape small = small_shape({.w = 1, .a = 1});
  const MatrixShape same = detail::timed_part(small);
  CHECK(same.x == small.x);
  CHECK(same.y == small.y);

  MatrixShape large{.x = {.h = 4000, .w = 6000, .pixel = 64, .border_h = 2, .border_w = 2},
                    .window = Window::square(3, {.stride = 2, .padding = 1}),
                    .y = {2000, 3000, 64},
                    .bits = {.w = 1, .a = 1}};
  const MatrixShape part = detail::timed_part(large);
  CHECK(part.y == ImageShape{4, 256, 64});
  CHECK(part.x == CodeLayout{.h = 8, .w = 512, .pixel = 64, .border_h = 2, .border_w = 2});
  CHECK(part.window == large.window);

  // Cheap rows: more of them, so that the clock can tell.
  MatrixShape line = large;
  line.y.c = 1;
  line.x.pixel = 1;
  CHECK(detail::timed_part(line).y == ImageShape{4, 3000, 1});
}

TEST_CASE("a layer of which not even a few rows fit into memory runs on bytes") {
  const MatrixShape far{.x = {.h = 16000, .w = 16000, .pixel = 1},
                        .window = Window::square(2, {.dilation = 9000}),
                        .y = {7000, 7000, 1},
                        .bits = {.w = 1, .a = 1}};
  const kernels::KernelTable& table = *kernels::supported_kernels().front();
  CHECK_FALSE(detail::StepTimer(table, far).time(KernelPath::bytes));
  const KernelChoice choice = choose_kernel(table, far);
  CHECK(choice.path == KernelPath::bytes);
  CHECK(choice.times.empty());
}

TEST_CASE("a shape is measured once; choices go out and come in as text") {
  const kernels::KernelTable& table = *kernels::supported_kernels().front();
  const MatrixShape shape = small_shape({.w = 2, .a = 2});
  const KernelChoice first = choose_kernel(table, shape);
  const std::string before = kernel_choices();
  CHECK(choose_kernel(table, shape).times == first.times);
  CHECK(kernel_choices() == before);
  const std::string line =
      concat(table.name, ' ', shape, ": ", name_of(first.path), " (", first.times, ")\n");
  CHECK(before.find(line) != std::string::npos);

  // What is loaded comes before what was measured, unless it cannot serve the shape.
  REQUIRE(load_kernel_choices(concat(table.name, ' ', shape, ": lookup (by hand)\n")));
  CHECK(choose_kernel(table, shape).path == KernelPath::lookup);
  CHECK(choose_kernel(table, shape).times == "by hand");
  const MatrixShape wide = small_shape({.w = 8, .a = 4});
  REQUIRE(load_kernel_choices(concat(table.name, ' ', wide, ": packed")));
  CHECK(choose_kernel(table, wide).path != KernelPath::packed);
  REQUIRE(load_kernel_choices(kernel_choices()));
  CHECK(choose_kernel(table, shape).times == "by hand");

  // What is kept and loaded again does not grow; of two lines of one shape the last one counts.
  const std::string kept = kernel_choices();
  for (int round = 0; round < 3; ++round) REQUIRE(load_kernel_choices(kernel_choices()));
  CHECK(kernel_choices() == kept);
  REQUIRE(load_kernel_choices(
      concat(table.name, ' ', shape, ": planes\n", table.name, ' ', shape, ": bytes (last)\n")));
  CHECK(choose_kernel(table, shape).times == "last");
  const std::string now = kernel_choices();
  CHECK(std::count(now.begin(), now.end(), '\n') == std::count(kept.begin(), kept.end(), '\n'));

  const auto refused = load_kernel_choices("\navx2 linear 1x1x3 to 4 w1a1: quick\n");
  REQUIRE_FALSE(refused);
  CHECK(refused.error() ==
        "kernel choices: line 2 is 'avx2 linear 1x1x3 to 4 w1a1: quick', expected 'SHAPE: PATH', "
        "with PATH one of bytes, planes, lookup, packed, winograd, winograd_bytes");
  CHECK_FALSE(load_kernel_choices("no colon"));
}

TEST_CASE("a session explains its kernels, layer by layer") {
  Network net = odd_network({.seed = 33});
  net.draw_weights({1});
  net.add_plan(PrecisionPlan::uniform("w1a2"));
  const auto bytes = model_bytes(net.packed);
  REQUIRE(bytes);
  const auto model = Model::from_bytes(*bytes);
  REQUIRE(model);
  const auto chosen = Session::create(*model);
  REQUIRE(chosen);
  const std::string text = chosen->explain(0);
  CHECK(std::count(text.begin(), text.end(), '\n') == 7);
  CHECK(text.find("conv0: conv 7x7 11x9x3 border 3x3 to 11x9x17 w1a2: ") == 0);
  CHECK(text.find("(bytes ") != std::string::npos);
  CHECK(chosen->explain(1).empty());
  const auto forced = Session::create(*model, {.path = KernelPath::planes});
  REQUIRE(forced);
  CHECK(forced->explain(0).find("conv0: conv 7x7 11x9x3 border 3x3 to 11x9x17 w1a2: planes\n") ==
        0);
}

}  // namespace
