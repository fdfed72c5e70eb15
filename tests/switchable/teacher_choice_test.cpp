// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/switchable/teacher_choice.hpp>
#include <support/tensors.hpp>

using namespace bitdial;

namespace {

using Indices = std::vector<std::size_t>;

Indices choose(Teacher teacher, const std::vector<float>& label_losses, std::uint64_t step = 0) {
  return choose_teachers({.teacher = teacher}, label_losses, static_cast<std::int64_t>(step),
                         {1, step});
}

}  // namespace

TEST_CASE("the first switch has no teacher") {
  for (const Teacher teacher : {Teacher::none, Teacher::highest, Teacher::next_higher,
                                Teacher::all_higher, Teacher::best, Teacher::random}) {
    CHECK(choose(teacher, {}).empty());
  }
}

TEST_CASE("who teaches the fourth of four switches") {
  const std::vector<float> losses{0.5F, 0.25F, 0.75F};
  CHECK(choose(Teacher::none, losses).empty());
  CHECK(choose(Teacher::ensemble, losses).empty());
  CHECK(choose(Teacher::highest, losses) == Indices{0});
  CHECK(choose(Teacher::next_higher, losses) == Indices{2});
  CHECK(choose(Teacher::all_higher, losses) == Indices{0, 1, 2});
  CHECK(choose(Teacher::best, losses) == Indices{1});
  CHECK(choose(Teacher::best, {0.5F, 0.5F}) == Indices{0});
}

TEST_CASE("a random teacher is each of the higher switches equally often, the same in every run") {
  std::vector<int> counts(3);
  for (std::uint64_t step = 0; step < 3000; ++step) {
    const Indices chosen = choose(Teacher::random, {1.0F, 2.0F, 3.0F}, step);
    REQUIRE(chosen.size() == 1);
    CHECK(chosen == choose(Teacher::random, {1.0F, 2.0F, 3.0F}, step));
    ++counts[chosen[0]];
  }
  for (const int count : counts) CHECK(std::abs(count - 1000) < 130);  // five deviations
}

TEST_CASE("a function may choose among the higher switches only") {
  Teaching teaching{.teacher = Teacher::chosen};
  teaching.choose = [](std::span<const float> losses, std::int64_t step) {
    return static_cast<std::size_t>(step) % (losses.size() + 1);
  };
  const std::vector<float> losses{0.5F, 0.25F};
  CHECK(choose_teachers(teaching, losses, 4, {1, 1}) == Indices{1});
  CHECK(test::error_text<ConfigError>([&] {
          static_cast<void>(choose_teachers(teaching, losses, 5, {1, 1}));
        }) ==
        "teaching: step 5: choose names switch 2 as the teacher of switch 2; it must be one before "
        "the student");
}
