// SPDX-License-Identifier: Apache-2.0
// The names in a folder, sorted, so that a data set has the same order on every machine.
#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>

namespace bitdial::inline BITDIAL_ABI::data {

/// What lies in a folder: plain names, sorted by their bytes. Hidden names (".x") are left out;
/// links count as what they lead to.
struct FolderContent {
  std::vector<std::string> folders{};
  std::vector<std::string> files{};
};

/// Throws `FileError` when `path` cannot be listed.
[[nodiscard]] inline FolderContent list_folder(const std::string& path) {
  struct Closer {
    void operator()(DIR* folder) const noexcept { static_cast<void>(closedir(folder)); }
  };
  const std::unique_ptr<DIR, Closer> folder{opendir(path.c_str())};
  if (!folder) {
    throw FileError(
        concat(path, ": cannot list the folder: ", std::generic_category().message(errno)));
  }
  FolderContent content;
  while (const dirent* const entry = readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (name.starts_with('.')) continue;
    struct stat status {};
    if (stat((path + "/" + name).c_str(), &status) != 0) continue;
    if (S_ISDIR(status.st_mode)) content.folders.push_back(name);
    if (S_ISREG(status.st_mode)) content.files.push_back(name);
  }
  std::ranges::sort(content.folders);
  std::ranges::sort(content.files);
  return content;
}

/// Whether `name`, which a file of the data set gives, names something inside a folder and nothing
/// elsewhere: no separators, no dots alone.
[[nodiscard]] inline bool is_plain_name(std::string_view name) noexcept {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view{"/\\\0", 3}) == std::string_view::npos;
}

}  // namespace bitdial::inline BITDIAL_ABI::data
