// SPDX-License-Identifier: Apache-2.0
// The precision of every quantized layer of a network: the position of the dial.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/assert.hpp>
#include <bitdial/core/config.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/quant/precision.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// One `Precision` per quantized layer, in the order of the layers in the network.
///
/// `uniform("w4a4")` is one switch of a switchable-precision network and fits any number of layers;
/// a searched mixed-precision network is a list with one entry per layer. A list of one entry is
/// the uniform plan. The text form is that of a file, see `parse`.
class PrecisionPlan {
 public:
  /// Every layer real-valued.
  PrecisionPlan() = default;
  /// Every layer at `precision`.
  PrecisionPlan(Precision precision) : precisions_{precision} {}

  [[nodiscard]] static PrecisionPlan uniform(Precision precision) { return {precision}; }
  /// From a literal that the compiler checks: `PrecisionPlan::uniform("w4a4")`.
  [[nodiscard]] static PrecisionPlan uniform(PrecisionLiteral literal) { return {literal.value}; }

  /// One entry per layer. Fails for an empty list and for an entry that is not `valid()`.
  [[nodiscard]] static Result<PrecisionPlan> per_layer(std::vector<Precision> precisions) {
    if (precisions.empty()) return Failure{"plan: expected at least one precision, got none"};
    for (std::size_t layer = 0; layer < precisions.size(); ++layer) {
      if (!precisions[layer].valid()) {
        return Failure{concat("plan: layer ", layer, ": ",
                              detail::precision_expected(precisions[layer].text()))};
      }
    }
    PrecisionPlan plan;
    plan.precisions_ = std::move(precisions);
    return plan;
  }

  /// Reads a plan: `w4a4`, or one precision per layer separated by commas, spaces or line ends.
  /// `#` starts a comment that ends with the line. Fails with the line and the token.
  [[nodiscard]] static Result<PrecisionPlan> parse(std::string_view text);

  /// The precision of quantized layer `layer`; the plan must `fit` that many layers.
  [[nodiscard]] Precision at(std::size_t layer) const noexcept {
    const std::size_t entry = precisions_.size() == 1 ? 0 : layer;
    BITDIAL_ASSERT(entry < precisions_.size());
    return precisions_[entry];
  }

  /// The number of entries: 1 for a plan that fits any network.
  [[nodiscard]] std::size_t size() const noexcept { return precisions_.size(); }
  /// True if the plan gives a precision to each of `layers` quantized layers and to no more.
  [[nodiscard]] bool fits(std::size_t layers) const noexcept {
    return precisions_.size() == 1 || precisions_.size() == layers;
  }
  /// True if every layer has the same precision.
  [[nodiscard]] bool is_uniform() const noexcept {
    return std::ranges::all_of(precisions_, [&](Precision p) { return p == precisions_.front(); });
  }
  [[nodiscard]] bool valid() const noexcept {
    return std::ranges::all_of(precisions_, [](Precision p) { return p.valid(); });
  }

  /// `"w4a4"` or `"w8a8,w4a4,w2a4"`; `parse(text())` gives an equal plan.
  [[nodiscard]] std::string text() const { return join(precisions_, ","); }

  friend bool operator==(const PrecisionPlan&, const PrecisionPlan&) = default;
  friend auto operator<=>(const PrecisionPlan&, const PrecisionPlan&) = default;

 private:
  std::vector<Precision> precisions_{Precision{}};
};

inline Result<PrecisionPlan> PrecisionPlan::parse(std::string_view text) {
  constexpr std::string_view separators = " \t\r,";
  std::vector<Precision> precisions;
  for (std::size_t line_number = 1; !text.empty(); ++line_number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    line = line.substr(0, line.find('#'));
    while (true) {
      line.remove_prefix(std::min(line.size(), line.find_first_not_of(separators)));
      if (line.empty()) break;
      const std::string_view token = line.substr(0, line.find_first_of(separators));
      const auto parsed = detail::parse_precision(token);
      if (!parsed) {
        return Failure{concat("plan: line ", line_number, ": ", detail::precision_expected(token))};
      }
      precisions.push_back(*parsed);
      line.remove_prefix(token.size());
    }
  }
  return per_layer(std::move(precisions));
}

}  // namespace bitdial::inline BITDIAL_ABI
