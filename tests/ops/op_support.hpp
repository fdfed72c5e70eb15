// SPDX-License-Identifier: Apache-2.0
// What the tests of ops share: random tensors, thread counts, the loss of a gradient check.
#pragma once

#include <cstdint>
#include <cstring>

#include <bitdial/core/parallel.hpp>
#include <bitdial/core/random.hpp>
#include <bitdial/core/tensor.hpp>

namespace op_test {

template <class T>
bitdial::Tensor<T> random_tensor(const bitdial::Shape& shape, std::uint64_t seed, double low = -1.0,
                                 double high = 1.0) {
  bitdial::Tensor<T> tensor(shape);
  bitdial::Random random(seed, 0);
  for (T& value : tensor.span()) {
    value = static_cast<T>(low + (high - low) * static_cast<double>(random.uniform()));
  }
  return tensor;
}

/// Whole numbers low .. high.
template <class T>
bitdial::Tensor<T> integer_tensor(const bitdial::Shape& shape, std::uint64_t seed, int low,
                                  int high) {
  bitdial::Tensor<T> tensor(shape);
  bitdial::Random random(seed, 0);
  for (T& value : tensor.span()) {
    value = static_cast<T>(
        low + static_cast<int>(random.below(static_cast<std::uint32_t>(high - low + 1))));
  }
  return tensor;
}

template <class T>
bool same_bits(const bitdial::Tensor<T>& a, const bitdial::Tensor<T>& b) {
  return a.shape() == b.shape() &&
         (a.size() == 0 || std::memcmp(a.data(), b.data(), a.span().size_bytes()) == 0);
}

/// sum_i a[i] b[i]: a loss whose gradient with respect to a is b.
inline double dot(const bitdial::Tensor<double>& a, const bitdial::Tensor<double>& b) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Sets the number of threads, returns to the default at the end of the scope.
class Threads {
 public:
  explicit Threads(int count) { bitdial::set_thread_count(count); }
  ~Threads() { bitdial::set_thread_count(0); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
};

/// The bits of f(), which must be the same with 1, 2 and 7 threads.
template <class F>
bool same_for_every_thread_count(F f) {
  const auto run = [&](int threads) {
    const Threads scope(threads);
    return f();
  };
  const auto one = run(1);
  return same_bits(one, run(2)) && same_bits(one, run(7));
}

}  // namespace op_test
