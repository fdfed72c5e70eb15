// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/gradient.hpp>

#include <doctest/doctest.h>

#include "../ops/op_support.hpp"

using namespace bitdial;
using namespace op_test;

namespace {

std::shared_ptr<const ops::BitMask> mask_of(const Tensor<float>& x, float above) {
  auto mask = std::make_shared<ops::BitMask>(x.size());
  mask->write(0, x.size(), x.data(), [above](float v) { return v > above; });
  return mask;
}

}  // namespace

TEST_CASE("steps wait until the values are read") {
  const auto x = random_tensor<float>({90, 5}, 1);
  const auto y = random_tensor<float>({90, 5}, 2);
  const auto dy = random_tensor<float>({90, 5}, 3);
  Gradient gradient{dy};
  CHECK(gradient.shape() == dy.shape());
  gradient.gate(mask_of(x, 0.0F));
  gradient.gate(mask_of(y, 0.5F));
  gradient.then([](std::int64_t begin, std::int64_t end, const float* from, float* to) {
    for (std::int64_t i = begin; i < end; ++i) *to++ = *from++ + static_cast<float>(i);
  });
  CHECK(gradient.waits());
  Tensor<float> in_pieces({90, 5});
  for (const std::int64_t begin : {0, 128, 256, 384}) {
    const std::int64_t end = std::min<std::int64_t>(450, begin + 128);
    CHECK(gradient.read(begin, end, in_pieces.data() + begin) == in_pieces.data() + begin);
  }
  const TensorView<const float> values = gradient;
  CHECK_FALSE(gradient.waits());
  CHECK(gradient.read(7, 8, nullptr) == values.data() + 7);
  for (std::int64_t i = 0; i < dy.size(); ++i) {
    const float gated = x[i] > 0.0F && y[i] > 0.5F ? dy[i] : 0.0F;
    REQUIRE(values.data()[i] == gated + static_cast<float>(i));
  }
  CHECK(same_bits(in_pieces, gradient.values()));

  Tensor<float> sum({90, 5}, 1.0F);
  gradient.add_to(sum.view());
  for (std::int64_t i = 0; i < dy.size(); ++i) REQUIRE(sum[i] == 1.0F + gradient.values()[i]);
}

TEST_CASE("copies and sums apply the masks of both sides") {
  const auto x = random_tensor<float>({90, 5}, 1);
  const auto y = random_tensor<float>({90, 5}, 2);
  const auto a = random_tensor<float>({90, 5}, 3);
  const auto b = random_tensor<float>({90, 5}, 4);
  Gradient first{a}, second{b};
  first.gate(mask_of(x, 0.0F));
  second.gate(mask_of(y, 0.5F));
  Gradient copy = first.copy();
  CHECK(same_bits(copy.values(), first.values()));
  copy.gate(mask_of(y, 0.0F));
  copy.add(second);
  CHECK_FALSE(same_bits(copy.values(), first.values()));
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const float of_copy = x[i] > 0.0F && y[i] > 0.0F ? a[i] : 0.0F;
    const float of_second = y[i] > 0.5F ? b[i] : 0.0F;
    REQUIRE(copy.values()[i] == of_copy + of_second);
    REQUIRE(second.values()[i] == of_second);
  }
}

TEST_CASE("copies share memory until one of them changes, and a mask can be taken") {
  const auto x = random_tensor<float>({90, 5}, 1);
  const auto a = random_tensor<float>({90, 5}, 2);
  Gradient first{a};
  first.gate(mask_of(x, 0.0F));
  Gradient copy = first.copy();
  const auto mask = copy.take_mask();
  REQUIRE(mask != nullptr);
  CHECK(copy.take_mask() == nullptr);
  CHECK_FALSE(copy.waits());
  CHECK(first.waits());
  for (std::int64_t i = 0; i < a.size(); ++i) REQUIRE((*mask)[i] == (x[i] > 0.0F));
  copy.own();
  copy.values()[3] = 7.0F;
  CHECK(copy.values()[3] == 7.0F);
  for (std::int64_t i = 0; i < a.size(); ++i) {
    REQUIRE(first.values()[i] == (x[i] > 0.0F ? a[i] : 0.0F));
  }
}
