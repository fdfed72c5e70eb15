// SPDX-License-Identifier: Apache-2.0
// What a stream of the C library is connected to, and text sinks that write to it.
#pragma once

#include <cstdio>
#include <functional>
#include <string_view>

#if defined(__unix__) || defined(__APPLE__)
#  include <sys/ioctl.h>
#  include <unistd.h>
#endif

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// Takes finished pieces of output. The library writes nowhere by itself.
using TextSink = std::function<void(std::string_view)>;

/// A sink that writes to `stream`, which stays the caller's, and flushes after each piece.
[[nodiscard]] inline TextSink stream_sink(std::FILE* stream) {
  return [stream](std::string_view text) {
    static_cast<void>(std::fwrite(text.data(), 1, text.size(), stream));
    static_cast<void>(std::fflush(stream));
  };
}

/// Whether a person sees the stream live. False where the system cannot tell.
[[nodiscard]] inline bool is_terminal(std::FILE* stream) noexcept {
#if defined(__unix__) || defined(__APPLE__)
  return isatty(fileno(stream)) == 1;
#else
  static_cast<void>(stream);
  return false;
#endif
}

/// The columns of the terminal behind the stream; `fallback` where there is none.
[[nodiscard]] inline int terminal_width(std::FILE* stream, int fallback = 80) noexcept {
#if defined(TIOCGWINSZ)
  winsize window{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &window) == 0 && window.ws_col > 0) return window.ws_col;
#else
  static_cast<void>(stream);
#endif
  return fallback;
}

}  // namespace bitdial::inline BITDIAL_ABI::train
