// SPDX-License-Identifier: Apache-2.0
// What each layer of a network takes on one machine at each precision: a table that a benchmark
// writes and a search reads.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/core/text_lines.hpp>
#include <bitdial/io/text_file.hpp>
#include <bitdial/io/write_file.hpp>
#include <bitdial/search/costs.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// Milliseconds per image of single layers, and where they were measured.
///
///     # bitdial layer latency 1
///     # machine: AMD EPYC 7763
///     # kernels: avx2
///     # threads: 1
///     # network: resnet20, 32 x 32 x 3
///     layer,precision,milliseconds
///     stage1.block1.conv1,w2a2,0.0312
///
/// The first line is the format. The other lines with `#` say where the numbers come from; unknown
/// ones are comments.
struct LatencyTable {
  struct Row {
    std::string layer;
    Precision precision;
    double milliseconds = 0.0;
    friend bool operator==(const Row&, const Row&) = default;
  };

  std::string machine{}, kernels{}, threads{}, network{};
  std::vector<Row> rows{};

  [[nodiscard]] std::string text() const {
    std::string out = concat(format_line, "\n");
    for (const auto& [key, member] : keys) out += concat(key, this->*member, "\n");
    out += concat(columns, "\n");
    for (const Row& row : rows) {
      out += concat(row.layer, ",", row.precision, ",", row.milliseconds, "\n");
    }
    return out;
  }

  /// Reads the text form. Fails with the number of the line, what was expected and what was found;
  /// times must be above 0 and below 10^9, and every pair of layer and precision occurs once.
  [[nodiscard]] static Result<LatencyTable> parse(std::string_view text);

  friend bool operator==(const LatencyTable&, const LatencyTable&) = default;

 private:
  static constexpr std::string_view format_line = "# bitdial layer latency 1";
  static constexpr std::string_view columns = "layer,precision,milliseconds";
  static constexpr std::pair<std::string_view, std::string LatencyTable::*> keys[] = {
      {"# machine: ", &LatencyTable::machine},
      {"# kernels: ", &LatencyTable::kernels},
      {"# threads: ", &LatencyTable::threads},
      {"# network: ", &LatencyTable::network}};
};

inline Result<LatencyTable> LatencyTable::parse(std::string_view text) {
  LatencyTable table;
  std::unordered_map<std::string, std::size_t> line_of;  // by layer and precision, as lines begin
  bool has_columns = false;
  TextLines lines{text};
  while (lines.next()) {
    const std::string_view line = lines.line();
    const auto wrong = [&](std::string_view expected, std::string_view found) {
      return Failure{concat("latency table: line ", lines.number(), ": expected ", expected,
                            ", got ", detail::quoted(found))};
    };
    if (lines.number() == 1) {
      if (line != format_line) return wrong(detail::quoted(format_line), line);
      continue;
    }
    if (line.starts_with('#')) {
      for (const auto& [key, member] : keys) {
        if (line.starts_with(key)) table.*member = line.substr(key.size());
      }
      continue;
    }
    if (!has_columns) {
      if (line != columns) return wrong(detail::quoted(columns), line);
      has_columns = true;
      continue;
    }
    const std::vector<std::string_view> found = split(line, ',');
    if (found.size() != 3 || found[0].empty()) {
      return wrong("layer,precision,milliseconds such as conv1,w2a4,0.25", line);
    }
    const auto precision = detail::parse_precision(found[1]);
    if (!precision) {
      return Failure{concat("latency table: line ", lines.number(), ": ",
                            detail::precision_expected(found[1]))};
    }
    double milliseconds = 0.0;
    const char* const end = found[2].data() + found[2].size();
    const auto [stop, error] = std::from_chars(found[2].data(), end, milliseconds);
    if (error != std::errc{} || stop != end || !(milliseconds > 0.0 && milliseconds < 1e9)) {
      return wrong("milliseconds above 0 and below 1e9", found[2]);
    }
    const auto [first, is_new] = line_of.emplace(concat(found[0], ',', *precision), lines.number());
    if (!is_new) {
      return Failure{concat("latency table: line ", lines.number(), ": layer ",
                            detail::quoted(found[0]), " at ", *precision,
                            " has a line already, line ", first->second)};
    }
    table.rows.push_back({std::string{found[0]}, *precision, milliseconds});
  }
  if (table.rows.empty()) {
    return Failure{concat("latency table: expected lines after \"", columns, "\", got ",
                          lines.number(), " lines without one")};
  }
  return table;
}

/// Reads a latency table of at most 16 MiB. Errors start with the path.
[[nodiscard]] inline Result<LatencyTable> read_latency_table(const std::string& path) {
  const auto text = io::read_text_file(path, std::size_t{1} << 24);
  if (!text) return text.failure();
  auto table = LatencyTable::parse(*text);
  if (!table) return Failure{concat(path, ": ", table.error())};
  return table;
}

/// Writes a latency table, replacing it atomically. Fails for a table that would not be read back
/// as it is.
[[nodiscard]] inline Result<void> write_latency_table(const std::string& path,
                                                      const LatencyTable& table) {
  const std::string text = table.text();
  const auto again = LatencyTable::parse(text);
  if (!again) return Failure{concat(path, ": ", again.error())};
  if (*again != table) {
    return Failure{concat(path, ": latency table: a name has a comma or a line end")};
  }
  return io::write_file(path, std::as_bytes(std::span{text}));
}

/// Measured milliseconds as the costs of a search, in place of bit operations.
///
/// Throws `ConfigError` for a candidate of a searched layer that the table lacks.
[[nodiscard]] inline SearchCosts latency_costs(nn::Module& network, const LatencyTable& table) {
  std::unordered_map<std::string, double> times;  // by layer and precision
  for (const LatencyTable::Row& row : table.rows) {
    times.emplace(concat(row.layer, ',', row.precision), row.milliseconds);
  }
  return {network, "ms", [&](const std::string& name, Precision precision) {
            const auto found = times.find(concat(name, ',', precision));
            if (found == times.end()) {
              throw ConfigError(
                  concat("latency table: no time for layer '", name, "' at ", precision,
                         "; it was measured on ",
                         table.network.empty() ? std::string{"another network"} : table.network,
                         "; measure this network at all candidates with "
                         "bench_layer_latency"));
            }
            return found->second;
          }};
}

}  // namespace bitdial::inline BITDIAL_ABI
