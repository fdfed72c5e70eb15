// SPDX-License-Identifier: Apache-2.0
// Decisions of a governor as CSV text, and the same decisions made again from that text.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <bitdial/core/csv.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/core/text_lines.hpp>
#include <bitdial/deploy/governor.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// One request in a trace: what the governor knew and what it said.
struct TraceRow {
  Signals signals;
  std::string plan;    ///< name
  std::string reason;  ///< `reason_text`
};

/// The first line of a trace. An absent signal is an empty field.
inline constexpr std::string_view trace_header =
    "now,last_latency,queue_depth,thermal_headroom,battery,memory_available,request_rate,"
    "pinned_plan,plan,reason\n";

namespace detail {

inline constexpr std::size_t trace_fields = 10;

/// The optional signals in the order of the columns behind `now`.
template <class Row, class F>
void for_each_trace_number(Row& signals, F f) {
  f(std::size_t{1}, signals.last_latency);
  f(std::size_t{3}, signals.thermal_headroom);
  f(std::size_t{4}, signals.battery);
  f(std::size_t{5}, signals.memory_available);
  f(std::size_t{6}, signals.request_rate);
  f(std::size_t{7}, signals.pinned_plan);
}

}  // namespace detail

/// One line of a trace. Numbers are written so that reading them gives the same bits.
[[nodiscard]] inline std::string trace_line(const Governor& governor, const Signals& signals,
                                            const Decision& decision) {
  std::array<std::string, detail::trace_fields> fields;
  fields[0] = concat(signals.now);
  fields[2] = concat(signals.queue_depth);
  detail::for_each_trace_number(signals, [&](std::size_t column, const auto& value) {
    if (value) fields[column] = concat(*value);
  });
  const OperatingPoint* const point = governor.ladder().find(decision.plan);
  if (point != nullptr) fields[8] = csv_field(point->name);
  fields[9] = reason_text(decision.reason);
  return join(fields, ",") + "\n";
}

/// Reads a trace with its header; line ends are "\n" or "\r\n". Errors name the line and the field.
[[nodiscard]] inline Result<std::vector<TraceRow>> parse_trace(std::string_view text) {
  std::vector<TraceRow> rows;
  TextLines lines{text};
  const std::string_view header = trace_header.substr(0, trace_header.size() - 1);
  if (!lines.next() || lines.line() != header) {
    return Failure{concat("trace: line 1: expected the header ", header)};
  }
  while (lines.next()) {
    const auto found = csv_fields(lines.line());
    if (!found) {
      return Failure{concat("trace: line ", lines.number(),
                            ": a quote stands inside a field or is not closed, expected fields "
                            "such as w4a4 or \"w8a8,w4a4\"")};
    }
    const std::vector<std::string>& fields = *found;
    if (fields.size() != detail::trace_fields) {
      return Failure{concat("trace: line ", lines.number(), ": expected ", detail::trace_fields,
                            " fields, found ", fields.size())};
    }
    TraceRow row{.signals = {}, .plan = fields[8], .reason = fields[9]};
    std::optional<std::size_t> wrong;
    const auto require = [&](std::size_t column, auto& value) {
      if (!wrong && !parse_number(fields[column], value)) wrong = column;
    };
    require(0, row.signals.now);
    require(2, row.signals.queue_depth);
    detail::for_each_trace_number(row.signals, [&](std::size_t column, auto& value) {
      if (!fields[column].empty()) require(column, value.emplace());
    });
    if (wrong) {
      return Failure{concat("trace: line ", lines.number(), ", field ", *wrong + 1,
                            ": expected a number, found \"", fields[*wrong], "\"")};
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

/// What a replay found.
struct Replay {
  std::vector<Decision> decisions;         ///< one per row
  std::vector<std::size_t> differences{};  ///< rows whose plan or reason is another one now
};

/// Decides every row of a trace again, from a fresh state: with the options of the recording there
/// is no difference; with other options it shows what they would have changed. (The latencies in
/// the trace are those of the recorded plans.)
[[nodiscard]] inline Replay replay(const Governor& governor, const std::vector<TraceRow>& rows) {
  Replay result;
  GovernorState state;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Decision decision = governor.decide(state, rows[i].signals);
    const OperatingPoint* const point = governor.ladder().find(decision.plan);
    if (point == nullptr || point->name != rows[i].plan ||
        reason_text(decision.reason) != rows[i].reason) {
      result.differences.push_back(i);
    }
    result.decisions.push_back(decision);
  }
  return result;
}

}  // namespace bitdial::inline BITDIAL_ABI
