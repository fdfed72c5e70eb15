// SPDX-License-Identifier: Apache-2.0
// The names in a folder.
#pragma once

#include <dirent.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <bitdial/core/config.hpp>

namespace bitdial::inline BITDIAL_ABI::io {

/// The entries of `folder` that start with `prefix`, sorted, hidden ones left out; none when there
/// is no such folder.
[[nodiscard]] inline std::vector<std::string> entries_of(const std::string& folder,
                                                         std::string_view prefix = {}) {
  const auto close = [](DIR* handle) { ::closedir(handle); };
  const std::unique_ptr<DIR, decltype(close)> handle{::opendir(folder.c_str()), close};
  std::vector<std::string> names;
  while (const dirent* const entry = handle ? ::readdir(handle.get()) : nullptr) {
    const std::string_view name{entry->d_name};
    if (name.starts_with(prefix) && !name.starts_with('.')) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace bitdial::inline BITDIAL_ABI::io
