// SPDX-License-Identifier: Apache-2.0
// All memory of the program: constants and two static blocks.
#pragma once

#include <cstddef>
#include <span>

/// The memory of the session, on a boundary of 64 bytes.
std::span<std::byte> session_arena();

/// `operator new` takes from a second block and never gives back: enough while the program starts.
struct Heap {
  static std::size_t used();
  /// From now on any allocation ends the program.
  static void close();
};
