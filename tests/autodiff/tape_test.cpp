// SPDX-License-Identifier: Apache-2.0
#include <bitdial/autodiff/tape.hpp>

#include <doctest/doctest.h>

#include <memory>

#include <bitdial/autodiff/functions.hpp>

using namespace bitdial;

namespace {

// y = x, and its derivative counts how often it runs.
Var counted_identity(Var x, int& runs) {
  return x.tape().record("identity", x.value(), {x}, [x, &runs](TensorView<const float> dy) {
    ++runs;
    ops::add_backward(x.tape().accumulate(x), dy);
  });
}

}  // namespace

static_assert(sizeof(Var) == 16);
static_assert(std::is_trivially_copyable_v<Var>);

TEST_CASE("a shared subexpression is visited once") {
  // y = y + y, 24 times: 2^24 paths, 24 nodes.
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({1}, 1.5F));
  int runs = 0;
  Var y = x;
  for (int i = 0; i < 24; ++i) {
    y = counted_identity(y, runs);
    y = ad::add(y, y);
  }
  CHECK(y.value()[0] == 1.5F * 0x1p24F);
  tape.backward(y);
  CHECK(x.grad()[0] == 0x1p24F);
  CHECK(runs == 24);
}

TEST_CASE("parameters accumulate over recordings, in place") {
  Tensor<float> value({3}, 2.0F);
  Tensor<float> grad({3}, 10.0F);
  Tape tape;
  for (int pass = 1; pass <= 2; ++pass) {
    tape.clear();
    const Var p = tape.parameter(value, grad);
    CHECK(&p.value() == &value);
    const Var loss =
        ad::softmax_cross_entropy(ad::linear(tape.constant(Tensor<float>({1, 3}, 1.0F)),
                                             tape.leaf(Tensor<float>({3, 3}, 0.0F)), p),
                                  std::vector<std::int32_t>{1});
    tape.backward(loss);
    const float third = 1.0F / 3.0F;
    const auto passes = static_cast<float>(pass);
    CHECK(grad[0] == doctest::Approx(10.0F + passes * third));
    CHECK(grad[1] == doctest::Approx(10.0F + passes * (third - 1.0F)));
    CHECK(&p.grad() == &grad);
  }
}

TEST_CASE("backward runs once per recording") {
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({1}, 1.0F));
  const Var y = ad::scale(x, 3.0F);
  tape.backward(y);
  CHECK(x.grad()[0] == 3.0F);
  CHECK_THROWS_WITH_AS(tape.backward(y),
                       "backward: this recording was already consumed; clear() the tape and "
                       "record the forward pass again, or sum the losses before one backward()",
                       Error);
  CHECK(x.grad()[0] == 3.0F);
  CHECK_THROWS_AS(tape.leaf(Tensor<float>({1})), Error);
  tape.clear();
  CHECK(tape.size() == 0);
  const Var again = tape.leaf(Tensor<float>({1}, 1.0F));
  tape.backward(ad::scale(again, 5.0F));
  CHECK(again.grad()[0] == 5.0F);
}

TEST_CASE("the loss must be one number that depends on something") {
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({2}));
  CHECK_THROWS_WITH_AS(tape.backward(x), "backward: the loss must have 1 element, it is [2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(tape.backward(tape.constant(Tensor<float>({1}))),
                       "backward: the loss depends on no leaf and no parameter", Error);
  Tensor<float> grad({3});
  const Tensor<float> value({2});
  CHECK_THROWS_WITH_AS(tape.parameter(value, grad), "parameter: value is [2], gradient is [3]",
                       ShapeError);
}

TEST_CASE("values and gradients are released when they are consumed") {
  constexpr std::int64_t n = 1000;
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({n, 1}, 1.0F));
  Var y = x;
  std::int64_t most = 0;
  for (int i = 0; i < 8; ++i) {
    y = tape.record("probe", y.value(), {y}, [&, y](TensorView<const float> dy) {
      ops::add_backward(tape.accumulate(y), dy);
      most = std::max(most, tape.live_elements());
    });
  }
  const Var loss = ad::softmax_cross_entropy(y, std::vector<std::int32_t>(n, 0));
  CHECK(tape.live_elements() == 9 * n + 1);
  tape.backward(loss);
  // Never more than the recorded values and the two gradients of the running derivative.
  CHECK(most <= 9 * n + 2 * n + 1);
  // The leaf, its gradient and the loss remain.
  CHECK(tape.live_elements() == 2 * n + 1);
  CHECK(loss.value()[0] == 0.0F);
  CHECK(x.value()[0] == 1.0F);
  CHECK(y.shape() == Shape{n, 1});
  CHECK_THROWS_WITH_AS(static_cast<void>(y.value()),
                       "tape: the value of node 8 (probe, [1000, 1]) was released; read it before "
                       "backward() or discard()",
                       Error);
  CHECK_THROWS_WITH_AS(static_cast<void>(y.grad()),
                       "tape: node 8 (probe) keeps no gradient; only leaf() and parameter() do",
                       Error);
}

TEST_CASE("discard frees what no derivative reads, and nothing else") {
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({4}, 2.0F));
  const Var scaled = ad::scale(x, -1.0F);
  const Var rectified = ad::relu(scaled);  // keeps a bit per element
  const Var total = ad::add(rectified, rectified);
  const Var read_later = ad::scale(x, 3.0F);
  tape.keep(read_later);
  for (const Var& v : {scaled, rectified, read_later, x}) tape.discard(v);
  CHECK_THROWS_AS(static_cast<void>(scaled.value()), Error);
  CHECK_THROWS_AS(static_cast<void>(rectified.value()), Error);
  CHECK(read_later.value()[0] == 6.0F);
  CHECK(x.value()[0] == 2.0F);
  CHECK(total.value()[0] == 0.0F);
  const Var loss = ad::softmax_cross_entropy(ad::linear(tape.constant(Tensor<float>({1, 1}, 1.0F)),
                                                        tape.leaf(Tensor<float>({4, 1})), total),
                                             std::vector<std::int32_t>{2});
  tape.backward(loss);
  for (const float g : x.grad().span()) CHECK(g == 0.0F);
}

namespace {

// A streamed x * factor that counts how many elements it computes.
Var counted_product(Var x, float factor, Tape::Cost cost, std::int64_t& computed) {
  return x.tape().record(
      "product", x.shape(),
      [read = x.tape().reader(x), factor, &computed](std::int64_t begin, std::int64_t end,
                                                     float* to) {
        const float* const from = read(begin, end, to);
        for (std::int64_t i = 0; i < end - begin; ++i) to[i] = factor * from[i];
        computed += end - begin;
      },
      cost, {x},
      [x, factor](TensorView<const float> dy) {
        ops::scale_backward(x.tape().accumulate(x), dy, factor);
      });
}

}  // namespace

TEST_CASE("a streamed value is computed by its readers: each of them, or the first") {
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({5, 3}, 2.0F));
  std::int64_t computed = 0;
  const Var small = counted_product(x, 3.0F, Tape::Cost::small, computed);
  CHECK(computed == 0);
  CHECK(tape.is_streamed(small));
  CHECK(tape.live_elements() == 15);
  const Reader<float> read = tape.reader(small);
  tape.discard(small);  // the reader still reads
  CHECK(read.all().view().span()[14] == 6.0F);
  CHECK(read.all().view().span()[0] == 6.0F);
  CHECK(computed == 30);
  CHECK_THROWS_AS(static_cast<void>(small.value()), Error);

  computed = 0;
  const Var large = counted_product(x, 4.0F, Tape::Cost::large, computed);
  CHECK(tape.read_once(large).all().view().span()[1] == 8.0F);
  CHECK(tape.is_streamed(large));
  CHECK(tape.reader(large).is_stored());
  CHECK(large.value()[2] == 8.0F);
  CHECK(computed == 30);
}

TEST_CASE("a stream that nobody read runs before its derivative") {
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({3}, 1.0F));
  std::int64_t computed = 0;
  const Var y = counted_product(x, 2.0F, Tape::Cost::small, computed);
  const Var z = tape.record("zero", Tensor<float>({1}), {y}, [y](TensorView<const float> dy) {
    for (float& g : y.tape().accumulate(y).span()) g += dy.data()[0];
  });
  tape.discard(y);
  tape.backward(z);
  CHECK(computed == 3);
  CHECK(x.grad()[1] == 2.0F);
}

TEST_CASE("a given gradient is taken over, the next one is added") {
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({200}, 1.0F));
  const auto mask = std::make_shared<ops::BitMask>(200);
  Tensor<float> chosen({200});
  chosen[150] = 1.0F;
  mask->write(0, 200, chosen.data(), [](float v) { return v > 0.0F; });
  const float* memory = nullptr;
  const Var y = tape.record("two paths", Tensor<float>({1}), {x}, [&](TensorView<const float>) {
    Tensor<float> first({200}, 5.0F);
    memory = first.data();
    Gradient masked{std::move(first)};
    masked.gate(mask);
    tape.give(x, std::move(masked));
    tape.give(x, Gradient{Tensor<float>({200}, 0.25F)});
  });
  tape.backward(y);
  CHECK(x.grad().data() == memory);
  for (std::int64_t i = 0; i < 200; ++i) REQUIRE(x.grad()[i] == (i == 150 ? 5.25F : 0.25F));
}

TEST_CASE("without gradients nothing is recorded for backward") {
  Tape tape;
  const Tensor<float> outside({1, 5, 5, 2}, 1.0F);
  const Var x = tape.borrow(outside);
  CHECK(&x.value() == &outside);
  const Var y = ad::relu(x);
  CHECK_FALSE(y.needs_grad());
  tape.discard(y);
  CHECK(tape.live_elements() == 0);
}

TEST_CASE("a leaf that the loss ignores has a zero gradient") {
  Tape tape;
  const Var used = tape.leaf(Tensor<float>({1}, 1.0F));
  const Var unused = tape.leaf(Tensor<float>({3}, 1.0F));
  const Var dangling = ad::scale(unused, 2.0F);
  tape.backward(ad::scale(used, 2.0F));
  CHECK(used.grad()[0] == 2.0F);
  CHECK(unused.grad().shape() == Shape{3});
  for (const float g : unused.grad().span()) CHECK(g == 0.0F);
  CHECK_THROWS_AS(static_cast<void>(dangling.value()), Error);
}

TEST_CASE("operands of two tapes are refused") {
  Tape first;
  Tape second;
  const Var a = first.leaf(Tensor<float>({1}, 1.0F));
  static_cast<void>(second.leaf(Tensor<float>({1}, 1.0F)));
  const Var b = second.leaf(Tensor<float>({1}, 2.0F));
  const char* const message =
      "add: the operands belong to different tapes; record all of them on one";
  CHECK_THROWS_WITH_AS(ad::add(a, b), message, Error);
  CHECK_THROWS_WITH_AS(ad::add(b, a), message, Error);
  CHECK(first.size() == 1);
  CHECK(second.size() == 2);
  CHECK_THROWS_WITH_AS(first.backward(b),
                       "backward: the loss and this tape belong to different tapes", Error);
  first.backward(ad::add(a, a));
  CHECK(a.grad()[0] == 2.0F);
}

TEST_CASE("a derivative may start from a gradient that was computed elsewhere") {
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({3}, 2.0F));
  const Var y = ad::scale(ad::relu(x), 3.0F);
  Tensor<float> dy({3});
  for (std::int64_t i = 0; i < 3; ++i) dy[i] = static_cast<float>(i) - 1.0F;
  CHECK_THROWS_WITH_AS(tape.backward(y, Tensor<float>({2})), "backward: dy must be [3], it is [2]",
                       ShapeError);
  tape.backward(y, dy);
  for (std::int64_t i = 0; i < 3; ++i) CHECK(x.grad()[i] == 3.0F * dy[i]);
  CHECK_THROWS_AS(tape.backward(y, dy), Error);
  Tape other;
  CHECK_THROWS_WITH_AS(other.backward(y, dy), "backward: y and this tape belong to different tapes",
                       Error);
}

TEST_CASE("a loss is one element of any shape") {
  Tape tape;
  const Var x = tape.leaf(Tensor<float>({1, 1}, 2.0F));
  tape.backward(ad::scale(x, 3.0F));
  CHECK(x.grad()[0] == 3.0F);
}
