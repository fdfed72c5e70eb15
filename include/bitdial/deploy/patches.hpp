// SPDX-License-Identifier: Apache-2.0
// The rows of a convolution as a matrix: the codes under the window of one output pixel.
#pragma once

#include <algorithm>
#include <cstdint>

#include <bitdial/deploy/network_check.hpp>
#include <bitdial/kernels/kernel_table.hpp>
#include <bitdial/ops/matrix_view.hpp>
#include <bitdial/ops/window.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Row r = (n * OH + oy) * OW + ox of the matrix is [kernel_h][kernel_w][C], zeros where the window
/// leaves the image.
struct Patches {
  const std::uint8_t* codes = nullptr;  ///< [N, H, W, C]
  ImageShape x, y;
  ops::Window window{};

  /// K
  [[nodiscard]] std::int64_t depth() const noexcept { return window.taps() * x.c; }

  void copy_row(std::int64_t r, std::uint8_t* out) const noexcept {
    const std::int64_t ox = r % y.w;
    const std::int64_t oy = r / y.w % y.h;
    const std::uint8_t* const image = codes + r / (y.w * y.h) * x.size();
    const std::int64_t first_y = oy * window.stride_h - window.padding_h;
    const std::int64_t first_x = ox * window.stride_w - window.padding_w;
    const bool inside = window.dilation_w == 1 && first_x >= 0 && first_x + window.kernel_w <= x.w;
    const std::int64_t line = window.kernel_w * x.c;
    for (std::int64_t ky = 0; ky < window.kernel_h; ++ky, out += line) {
      const std::int64_t iy = first_y + ky * window.dilation_h;
      if (iy < 0 || iy >= x.h) {
        std::fill_n(out, line, std::uint8_t{0});
      } else if (inside) {
        std::copy_n(image + (iy * x.w + first_x) * x.c, line, out);
      } else {
        copy_line(image + iy * x.w * x.c, first_x, out);
      }
    }
  }

  /// Fills rows row0 .. of a panel of bytes.
  void pack(std::int64_t row0, ops::MatrixView<std::uint8_t> panel) const noexcept {
    for (std::int64_t i = 0; i < panel.rows; ++i) copy_row(row0 + i, panel.row(i));
  }

  /// Fills rows row0 .. of a panel of bit planes; `line` is scratch for `depth()` codes.
  void pack_planes(const kernels::KernelTable& table, int bits, std::int64_t row0,
                   ops::MatrixView<std::uint64_t> panel, std::uint8_t* line) const noexcept {
    for (std::int64_t i = 0; i < panel.rows; ++i) {
      copy_row(row0 + i, line);
      table.pack_planes({.codes = line,
                         .count = depth(),
                         .bits = bits,
                         .planes = panel.row(i),
                         .plane_stride = panel.cols / bits});
    }
  }

 private:
  void copy_line(const std::uint8_t* line, std::int64_t first_x, std::uint8_t* out) const noexcept {
    for (std::int64_t kx = 0; kx < window.kernel_w; ++kx, out += x.c) {
      const std::int64_t ix = first_x + kx * window.dilation_w;
      if (ix < 0 || ix >= x.w) {
        std::fill_n(out, x.c, std::uint8_t{0});
      } else {
        std::copy_n(line + ix * x.c, x.c, out);
      }
    }
  }
};

}  // namespace bitdial::inline BITDIAL_ABI
