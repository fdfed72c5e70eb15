// SPDX-License-Identifier: Apache-2.0
// Integers for the codes of a policy: exact where they can be, near where they cannot.
#include <bitdial/quant/integer_form.hpp>

#include <cmath>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/quant/policies/dorefa.hpp>
#include <bitdial/quant/policies/logarithmic.hpp>

using namespace bitdial;

namespace {

/// The largest distance of a looked-up value from the policy's own, in units.
template <class P>
double distance(const P& policy, const typename P::State& state, int bits) {
  const IntegerForm form = integer_form(policy, state, bits);
  double most = 0.0;
  for (int code = 0; code < code_count<P>(bits); ++code) {
    const auto value = static_cast<double>(policy.decode(code, state, bits));
    const int looked_up = form.codes[static_cast<std::size_t>(code)];
    CHECK(looked_up < (1 << form.bits));
    const double near = static_cast<double>(form.levels.scale) * form.levels.level(looked_up);
    most = std::max(most, std::fabs(near - value));
  }
  CHECK(most <= form.error + 1e-6);
  return most / static_cast<double>(form.levels.scale);
}

}  // namespace

TEST_CASE("an affine policy keeps its codes and levels") {
  const DoReFaWeights policy;
  const auto state = policy.fit(std::vector<float>{-0.5F, 0.25F});
  for (int bits = 1; bits <= 8; ++bits) {
    const IntegerForm form = integer_form(policy, state, bits);
    CHECK(form.bits == bits);
    CHECK(form.error == 0.0);
    CHECK(form.levels == policy.levels(state, bits));
    for (std::size_t code = 0; code < (std::size_t{1} << bits); ++code) {
      CHECK(form.codes[code] == code);
    }
  }
}

TEST_CASE("powers of two within the range of the integers are exact") {
  // +-1 and +-2: a unit of 1.
  const LogWeights policy;
  const LogWeights::State state{1.0F, {-1.0, 0.0}};
  const IntegerForm form = integer_form(policy, state, 2);
  CHECK(form.bits == 6);
  CHECK(form.error < 1e-7);
  CHECK(form.levels == IntegerLevels{.scale = 0.5F, .multiplier = 1, .offset = -32});
  CHECK(form.codes[0] == 30);
  CHECK(form.codes[1] == 31);
  CHECK(form.codes[2] == 33);
  CHECK(form.codes[3] == 34);
}

TEST_CASE("other values are within half a unit, in their order") {
  const std::vector<float> x{0.05F, 0.1F, -0.7F, 0.9F, 0.33F};
  const LogWeights weights;
  const LogActivations one;
  const LogActivations two{.one_sided = false};
  for (int bits = 1; bits <= 8; ++bits) {
    CAPTURE(bits);
    CHECK(distance(weights, weights.fit(x), bits) <= 0.5 + 1e-6);
    CHECK(distance(one, one.fit(x), bits) <= 0.5 + 1e-6);
    CHECK(distance(two, two.fit(x), bits) <= 0.5 + 1e-6);
    const IntegerForm form = integer_form(one, one.fit(x), bits);
    for (std::size_t code = 1; code < (std::size_t{1} << bits); ++code) {
      CHECK(form.codes[code] >= form.codes[code - 1]);
    }
  }
}
