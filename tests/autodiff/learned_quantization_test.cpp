// SPDX-License-Identifier: Apache-2.0
// Learned numbers on the tape: values are those of the codes, derivatives those that the quantizer
// states, whether x or bits of it are kept.
#include <bitdial/autodiff/learned_quantization.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/core/parallel.hpp>
#include <bitdial/quant/policies/lsq.hpp>
#include <bitdial/quant/policies/pact.hpp>
#include <bitdial/quant/quantizer.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

struct Outcome {
  Tensor<float> y, dx;
  float number = 0.0F;  ///< the derivative of the learned number
};

template <class Policy>
Outcome stated(const Quantizer<Policy>& quantizer, const typename Policy::State& state, int bits,
               const Tensor<float>& x, const Tensor<float>& dy) {
  Outcome out{Tensor<float>(x.shape()), Tensor<float>(x.shape())};
  quantizer.fake_quantize(x.span(), state, bits, out.y.span());
  quantizer.backward(x.span(), dy.span(), state, bits, out.dx.span());
  auto gradients = quantizer.gradients(x.span(), dy.span(), state, bits);
  out.number = Policy::parameters[0].numbers(gradients)[0];
  return out;
}

// `record(x, number)` on a tape.
template <class Record>
Outcome taped(const Tensor<float>& x, const Tensor<float>& dy, Record record) {
  Outcome out{{}, Tensor<float>(x.shape())};
  Tensor<float> number({1}), d_number({1});
  Tape tape;
  const Var y = record(tape.parameter(x, out.dx), tape.parameter(number, d_number));
  out.y = y.value();
  tape.backward(y, dy);
  out.number = d_number[0];
  return out;
}

void check_equal(const Outcome& found, const Outcome& wanted) {
  CHECK(test::same_bits(found.y, wanted.y));
  CHECK(test::same_bits(found.dx, wanted.dx));
  CHECK(found.number == doctest::Approx(wanted.number).epsilon(1e-5));
  CHECK(wanted.number != 0.0F);
}

// Sizes around the blocks of bits, and above what one thread takes at once.
const std::vector<Shape> shapes{{37}, {4, 128}, {3, 130}, {9, 31, 33, 5}};

}  // namespace

TEST_CASE("a learned clip keeps bits: values, dx and d alpha are those of the quantizer") {
  for (const ClipSides sides : {ClipSides::one, ClipSides::two}) {
    const PactActivations policy{{.initial_alpha = {}, .sides = sides}};
    const Quantizer<PactActivations> quantizer{policy};
    for (const float alpha : {1.25F, -0.75F}) {
      const PactState state{alpha};
      for (const Shape& shape : shapes) {
        Tensor<float> x = test::random_tensor(shape, 3, -2.0F, 2.0F);
        const Tensor<float> dy = test::random_tensor(shape, 4, -1.0F, 1.0F);
        const float clip = state.clip(), infinity = std::numeric_limits<float>::infinity();
        std::ranges::copy(
            std::array{std::numeric_limits<float>::quiet_NaN(), clip, std::nextafter(clip, 0.0F),
                       -clip, std::nextafter(-clip, 0.0F), 0.0F, -0.0F,
                       std::numeric_limits<float>::denorm_min(), infinity, -infinity},
            x.data());
        for (const int bits : {1, 2, 4, 8, 32}) {
          CAPTURE(bits);
          const Outcome wanted = stated(quantizer, state, bits, x, dy);
          for (const int threads : {1, 3}) {
            set_thread_count(threads);
            check_equal(taped(x, dy,
                              [&](Var input, Var number) {
                                return ad::clip_fake_quantize(input, number, quantizer, state,
                                                              bits);
                              }),
                        wanted);
          }
          set_thread_count(0);
        }
      }
    }
  }
}

TEST_CASE("other learned numbers keep x") {
  const Quantizer<LsqActivations> quantizer{};
  for (const Shape& shape : shapes) {
    const Tensor<float> x = test::random_tensor(shape, 5, -0.5F, 2.0F);
    const Tensor<float> dy = test::random_tensor(shape, 6, -1.0F, 1.0F);
    for (const int bits : {1, 2, 4, 8}) {
      CAPTURE(bits);
      const auto state = quantizer.fit(x.span(), bits);
      check_equal(
          taped(x, dy,
                [&](Var input, Var number) {
                  return ad::learned_fake_quantize(input, {&number, 1}, quantizer, state, bits);
                }),
          stated(quantizer, state, bits, x, dy));
    }
  }
}

TEST_CASE("quantized values with learned numbers have codes, which integer kernels multiply") {
  const Quantizer<PactActivations> quantizer{};
  const PactState state{1.5F};
  const Tensor<float> x = test::random_tensor({2, 4, 4, 8}, 7, -1.0F, 2.0F);
  Tensor<float> level({1}), d_level({1});
  Tape tape;
  const Var y =
      ad::clip_fake_quantize(tape.constant(x), tape.parameter(level, d_level), quantizer, state, 4);
  const Codes* const codes = tape.reader(y).codes();
  REQUIRE(codes != nullptr);
  CHECK(codes->levels.scale == quantizer.levels(state, 4).scale);
  std::vector<std::uint8_t> wanted(static_cast<std::size_t>(x.size()));
  quantizer.encode(x.span(), state, 4, wanted);
  CHECK(std::equal(wanted.begin(), wanted.end(), codes->values.data()));
}
