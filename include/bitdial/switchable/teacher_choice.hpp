// SPDX-License-Identifier: Apache-2.0
// Which switches teach a switch in one step.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <bitdial/core/random.hpp>
#include <bitdial/switchable/teaching.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The teachers of the switch after those with `label_losses`, as indices of switches; none for the
/// first switch, and none for `Teacher::none` and `Teacher::ensemble`.
///
/// `Teacher::best` is argmin of the label losses on this batch, the higher switch where two are
/// equal; `Teacher::random` takes one draw of `random`. Throws `ConfigError` when
/// `Teaching::choose` names a switch that is not before the student.
/// Source: CoQuant, 2103.01435, which says that a teacher is chosen; inferred: by the label loss.
[[nodiscard]] inline std::vector<std::size_t> choose_teachers(const Teaching& teaching,
                                                              std::span<const float> label_losses,
                                                              std::int64_t step, Random random) {
  const std::size_t student = label_losses.size();
  if (student == 0) return {};
  switch (teaching.teacher) {
    case Teacher::none:
    case Teacher::ensemble:
      return {};
    case Teacher::highest:
      return {0};
    case Teacher::next_higher:
      return {student - 1};
    case Teacher::all_higher: {
      std::vector<std::size_t> all(student);
      std::iota(all.begin(), all.end(), std::size_t{0});
      return all;
    }
    case Teacher::best:
      return {
          static_cast<std::size_t>(std::ranges::min_element(label_losses) - label_losses.begin())};
    case Teacher::random:
      return {random.below(static_cast<std::uint32_t>(student))};
    case Teacher::chosen:
      break;
  }
  const std::size_t teacher = teaching.choose(label_losses, step);
  if (teacher >= student) {
    throw ConfigError(concat("teaching: step ", step, ": choose names switch ", teacher,
                             " as the teacher of switch ", student,
                             "; it must be one before the student"));
  }
  return {teacher};
}

}  // namespace bitdial::inline BITDIAL_ABI
