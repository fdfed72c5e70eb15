// SPDX-License-Identifier: Apache-2.0
// The operating points of a model on one device, and those of them that are worth using.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// One position of the dial and what it costs on one device.
struct OperatingPoint {
  std::size_t plan = 0;            ///< index into `Model::plans()`
  std::string name;                ///< `w4a4`
  double accuracy = 0.0;           ///< share of right answers, 0..1, as the model file says
  double latency = 0.0;            ///< seconds per request on an idle device, above 0
  std::optional<double> energy{};  ///< joules per request, where it could be measured
  std::uint64_t memory = 0;        ///< bytes that a session of the plan keeps in use
};

/// True when `a` is nowhere worse than `b` and somewhere better: b is never the right choice.
/// Energy counts where both know theirs.
[[nodiscard]] inline bool dominates(const OperatingPoint& a, const OperatingPoint& b) noexcept {
  const bool energies = a.energy && b.energy;
  const bool no_worse = a.accuracy >= b.accuracy && a.latency <= b.latency &&
                        a.memory <= b.memory && (!energies || *a.energy <= *b.energy);
  const bool better = a.accuracy > b.accuracy || a.latency < b.latency || a.memory < b.memory ||
                      (energies && *a.energy < *b.energy);
  return no_worse && better;
}

/// Operating points in ascending order of accuracy, without the dominated ones. Fewer bits are not
/// always faster; a point that costs more and answers worse is not a rung.
class Ladder {
 public:
  Ladder() = default;

  /// Errors: no point, a plan that occurs twice, an accuracy outside 0..1, a latency or an energy
  /// that is not above 0 and finite.
  [[nodiscard]] static Result<Ladder> create(std::vector<OperatingPoint> points) {
    if (points.empty()) return Failure{"ladder: expected at least one operating point, got none"};
    for (std::size_t i = 0; i < points.size(); ++i) {
      const OperatingPoint& point = points[i];
      const auto costs = [](double x) { return x > 0.0 && std::isfinite(x); };
      if (!(point.accuracy >= 0.0 && point.accuracy <= 1.0)) {
        return Failure{concat("ladder: plan ", point.name, ": accuracy ", point.accuracy,
                              ", expected a share from 0 to 1")};
      }
      if (!costs(point.latency)) {
        return Failure{concat("ladder: plan ", point.name, ": latency ", point.latency,
                              " s, expected a number above 0")};
      }
      if (point.energy && !costs(*point.energy)) {
        return Failure{concat("ladder: plan ", point.name, ": energy ", *point.energy,
                              " J, expected a number above 0, or none")};
      }
      for (std::size_t other = 0; other < i; ++other) {
        if (points[other].plan == point.plan || points[other].name == point.name) {
          return Failure{
              concat("ladder: plan ", point.name, " (number ", point.plan, ") occurs twice")};
        }
      }
    }
    std::sort(points.begin(), points.end(), [](const auto& a, const auto& b) {
      if (a.accuracy != b.accuracy) return a.accuracy < b.accuracy;
      return a.latency != b.latency ? a.latency > b.latency : a.plan < b.plan;
    });
    Ladder ladder;
    for (const OperatingPoint& point : points) {
      const bool is_dominated = std::any_of(
          points.begin(), points.end(), [&](const auto& other) { return dominates(other, point); });
      (is_dominated ? ladder.dominated_ : ladder.rungs_).push_back(point);
    }
    return ladder;
  }

  /// The points worth using, least accurate first.
  [[nodiscard]] std::span<const OperatingPoint> rungs() const noexcept { return rungs_; }
  /// The others.
  [[nodiscard]] std::span<const OperatingPoint> dominated() const noexcept { return dominated_; }

  /// The point of a plan, rung or not; null when there is none.
  [[nodiscard]] const OperatingPoint* find(std::size_t plan) const noexcept {
    return find_if([&](const OperatingPoint& point) { return point.plan == plan; });
  }
  [[nodiscard]] const OperatingPoint* find(std::string_view name) const noexcept {
    return find_if([&](const OperatingPoint& point) { return point.name == name; });
  }

 private:
  template <class Predicate>
  [[nodiscard]] const OperatingPoint* find_if(Predicate predicate) const noexcept {
    for (const auto* points : {&rungs_, &dominated_}) {
      const auto found = std::find_if(points->begin(), points->end(), predicate);
      if (found != points->end()) return &*found;
    }
    return nullptr;
  }

  std::vector<OperatingPoint> rungs_;
  std::vector<OperatingPoint> dominated_;
};

}  // namespace bitdial::inline BITDIAL_ABI
