// SPDX-License-Identifier: Apache-2.0
// Hostile texts that programs read back: a calibration cache, a governor's trace, a plan. The first
// byte of an input says which reader takes the rest.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <bitdial/runtime.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bitdial;
  if (size == 0) return 0;
  const std::vector<char> copy(data + 1, data + size);
  const std::string_view text{copy.data(), copy.size()};
  switch (data[0] % 3) {
    case 0:
      if (const auto read = parse_calibration(text)) {
        const std::string written = calibration_text(*read);
        const auto again = parse_calibration(written);
        fuzz::require(again.ok() && calibration_text(*again) == written,
                      "a calibration's text is the calibration");
      }
      break;
    case 1:
      static_cast<void>(parse_trace(text));
      break;
    default:
      if (const auto plan = PrecisionPlan::parse(text)) {
        const auto again = PrecisionPlan::parse(plan->text());
        fuzz::require(again.ok() && *again == *plan, "a plan's text is the plan");
      }
  }
  return 0;
}
