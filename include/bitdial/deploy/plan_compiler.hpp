// SPDX-License-Identifier: Apache-2.0
// A plan as a flat list of steps over one arena: what fuses, what lives where, and until when.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/deploy/code_layout.hpp>
#include <bitdial/deploy/network_check.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/ops/graph.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Index of a buffer of a program, -1 where a step has none.
using BufferId = std::int32_t;

/// Activation codes that a step leaves for its consumers.
struct CodeOutput {
  std::int32_t encoder = 0;
  BufferId buffer = -1;
};

/// One step: y = operation(inputs), then `+ residual`, then ReLU, then the codes of y. Each part is
/// optional but the operation, and each is the same floating-point operation that the graph node it
/// came from stands for, in the same order.
struct Step {
  ops::NodeKind kind = ops::NodeKind::input;  ///< the operation
  std::int32_t node = 0;                      ///< the graph node whose value y is
  std::int32_t layer = -1;                    ///< of conv2d and linear
  ops::Window window{};
  ImageShape x_shape, y_shape;
  BufferId x = -1;         ///< real-valued operand: relu, add, pools
  BufferId x_codes = -1;   ///< operand of conv2d and linear
  BufferId residual = -1;  ///< second operand of add; what conv2d and linear add to their result
  bool relu = false;
  bool x_rectified = false;  ///< x went through a ReLU: no value is NaN, negative or -0
  BufferId y = -1;           ///< real-valued result, where somebody reads it
  std::vector<CodeOutput> codes;
};

/// A part of the arena.
struct ProgramBuffer {
  std::size_t offset = 0;
  std::size_t bytes = 0;
  CodeLayout layout{};  ///< of codes; real values are [images, h, w, c]
};

/// A compiled plan for batches of up to `max_batch` images.
struct Program {
  std::vector<Step> steps;
  std::vector<ProgramBuffer> buffers;
  BufferId output = -1;  ///< the real-valued result of the last step
  std::size_t arena_bytes = 0;
};

namespace detail {

class PlanCompiler {
 public:
  PlanCompiler(const NetworkDescription& network, std::span<const ImageShape> shapes,
               const PackedPlan& plan, std::int64_t max_batch)
      : nodes_{network.graph.nodes}, shapes_{shapes}, plan_{plan}, max_batch_{max_batch} {}

  [[nodiscard]] Program compile() {
    count_uses();
    fuse();
    connect();
    place_buffers();
    return std::move(program_);
  }

 private:
  struct Lifetime {
    std::int32_t first = 0, last = 0;  ///< steps, inclusive
  };

  [[nodiscard]] static std::size_t at(std::int32_t i) noexcept {
    return static_cast<std::size_t>(i);
  }
  [[nodiscard]] static std::size_t aligned(std::int64_t bytes) noexcept {
    return static_cast<std::size_t>(round_up(bytes, 64));
  }

  void count_uses() {
    uses_.assign(nodes_.size(), 0);
    consumer_.assign(nodes_.size(), -1);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      for (const std::int32_t input : nodes_[i].inputs) {
        if (input < 0) continue;
        ++uses_[at(input)];
        consumer_[at(input)] = static_cast<std::int32_t>(i);
      }
    }
    ++uses_.back();  // the caller reads the last value
  }

  // Turns nodes into steps. A convolution takes in an addition and a ReLU behind it when nobody
  // else reads the values between them; the step runs in the place of its last node, where all
  // operands exist. Addition commutes exactly, so it does not matter which operand the convolution
  // is.
  void fuse() {
    std::vector<bool> taken(nodes_.size(), false);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (taken[i]) continue;
      const ops::GraphNode& node = nodes_[i];
      Step step;
      step.kind = node.kind;
      step.layer = node.layer;
      step.window = node.window;
      std::int32_t residual = node.kind == ops::NodeKind::add ? node.inputs[1] : -1;
      bool may_add = has_layer(node.kind);
      bool may_rectify = may_add || node.kind == ops::NodeKind::add;
      auto last = static_cast<std::int32_t>(i);
      while (uses_[at(last)] == 1 && consumer_[at(last)] >= 0 && !taken[at(consumer_[at(last)])]) {
        const std::int32_t next = consumer_[at(last)];
        const ops::GraphNode& following = nodes_[at(next)];
        if (following.kind == ops::NodeKind::add && may_add) {
          residual = following.inputs[following.inputs[0] == last ? 1 : 0];
          may_add = false;
        } else if (following.kind == ops::NodeKind::relu && may_rectify) {
          step.relu = true;
          may_add = may_rectify = false;
        } else {
          break;
        }
        taken[at(next)] = true;
        last = next;
      }
      step.node = last;
      step.y_shape = shapes_[at(last)];
      if (node.inputs[0] >= 0) step.x_shape = shapes_[at(node.inputs[0])];
      program_.steps.push_back(std::move(step));
      operands_.push_back({node.inputs[0], residual});
    }
    std::vector<std::size_t> order(program_.steps.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return program_.steps[a].node < program_.steps[b].node;
    });
    std::vector<Step> steps;
    std::vector<Operands> operands;
    for (const std::size_t i : order) {
      steps.push_back(std::move(program_.steps[i]));
      operands.push_back(operands_[i]);
    }
    program_.steps = std::move(steps);
    operands_ = std::move(operands);
  }

  // Gives every operand a buffer, made by the step that computes its node, in the form that the
  // reader needs: real values, or codes of the reader's encoder.
  void connect() {
    step_of_.assign(nodes_.size(), -1);
    for (std::size_t s = 0; s < program_.steps.size(); ++s) {
      step_of_[at(program_.steps[s].node)] = static_cast<std::int32_t>(s);
    }
    for (std::size_t s = 0; s < program_.steps.size(); ++s) {
      Step& step = program_.steps[s];
      const Operands operands = operands_[s];
      const auto reader = static_cast<std::int32_t>(s);
      if (has_layer(step.kind)) {
        const std::int32_t encoder = plan_.layers[at(step.layer)].encoder;
        step.x_codes = codes_of(operands.x, encoder, reader);
        CodeLayout& layout = program_.buffers[at(step.x_codes)].layout;
        layout.border_h = std::max(layout.border_h, step.window.padding_h);
        layout.border_w = std::max(layout.border_w, step.window.padding_w);
      } else if (step.kind != ops::NodeKind::input) {
        step.x = real_of(operands.x, reader);
        const Step& maker = program_.steps[at(step_of_[at(operands.x)])];
        step.x_rectified = maker.relu || maker.kind == ops::NodeKind::relu;
        if (step.y < 0) step.y = add_buffer(step.y_shape, sizeof(float), reader);
      }
      if (operands.residual >= 0) step.residual = real_of(operands.residual, reader);
    }
    const auto end = static_cast<std::int32_t>(program_.steps.size());
    program_.output = real_of(program_.steps.back().node, end);
    size_code_buffers();
  }

  // Codes have the widest border that a reader asks for, so their size is known last.
  void size_code_buffers() {
    for (const Step& step : program_.steps) {
      for (const CodeOutput& output : step.codes) {
        ProgramBuffer& buffer = program_.buffers[at(output.buffer)];
        buffer.bytes = aligned(buffer.layout.image() * max_batch_ + code_slack);
      }
    }
  }

  [[nodiscard]] BufferId real_of(std::int32_t node, std::int32_t reader) {
    const std::int32_t maker = step_of_[at(node)];
    Step& step = program_.steps[at(maker)];
    if (step.y < 0) step.y = add_buffer(step.y_shape, sizeof(float), maker);
    lifetimes_[at(step.y)].last = std::max(lifetimes_[at(step.y)].last, reader);
    return step.y;
  }

  [[nodiscard]] BufferId codes_of(std::int32_t node, std::int32_t encoder, std::int32_t reader) {
    const std::int32_t maker = step_of_[at(node)];
    Step& step = program_.steps[at(maker)];
    auto found = std::find_if(step.codes.begin(), step.codes.end(),
                              [&](const CodeOutput& output) { return output.encoder == encoder; });
    if (found == step.codes.end()) {
      step.codes.push_back({encoder, add_buffer(step.y_shape, 1, maker)});
      program_.buffers.back().layout = {
          .h = step.y_shape.h, .w = step.y_shape.w, .pixel = step.y_shape.c};
      found = step.codes.end() - 1;
    }
    lifetimes_[at(found->buffer)].last = std::max(lifetimes_[at(found->buffer)].last, reader);
    return found->buffer;
  }

  [[nodiscard]] BufferId add_buffer(const ImageShape& shape, std::size_t element,
                                    std::int32_t maker) {
    const auto size = static_cast<std::int64_t>(element);
    program_.buffers.push_back({.bytes = aligned(shape.size() * max_batch_ * size)});
    lifetimes_.push_back({maker, maker});
    return static_cast<BufferId>(program_.buffers.size()) - 1;
  }

  // Largest first, each at the lowest offset that no buffer alive at the same time covers.
  void place_buffers() {
    auto& buffers = program_.buffers;
    std::vector<std::size_t> order(buffers.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return buffers[a].bytes > buffers[b].bytes;
    });
    std::vector<std::size_t> placed;  // by offset
    for (const std::size_t i : order) {
      std::size_t offset = 0;
      for (const std::size_t other : placed) {
        const bool together = lifetimes_[i].first <= lifetimes_[other].last &&
                              lifetimes_[other].first <= lifetimes_[i].last;
        if (!together) continue;
        if (buffers[other].offset >= offset + buffers[i].bytes) break;
        offset = std::max(offset, buffers[other].offset + buffers[other].bytes);
      }
      buffers[i].offset = offset;
      program_.arena_bytes = std::max(program_.arena_bytes, offset + buffers[i].bytes);
      placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                     [&](std::size_t a, std::size_t b) {
                                       return buffers[a].offset < buffers[b].offset;
                                     }),
                    i);
    }
  }

  struct Operands {
    std::int32_t x = -1, residual = -1;  ///< graph nodes
  };

  const std::vector<ops::GraphNode>& nodes_;
  std::span<const ImageShape> shapes_;
  const PackedPlan& plan_;
  std::int64_t max_batch_;
  std::vector<int> uses_;
  std::vector<std::int32_t> consumer_, step_of_;
  std::vector<Operands> operands_;   ///< of each step
  std::vector<Lifetime> lifetimes_;  ///< of each buffer
  Program program_;
};

}  // namespace detail

/// Compiles a plan. `network` must have passed `check_network`, which returned `shapes`.
///
/// Cost: quadratic in the number of nodes at worst; no weights are touched.
[[nodiscard]] inline Program compile_plan(const NetworkDescription& network,
                                          std::span<const ImageShape> shapes,
                                          const PackedPlan& plan, std::int64_t max_batch) {
  return detail::PlanCompiler{network, shapes, plan, max_batch}.compile();
}

}  // namespace bitdial::inline BITDIAL_ABI
