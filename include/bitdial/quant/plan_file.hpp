// SPDX-License-Identifier: Apache-2.0
// A plan as a text file that people read and edit: one line per quantized layer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/core/text_lines.hpp>
#include <bitdial/io/text_file.hpp>
#include <bitdial/io/write_file.hpp>
#include <bitdial/quant/plan.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// The precision of every quantized layer of one network, by name.
///
///     bitdial plan 1
///     network: resnet20, 32 x 32 x 3
///     cost: 1.993 bits on average
///
///     # layer               precision
///     stem                  w8a8
///     stage1.block1.conv1   w3a2
///
/// The first line is the format. `network` and `cost` are free text and may be missing. `#` starts
/// a comment. A layer has one line; names have no blanks and do not end with a colon.
struct PlanFile {
  struct Entry {
    std::string layer;
    Precision precision;
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  std::string network{};
  std::string cost{};
  std::vector<Entry> layers{};

  /// The file of a plan for the layers of these names, in the order of the plan. Fails when their
  /// numbers differ.
  [[nodiscard]] static Result<PlanFile> of(const PrecisionPlan& plan,
                                           std::span<const std::string> names) {
    if (!plan.fits(names.size())) {
      return Failure{concat("plan file: plan ", plan, " has ", plan.size(),
                            " entries, the network has ", names.size(), " quantized layers")};
    }
    PlanFile file;
    for (std::size_t i = 0; i < names.size(); ++i) file.layers.push_back({names[i], plan.at(i)});
    return file;
  }

  /// The plan of a network whose quantized layers have these names, in this order. Fails with the
  /// layer that one side lacks.
  [[nodiscard]] Result<PrecisionPlan> plan_for(std::span<const std::string> names) const {
    std::unordered_map<std::string_view, Precision> known;
    for (const Entry& entry : layers) known.emplace(entry.layer, entry.precision);
    std::vector<Precision> precisions;
    for (const std::string& name : names) {
      const auto found = known.find(name);
      if (found == known.end()) {
        return Failure{concat("plan file: layer ", detail::quoted(name),
                              " of the network has no line; the plan is for ", about())};
      }
      precisions.push_back(found->second);
      known.erase(found);
    }
    if (!known.empty()) {
      const auto foreign = std::ranges::find_if(
          layers, [&](const Entry& entry) { return known.contains(entry.layer); });
      return Failure{concat("plan file: the network has no quantized layer ",
                            detail::quoted(foreign->layer), "; the plan is for ", about())};
    }
    return PrecisionPlan::per_layer(std::move(precisions));
  }

  /// The text form; `parse` reads it back.
  [[nodiscard]] std::string text() const {
    std::string out = concat(format_line, "\n");
    if (!network.empty()) out += concat("network: ", network, "\n");
    if (!cost.empty()) out += concat("cost: ", cost, "\n");
    std::size_t width = std::string_view{"# layer"}.size();
    for (const Entry& entry : layers) width = std::max(width, entry.layer.size());
    const auto line = [&](std::string_view name, std::string_view precision) {
      out += concat(name, std::string(width - name.size() + 3, ' '), precision, "\n");
    };
    out += '\n';
    line("# layer", "precision");
    for (const Entry& entry : layers) line(entry.layer, entry.precision.text());
    return out;
  }

  /// Reads the text form. Fails with the number of the line, what was expected and what was found.
  [[nodiscard]] static Result<PlanFile> parse(std::string_view text);

  friend bool operator==(const PlanFile&, const PlanFile&) = default;

 private:
  static constexpr std::string_view format_line = "bitdial plan 1";

  [[nodiscard]] std::string about() const {
    return network.empty() ? concat(layers.size(), " layers") : network;
  }
};

inline Result<PlanFile> PlanFile::parse(std::string_view text) {
  PlanFile file;
  std::unordered_map<std::string_view, std::size_t> line_of;
  TextLines lines{text};
  while (lines.next()) {
    const auto wrong = [&](std::string_view expected) {
      return Failure{concat("plan file: line ", lines.number(), ": expected ", expected, ", got ",
                            detail::quoted(lines.line()))};
    };
    if (lines.number() == 1) {
      if (lines.line() != format_line) return wrong(detail::quoted(format_line));
      continue;
    }
    const std::string_view line = lines.line().substr(0, lines.line().find('#'));
    const std::vector<std::string_view> found = words(line);
    if (found.empty()) continue;
    if (found.front().ends_with(':')) {
      std::string* const value = found.front() == "network:" ? &file.network
                                 : found.front() == "cost:"  ? &file.cost
                                                             : nullptr;
      if (value == nullptr) return wrong("network: or cost:");
      if (!value->empty()) return wrong(concat("one line ", found.front()));
      *value = join(std::span{found}.subspan(1), " ");
      continue;
    }
    if (found.size() != 2) return wrong("a layer and its precision, such as \"conv1 w2a4\"");
    const auto precision = detail::parse_precision(found[1]);
    if (!precision) {
      return Failure{concat("plan file: line ", lines.number(), ": layer ",
                            detail::quoted(found[0]), ": ", detail::precision_expected(found[1]))};
    }
    if (const auto [first, is_new] = line_of.emplace(found[0], lines.number()); !is_new) {
      return Failure{concat("plan file: line ", lines.number(), ": layer ",
                            detail::quoted(found[0]), " has a line already, line ", first->second)};
    }
    file.layers.push_back({std::string{found[0]}, *precision});
  }
  if (file.layers.empty()) {
    return Failure{concat("plan file: expected at least one layer after \"", format_line,
                          "\", got ", lines.number(), " lines without one")};
  }
  return file;
}

/// Reads a plan file of at most a mebibyte. Errors start with the path.
[[nodiscard]] inline Result<PlanFile> read_plan_file(const std::string& path) {
  const auto text = io::read_text_file(path);
  if (!text) return text.failure();
  auto file = PlanFile::parse(*text);
  if (!file) return Failure{concat(path, ": ", file.error())};
  return file;
}

/// Writes a plan file, replacing it atomically. Fails for names and texts that would not be read
/// back as they are (with blanks, `#`, line ends).
[[nodiscard]] inline Result<void> write_plan_file(const std::string& path, const PlanFile& file) {
  const std::string text = file.text();
  const auto again = PlanFile::parse(text);
  if (!again) return Failure{concat(path, ": ", again.error())};
  if (*again != file) {
    return Failure{concat(path,
                          ": plan file: a name, the network or the cost has blanks in a row, ",
                          "a '#' or a line end; choose another text")};
  }
  return io::write_file(path, std::as_bytes(std::span{text}));
}

}  // namespace bitdial::inline BITDIAL_ABI
