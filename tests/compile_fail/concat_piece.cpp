// SPDX-License-Identifier: Apache-2.0
// expect: bitdial: concat: a piece must be text, a number, or have .text\(\)
#include <string>

#include <bitdial/core/text.hpp>

#ifdef GOOD
struct Piece {
  [[nodiscard]] std::string text() const { return {}; }
};
#else
struct Piece {};
#endif

inline std::string sentence() {
  return bitdial::concat("piece ", Piece{});
}
