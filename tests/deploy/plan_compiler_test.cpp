// SPDX-License-Identifier: Apache-2.0
// What fuses, what stays apart, and that buffers alive together never share memory.
#include <bitdial/deploy/plan_compiler.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "reference_network.hpp"

namespace {

using namespace bitdial;
using ops::NodeKind;

struct Compiled {
  Program program;
  std::vector<ImageShape> shapes;
};

Compiled compile(reference::Network net, std::int64_t batch) {
  net.draw_weights({2, 4});
  net.add_plan(PrecisionPlan::uniform("w2a4"));
  std::vector<std::size_t> sizes;
  for (const auto& plane : net.packed.planes) sizes.push_back(plane.size());
  auto shapes = check_network(net.packed, sizes);
  REQUIRE_MESSAGE(shapes.ok(), shapes.error());
  Program program = compile_plan(net.packed, *shapes, net.packed.plans[0], batch);
  return {std::move(program), *std::move(shapes)};
}

// Every buffer that a step reads or writes.
std::vector<BufferId> touched(const Step& step) {
  std::vector<BufferId> buffers{step.x, step.x_codes, step.residual, step.y};
  for (const CodeOutput& output : step.codes) buffers.push_back(output.buffer);
  std::erase(buffers, -1);
  return buffers;
}

// Returns the bytes that are alive at the busiest step: no arena can be smaller.
std::size_t check_lifetimes(const Program& program) {
  const std::size_t count = program.buffers.size();
  std::vector<std::size_t> first(count, program.steps.size()), last(count, 0);
  for (std::size_t s = 0; s < program.steps.size(); ++s) {
    for (const BufferId id : touched(program.steps[s])) {
      const auto i = static_cast<std::size_t>(id);
      first[i] = std::min(first[i], s);
      last[i] = std::max(last[i], s);
    }
  }
  last[static_cast<std::size_t>(program.output)] = program.steps.size();
  for (std::size_t i = 0; i < count; ++i) {
    const ProgramBuffer& a = program.buffers[i];
    CHECK(a.offset % 64 == 0);
    CHECK(a.offset + a.bytes <= program.arena_bytes);
    for (std::size_t j = 0; j < i; ++j) {
      const ProgramBuffer& b = program.buffers[j];
      const bool together = first[i] <= last[j] && first[j] <= last[i];
      const bool apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
      CHECK((!together || apart));
    }
  }
  std::size_t peak = 0;
  for (std::size_t s = 0; s <= program.steps.size(); ++s) {
    std::size_t alive = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (first[i] <= s && s <= last[i]) alive += program.buffers[i].bytes;
    }
    peak = std::max(peak, alive);
  }
  return peak;
}

TEST_CASE("a residual network is one step per layer, the input and the pool") {
  const auto [program, shapes] = compile(reference::residual_network({}), 3);
  CHECK(check_lifetimes(program) > 0);
  REQUIRE(program.steps.size() == 1 + 7 + 1);
  const Step& input = program.steps[0];
  CHECK(input.kind == NodeKind::input);
  CHECK(input.y == -1);  // nobody reads the image as values
  CHECK(input.codes.size() == 1);
  const auto is_join = [](const Step& step) { return step.residual >= 0; };
  CHECK(std::ranges::count_if(program.steps, is_join) == 2);
  for (const Step& step : program.steps) {
    if (!is_join(step)) continue;
    CHECK(step.kind == NodeKind::conv2d);
    CHECK(step.relu);
    CHECK(step.y >= 0);  // the next block, or the pool, reads values
  }
  const Step& stem = program.steps[1];
  CHECK(stem.relu);
  CHECK(stem.y == -1);
  CHECK(stem.codes.size() == 1);  // both readers have the same encoder
  const Step& last = program.steps.back();
  CHECK(last.kind == NodeKind::linear);
  CHECK_FALSE(last.relu);
  CHECK(last.y == program.output);
}

TEST_CASE("a convolution that only a pool reads keeps no values; what it reads outlives the pool") {
  reference::Network net{{11, 7, 3}, {}};
  const int stem = net.conv(0, 8, ops::Window::square(3, {.padding = 1}));
  const int pool = net.pool(NodeKind::max_pool2d, stem, ops::Window::square(3, {.stride = 2}));
  const int wide = net.conv(pool, 8, ops::Window::square(3, {.padding = 1}));
  const int mean = net.pool(NodeKind::average_pool2d, wide, ops::Window::square(2));
  const int single = net.conv(mean, 8, {});
  const int sum = net.add(single, mean);
  const int most = net.pool(NodeKind::max_pool2d, sum, ops::Window::square(2, {.padding = 1}));
  const int last = net.conv(most, 8, ops::Window::square(3, {.padding = 1}));
  static_cast<void>(
      net.pool(NodeKind::max_pool2d, last, {.kernel_h = 2, .kernel_w = 2, .stride_h = 2}));
  const auto [program, shapes] = compile(std::move(net), 2);
  REQUIRE(program.steps.size() == 9);
  const Step& first = program.steps[1];
  CHECK(first.pooled);
  CHECK(program.buffers[static_cast<std::size_t>(first.y)].bytes == 0);
  const ProgramBuffer& read = program.buffers[static_cast<std::size_t>(first.x_codes)];
  const ProgramBuffer& written =
      program.buffers[static_cast<std::size_t>(program.steps[2].codes.front().buffer)];
  CHECK((read.offset + read.bytes <= written.offset ||
         written.offset + written.bytes <= read.offset));
  CHECK(program.steps[3].pooled);
  CHECK_FALSE(program.steps[5].pooled);  // windows of single pixels
  CHECK_FALSE(program.steps[7].pooled);  // two lines of the pool
}

TEST_CASE("memory is used again: at most a quarter above the least possible, linear in the batch") {
  const auto [program, shapes] = compile(reference::residual_network({}), 64);
  CHECK(program.arena_bytes <= check_lifetimes(program) * 5 / 4);
  const auto [twice, same_shapes] = compile(reference::residual_network({}), 128);
  const auto slack = static_cast<std::size_t>(code_slack) * program.buffers.size();
  CHECK(twice.arena_bytes <= 2 * program.arena_bytes);
  CHECK(twice.arena_bytes + slack >= 2 * program.arena_bytes);
}

TEST_CASE("concatenation is no step: parts are written where they belong") {
  // Two convolutions and a pool side by side, read by a convolution: nobody reads values.
  reference::Network net{{6, 5, 3}, {}};
  const int stem = net.relu(net.conv(0, 8, ops::Window::square(1)));
  const int a = net.relu(net.conv(stem, 5, {.kernel_w = 3, .padding_w = 1}));
  const int b = net.conv(stem, 7, {.kernel_h = 3, .padding_h = 1});
  const int pool = net.pool(NodeKind::max_pool2d, stem, ops::Window::square(3, {.padding = 1}));
  const int mixed = net.concat(net.concat(a, b), pool);
  static_cast<void>(net.conv(mixed, 4, ops::Window::square(3, {.padding = 1})));
  const auto [program, shapes] = compile(std::move(net), 2);
  CHECK(program.arena_bytes >= check_lifetimes(program));
  REQUIRE(program.steps.size() == 6);  // input, stem, a, b, pool, the last convolution
  const Step& last = program.steps.back();
  std::int64_t first = 0;
  for (std::size_t s = 2; s < 5; ++s) {
    const Step& part = program.steps[s];
    CHECK(part.pixel == 20);
    CHECK(part.first_channel == first);
    first += part.y_shape.c;
    REQUIRE(part.codes.size() == 1);
    CHECK(part.codes[0].buffer == last.x_codes);
    CHECK(part.codes[0].clears_border == (s == 2));
  }
  CHECK(first == 20);
  const CodeLayout& codes = program.buffers[static_cast<std::size_t>(last.x_codes)].layout;
  CHECK(codes == CodeLayout{.h = 6, .w = 5, .pixel = 20, .border_h = 1, .border_w = 1});
}

TEST_CASE("a part with other readers, and the image, are copied") {
  const auto [program, shapes] = compile(reference::concat_network({}), 2);
  CHECK(program.arena_bytes >= check_lifetimes(program));
  int copies = 0;
  for (const Step& step : program.steps) copies += step.kind == NodeKind::concat ? 1 : 0;
  // `grown` and the image; `narrow`; `rectified` twice; `left` twice.
  CHECK(copies == 7);
}

TEST_CASE("values with several readers are not fused away") {
  const auto [program, shapes] = compile(reference::join_network({}), 1);
  CHECK(program.arena_bytes >= check_lifetimes(program));
  const auto [window, window_shapes] = compile(reference::window_network({}), 2);
  CHECK(window.arena_bytes >= check_lifetimes(window));
  int stand_alone = 0;
  for (const Step& step : program.steps) stand_alone += step.kind == NodeKind::add ? 1 : 0;
  CHECK(stand_alone == 5);  // twice, relu(twice) + early, joined with it, left + 0, the last one
}

}  // namespace
