// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <bitdial/core/random.hpp>
#include <bitdial/quant/policies/adabits.hpp>
#include <bitdial/quant/qtensor.hpp>
#include <bitdial/quant/quantizer.hpp>

using namespace bitdial;

template class bitdial::QTensor<5, Interleaved>;
template class bitdial::QTensor<1, BitPlanes>;

namespace {

const Shape shape{4, 3, 3, 5};

template <int Bits, class Layout>
void check_round_trip() {
  CAPTURE(Bits);
  Random random(2, Bits);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(shape.size()));
  for (auto& code : codes) code = static_cast<std::uint8_t>(random.below(1U << Bits));
  const auto tensor = QTensor<Bits, Layout>::pack(
      shape, codes, {IntegerLevels{.scale = 0.5F, .multiplier = 2, .offset = -3}});
  REQUIRE(tensor);
  CHECK(tensor->shape() == shape);
  CHECK(tensor->rows() == 4);
  CHECK(tensor->cols() == 45);
  CHECK(tensor->bytes() == Layout{4, 45, Bits}.bytes());
  CHECK(static_cast<std::int64_t>(tensor->packed().size()) == tensor->bytes());
  CHECK(reinterpret_cast<std::uintptr_t>(tensor->packed().data()) % 64 == 0);
  std::vector<std::uint8_t> again(codes.size(), 0xFF);
  tensor->unpack(again);
  CHECK(again == codes);
  CHECK(tensor->code(2, 17) == codes[2 * 45 + 17]);
  CHECK(tensor->value(2, 17) == 0.5F * static_cast<float>(2 * codes[2 * 45 + 17] - 3));
}

template <class Layout, int... Bits>
void check_widths() {
  (check_round_trip<Bits, Layout>(), ...);
}

}  // namespace

TEST_CASE("codes survive packing at every width in both layouts") {
  check_widths<Interleaved, 1, 2, 3, 4, 5, 6, 7, 8>();
  check_widths<BitPlanes, 1, 2, 3, 4, 5, 6, 7, 8>();
}

TEST_CASE("one line for the tensor or one per row") {
  const std::vector<std::uint8_t> codes{1, 1, 1};
  const auto per_row = QTensor<2, Interleaved>::pack(
      {3, 1}, codes, {{.scale = 1.0F}, {.scale = 2.0F}, {.scale = 3.0F}});
  REQUIRE(per_row);
  CHECK(per_row->has_levels_per_row());
  CHECK(per_row->value(0, 0) == 1.0F);
  CHECK(per_row->value(2, 0) == 3.0F);
}

TEST_CASE("what does not fit is refused with both sides") {
  using Q = QTensor<2, BitPlanes>;
  const std::vector<std::uint8_t> six(6);
  const std::vector<IntegerLevels> one(1);
  CHECK(Q::pack({2, 2}, six, one).error() == "QTensor: shape [2, 2] has 4 elements, got 6 codes");
  CHECK(Q::pack({3, 2}, six, std::vector<IntegerLevels>(2)).error() ==
        "QTensor: shape [3, 2] needs 1 or 3 integer lines, got 2");
  CHECK(Q::pack({3, 2}, six, {}).error() ==
        "QTensor: shape [3, 2] needs 1 or 3 integer lines, got 0");
  CHECK(Q::pack({3, 2}, std::vector<std::uint8_t>{0, 1, 2, 3, 4, 0}, one).error() ==
        "QTensor: codes of 2 bits lie below 4, code 4 is 4");
  CHECK(Q::pack({}, six, one).error() == "QTensor: expected a shape with rows, got rank 0");
  CHECK(Q::pack({-2, -3}, six, one).error() == "QTensor: negative extent in shape [-2, -3]");
  constexpr std::int64_t large = std::int64_t{1} << 32;
  const std::string overflow = "has more than 2251799813685247 elements";
  CHECK(Q::pack({large, large}, {}, one).error() ==
        "QTensor: shape [4294967296, 4294967296] " + overflow);
  CHECK(Q::pack({0, large, large}, {}, one).error() ==
        "QTensor: shape [0, 4294967296, 4294967296] " + overflow);
  CHECK(Q::pack({0, large * (large / 4)}, {}, one).error() ==
        "QTensor: shape [0, 4611686018427387904] " + overflow);
}

TEST_CASE("a moved-from, an empty and a copied tensor are values") {
  QTensor<3, Interleaved> empty;
  CHECK(empty.bytes() == 0);
  CHECK(empty.packed().empty());
  auto tensor = *QTensor<3, Interleaved>::pack({1, 2}, std::vector<std::uint8_t>{5, 6}, {{}});
  const auto copy = tensor;
  empty = std::move(tensor);
  CHECK(copy.code(0, 1) == 6);
  CHECK(empty.code(0, 0) == 5);
}

TEST_CASE("one 8-bit tensor of a nested policy serves every width") {
  const Quantizer<AdaBitsWeights> quantizer;
  std::vector<float> w(static_cast<std::size_t>(shape.size()));
  Random random(9, 9);
  for (float& x : w) x = random.normal();
  const auto state = quantizer.fit(w);
  std::vector<std::uint8_t> codes(w.size());
  quantizer.encode(w, state, 8, codes);
  const auto stored = *QTensor<8, BitPlanes>::pack(shape, codes, {quantizer.levels(state, 8)});

  const auto check = [&]<int K>() {
    const auto cut = stored.truncated<K>({quantizer.levels(state, K)});
    REQUIRE(cut);
    CHECK(cut->bytes() * 8 == stored.bytes() * K);
    CHECK(stored.planes<K>().size() == static_cast<std::size_t>(cut->bytes()));
    CHECK(std::ranges::equal(stored.planes<K>(), cut->packed()));
    std::vector<float> expected(w.size());
    quantizer.fake_quantize(w, state, K, expected);
    std::size_t differing = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i) / cut->cols();
      const auto col = static_cast<std::int64_t>(i) % cut->cols();
      if (cut->value(row, col) != expected[i]) ++differing;
    }
    CHECK(differing == 0);
  };
  check.operator()<1>();
  check.operator()<2>();
  check.operator()<3>();
  check.operator()<5>();
  check.operator()<8>();
  CHECK(stored.truncated<2>(std::vector<IntegerLevels>(3)).error() ==
        "QTensor: shape [4, 3, 3, 5] needs 1 or 4 integer lines, got 3");
}
