// SPDX-License-Identifier: Apache-2.0
// A folder that a test fills: in the temporary folder, gone at the end of the test.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <unistd.h>

namespace scratch {

/// A folder with a name of its own, removed with its content by the destructor.
class Folder {
 public:
  Folder() {
    static int count = 0;
    path_ = (std::filesystem::temp_directory_path() /
             ("bitdial-folder-" + std::to_string(getpid()) + "-" + std::to_string(count++)))
                .string();
    std::filesystem::create_directories(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// Writes a file below the folder, and the folders on the way.
  void write(const std::string& name, std::string_view content) const {
    const std::filesystem::path path = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
  }

 private:
  std::string path_;
};

/// The archive `name` of the shared data, or "" where it is absent.
inline std::string shared_archive(const std::string& name) {
  const char* folder = std::getenv("BITDIAL_SHARED");
  const std::string path =
      std::string(folder != nullptr ? folder : BITDIAL_SOURCE_DIR "/../shared") + "/data/" + name;
  return std::filesystem::exists(path) ? path : "";
}

/// Unpacks an archive with tar; false where that fails.
inline bool unpack(const std::string& archive, const Folder& into) {
  const std::string command = "tar -xJf '" + archive + "' -C '" + into.path() + "' 2>/dev/null";
  return std::system(command.c_str()) == 0;
}

}  // namespace scratch
