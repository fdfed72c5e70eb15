// SPDX-License-Identifier: Apache-2.0
// The derivatives of convolutions on every kernel table of the machine. A process chooses its table
// once, at the first product, so each table gets a child process; this file has no other test that
// could choose first.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>
#include <bitdial/kernels/active.hpp>
#include <bitdial/ops/conv2d.hpp>

#include "op_support.hpp"

using namespace bitdial;
using ops::Window;

namespace {

struct Case {
  Shape x;
  std::int64_t out;
  Window window;
};

/// A hash of both derivatives of all cases.
std::uint64_t derivatives(ops::Products products) {
  std::uint64_t hash = 14695981039346656037U;
  const auto add = [&hash](const Tensor<float>& values) {
    for (const std::byte byte : std::as_bytes(values.span())) {
      hash = (hash ^ static_cast<std::uint64_t>(byte)) * 1099511628211U;
    }
  };
  for (const Case& c : {Case{{3, 9, 14, 10}, 12, Window::square(3, {.padding = 1})},
                        Case{{5, 8, 8, 16}, 24, Window::square(3, {.padding = 1})},
                        Case{{1, 70, 32, 34}, 12, Window::square(3, {.padding = 1})},
                        Case{{2, 6, 9, 9}, 18, Window::square(3)},
                        Case{{2, 12, 16, 10}, 10, Window::square(5, {.stride = 2, .padding = 2})},
                        Case{{2, 7, 5, 6}, 4, Window::square(3, {.padding = 1})}}) {
    const Shape w_shape{c.out, c.window.kernel_h, c.window.kernel_w, c.x[3]};
    const auto x = op_test::random_tensor<float>(c.x, 1);
    const auto w = op_test::random_tensor<float>(w_shape, 2);
    const auto dy =
        op_test::random_tensor<float>(ops::conv2d_output_shape(c.x, w_shape, c.window), 3);
    Tensor<float> dx(c.x), dw(w_shape);
    ops::conv2d_backward_input(dx.view(), dy.view(), w.view(), c.window, {.products = products});
    ops::conv2d_backward_weight(dw.view(), dy.view(), x.view(), c.window, products);
    add(dx);
    add(dw);
  }
  return hash;
}

using Hashes = std::array<std::uint64_t, 2>;

/// `derivatives` with both kinds of products, of a child process with BITDIAL_FORCE_ISA = `table`.
Hashes derivatives_with(const char* table) {
  int ends[2] = {};
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    setenv("BITDIAL_FORCE_ISA", table, 1);
    set_thread_count(1);
    const Hashes hashes{derivatives(ops::Products::f32), derivatives(ops::Products::bf16)};
    const bool chosen = kernels::active_kernels().name == std::string{table};
    _exit(chosen && write(ends[1], hashes.data(), sizeof hashes) == sizeof hashes ? 0 : 1);
  }
  close(ends[1]);
  Hashes hashes{};
  const bool whole = read(ends[0], hashes.data(), sizeof hashes) == sizeof hashes;
  close(ends[0]);
  int status = 1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  REQUIRE(whole);
  return hashes;
}

}  // namespace

TEST_CASE("derivatives of convolutions have the same bits in every table") {
  Hashes expected{};
  for (const kernels::KernelTable* table : kernels::supported_kernels()) {
    const std::string name = table->name;
    CAPTURE(name);
    const Hashes hashes = derivatives_with(table->name);
    CHECK(hashes[0] != hashes[1]);
    if (expected == Hashes{}) expected = hashes;
    CHECK(hashes == expected);
  }
}
