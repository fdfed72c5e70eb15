// SPDX-License-Identifier: Apache-2.0
// Profiles as text: a table for people, CSV and JSON for programs.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <bitdial/core/csv.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/profiler.hpp>

namespace bitdial::inline BITDIAL_ABI {

namespace detail {

[[nodiscard]] inline std::string fixed(double value, int digits) {
  char text[64];
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, digits);
  return error == std::errc{} ? std::string{text, end} : concat(value);
}

/// The columns of a step, without a plan.
[[nodiscard]] inline std::array<std::string, 9> cells_of(const StepProfile& step) {
  const bool multiplies = step.macs > 0;
  return {step.name,
          step.kind,
          step.widths,
          step.path,
          fixed(step.seconds * 1e3, 4),
          multiplies ? concat(step.macs) : std::string{},
          multiplies ? fixed(step.rate() * 1e-9, 2) : std::string{},
          step.peak > 0.0 ? fixed(step.share(), 3) : std::string{},
          multiplies ? concat(step.bytes) : std::string{}};
}

inline constexpr std::array<std::string_view, 9> profile_columns{
    "step", "kind", "widths", "path", "ms", "macs", "gmac_per_s", "share_of_peak", "weight_bytes"};

template <class F>
void for_each_row(const PlanProfile& profile, F f) {
  for (const StepProfile& step : profile.steps) f(step);
  f(profile.total);
}

[[nodiscard]] inline std::string json_string(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20) {
      quoted += concat("\\u00", digits[code >> 4], digits[code & 15]);
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace detail

/// One aligned table per plan, the total last.
[[nodiscard]] inline std::string profile_table(std::span<const PlanProfile> profiles) {
  std::string text;
  for (const PlanProfile& profile : profiles) {
    std::vector<std::array<std::string, 9>> rows{{}};
    std::copy(detail::profile_columns.begin(), detail::profile_columns.end(), rows[0].begin());
    detail::for_each_row(profile,
                         [&](const StepProfile& step) { rows.push_back(detail::cells_of(step)); });
    std::array<std::size_t, 9> widths{};
    for (const auto& row : rows) {
      for (std::size_t i = 0; i < 9; ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    text += concat(text.empty() ? "" : "\n", "plan ", profile.plan, "\n");
    for (const auto& row : rows) {
      std::string line;
      for (std::size_t i = 0; i < 9; ++i) {
        const std::string fill(widths[i] - row[i].size(), ' ');
        const bool left = i < 4;  // text
        line += concat(i == 0 ? "" : "  ", left ? row[i] : fill, left ? fill : row[i]);
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
  }
  return text;
}

/// The same with one header and the plan in front of each line.
[[nodiscard]] inline std::string profile_csv(std::span<const PlanProfile> profiles) {
  std::string text = concat("plan,", join(detail::profile_columns, ","), "\n");
  for (const PlanProfile& profile : profiles) {
    detail::for_each_row(profile, [&](const StepProfile& step) {
      text += csv_field(profile.plan);
      for (const std::string& cell : detail::cells_of(step)) text += "," + csv_field(cell);
      text += "\n";
    });
  }
  return text;
}

/// An array with an object per plan: `{"plan": ..., "steps": [{"step": ..., "ms": ...}, ...]}`.
/// Numbers are complete; what a step does not have is null.
[[nodiscard]] inline std::string profile_json(std::span<const PlanProfile> profiles) {
  std::vector<std::string> plans;
  for (const PlanProfile& profile : profiles) {
    std::vector<std::string> steps;
    detail::for_each_row(profile, [&](const StepProfile& step) {
      const std::string values[] = {detail::json_string(step.name),
                                    detail::json_string(step.kind),
                                    detail::json_string(step.widths),
                                    detail::json_string(step.path),
                                    concat(step.seconds * 1e3),
                                    concat(step.macs),
                                    concat(step.rate() * 1e-9),
                                    step.peak > 0.0 ? concat(step.share()) : std::string{"null"},
                                    concat(step.bytes)};
      std::vector<std::string> members;
      for (std::size_t i = 0; i < 9; ++i) {
        members.push_back(
            concat(detail::json_string(detail::profile_columns[i]), ": ",
                   values[i] == "\"\"" ? std::string_view{"null"} : std::string_view{values[i]}));
      }
      steps.push_back(concat("  {", join(members), "}"));
    });
    plans.push_back(concat("{\"plan\": ", detail::json_string(profile.plan), ", \"steps\": [\n",
                           join(steps, ",\n"), "\n]}"));
  }
  return concat("[", join(plans, ",\n"), "]\n");
}

}  // namespace bitdial::inline BITDIAL_ABI
