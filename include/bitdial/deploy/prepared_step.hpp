// SPDX-License-Identifier: Apache-2.0
// One convolution or linear layer, laid out for the kernel that runs it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <bitdial/core/heap_bytes.hpp>
#include <bitdial/deploy/border_sums.hpp>
#include <bitdial/deploy/kernel_choice.hpp>
#include <bitdial/deploy/operand_images.hpp>
#include <bitdial/deploy/packed_network.hpp>
#include <bitdial/deploy/plan_compiler.hpp>
#include <bitdial/deploy/prepared_weights.hpp>
#include <bitdial/deploy/window_rows.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What a matrix step needs beyond its `Step`:
/// I = product_factor * sum(s u) + row_sum_factor * sum(u) + border, modulo 2^32.
struct PreparedStep {
  const PreparedWeights* weights = nullptr;
  const LayerState* state = nullptr;
  std::uint32_t product_factor = 1;
  std::uint32_t row_sum_factor = 0;
  bool saturates = false;  ///< CodeSteps::saturates of its first codes
  BorderSums border;
  WindowRows rows;                ///< of codes
  std::int64_t short_groups = 0;  ///< of the byte kernel
  OperandImages images;           ///< what else the kernel reads
  WindowRows image_rows;          ///< of one plane, or of the tables
  std::size_t scratch_bytes = 0;  ///< of a thread; pooled lines stand behind
  std::string why;                ///< the choice of the kernel, for people

  [[nodiscard]] std::size_t heap_bytes() const noexcept {
    return border.heap_bytes() + bitdial::heap_bytes(rows.offsets) +
           bitdial::heap_bytes(image_rows.offsets) + bitdial::heap_bytes(why);
  }
};

/// The shape of a matrix step that runs at `bits`.
[[nodiscard]] inline MatrixShape matrix_shape(const Program& program, const Step& step,
                                              Precision bits) {
  const auto layout = [&](BufferId buffer) {
    return program.buffers[static_cast<std::size_t>(buffer)].layout;
  };
  const bool linear = step.kind == ops::NodeKind::linear;
  const bool may_join = std::ranges::all_of(
      step.codes, [&](const CodeOutput& output) { return layout(output.buffer).dense(); });
  return {.linear = linear,
          .x = program.codes_of(step),
          .window = linear ? ops::Window{} : step.window,
          .y = step.y_shape,
          .may_join = may_join && !linear,
          .bits = bits};
}

namespace detail {

/// The rows of a layer over codes, or over images of the same border.
[[nodiscard]] inline WindowRows rows_over(const MatrixShape& shape, const CodeLayout& x,
                                          bool may_join) {
  return shape.linear ? WindowRows::linear(x)
                      : WindowRows::convolution(x, shape.window, shape.y, {.may_join = may_join});
}

}  // namespace detail

/// Sets what `path` reads beside the codes. `step.rows` is set.
inline void lay_out_images(const MatrixShape& shape, KernelPath path, PreparedStep& step) {
  step.images = OperandImages{shape.x, path, shape.bits.a};
  if (step.images.empty()) return;
  const bool joined = !shape.linear && step.rows.lines != shape.y.h;
  step.image_rows = detail::rows_over(shape, step.images.image, joined);
  if (shape.linear) step.image_rows.row_step = step.images.stride();
}

}  // namespace bitdial::inline BITDIAL_ABI
