// SPDX-License-Identifier: Apache-2.0
// A plan as a flat list of steps over one arena: what fuses, what lives where, and until when.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/core/heap_bytes.hpp>
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
  bool clears_border = true;  ///< false where another step writes the same images before
};

/// One step: y = operation(inputs), then `+ residual`, then ReLU, then the codes of y. Each part is
/// optional but the operation, and each is the same floating-point operation that the graph node it
/// came from stands for, in the same order.
///
/// A step whose value is a part of a concatenation writes it, values and codes, where it belongs
/// among the channels of the whole: concatenation itself is no step. Only a part that has other
/// readers, or that is the image, is copied, by a step of kind `concat` with one operand.
struct Step {
  ops::NodeKind kind = ops::NodeKind::input;  ///< the operation
  std::int32_t node = 0;                      ///< the graph node whose value y is
  std::int32_t layer = -1;                    ///< of conv2d and linear
  std::int32_t map = -1;                      ///< of scale_shift
  ops::Window window{};
  ImageShape x_shape, y_shape;
  std::int64_t pixel = 0;          ///< values between pixels of y: its channels, or the whole's
  std::int64_t first_channel = 0;  ///< of y among them
  BufferId x = -1;                 ///< real-valued operand: relu, add, pools, concat, scale_shift
  BufferId x_codes = -1;           ///< operand of conv2d and linear
  BufferId residual = -1;  ///< second operand of add; what conv2d and linear add to their result
  bool relu = false;
  bool pooled = false;       ///< only the next step, a pool, reads y: both run line by line
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
  std::span<const ScaleShift> scale_shifts;  ///< of the plan
  BufferId output = -1;                      ///< the real-valued result of the last step
  std::size_t arena_bytes = 0;

  /// How the codes lie that a step with a layer reads.
  [[nodiscard]] const CodeLayout& codes_of(const Step& step) const noexcept {
    return buffers[static_cast<std::size_t>(step.x_codes)].layout;
  }
  [[nodiscard]] std::size_t heap_bytes() const noexcept {
    std::size_t bytes = bitdial::heap_bytes(steps) + bitdial::heap_bytes(buffers);
    for (const Step& step : steps) bytes += bitdial::heap_bytes(step.codes);
    return bytes;
  }
};

namespace detail {

class PlanCompiler {
 public:
  PlanCompiler(const NetworkDescription& network, std::span<const ImageShape> shapes,
               const PackedPlan& plan, std::int64_t max_batch)
      : nodes_{network.graph.nodes}, shapes_{shapes}, plan_{plan}, max_batch_{max_batch} {}

  [[nodiscard]] Program compile() {
    program_.scale_shifts = plan_.scale_shifts;
    count_uses();
    place_parts();
    fuse();
    connect();
    find_pooled();
    place_buffers();
    return std::move(program_);
  }

 private:
  static constexpr std::int64_t least_pooled_lines = 4;

  struct Lifetime {
    std::int32_t first = 0, last = 0;  ///< steps, inclusive
  };

  [[nodiscard]] static std::size_t at(std::int32_t i) noexcept {
    return static_cast<std::size_t>(i);
  }
  [[nodiscard]] static std::size_t aligned(std::int64_t bytes) noexcept {
    return static_cast<std::size_t>(round_up(bytes, 64));
  }

  /// The places of keys in ascending order; equals stay as they are. They are few, so that the code
  /// counts for more than the time, which is quadratic.
  [[nodiscard]] static std::vector<std::size_t> ordered(const std::vector<std::int64_t>& keys) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto key_of = [&](std::size_t place) { return keys[place]; };
      order.insert(std::ranges::upper_bound(order, keys[i], {}, key_of), i);
    }
    return order;
  }

  void count_uses() {
    uses_ = std::vector<int>(nodes_.size(), 0);
    consumer_ = std::vector<std::int32_t>(nodes_.size(), -1);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      for (const std::int32_t input : nodes_[i].inputs) {
        if (input < 0) continue;
        ++uses_[at(input)];
        consumer_[at(input)] = static_cast<std::int32_t>(i);
      }
    }
    ++uses_.back();  // the caller reads the last value
  }

  // Finds the parts of every concatenation. A concatenation that only another one reads is no value
  // of its own: its parts are parts of the other.
  void place_parts() {
    whole_ = std::vector<Place>(nodes_.size());
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      whole_[i] = {static_cast<std::int32_t>(i), 0};
    }
    for (std::size_t i = nodes_.size(); i-- > 0;) {
      if (nodes_[i].kind != ops::NodeKind::concat) continue;
      std::int64_t first = whole_[i].first_channel;
      for (const std::int32_t part : nodes_[i].inputs) {
        if (uses_[at(part)] == 1 && nodes_[at(part)].kind != ops::NodeKind::input) {
          whole_[at(part)] = {whole_[i].node, first};
        } else {
          copies_.push_back({part, {whole_[i].node, first}});
        }
        first += shapes_[at(part)].c;
      }
    }
  }

  // Turns nodes into steps. A convolution takes in an addition and a ReLU behind it when nobody
  // else reads the values between them; the step runs in the place of its last node, where all
  // operands exist. Addition commutes exactly, so it does not matter which operand the convolution
  // is.
  void fuse() {
    std::vector<bool> taken(nodes_.size(), false);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (taken[i] || nodes_[i].kind == ops::NodeKind::concat) continue;
      const ops::GraphNode& node = nodes_[i];
      Step step;
      step.kind = node.kind;
      (node.kind == ops::NodeKind::scale_shift ? step.map : step.layer) = node.layer;
      step.window = node.window;
      std::int32_t residual = node.kind == ops::NodeKind::add ? node.inputs[1] : -1;
      bool may_add = has_layer(node.kind);
      bool may_rectify =
          may_add || node.kind == ops::NodeKind::add || node.kind == ops::NodeKind::scale_shift;
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
      operands_.push_back({node.inputs[0], residual, whole_[at(last)]});
    }
    for (const Copy& copy : copies_) {
      program_.steps.push_back({.kind = ops::NodeKind::concat,
                                .node = copy.to.node,
                                .x_shape = shapes_[at(copy.part)],
                                .y_shape = shapes_[at(copy.part)],
                                .codes = {}});
      operands_.push_back({copy.part, -1, copy.to});
    }
    std::vector<Step> steps;
    std::vector<Operands> operands;
    std::vector<std::int64_t> nodes;
    for (const Step& step : program_.steps) nodes.push_back(step.node);
    for (const std::size_t i : ordered(nodes)) {
      steps.push_back(std::move(program_.steps[i]));
      operands.push_back(operands_[i]);
    }
    program_.steps = std::move(steps);
    operands_ = std::move(operands);
  }

  // Gives every operand a buffer, made by the steps that compute its node, in the form that the
  // reader needs: real values, or codes of the reader's encoder.
  void connect() {
    makers_ = std::vector<std::vector<std::int32_t>>(nodes_.size());
    for (std::size_t s = 0; s < program_.steps.size(); ++s) {
      Step& step = program_.steps[s];
      const Place& place = operands_[s].y;
      step.pixel = shapes_[at(place.node)].c;
      step.first_channel = place.first_channel;
      makers_[at(place.node)].push_back(static_cast<std::int32_t>(s));
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
        step.x_rectified = is_rectified(operands.x);
        static_cast<void>(real_of(operands.y.node, reader));
      }
      if (operands.residual >= 0) step.residual = real_of(operands.residual, reader);
    }
    const auto end = static_cast<std::int32_t>(program_.steps.size());
    program_.output = real_of(static_cast<std::int32_t>(nodes_.size()) - 1, end);
    size_code_buffers();
  }

  // A convolution whose values only the pool behind it reads needs a few lines of them at a time.
  // Windows of single pixels are left out: their lines may be one. So are pools of so few lines
  // that threads could not share them out.
  void find_pooled() noexcept {
    for (std::size_t s = 0; s + 1 < program_.steps.size(); ++s) {
      Step& step = program_.steps[s];
      const Step& next = program_.steps[s + 1];
      const bool pools =
          next.kind == ops::NodeKind::max_pool2d || next.kind == ops::NodeKind::average_pool2d;
      if (!pools || step.kind != ops::NodeKind::conv2d || step.window == ops::Window{} ||
          next.y_shape.h < least_pooled_lines || next.x != step.y || !step.codes.empty() ||
          step.pixel != step.y_shape.c ||
          lifetimes_[at(step.y)].last != static_cast<std::int32_t>(s) + 1) {
        continue;
      }
      step.pooled = true;
      program_.buffers[at(step.y)].bytes = 0;
      // The pool writes while the convolution still reads.
      extend(step.x_codes, static_cast<std::int32_t>(s) + 1);
      if (step.residual >= 0) extend(step.residual, static_cast<std::int32_t>(s) + 1);
    }
  }

  [[nodiscard]] bool is_rectified(std::int32_t node) const noexcept {
    const std::vector<std::int32_t>& makers = makers_[at(node)];
    return std::ranges::all_of(makers, [&](std::int32_t maker) {
      const Step& step = program_.steps[at(maker)];
      return step.relu || step.kind == ops::NodeKind::relu;
    });
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
    const std::vector<std::int32_t>& makers = makers_[at(node)];
    BufferId buffer = program_.steps[at(makers.front())].y;
    if (buffer < 0) {
      buffer = add_buffer(shapes_[at(node)], sizeof(float), makers.front());
      for (const std::int32_t maker : makers) program_.steps[at(maker)].y = buffer;
    }
    extend(buffer, reader);
    return buffer;
  }

  [[nodiscard]] BufferId codes_of(std::int32_t node, std::int32_t encoder, std::int32_t reader) {
    const std::vector<std::int32_t>& makers = makers_[at(node)];
    const std::vector<CodeOutput>& known = program_.steps[at(makers.front())].codes;
    const auto found = std::ranges::find_if(
        known, [&](const CodeOutput& output) { return output.encoder == encoder; });
    if (found != known.end()) {
      extend(found->buffer, reader);
      return found->buffer;
    }
    const ImageShape& shape = shapes_[at(node)];
    const BufferId buffer = add_buffer(shape, 1, makers.front());
    program_.buffers.back().layout = {.h = shape.h, .w = shape.w, .pixel = shape.c};
    for (const std::int32_t maker : makers) {
      program_.steps[at(maker)].codes.push_back({encoder, buffer, maker == makers.front()});
    }
    extend(buffer, reader);
    return buffer;
  }

  void extend(BufferId buffer, std::int32_t reader) noexcept {
    lifetimes_[at(buffer)].last = std::max(lifetimes_[at(buffer)].last, reader);
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
    std::vector<std::int64_t> sizes;
    for (const ProgramBuffer& buffer : buffers) {
      sizes.push_back(-static_cast<std::int64_t>(buffer.bytes));
    }
    std::vector<std::size_t> placed;  // by offset
    for (const std::size_t i : ordered(sizes)) {
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

  /// Where the value of a node stands: in a concatenation, or alone.
  struct Place {
    std::int32_t node = -1;  ///< of the whole
    std::int64_t first_channel = 0;
  };
  struct Operands {
    std::int32_t x = -1, residual = -1;  ///< graph nodes
    Place y;
  };
  struct Copy {
    std::int32_t part = -1;
    Place to;
  };

  const std::vector<ops::GraphNode>& nodes_;
  std::span<const ImageShape> shapes_;
  const PackedPlan& plan_;
  std::int64_t max_batch_;
  std::vector<int> uses_;
  std::vector<std::int32_t> consumer_;
  std::vector<Place> whole_;  ///< of each node
  std::vector<Copy> copies_;
  std::vector<std::vector<std::int32_t>> makers_;  ///< of each node that is a value: its steps
  std::vector<Operands> operands_;                 ///< of each step
  std::vector<Lifetime> lifetimes_;                ///< of each buffer
  Program program_;
};

}  // namespace detail

/// Compiles a plan, which must outlive the program. `network` must have passed `check_network`,
/// which returned `shapes`.
///
/// Cost: quadratic in the number of nodes at worst; no weights are touched.
[[nodiscard]] inline Program compile_plan(const NetworkDescription& network,
                                          std::span<const ImageShape> shapes,
                                          const PackedPlan& plan, std::int64_t max_batch) {
  return detail::PlanCompiler{network, shapes, plan, max_batch}.compile();
}

}  // namespace bitdial::inline BITDIAL_ABI
