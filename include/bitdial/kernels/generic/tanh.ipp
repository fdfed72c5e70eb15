// SPDX-License-Identifier: Apache-2.0
// tanh, by the formula of core/tanh.hpp: a block has a constant length and aliases nothing, so that
// the compiler makes vectors of it.

inline void tanh(const Tanh& q) noexcept {
  constexpr std::int64_t size = 64;
  float block[size];
  std::int64_t i = 0;
  for (; i + size <= q.count; i += size) {
    for (std::int64_t k = 0; k < size; ++k) block[k] = hyperbolic_tangent(q.x[i + k]);
    std::copy_n(block, size, q.y + i);
  }
  for (; i < q.count; ++i) q.y[i] = hyperbolic_tangent(q.x[i]);
}
