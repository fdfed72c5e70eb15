// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/stream.hpp>

#include <doctest/doctest.h>

#include <vector>

#include "../ops/op_support.hpp"

using namespace bitdial;
using namespace op_test;

TEST_CASE("pieces are whole rows, cover everything once, and share no byte of a mask") {
  for (const Shape& shape : {Shape{0, 3}, Shape{1}, Shape{5, 7, 3}, Shape{40, 16, 16, 16},
                             Shape{700, 17}, Shape{9, 4097}, Shape{300, 128}}) {
    CAPTURE(concat(shape));
    const std::int64_t channels = shape.back();
    for (const int threads : {1, 2, 7}) {
      set_thread_count(threads);
      std::vector<int> visits(static_cast<std::size_t>(shape.size()));
      std::vector<int> wrong(visits.size());
      for_each_piece<float>(shape, [&](std::int64_t begin, std::int64_t end, float* scratch) {
        const bool good = begin % channels == 0 && end % channels == 0 &&
                          begin % ops::BitMask::block == 0 &&
                          (end % ops::BitMask::block == 0 || end == shape.size());
        for (std::int64_t i = begin; i < end; ++i) {
          scratch[i - begin] = 1.0F;  // there is room
          ++visits[static_cast<std::size_t>(i)];
          wrong[static_cast<std::size_t>(i)] = good ? 0 : 1;
        }
      });
      set_thread_count(0);
      CHECK(visits == std::vector<int>(visits.size(), 1));
      CHECK(wrong == std::vector<int>(visits.size(), 0));
    }
  }
}

TEST_CASE("a reader reads stored values in place and streams the others") {
  const auto x = std::make_shared<const Tensor<float>>(random_tensor<float>({70, 3}, 1));
  const Reader<float> stored(x);
  CHECK(stored.is_stored());
  CHECK(stored(0, 3, nullptr) == x->data());
  CHECK(stored.all().view().data() == x->data());
  const Tensor<float> copy = stored.computed();
  CHECK(copy.data() != x->data());
  CHECK(same_bits(copy, *x));

  const Reader<float> streamed(x->shape(),
                               [stored](std::int64_t begin, std::int64_t end, float* to) {
                                 const float* const from = stored(begin, end, to);
                                 for (std::int64_t i = 0; i < end - begin; ++i) to[i] = -from[i];
                               });
  CHECK_FALSE(streamed.is_stored());
  const Whole<float> all = streamed.all();
  for (std::int64_t i = 0; i < x->size(); ++i)
    REQUIRE(all.view().span()[static_cast<std::size_t>(i)] == -(*x)[i]);
}
